//! epoll as Linux and illumos have it: on illumos a part of the C library, over /dev/poll.

use libc::{c_int, sigset_t};

/// `struct epoll_event`: readiness bits and 64 bits of the caller's. Packed on x86-64 alone.
#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
#[derive(Clone, Copy, Debug)]
pub struct epoll_event {
    /// What to wait for, or what happened.
    pub events: u32,
    /// The caller's, echoed in every event: `data.u64` in C.
    pub u64: u64,
}

/// Add a descriptor to the interest list.
pub const EPOLL_CTL_ADD: c_int = 1;
/// Remove a descriptor from the interest list.
pub const EPOLL_CTL_DEL: c_int = 2;
/// Replace the events and the data of a descriptor.
pub const EPOLL_CTL_MOD: c_int = 3;
/// `epoll_create1`: close the descriptor at exec.
pub const EPOLL_CLOEXEC: c_int = libc::EPOLL_CLOEXEC;
unsafe extern "C" {
    /// `int epoll_create(int size)`: superseded by [`epoll_create1`]; `size` must be positive.
    pub fn epoll_create(size: c_int) -> c_int;
    /// `int epoll_create1(int flags)`
    pub fn epoll_create1(flags: c_int) -> c_int;
    /// `int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)`
    pub fn epoll_ctl(epfd: c_int, op: c_int, fd: c_int, event: *mut epoll_event) -> c_int;
    /// `int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)`
    pub fn epoll_wait(
        epfd: c_int,
        events: *mut epoll_event,
        maxevents: c_int,
        timeout_ms: c_int,
    ) -> c_int;
    /// `int epoll_pwait(int epfd, struct epoll_event *events, int maxevents, int timeout,
    /// const sigset_t *sigmask)`
    pub fn epoll_pwait(
        epfd: c_int,
        events: *mut epoll_event,
        maxevents: c_int,
        timeout_ms: c_int,
        sigmask: *const sigset_t,
    ) -> c_int;
}
