//! kqueue(2) of the systems that have it.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

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

/// `kern.clockrate`, the same number on every system.
const KERN_CLOCKRATE: c_int = 12;

/// `sysctl(kern.clockrate)`—How long a tick of the clock is, if the system says so.
pub(crate) fn tick() -> Option<Duration> {
    // `struct clockinfo`: integers, of which the first is the number of ticks a second.
    let mut info = [0 as c_int; 8];
    let mut size = size_of_val(&info);
    let mut name = [libc::CTL_KERN, KERN_CLOCKRATE];
    let (at, new) = (info.as_mut_ptr().cast(), std::ptr::null_mut());
    // SAFETY: the name is two integers, `info` is valid for the write of `size` bytes, and nothing is to be set.
    let result = unsafe { libc::sysctl(name.as_mut_ptr(), 2, at, &mut size, new, 0) };
    let ticks = u32::try_from(info[0]).ok().filter(|&ticks| result == 0 && ticks > 0)?;
    Some(Duration::from_secs(1) / ticks)
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
