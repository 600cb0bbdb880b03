pub use libc::eventfd;
use libc::{c_int, sigset_t};

pub use super::epoll::*;

/// What [`epoll_pwait2`] would take.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kernel_timespec {
    /// Whole seconds.
    pub tv_sec: i64,
    /// 0 to 999,999,999.
    pub tv_nsec: i64,
}

/// Fails with `ENOSYS`, as on a Linux before 5.11: this system waits for whole milliseconds.
///
/// # Safety
///
/// None: nothing is read or written but this thread's errno.
pub unsafe fn epoll_pwait2(
    _: c_int,
    _: *mut epoll_event,
    _: c_int,
    _: *const kernel_timespec,
    _: *const sigset_t,
) -> c_int {
    // SAFETY: the pointer is to this thread's errno.
    unsafe { *super::errno_location() = libc::ENOSYS };
    -1
}
