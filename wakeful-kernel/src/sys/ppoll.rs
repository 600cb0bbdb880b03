use std::ptr;
use std::time::Duration;

use libc::c_int;

/// The finest timeout that [`poll_with_timeout`] can tell apart.
pub const POLL_RESOLUTION: Duration = Duration::from_nanos(1);

/// `ppoll(fds, nfds, timeout, NULL)`.
///
/// # Safety
///
/// `fds` must be valid for reads and writes of `count` structs during the call.
pub unsafe fn poll_with_timeout(
    fds: *mut libc::pollfd,
    count: usize,
    timeout: Option<Duration>,
) -> c_int {
    let timeout = timeout.map(super::timespec);
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `fds` is as the caller promised; the timespec, if any, lives until the call returns.
    unsafe { libc::ppoll(fds, count as libc::nfds_t, timeout, ptr::null()) }
}
