use std::time::Duration;

use libc::c_int;

/// The finest timeout that [`poll_with_timeout`] can tell apart.
pub const POLL_RESOLUTION: Duration = Duration::from_millis(1);

/// `poll(fds, nfds, timeout)`, the timeout rounded up to whole milliseconds.
///
/// # Safety
///
/// `fds` must be valid for reads and writes of `count` structs during the call.
pub unsafe fn poll_with_timeout(
    fds: *mut libc::pollfd,
    count: usize,
    timeout: Option<Duration>,
) -> c_int {
    let timeout_ms = timeout.map_or(-1, |timeout| {
        c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
    });
    // SAFETY: `fds` is as the caller promised.
    unsafe { libc::poll(fds, count as libc::nfds_t, timeout_ms) }
}
