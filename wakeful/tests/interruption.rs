//! A signal interrupts a wait, on every backend: in a process of its own, since handlers are shared.

#![cfg(unix)]

mod common;

use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use common::{DEADLINE, Loop};
use wakeful::{Backend, Token, Waker};

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handler(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_signal_surfaces_as_interrupted_and_loses_nothing() {
    // SAFETY: the handler only adds to an atomic, which is async-signal-safe.
    unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
    for &backend in Backend::available() {
        let mut events = Loop::new(backend);
        let waker = Waker::new(events.registry(), Token(5)).unwrap();
        // SAFETY: it takes nothing and cannot fail.
        let poller = unsafe { libc::pthread_self() };
        let (stop, stopped) = mpsc::channel::<()>();
        let signaller = thread::spawn(move || {
            // The first may come before the wait, so there are more.
            while stopped.recv_timeout(Duration::from_millis(5)) == Err(RecvTimeoutError::Timeout) {
                // SAFETY: the thread lives: it joins this one.
                unsafe { libc::pthread_kill(poller, libc::SIGUSR1) };
            }
        });
        let error = events.poll.poll(&mut events.events, Some(DEADLINE)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{backend}");
        waker.wake().unwrap();
        let start = std::time::Instant::now();
        loop {
            assert!(start.elapsed() < DEADLINE, "{backend}: the wake-up was lost");
            match events.poll.poll(&mut events.events, Some(DEADLINE)) {
                Ok(()) if !events.events.is_empty() => break,
                Ok(()) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
            }
        }
        drop(stop);
        signaller.join().unwrap();
    }
    assert!(HANDLED.load(Ordering::SeqCst) >= Backend::available().len());
}
