//! Children that are made by clone(2), which the C library does not know of, have the kernel's wake-up object of their
//! parent's poller.

#![cfg(target_os = "linux")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use common::{DEADLINE, Loop, QUIET, every_backend};
use wakeful::{Token, Waker};

const WAKER: Token = Token(0);

every_backend! {
    /// A child that was forked past the C library has the waker and its memory, and the kernel's object is its
    /// parent's: each of them can end a wait.
    fn children_that_ring_do_not_prolong_a_wait(backend) {
        let mut events = Loop::new(backend);
        let waker = Waker::new(events.registry(), WAKER).unwrap();
        events.expect_silence();
        let timeout = 10 * QUIET;
        let stop = AtomicBool::new(false);
        let end = Instant::now() + 2 * DEADLINE;
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) && Instant::now() < end {
                    fork_and_wake(&waker);
                    thread::sleep(QUIET);
                }
            });
            for _ in 0..3 {
                let start = Instant::now();
                let found = events.poll(timeout);
                let took = start.elapsed();
                if !found.is_empty() || took < timeout || took >= DEADLINE {
                    stop.store(true, Ordering::Relaxed);
                    panic!("{found:?} after {took:?}");
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

fn fork_and_wake(waker: &Waker) {
    // SAFETY: the child only changes atomics and makes system calls until it ends.
    unsafe {
        match libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) {
            0 => {
                let _ = waker.wake();
                libc::_exit(0);
            }
            child => {
                assert!(child > 0);
                assert_eq!(libc::waitpid(child as libc::pid_t, &mut 0, 0), child as libc::pid_t);
            }
        }
    }
}
