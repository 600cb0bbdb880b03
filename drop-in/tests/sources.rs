//! wakeful's own sources in other crates' loops: each is a descriptor.

use std::io::{ErrorKind, Read};
use std::process::Command;
use std::time::{Duration, Instant};

use async_io::Async;
use drop_in::{in_a_minute, on_tokio};
use tokio::io::unix::AsyncFd;
use wakeful::process::{Exit, Outcome};
use wakeful::signal::{Signal, Signals};
use wakeful::time::Timer;
use wakeful::unix::{Fallback, FdSource};
use wakeful::user;
use wakeful::watch::Watcher;
use wakeful_testing::Isolated;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_timer_in_tokio() {
    on_tokio(|| async {
        // SAFETY: the timer owns its descriptor, and always tells the same one.
        let timer = unsafe { AsyncFd::register(Timer::new().unwrap()) }.unwrap();
        let start = Instant::now();
        timer.get_ref().set_interval(2 * MS).unwrap();
        let mut count = 0;
        while count < 5 {
            let mut guard = timer.readable().await.unwrap();
            if let Ok(expirations) = guard.try_io(|timer| timer.get_ref().expirations()) {
                count += expirations.unwrap();
            }
        }
        assert!(start.elapsed() >= 10 * MS);
    });
}

#[test]
fn user_events_in_tokio() {
    on_tokio(|| async {
        let queue = user::Events::new(100).unwrap();
        let sender = queue.sender();
        // SAFETY: the queue owns its descriptor, and always tells the same one.
        let queue = unsafe { AsyncFd::register(queue) }.unwrap();
        let sending = std::thread::spawn(move || {
            for number in 0..50 {
                sender.send(number).unwrap();
            }
        });
        let mut received = Vec::new();
        while received.len() < 50 {
            let mut guard = queue.readable().await.unwrap();
            // Before draining: what is sent from here on is told anew.
            guard.clear_ready();
            received.extend(queue.get_ref().drain());
        }
        assert_eq!(received, Vec::from_iter(0..50));
        sending.join().unwrap();
    });
}

#[test]
fn user_events_in_async_io() {
    in_a_minute(|| {
        smol::block_on(async {
            let queue = Async::new_nonblocking(user::Events::new(100).unwrap()).unwrap();
            let sender = queue.get_ref().sender();
            let sending = std::thread::spawn(move || {
                for number in 0..50 {
                    sender.send(number).unwrap();
                }
            });
            let mut received = Vec::new();
            while received.len() < 50 {
                queue.readable().await.unwrap();
                received.extend(queue.get_ref().drain());
            }
            assert_eq!(received, Vec::from_iter(0..50));
            sending.join().unwrap();
        });
    });
}

#[test]
fn a_timer_in_async_io() {
    in_a_minute(|| {
        smol::block_on(async {
            let timer = Async::new_nonblocking(Timer::new().unwrap()).unwrap();
            let start = Instant::now();
            timer.get_ref().set_interval(2 * MS).unwrap();
            let mut count = 0;
            while count < 5 {
                count += timer.read_with(Timer::expirations).await.unwrap();
            }
            assert!(start.elapsed() >= 10 * MS);
            timer.get_ref().disarm().unwrap();
            let error = timer.get_ref().expirations().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        });
    });
}

#[test]
fn signals_processes_and_files_in_tokio() {
    on_tokio(|| async {
        // SAFETY: each of these owns its descriptor, and always tells the same one.
        let signals = unsafe { AsyncFd::register(Signals::new([Signal::USER1]).unwrap()) }.unwrap();
        raise(Signal::USER1);
        let mut guard = signals.readable().await.unwrap();
        guard.clear_ready();
        assert_eq!(signals.get_ref().pending()[0].signal, Signal::USER1);
        drop(guard);

        let exit = Exit::new(Command::new("false").isolated().spawn().unwrap()).unwrap();
        // SAFETY: as above.
        let exit = unsafe { AsyncFd::register(exit) }.unwrap();
        let outcome = loop {
            let mut guard = exit.readable().await.unwrap();
            if let Some(outcome) = exit.get_ref().try_wait().unwrap() {
                break outcome;
            }
            guard.clear_ready();
        };
        assert_eq!(code(outcome), Some(1));

        let folder = tempfile::tempdir().unwrap();
        // SAFETY: as above.
        let watcher = unsafe { AsyncFd::register(Watcher::new().unwrap()) }.unwrap();
        watcher.get_ref().add(folder.path()).unwrap();
        for name in ["one", "two"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            let mut guard = watcher.readable().await.unwrap();
            guard.clear_ready();
            let paths: Vec<_> = watcher.get_ref().changes().map(|change| change.path).collect();
            assert_eq!(paths, [folder.path().join(name)]);
        }

        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let file = FdSource::with_fallback(file, Fallback::HelperThread).unwrap();
        // SAFETY: as above.
        let file = unsafe { AsyncFd::register(file) }.unwrap();
        let mut start = [0; 4];
        loop {
            let mut guard = file.readable().await.unwrap();
            if let Ok(count) = guard.try_io(|file| file.get_ref().read(&mut start)) {
                assert_eq!(count.unwrap(), 4);
                break;
            }
        }
        assert_eq!(&start, b"\x7fELF");
    });
}

#[test]
fn signals_processes_and_files_in_async_io() {
    in_a_minute(|| {
        smol::block_on(async {
            let signals = Async::new_nonblocking(Signals::new([Signal::USER2]).unwrap()).unwrap();
            raise(Signal::USER2);
            signals.readable().await.unwrap();
            assert_eq!(signals.get_ref().pending()[0].signal, Signal::USER2);

            let exit = Exit::new(Command::new("false").isolated().spawn().unwrap()).unwrap();
            let exit = Async::new_nonblocking(exit).unwrap();
            let outcome = loop {
                exit.readable().await.unwrap();
                if let Some(outcome) = exit.get_ref().try_wait().unwrap() {
                    break outcome;
                }
            };
            assert_eq!(code(outcome), Some(1));

            let folder = tempfile::tempdir().unwrap();
            let watcher = Async::new_nonblocking(Watcher::new().unwrap()).unwrap();
            watcher.get_ref().add(folder.path()).unwrap();
            for name in ["one", "two"] {
                std::fs::create_dir(folder.path().join(name)).unwrap();
                watcher.readable().await.unwrap();
                let paths: Vec<_> = watcher.get_ref().changes().map(|change| change.path).collect();
                assert_eq!(paths, [folder.path().join(name)]);
            }

            let file = std::fs::File::open("/proc/self/exe").unwrap();
            let file = FdSource::with_fallback(file, Fallback::HelperThread).unwrap();
            let file = Async::new_nonblocking(file).unwrap();
            let mut start = [0; 4];
            let count = file.read_with(|mut file| file.read(&mut start)).await.unwrap();
            assert_eq!((count, &start), (4, b"\x7fELF"));
        });
    });
}

fn raise(signal: Signal) {
    // SAFETY: every signal that is raised here has a handler.
    assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
}

fn code(outcome: Outcome) -> Option<i32> {
    match outcome {
        Outcome::Status(status) => status.code(),
        outcome => panic!("{outcome:?}"),
    }
}
