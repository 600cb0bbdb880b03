//! The descriptors by which Linux reports that something happened, one type and one file each.

mod eventfd;
mod inotify;
mod pidfd;
mod signalfd;
mod timerfd;

pub use eventfd::{EventFd, EventFdError, EventFdReadError, EventFdWriteError, Semantics};
pub use inotify::{
    AddWatchError, Change, Changes, Inotify, InotifyError, InotifyReadError, RemoveWatchError,
    WatchDescriptor, WatchFlags,
};
pub use pidfd::{ExitState, PidFd, PidFdOpenError, PidFdSignalError, PidFdWaitError};
pub use signalfd::{SignalFd, SignalFdError, SignalFdReadError, SignalInfo};
pub use timerfd::{
    Clock, Expiry, TimerFd, TimerFdError, TimerFdReadError, TimerFdSetError, TimerState,
};
