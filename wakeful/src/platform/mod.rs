//! How the sources of the portable floor are done on this operating system. This file decides.

// SOCK_NONBLOCK and accept4(2) are missing there, or forbidden: Android on x86 kills for accept4.
#[cfg(feature = "net")]
#[cfg(any(
    target_vendor = "apple",
    target_os = "solaris",
    all(target_os = "android", target_arch = "x86")
))]
#[path = "socket_fcntl.rs"]
mod socket;
#[cfg(feature = "net")]
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "solaris",
    all(target_os = "android", target_arch = "x86")
)))]
#[path = "socket_flags.rs"]
mod socket;

#[cfg(feature = "net")]
#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "linux/unix_address.rs"]
mod unix_address;
#[cfg(feature = "net")]
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "generic/unix_address.rs"]
mod unix_address;

#[cfg(feature = "net")]
#[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
mod reuse_port;
#[cfg(feature = "net")]
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
#[path = "generic/reuse_port.rs"]
mod reuse_port;

#[cfg(kernel = "linux")]
#[path = "linux/waiting.rs"]
mod waiting;
#[cfg(kernel = "bsd")]
#[path = "bsd/waiting.rs"]
mod waiting;
#[cfg(kernel = "illumos")]
#[path = "illumos/waiting.rs"]
mod waiting;
#[cfg(kernel = "other")]
#[path = "generic/waiting.rs"]
mod waiting;

#[cfg(kernel = "linux")]
#[path = "linux/bell.rs"]
mod bell;
#[cfg(kernel = "illumos")]
#[path = "illumos/bell.rs"]
mod bell;
#[cfg(any(kernel = "bsd", kernel = "other"))]
#[path = "generic/bell.rs"]
mod bell;
// Where a sandbox has no other.
#[cfg(kernel = "linux")]
#[path = "generic/bell.rs"]
mod pipe_bell;
#[cfg(kernel = "linux")]
#[path = "linux/refused.rs"]
mod refused;
mod ringing;

#[cfg(all(backend = "epoll", not(illumos_epoll)))]
#[path = "linux/epoll.rs"]
mod epoll;
#[cfg(illumos_epoll)]
#[path = "illumos/epoll.rs"]
mod epoll;

#[cfg(kernel = "linux")]
#[path = "linux/signal_queue.rs"]
mod signal_queue;
#[cfg(any(kernel = "bsd", kernel = "illumos", kernel = "other"))]
#[path = "generic/signal_queue.rs"]
mod signal_queue;

#[cfg(kernel = "linux")]
#[path = "linux/timer.rs"]
mod timer;
#[cfg(kernel = "bsd")]
#[path = "bsd/timer.rs"]
mod timer;
#[cfg(kernel = "illumos")]
#[path = "illumos/timer.rs"]
mod timer;
#[cfg(kernel = "other")]
#[path = "generic/timer.rs"]
mod timer;

#[cfg(kernel = "linux")]
#[path = "linux/process.rs"]
mod process;
#[cfg(kernel = "bsd")]
#[path = "bsd/process.rs"]
mod process;
#[cfg(kernel = "illumos")]
#[path = "generic/process.rs"]
mod process;
#[cfg(kernel = "other")]
#[path = "generic/process.rs"]
mod process;

#[cfg(all(kernel = "linux", ring))]
#[path = "linux/files.rs"]
mod files;
#[cfg(any(kernel = "bsd", kernel = "illumos"))]
#[path = "aio_files.rs"]
mod files;
#[cfg(any(all(kernel = "linux", not(ring)), kernel = "other"))]
#[path = "generic/files.rs"]
mod files;
#[cfg(kernel = "bsd")]
#[path = "bsd/operation_queue.rs"]
mod operation_queue;
#[cfg(kernel = "illumos")]
#[path = "illumos/operation_queue.rs"]
mod operation_queue;

#[cfg(kernel = "bsd")]
#[path = "bsd/teller.rs"]
mod teller;
#[cfg(kernel = "illumos")]
#[path = "illumos/teller.rs"]
mod teller;
#[cfg(kernel = "linux")]
#[path = "linux/watches/mod.rs"]
mod watches;
#[cfg(any(kernel = "bsd", kernel = "illumos"))]
#[path = "snapshot/mod.rs"]
mod watches;
#[cfg(kernel = "other")]
#[path = "generic/watches.rs"]
mod watches;
#[cfg(not(kernel = "other"))]
mod way;

pub(crate) use bell::Bell;
#[cfg(backend = "epoll")]
pub(crate) use epoll::{
    EPOLL_EDGE_RULE, EPOLL_FORGETS_CLOSED, EPOLL_TAKES_REGULAR_FILES, Oneshots, WakeObject,
    epoll_wait, is_wake_token,
};
pub(crate) use files::Files;
pub(crate) use process::Process;
#[cfg(feature = "net")]
pub(crate) use reuse_port::set_reuse_port;
pub(crate) use signal_queue::SignalQueue;
#[cfg(feature = "net")]
pub(crate) use socket::{accept, new_socket};
pub(crate) use timer::Timer;
#[cfg(feature = "net")]
pub(crate) use unix_address::{from_socket2, to_socket2};
pub(crate) use waiting::can_be_waited_for;
pub(crate) use watches::Watches;
