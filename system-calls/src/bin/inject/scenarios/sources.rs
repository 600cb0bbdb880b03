//! The sources: wakers, timers, queues, signals, processes, files.

use std::fs::File;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use wakeful::file::{self, Operation, Queue};
use wakeful::process::Exit;
use wakeful::signal::{BlockedSignals, Signal, Signals};
use wakeful::time::Timer;
use wakeful::watch::Watcher;
use wakeful::{Interest, Token, Waker, user};

use super::{Desk, Result, ask, told};

const ROUNDS: u32 = 3;
const TOKEN: Token = Token(5);

/// Another thread wakes, each time after the wait has begun, as far as that can be known.
pub(super) fn waker(desk: &mut Desk) -> Result {
    let waker = ask("Waker::new", || Waker::new(desk.poll.registry(), TOKEN))?;
    with_another(&|_| ask("wake", || waker.wake()), |_| desk.wait(TOKEN, || Ok(Some(()))))
}

/// Has another thread act in each round, shortly after this one has begun to wait.
fn with_another(
    act: &(dyn Fn(u32) -> Result + Sync),
    mut wait: impl FnMut(u32) -> Result,
) -> Result {
    let (begin, begun) = mpsc::channel();
    let begun = Mutex::new(begun);
    thread::scope(|scope| {
        let acting = ask("spawn", || {
            thread::Builder::new().spawn_scoped(scope, || -> Result {
                for round in begun.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    thread::sleep(Duration::from_millis(2));
                    act(round)?;
                }
                Ok(())
            })
        })?;
        let result = (0..ROUNDS).try_for_each(|round| {
            begin.send(round)?;
            wait(round)
        });
        drop(begin);
        acting.join().map_err(|_| "the other thread panicked")??;
        result
    })
}

pub(super) fn wheel(desk: &mut Desk) -> Result {
    let start = Instant::now();
    for delay in 1..=ROUNDS {
        let deadline = start + Duration::from_millis(2) * delay;
        desk.poll.timers().insert(deadline, Token(delay as usize))?;
    }
    for delay in 1..=ROUNDS {
        desk.wait(Token(delay as usize), || Ok(Some(())))?;
        if start.elapsed() < Duration::from_millis(2) * delay {
            return Err("too early".into());
        }
    }
    Ok(())
}

pub(super) fn timer(desk: &mut Desk) -> Result {
    let timer = ask("Timer::new", Timer::new)?;
    let timer = desk.register(timer, TOKEN, Interest::READABLE)?;
    for _ in 0..ROUNDS {
        ask("set_after", || timer.set_after(Duration::from_millis(2)))?;
        desk.wait(TOKEN, || {
            loop {
                match timer.expirations() {
                    Ok(count) => return Ok(Some(count)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                    Err(error) => told("expirations", error),
                }
            }
        })?;
    }
    Ok(())
}

pub(super) fn channel(desk: &mut Desk) -> Result {
    let queue = ask("Events::new", || user::Events::new(8))?;
    let sender = queue.sender();
    let queue = desk.register(queue, TOKEN, Interest::READABLE)?;
    let send = |number| sender.send(number).map_err(|it| format!("rejected: {it}").into());
    with_another(&send, |round| {
        desk.wait(TOKEN, || Ok(queue.drain().next().filter(|&number| number == round)))?;
        Ok(())
    })
}

pub(super) fn signals(desk: &mut Desk) -> Result {
    let signals = ask("Signals::new", || Signals::new([Signal::USER1]))?;
    let signals = desk.register(signals, TOKEN, Interest::READABLE)?;
    let pid = std::process::id();
    for _ in 0..ROUNDS {
        ask("kill", || wakeful_kernel::process::send_signal(pid, Signal::USER1.as_raw()))?;
        desk.wait(TOKEN, || Ok(Some(signals.pending()).filter(|it| !it.is_empty())))?;
    }
    Ok(())
}

pub(super) fn blocked_signals(desk: &mut Desk) -> Result {
    let signals = ask("BlockedSignals::new", || BlockedSignals::new([Signal::USER2]))?;
    let signals = desk.register(signals, TOKEN, Interest::READABLE)?;
    let pid = std::process::id();
    for _ in 0..ROUNDS {
        ask("kill", || wakeful_kernel::process::send_signal(pid, Signal::USER2.as_raw()))?;
        let mut count = 0;
        desk.wait(TOKEN, || {
            loop {
                match signals.receive() {
                    Ok(_) => count += 1,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Ok((count > 0).then_some(()));
                    }
                    Err(error) => told("receive", error),
                }
            }
        })?;
    }
    Ok(())
}

pub(super) fn child(desk: &mut Desk) -> Result {
    let mut command = Command::new("true");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = Some(ask("spawn", || command.spawn())?);
    let exit = ask("Exit::new", || {
        let taken = child.take().ok_or_else(|| "it was not given back".to_owned())?;
        Exit::new(taken).map_err(|error| {
            let message = error.to_string();
            child = Some(error.into_source());
            message
        })
    })?;
    let exit = desk.register(exit, TOKEN, Interest::READABLE)?;
    desk.wait(TOKEN, || ask("try_wait", || exit.try_wait()))?;
    Ok(())
}

pub(super) fn watcher(desk: &mut Desk) -> Result {
    let folder = ask("tempdir", tempfile::tempdir)?;
    let path = folder.path().join("file");
    let watcher = ask("Watcher::new", Watcher::new)?;
    let watcher = desk.register(watcher, TOKEN, Interest::READABLE)?;
    ask("add", || watcher.add(folder.path()))?;
    let mut file = ask("create", || File::create(&path))?;
    let changed = || Ok(watcher.changes().find(|change| change.path == path));
    desk.wait(TOKEN, changed)?;
    ask("write", || file.write(b"x"))?;
    desk.wait(TOKEN, changed)?;
    Ok(())
}

pub(super) fn files_ring(desk: &mut Desk) -> Result {
    files(desk, file::Backend::Auto)
}

pub(super) fn files_pool(desk: &mut Desk) -> Result {
    files(desk, file::Backend::Pool)
}

fn files(desk: &mut Desk, backend: file::Backend) -> Result {
    let mut file = ask("tempfile", tempfile::tempfile)?;
    ask("write", || file.write(&[1; 100]))?;
    let file = Arc::new(file);
    let queue = ask("Queue::new", || Queue::new(8, backend))?;
    let queue = desk.register(queue, TOKEN, Interest::READABLE)?;
    for round in 0..ROUNDS {
        ask("submit", || {
            let read = Operation::read(file.clone(), vec![0; 100], 0);
            queue.submit(read, round).map_err(|rejected| rejected.to_string())
        })?;
        desk.wait(TOKEN, || {
            // All of them: an edge tells of no more until there are none.
            let Some(done) = queue.completions().last() else {
                return Ok(None);
            };
            match done.count() {
                Ok(100) if done.user == round => {}
                Ok(count) => return Err(format!("{count} bytes of {}", done.user).into()),
                Err(error) => told("read", error),
            }
            Ok(Some(()))
        })?;
    }
    Ok(())
}
