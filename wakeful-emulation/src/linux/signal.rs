//! What is to be known of a signal without taking it.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use super::{Result, check, own};

/// `sigaction(number, NULL, &action)`—The handler, or `SIG_DFL` or `SIG_IGN`.
pub(crate) fn disposition(number: c_int) -> Result<libc::sighandler_t> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null action changes nothing, and the other is valid for the write of one struct.
    check(unsafe { libc::sigaction(number, std::ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: sigaction(2) has filled it.
    Ok(unsafe { action.assume_init() }.sa_sigaction)
}

/// `signalfd(-1, {number}, SFD_CLOEXEC | SFD_NONBLOCK)`—Readable while the signal is pending.
pub(crate) fn signalfd(number: c_int) -> Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is valid for writes, and filled before it is read.
    check(unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), number)
    })?;
    // SAFETY: the set has been filled.
    check(unsafe { libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })
        .map(own)
}

/// `pthread_sigmask(SIG_BLOCK, NULL, &set)`—Whether this thread has blocked it.
pub(crate) fn is_blocked(number: c_int) -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a null set changes nothing, and the other is valid for the write of one struct.
    let result =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set.as_mut_ptr()) };
    // SAFETY: pthread_sigmask(3) has filled it if it succeeded.
    result == 0 && unsafe { libc::sigismember(set.as_ptr(), number) == 1 }
}
