//! What a forked child does with what it inherits: it drops it, is refused, and takes nothing from its parent, also
//! when other threads of the parent held locks.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem::ManuallyDrop;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, Loop, every_backend};
use wakeful::file::{self, Operation, Queue};
use wakeful::process::Exit;
use wakeful::signal::{Signal, Signals};
use wakeful::time::Timer;
use wakeful::unix::SourceFd;
use wakeful::watch::Watcher;
use wakeful::{Backend, Interest, Token, Trigger, Waker, pipe, user};

const LEVEL: Interest = Interest::READABLE.with_trigger(Trigger::Level);
const PIPE: Token = Token(1);
const WAKER: Token = Token(2);

/// Runs this in a forked child, which must end in time and find everything as it expects.
#[track_caller]
fn in_child(child: impl FnOnce()) {
    // SAFETY: glibc's child of a process with threads may allocate; it ends without running what its parent
    // registered.
    match unsafe { libc::fork() } {
        0 => {
            // The harness would keep what the child says, which ends with the child.
            std::panic::set_hook(Box::new(|panic| {
                let message = format!("in the child: {panic}\n");
                // SAFETY: the message is valid for the read of its length.
                unsafe { libc::write(2, message.as_ptr().cast(), message.len()) };
            }));
            let result = catch_unwind(AssertUnwindSafe(child));
            // SAFETY: no destructor of the parent's is to run here.
            unsafe { libc::_exit(i32::from(result.is_err())) };
        }
        pid => {
            assert!(pid > 0);
            let (end, mut status) = (Instant::now() + DEADLINE, 0);
            // SAFETY: the status is valid for the write.
            while unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } != pid {
                if Instant::now() > end {
                    // SAFETY: it is a child that was not waited for.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                    // SAFETY: as above.
                    unsafe { libc::waitpid(pid, &mut status, 0) };
                    panic!("the child hangs");
                }
                thread::sleep(Duration::from_micros(200));
            }
            assert_eq!(status, 0, "the child has failed");
        }
    }
}

/// The child's copy, to be dropped there.
fn copy<T>(inherited: &ManuallyDrop<T>) -> T {
    // SAFETY: the child ends without using the other copy, and the parent does not get here.
    unsafe { std::ptr::read(&raw const **inherited) }
}

#[track_caller]
fn is_refused<T>(result: io::Result<T>) {
    let error = result.err().expect("it is to be refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("forked"), "{error}");
}

/// Runs `threads` again and again while `test` runs.
fn beside(threads: &[&(dyn Fn() + Sync)], test: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    thread();
                }
            });
        }
        let result = catch_unwind(AssertUnwindSafe(test));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

fn backend_works(backend: Backend) {
    let mut events = Loop::new(backend);
    let (mut sender, mut receiver) = pipe::new().unwrap();
    events.registry().register(&mut receiver, PIPE, LEVEL).unwrap();
    sender.write_all(b"x").unwrap();
    events.expect_readable(PIPE);
}

every_backend! {
    fn registrations_are_the_parents(backend) {
        let mut events = Loop::new(backend).after_a_change();
        let registry = events.registry().try_clone().unwrap();
        let waker = Waker::new(&registry, WAKER).unwrap();
        let ends: Vec<_> = (0..4).map(|_| pipe::new().unwrap()).collect();
        let register = || {
            let (_sender, mut receiver) = pipe::new().unwrap();
            registry.register(&mut receiver, Token(9), Interest::READABLE).unwrap();
            registry.reregister(&mut receiver, Token(9), LEVEL).unwrap();
            registry.deregister(&mut receiver).unwrap();
        };
        let wake = || Waker::new(&registry, Token(3)).unwrap().wake().unwrap();
        let mut senders = Vec::new();
        let mut owned = Vec::new();
        for (sender, receiver) in ends {
            senders.push(sender);
            let receiver = registry.register_owned(receiver, PIPE, Interest::READABLE).unwrap();
            owned.push(ManuallyDrop::new(receiver));
        }
        let waker = ManuallyDrop::new(waker);
        beside(&[&register, &register, &wake], || {
            for round in 0..40 {
                // Changes that are put off, in the parent, are not made by the child.
                for receiver in &mut owned {
                    let interest = if round % 2 == 0 { LEVEL } else { Interest::READABLE };
                    receiver.set_interest(interest).unwrap();
                }
                in_child(|| {
                    // First, with all locks as they were.
                    drop(copy(&owned[0]));
                    drop(copy(&waker));
                    let mut second = copy(&owned[1]);
                    is_refused(second.set_interest(second.interest()));
                    is_refused(second.set_interest(Interest::WRITABLE));
                    is_refused(second.set_token(Token(7)));
                    is_refused(second.rearm(Interest::READABLE));
                    let mut third = copy(&owned[2]).deregister().unwrap_err();
                    is_refused::<()>(Err(io::Error::new(third.io_error().kind(), third.to_string())));
                    let mut source = third.into_source();
                    is_refused(registry.register(&mut source, PIPE, LEVEL));
                    is_refused(registry.reregister(&mut source, PIPE, LEVEL));
                    is_refused(registry.deregister(&mut source));
                    let fd = source.as_raw_fd();
                    is_refused(registry.register(&mut SourceFd(&fd), PIPE, LEVEL));
                    is_refused(registry.reregister(&mut SourceFd(&fd), PIPE, LEVEL));
                    is_refused(registry.deregister(&mut SourceFd(&fd)));
                    is_refused(Waker::new(&registry, Token(5)));
                    is_refused(Waker::without_event(&registry));
                    is_refused(waker.wake());
                    let _ = registry.as_raw_fd();
                    third = registry.register_owned(source, PIPE, LEVEL).unwrap_err();
                    drop(third);
                    backend_works(backend);
                });
                events.poll(Duration::ZERO);
            }
        });
        // All registrations are there.
        for (receiver, mut sender) in owned.into_iter().zip(senders) {
            sender.write_all(b"x").unwrap();
            events.expect_readable(PIPE);
            drop(ManuallyDrop::into_inner(receiver));
        }
        waker.wake().unwrap();
        events.expect_readable(WAKER);
    }

    fn a_poller_is_the_parents(backend) {
        let mut events = ManuallyDrop::new(Loop::new(backend).after_a_change());
        let (mut sender, receiver) = pipe::new().unwrap();
        let receiver = events.registry().register_owned(receiver, PIPE, LEVEL).unwrap();
        let receiver = ManuallyDrop::new(receiver);
        sender.write_all(b"x").unwrap();
        let timer = Duration::from_secs(3600);
        for round in 0..20 {
            if round == 10 {
                events.poll.timers().insert_after(timer, Token(4)).unwrap();
            }
            in_child(|| {
                let mut events = copy(&events);
                for timeout in [None, Some(Duration::ZERO)] {
                    is_refused(events.poll.poll(&mut events.events, timeout));
                }
                let outer = Loop::new(backend);
                let _ = outer.registry().register(&mut events.poll, Token(0), LEVEL);
                drop(outer);
                drop(events);
                drop(copy(&receiver));
            });
            events.expect_readable(PIPE);
        }
        drop(ManuallyDrop::into_inner(receiver));
        drop(ManuallyDrop::into_inner(events));
    }

    /// The poller waits on another thread, which the child does not have.
    fn while_another_thread_polls(backend) {
        let mut events = Loop::new(backend);
        let registry = events.registry().try_clone().unwrap();
        let waker = Waker::new(&registry, WAKER).unwrap();
        let (mut sender, receiver) = pipe::new().unwrap();
        let receiver = registry.register_owned(receiver, PIPE, LEVEL).unwrap();
        let receiver = ManuallyDrop::new(receiver);
        let registry = ManuallyDrop::new(registry);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let poller = scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    // Only the parent wakes it, and nothing is there to be read yet.
                    let found = events.poll(DEADLINE);
                    assert!(found.iter().all(|event| event.token() == WAKER), "{found:?}");
                }
                events
            });
            let result = catch_unwind(AssertUnwindSafe(|| {
                beside(&[&|| waker.wake().unwrap(), &thread::yield_now], || {
                    for _ in 0..40 {
                        in_child(|| {
                            drop(copy(&receiver));
                            is_refused(waker.wake());
                            drop(copy(&registry));
                        });
                    }
                });
            }));
            stop.store(true, Ordering::Relaxed);
            waker.wake().unwrap();
            if let Err(panic) = result {
                std::panic::resume_unwind(panic);
            }
            let mut events = poller.join().unwrap();
            sender.write_all(b"x").unwrap();
            events.expect_readable(PIPE);
        });
        drop(ManuallyDrop::into_inner(receiver));
        drop(ManuallyDrop::into_inner(registry));
    }

    fn sources_are_the_parents(backend) {
        let mut events = Loop::new(backend);
        let folder = tempfile::tempdir().unwrap();
        let registry = events.registry().try_clone().unwrap();
        let own = |token: usize| (Token(token), LEVEL);
        macro_rules! inherited {
            ($source:expr, $token:expr) => {{
                let (token, interest) = own($token);
                ManuallyDrop::new(registry.register_owned($source, token, interest).unwrap())
            }};
        }
        let timer = inherited!(Timer::new().unwrap(), 10);
        timer.set_interval(Duration::from_millis(1)).unwrap();
        let watcher = inherited!(Watcher::new().unwrap(), 11);
        watcher.add(folder.path()).unwrap();
        let items = inherited!(user::Events::<usize>::new(64).unwrap(), 12);
        let sender = items.sender();
        let signals = inherited!(Signals::new([Signal::USER2]).unwrap(), 13);
        // It ends with this process, at the latest.
        let mut child = Command::new("cat");
        child.stdin(Stdio::piped()).stdout(Stdio::null());
        let exit = inherited!(Exit::new(child.spawn().unwrap()).unwrap(), 14);
        let pool = inherited!(Queue::<()>::new(8, file::Backend::Pool).unwrap(), 15);
        let auto = inherited!(Queue::<()>::new(8, file::Backend::Auto).unwrap(), 16);
        let file = std::sync::Arc::new(File::open("/proc/self/exe").unwrap());

        let send = || {
            let _ = sender.send(1);
        };
        let drain = || {
            let _ = items.drain().count();
        };
        let add = || {
            let id = watcher.add(folder.path()).unwrap();
            let _ = watcher.changes().count();
            watcher.remove(id);
        };
        let count = || drop(Signals::new([Signal::USER1]).unwrap());
        let wait = || assert!(exit.try_wait().unwrap().is_none());
        let read = || {
            for queue in [&pool, &auto] {
                let _ = queue.submit(Operation::read(file.clone(), vec![0; 64], 0), ());
                drop(queue.completion());
            }
        };
        beside(&[&send, &drain, &add, &count, &wait, &read], || {
            for _ in 0..40 {
                in_child(|| {
                    is_refused(timer.expirations());
                    is_refused(timer.disarm());
                    is_refused(watcher.add(folder.path()));
                    assert_eq!((watcher.changes().count(), items.drain().count()), (0, 0));
                    assert!(items.is_empty());
                    assert!(matches!(sender.send(7), Err(user::Rejected::Closed(7))));
                    assert!(signals.pending().is_empty());
                    is_refused(signals.add(Signal::USER1));
                    is_refused(exit.try_wait());
                    is_refused(exit.send_signal(Signal::TERMINATE));
                    for queue in [&pool, &auto] {
                        let operation = Operation::read(file.clone(), vec![0; 64], 0);
                        assert!(queue.submit(operation, ()).is_err());
                        assert!(queue.completion().is_none());
                    }
                    let _ = format!("{timer:?} {watcher:?} {items:?} {signals:?} {exit:?} {pool:?}");
                    drop(copy(&timer));
                    drop(copy(&watcher));
                    drop(copy(&items));
                    drop(copy(&signals));
                    drop(copy(&exit));
                    drop(copy(&pool));
                    drop(copy(&auto));
                    // Its own.
                    let signals = Signals::new([Signal::USER1]).unwrap();
                    // SAFETY: the signal has a handler.
                    unsafe { libc::raise(libc::SIGUSR1) };
                    assert_eq!(signals.pending().len(), 1);
                });
            }
        });
        // The parent has lost nothing.
        events.expect_readable(Token(10));
        assert!(timer.expirations().unwrap() > 0);
        assert!(exit.try_wait().unwrap().is_none());
        exit.send_signal(Signal::TERMINATE).unwrap();
        events.expect_readable(Token(14));
        assert!(exit.try_wait().unwrap().is_some());
        let _ = items.drain().count();
        sender.send(5).unwrap();
        events.expect_readable(Token(12));
        assert_eq!(items.drain().collect::<Vec<_>>(), [5]);
        File::create(folder.path().join("new")).unwrap();
        events.expect_readable(Token(11));
        assert!(watcher.changes().any(|change| change.path.ends_with("new")));
        macro_rules! end {
            ($($source:ident),+) => {
                $(drop(ManuallyDrop::into_inner($source));)+
            };
        }
        end!(timer, watcher, items, signals, exit, pool, auto);
    }
}
