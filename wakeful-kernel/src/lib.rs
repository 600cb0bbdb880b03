//! One safe type per kernel event facility, each with the kernel's whole vocabulary.
//!
//! | Type | C interface | Systems |
//! |---|---|---|
//! | [`epoll::Epoll`] | `epoll_create1`, `epoll_ctl`, `epoll_wait`, `epoll_pwait`, `epoll_pwait2` | Linux; illumos, to the millisecond |
//! | `kqueue::Kqueue` | `kqueue`, `kevent` | BSDs, macOS; Linux with the feature `emulation` |
//! | `event_port::EventPort` | `port_create`, `port_associate`, `port_getn` and their kin | illumos, Solaris; Linux with the feature `emulation` |
//! | [`poll::poll`] | `poll`, `ppoll` | Unix |
//! | [`pipe::pipe`] | `pipe2`, `pipe` | Unix |
//! | [`signal::SignalSet`] | `sigset_t`, `pthread_sigmask` | Unix |
//! | [`signal_counter::SignalCounter`] | `sigaction` | Unix |
//! | [`process::send_signal`], [`process::signal_group`] | `kill` | Unix |
//! | [`linux::EventFd`] | `eventfd` | Linux, illumos |
//! | [`linux::TimerFd`] | `timerfd_create`, `timerfd_settime`, `timerfd_gettime` | Linux |
//! | [`linux::SignalFd`] | `signalfd` | Linux |
//! | [`linux::PidFd`] | `pidfd_open`, `pidfd_send_signal`, `waitid(P_PIDFD)` | Linux |
//! | [`linux::Inotify`] | `inotify_init1`, `inotify_add_watch`, `inotify_rm_watch` | Linux |
//! | `linux::Ring` | `io_uring_setup`, `io_uring_enter`, `io_uring_register` | Linux, on 64-bit processors |
//! | [`file::Operation`] | what is done to files: `pread`, `pwritev`, `fsync`, `open`, … as values | Unix |
//! | [`sys`] | the raw declarations themselves | Unix |
//!
//! # Rules that hold throughout
//!
//! - Descriptors are [`OwnedFd`](std::os::fd::OwnedFd)s inside, close-on-exec, and lent through
//!   [`AsFd`](std::os::fd::AsFd).
//! - Nothing retries: `EINTR` and `EAGAIN` surface, because only the caller knows what they mean.
//! - There is one error type per operation. It carries what the call was given, and its source, the
//!   operating system's error; it converts into [`std::io::Error`] without changing that error.
//! - Flags the kernel adds later are kept, never dropped: every set of flags keeps unknown bits.
//! - No function panics.
//!
//! This crate and its documentation are for those who want the kernel itself. For one interface over
//! every kernel, see the `wakeful` crate, which is built on this one.

#![warn(missing_docs)]

#[macro_use]
mod error;
mod fork;
mod leaking_mutex;

pub mod descriptor;
pub mod file;
pub mod guard;
pub mod pipe;
pub mod poll;
pub mod process;
pub mod readiness;
pub mod signal;
pub mod signal_counter;
pub mod sys;
pub mod system;

// The only place in this crate where an operating system is named (beside `sys`, which declares
// what each of them exports).
#[cfg(any(target_os = "linux", target_os = "android", target_os = "illumos"))]
pub mod epoll;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "illumos"))]
pub mod linux;

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
    target_os = "illumos",
    target_os = "solaris",
    all(target_os = "linux", any(feature = "emulation", wakeful_emulate = "illumos"))
))]
pub mod event_port;

// What kqueues and event ports tell of.
#[cfg(any(
    target_os = "freebsd",
    target_os = "illumos",
    target_os = "solaris",
    all(
        target_os = "linux",
        any(feature = "emulation", wakeful_emulate = "freebsd", wakeful_emulate = "illumos")
    )
))]
mod aio;
#[cfg(any(
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_vendor = "apple"
))]
#[path = "no_aio.rs"]
mod aio;
