//! A signal handler does not end a wait: in a process of its own, since handlers are shared.

#![cfg(target_os = "linux")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use polling::{Events, Poller};

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handler(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_signal_does_not_end_a_wait() {
    const TIMEOUT: Duration = Duration::from_millis(100);

    // SAFETY: the handler only adds to an atomic, which is async-signal-safe.
    unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
    let poller = Poller::new().unwrap();
    // SAFETY: it takes nothing and cannot fail.
    let waiter = unsafe { libc::pthread_self() };
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..10 {
                thread::sleep(Duration::from_millis(5));
                // SAFETY: the thread lives: it joins this one.
                unsafe { libc::pthread_kill(waiter, libc::SIGUSR1) };
            }
        });
        let start = Instant::now();
        assert_eq!(poller.wait(&mut Events::new(), Some(TIMEOUT)).unwrap(), 0);
        assert!(start.elapsed() >= TIMEOUT);
    });
    assert!(HANDLED.load(Ordering::SeqCst) > 0);
}
