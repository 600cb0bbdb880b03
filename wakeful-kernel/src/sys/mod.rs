//! The raw declarations: what the C headers say, with C's names and C's types.
//!
//! Calls that `libc` declares well are re-exported from it; what this project exists for is declared
//! here. Nothing in this module checks anything: the safe types beside it do.

#![allow(non_camel_case_types)]

// The operating system's name appears here and in the crate's root, nowhere else.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use linux::*;

#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "illumos",
    target_os = "solaris"
))]
#[path = "pipe2.rs"]
mod pipe;
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "illumos",
    target_os = "solaris"
)))]
#[path = "pipe_fcntl.rs"]
mod pipe;
pub use pipe::pipe_cloexec_nonblock;

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
#[path = "ppoll.rs"]
mod poll_timeout;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
#[path = "poll_ms.rs"]
mod poll_timeout;
pub use poll_timeout::{POLL_RESOLUTION, poll_with_timeout};

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use libc::POLLRDHUP;
/// Nothing to ask for and nothing to find: this system reports a half-closed stream as `POLLIN` alone.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub const POLLRDHUP: libc::c_short = 0;
