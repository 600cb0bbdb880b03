//! The descriptors by which Linux reports that something happened, one type and one file each, and how exact
//! its waits are.

mod eventfd;
mod inotify;
mod interruptions;
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
mod signalfd;
mod timer_slack;
mod timerfd;

pub use eventfd::{EventFd, EventFdError, EventFdReadError, EventFdWriteError, Semantics};
pub use inotify::{
    AddWatchError, Change, Changes, Inotify, InotifyError, InotifyReadError, RemoveWatchError,
    WatchDescriptor, WatchFlags,
};
pub use interruptions::{may_be_interrupted, may_interrupt, wait_for};
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
pub use signalfd::{SignalFd, SignalFdError, SignalFdReadError, SignalInfo};
pub use timer_slack::{SetTimerSlackError, TimerSlackError, set_timer_slack, timer_slack};
pub use timerfd::{
    Clock, Expiry, TimerFd, TimerFdError, TimerFdReadError, TimerFdSetError, TimerState,
};
