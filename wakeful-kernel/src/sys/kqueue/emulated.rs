//! kqueue(2) on Linux, by `wakeful-emulation`.

use std::io;
use std::time::Duration;

use libc::c_int;
use wakeful_emulation::kqueue;
pub use wakeful_emulation::kqueue::kevent;

pub(crate) use crate::sys::emulated::Owner;

/// `kqueue1(O_CLOEXEC)`
pub(crate) fn create_cloexec() -> io::Result<Owner> {
    let fd = crate::error::check(kqueue::kqueue1(libc::O_CLOEXEC))?;
    // SAFETY: the call succeeded, so it is open, and nothing else owns it.
    Ok(unsafe { Owner::new(fd, kqueue::close) })
}

/// Linux counts nanoseconds.
pub(crate) fn tick() -> Option<Duration> {
    None
}

/// `kevent(kq, changes, n, events, m, timeout)`
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
    let (change_count, event_count) = (change_count as c_int, event_count as c_int);
    // SAFETY: as the caller promises.
    unsafe { kqueue::kevent(kq, changes, change_count, events, event_count, timeout) }
}
