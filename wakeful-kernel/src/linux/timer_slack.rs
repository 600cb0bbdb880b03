use std::io;
use std::time::Duration;

use crate::sys;

operation_error! {
    /// The timer slack could not be set.
    SetTimerSlackError: "prctl(PR_SET_TIMERSLACK)" {
        /// What it was to be; `None` for the thread's default.
        slack: Option<Duration>,
    }
}

operation_error! {
    /// The timer slack could not be told.
    TimerSlackError: "prctl(PR_GET_TIMERSLACK)"
}

/// `prctl(PR_SET_TIMERSLACK, slack)`—Sets by how much the kernel may prolong the waits of this thread.
///
/// By default 50 µs, so that timers of the same time end in one interrupt. It counts for every wait with a
/// timeout (epoll, poll, select, futexes, sleeps), but not for a [`TimerFd`](super::TimerFd), and not
/// for a thread of a real-time policy, which has none. epoll, poll and select take a thousandth of their timeout instead
/// where that is more, up to 100 ms: a second, waited for, may be a millisecond too long whatever the slack. Threads
/// and programs that this thread starts inherit it, as their default. `None` takes this thread's default again. It is
/// kept to the nanosecond, and one is the least: that is what zero is rounded up to.
///
/// For a poller that waits less than a millisecond this is the difference between 75 and 25 µs too late; the
/// processor is interrupted more often then.
///
/// # Errors
///
/// None by the manual; `EPERM` or the like from a sandbox.
///
/// # References
/// - [PR_SET_TIMERSLACK(2const)](https://man7.org/linux/man-pages/man2/PR_SET_TIMERSLACK.2const.html)
/// - `select_estimate_accuracy` in the kernel's fs/select.c, for the thousandth
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wakeful_kernel::linux::{set_timer_slack, timer_slack};
///
/// set_timer_slack(Some(Duration::ZERO))?;
/// assert_eq!(timer_slack()?, Duration::from_nanos(1));
/// set_timer_slack(None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "prctl")]
#[doc(alias = "PR_SET_TIMERSLACK")]
pub fn set_timer_slack(slack: Option<Duration>) -> Result<(), SetTimerSlackError> {
    // Zero is the kernel's word for the default. What is told back is a signed number.
    let nanoseconds = slack.map_or(0, |slack| {
        let most = libc::c_long::MAX.unsigned_abs();
        libc::c_ulong::try_from(slack.as_nanos()).map_or(most, |it| it.clamp(1, most))
    });
    match sys::set_timer_slack(nanoseconds) {
        0 => Ok(()),
        _ => Err(SetTimerSlackError { slack, source: io::Error::last_os_error() }),
    }
}

/// `prctl(PR_GET_TIMERSLACK)`—By how much the kernel may prolong the waits of this thread.
///
/// See [`set_timer_slack`].
///
/// # Errors
///
/// None by the manual; `EPERM` or the like from a sandbox.
///
/// # References
/// - [PR_GET_TIMERSLACK(2const)](https://man7.org/linux/man-pages/man2/PR_GET_TIMERSLACK.2const.html)
///
/// # Examples
///
/// ```
/// println!("a wait may take {:?} longer than it should", wakeful_kernel::linux::timer_slack()?);
/// # Ok::<(), wakeful_kernel::linux::TimerSlackError>(())
/// ```
#[doc(alias = "prctl")]
#[doc(alias = "PR_GET_TIMERSLACK")]
pub fn timer_slack() -> Result<Duration, TimerSlackError> {
    u64::try_from(sys::timer_slack())
        .map(Duration::from_nanos)
        .map_err(|_| TimerSlackError { source: io::Error::last_os_error() })
}
