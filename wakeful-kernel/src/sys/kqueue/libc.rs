//! kqueue(2) of the systems that have it.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use libc::c_int;
pub use libc::kevent;

/// What owns the descriptor of a kqueue.
pub(crate) type Owner = OwnedFd;

/// `kqueue()` and `fcntl(fd, F_SETFD, FD_CLOEXEC)`—A forked child does not inherit it, so that another thread
/// cannot leak it between the two.
pub(crate) fn create_cloexec() -> io::Result<Owner> {
    // SAFETY: the call takes nothing.
    let fd = crate::error::check(unsafe { libc::kqueue() })?;
    // SAFETY: the call succeeded, so it is open, and nothing else owns it.
    let owner = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the call takes integers.
    crate::error::check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(owner)
}

/// `kevent(kq, changes, n, events, m, timeout)`, the counts as this system has them.
///
/// # Safety
///
/// As kevent(2): the lists valid for so many structs, the timeout null or valid.
pub(crate) unsafe fn kevent_call(
    kq: c_int,
    changes: *const kevent,
    change_count: usize,
    events: *mut kevent,
    event_count: usize,
    timeout: *const libc::timespec,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { libc::kevent(kq, changes, change_count as _, events, event_count as _, timeout) }
}
