//! `EVFILT_SIGNAL` and signals that are blocked: alone in its process, since other signals would be heard.

#![cfg(target_os = "linux")]

mod common;

use common::{Kqueue, event};
use wakeful_emulation::kqueue::*;

/// To this thread.
fn raise(signal: i32) {
    // SAFETY: the call takes an integer.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// A signal that is blocked is told of, and stays pending.
#[test]
fn blocked_signals() {
    // As nohup(1) starts programs, it would be ignored.
    // SAFETY: it is no function.
    assert_ne!(unsafe { libc::signal(libc::SIGHUP, libc::SIG_DFL) }, libc::SIG_ERR);
    // SAFETY: the set is filled before it is read; only this thread's mask changes.
    let set = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGHUP);
        assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()), 0);
        set
    };
    let queue = Kqueue::new();
    queue.change(event(libc::SIGHUP as usize, EVFILT_SIGNAL, EV_ADD));
    queue.nothing();
    for _ in 0..2 {
        raise(libc::SIGHUP);
        assert_eq!(queue.one().data, 1);
        queue.nothing();
        let mut taken = 0;
        // SAFETY: the set has been filled, and the number is valid for a write.
        assert_eq!(unsafe { libc::sigwait(&set, &mut taken) }, 0);
        assert_eq!(taken, libc::SIGHUP);
        queue.nothing();
    }

    // One that is ignored is taken, and told of each time.
    // SAFETY: it is no function.
    assert_ne!(unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) }, libc::SIG_ERR);
    for _ in 0..2 {
        raise(libc::SIGHUP);
        assert_eq!(queue.one().data, 1);
        queue.nothing();
    }
}
