//! The descriptors by which Linux reports that something happened, one type and one file each, and how exact
//! its waits are. Of these illumos has [`EventFd`].

mod eventfd;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod inotify;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod interruptions;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod pidfd;
#[cfg(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "loongarch64",
        target_arch = "powerpc64"
    )
))]
mod ring;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod signalfd;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod timer_slack;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod timerfd;

pub use eventfd::{EventFd, EventFdError, EventFdReadError, EventFdWriteError, Semantics};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use inotify::{
    AddWatchError, Change, Changes, Inotify, InotifyError, InotifyReadError, RemoveWatchError,
    WatchDescriptor, WatchFlags,
};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use interruptions::{may_be_interrupted, may_interrupt, wait_for};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use pidfd::{ExitState, PidFd, PidFdOpenError, PidFdSignalError, PidFdWaitError};
#[cfg(all(
    target_os = "linux",
    any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "loongarch64",
        target_arch = "powerpc64"
    )
))]
#[doc(inline)]
pub use ring::{Ring, RingError};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use signalfd::{SignalFd, SignalFdError, SignalFdReadError, SignalInfo};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use timer_slack::{SetTimerSlackError, TimerSlackError, set_timer_slack, timer_slack};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use timerfd::{
    Clock, Expiry, TimerFd, TimerFdError, TimerFdReadError, TimerFdSetError, TimerState,
};
