//! wakeful's own sources in other crates' loops: each is a descriptor.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use async_io::Async;
use drop_in::{in_a_minute, on_poll, on_tokio};
use tokio::io::unix::AsyncFd;
use wakeful::time::Timer;
use wakeful::user;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_timer_in_tokio() {
    if on_poll() {
        println!(
            "left out: whoever reads a bare descriptor registers it anew, and AsyncFd does not"
        );
        return;
    }
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
    if on_poll() {
        println!(
            "left out: whoever reads a bare descriptor registers it anew, and AsyncFd does not"
        );
        return;
    }
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
