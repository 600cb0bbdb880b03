//! The raw declarations: what the C headers say, with C's names and C's types.
//!
//! Calls that `libc` declares well are re-exported from it; what this project exists for is declared
//! here. Nothing in this module checks anything: the safe types beside it do.

#![allow(non_camel_case_types)]

// The operating system's name appears here and in the crate's root, nowhere else.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "illumos"))]
mod epoll;
#[cfg(target_os = "illumos")]
mod illumos;
#[cfg(target_os = "illumos")]
pub use illumos::*;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use linux::*;

#[cfg(any(
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_vendor = "apple",
    all(target_os = "linux", any(feature = "emulation", wakeful_emulate = "freebsd"))
))]
pub mod kqueue;
#[cfg(any(
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_vendor = "apple"
))]
#[path = "kqueue/libc.rs"]
mod kqueue_calls;
#[cfg(all(target_os = "linux", any(feature = "emulation", wakeful_emulate = "freebsd")))]
#[path = "kqueue/emulated.rs"]
mod kqueue_calls;

#[cfg(all(
    target_os = "linux",
    any(feature = "emulation", wakeful_emulate = "freebsd", wakeful_emulate = "illumos")
))]
mod emulated;
#[cfg(any(
    target_os = "illumos",
    target_os = "solaris",
    all(target_os = "linux", any(feature = "emulation", wakeful_emulate = "illumos"))
))]
pub mod event_port;
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
#[path = "event_port/libc.rs"]
mod event_port_calls;
#[cfg(all(target_os = "linux", any(feature = "emulation", wakeful_emulate = "illumos")))]
#[path = "event_port/emulated.rs"]
mod event_port_calls;

// What tells ports and kqueues of the ends of operations.
#[cfg(any(target_os = "freebsd", target_os = "illumos", target_os = "solaris"))]
#[path = "aio_libc.rs"]
pub(crate) mod aio;
#[cfg(all(
    target_os = "linux",
    any(feature = "emulation", wakeful_emulate = "freebsd", wakeful_emulate = "illumos")
))]
#[path = "aio_emulated.rs"]
pub(crate) mod aio;

#[cfg(target_vendor = "apple")]
pub(crate) use crate::kqueue::system::APPLE as KQUEUE_SYSTEM;
#[cfg(target_os = "dragonfly")]
pub(crate) use crate::kqueue::system::DRAGONFLY as KQUEUE_SYSTEM;
#[cfg(all(target_os = "linux", any(feature = "emulation", wakeful_emulate = "freebsd")))]
pub(crate) use crate::kqueue::system::EMULATED as KQUEUE_SYSTEM;
#[cfg(target_os = "freebsd")]
pub(crate) use crate::kqueue::system::FREEBSD as KQUEUE_SYSTEM;
#[cfg(target_os = "netbsd")]
pub(crate) use crate::kqueue::system::NETBSD as KQUEUE_SYSTEM;
#[cfg(target_os = "openbsd")]
pub(crate) use crate::kqueue::system::OPENBSD as KQUEUE_SYSTEM;

// pipe2(2) is missing there.
#[cfg(target_vendor = "apple")]
#[path = "pipe_fcntl.rs"]
mod pipe;
#[cfg(not(target_vendor = "apple"))]
#[path = "pipe2.rs"]
mod pipe;
pub use pipe::pipe_cloexec_nonblock;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "file_linux.rs"]
pub(crate) mod file;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "file_posix.rs"]
pub(crate) mod file;
// posix_fallocate(3) is missing there.
#[cfg(any(target_vendor = "apple", target_os = "netbsd", target_os = "openbsd"))]
#[path = "file_no_space.rs"]
mod file_space;
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
mod file_space;

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
#[path = "ppoll.rs"]
mod poll_timeout;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
#[path = "poll_ms.rs"]
mod poll_timeout;
pub use poll_timeout::{POLL_RESOLUTION, poll_with_timeout};

/// `struct timespec` of a span of time; one that time_t cannot hold is as good as its maximum.
// Not every system has a call that takes one; and its fields' widths differ.
#[allow(dead_code, clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
pub(crate) fn timespec(time: std::time::Duration) -> libc::timespec {
    // SAFETY: the struct consists of integers, some of them padding on some systems, for which zero
    // is valid.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    // Without naming time_t, which is 32 bits wide on some systems and deprecated on musl.
    let longest = || (i64::MAX as u64).try_into().unwrap_or(i32::MAX.into());
    spec.tv_sec = time.as_secs().try_into().unwrap_or_else(|_| longest());
    spec.tv_nsec = time.subsec_nanos().try_into().unwrap_or(999_999_999);
    spec
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use libc::POLLRDHUP;
/// Nothing to ask for and nothing to find: this system reports a half-closed stream as `POLLIN` alone.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub const POLLRDHUP: libc::c_short = 0;

// Where this thread's errno is.
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
pub use libc::___errno as errno_location;
#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
pub use libc::__errno as errno_location;
#[cfg(any(target_os = "linux", target_os = "dragonfly"))]
pub use libc::__errno_location as errno_location;
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
pub use libc::__error as errno_location;
