//! How the sources of the portable floor are done on this operating system. This file decides.

// SOCK_NONBLOCK and accept4(2) are missing there, or forbidden: Android on x86 kills for accept4.
#[cfg(any(
    target_vendor = "apple",
    target_os = "solaris",
    all(target_os = "android", target_arch = "x86")
))]
#[path = "socket_fcntl.rs"]
mod socket;
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "solaris",
    all(target_os = "android", target_arch = "x86")
)))]
#[path = "socket_flags.rs"]
mod socket;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "linux/unix_address.rs"]
mod unix_address;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "generic/unix_address.rs"]
mod unix_address;

#[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
mod reuse_port;
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
#[path = "generic/reuse_port.rs"]
mod reuse_port;

pub(crate) use reuse_port::set_reuse_port;
pub(crate) use socket::{accept, new_socket};
pub(crate) use unix_address::{from_socket2, to_socket2};
