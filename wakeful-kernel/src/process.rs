//! Processes, by their numbers.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::error::check;
pub use crate::leaking_mutex::LeakingMutex;

static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// How many times this process and its ancestors were forked since the first call: another number than before means
/// that this is a child, whose kernel objects and threads are its parent's.
///
/// A child that is made by clone(2), vfork(2) or `_Fork` does not count: the C library tells of fork(3) alone.
#[inline]
pub fn forks() -> u32 {
    // No `Once`: a child that is forked in the middle of one waits for it for ever.
    static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
    if !HAS_BEGUN.load(Ordering::Relaxed) && !HAS_BEGUN.swap(true, Ordering::Relaxed) {
        // SAFETY: the function is one that may be called after a fork, of any thread's, and it stays. If there is no
        // memory for it, children are not recognised.
        unsafe { libc::pthread_atfork(None, None, Some(forked)) };
    }
    FORKS.load(Ordering::Relaxed)
}

/// The process that made something, as opposed to a child that was forked from it and has a copy.
///
/// ```
/// use wakeful_kernel::process::Generation;
///
/// let generation = Generation::current();
/// // … and later:
/// assert!(generation.is_current());
/// generation.check("poller")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u32);

impl Generation {
    /// Returns that of this process.
    #[inline]
    pub fn current() -> Generation {
        Generation(forks())
    }

    /// Returns whether this process is the one that made it. One relaxed load.
    #[inline]
    pub fn is_current(self) -> bool {
        // Forks are counted since `current` was called.
        FORKS.load(Ordering::Relaxed) == self.0
    }

    /// Refuses to use a `thing` that a parent process made.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput), with a sentence that says what to do.
    #[inline]
    pub fn check(self, thing: &str) -> io::Result<()> {
        if self.is_current() { Ok(()) } else { Err(inherited(thing)) }
    }
}

#[cold]
fn inherited(thing: &str) -> io::Error {
    let message = format!(
        "this {thing} belongs to the process that this one was forked from: create another here"
    );
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

operation_error! {
    /// A signal could not be sent.
    KillError: "kill" {
        /// The process.
        pid: u32,
        /// The signal.
        signal: i32,
    },
    advice: |_, errno| match errno {
        libc::ESRCH => "there is no such process: it has ended and was waited for",
        libc::EINVAL => "process numbers go from 1 to 2147483647, signal numbers from 0 to SIGRTMAX",
        libc::EPERM => "the process is another user's",
        _ => "",
    }
}

/// `kill(pid, signal)`—Sends a signal to one process; 0 only checks that it could be sent.
///
/// A number may mean another process by now, unless it is that of a child that was not waited for.
/// Process groups, which kill(2) takes as zero and negative numbers, are refused.
///
/// # References
/// - [Linux](https://man7.org/linux/man-pages/man2/kill.2.html)
/// - [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/kill.html)
///
/// # Errors
///
/// `ESRCH`: no such process. `EPERM`: not this user's. `EINVAL`: no process number, or no signal.
///
/// ```
/// wakeful_kernel::process::send_signal(std::process::id(), 0)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "kill")]
pub fn send_signal(pid: u32, signal: i32) -> Result<(), KillError> {
    let error = |source| KillError { pid, signal, source };
    let number = libc::pid_t::try_from(pid).ok().filter(|&number| number > 0);
    let Some(number) = number else {
        return Err(error(io::Error::from_raw_os_error(libc::EINVAL)));
    };
    // SAFETY: the call takes integers.
    check(unsafe { libc::kill(number, signal) }).map(drop).map_err(error)
}

operation_error! {
    /// A signal could not be sent to a process group.
    KillGroupError: "kill" {
        /// The group.
        group: u32,
        /// The signal.
        signal: i32,
    },
    advice: |_, errno| match errno {
        libc::ESRCH => "there is no such process group: all of its processes have ended",
        libc::EINVAL => "group numbers go from 2 to 2147483647, signal numbers from 0 to SIGRTMAX",
        libc::EPERM => "none of its processes is this user's",
        _ => "",
    }
}

/// `kill(-group, signal)`—Sends a signal to all processes of a group; 0 only checks that it could be sent.
///
/// 0 and 1, which would mean this process's own group and all processes there are, are refused.
///
/// # Errors
///
/// `ESRCH`: no such group. `EPERM`: none of them is this user's. `EINVAL`: no group number, or no signal.
#[doc(alias = "killpg")]
pub fn signal_group(group: u32, signal: i32) -> Result<(), KillGroupError> {
    let error = |source| KillGroupError { group, signal, source };
    let number = libc::pid_t::try_from(group).ok().filter(|&number| number > 1);
    let Some(number) = number else {
        return Err(error(io::Error::from_raw_os_error(libc::EINVAL)));
    };
    // SAFETY: the call takes integers.
    check(unsafe { libc::kill(-number, signal) }).map(drop).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_everybody() {
        for group in [0, 1, u32::MAX] {
            let error = signal_group(group, 0).unwrap_err();
            assert_eq!(error.io_error().raw_os_error(), Some(libc::EINVAL));
        }
    }

    #[test]
    fn a_group_is_not_a_process() {
        for pid in [0, u32::MAX, u32::MAX - 1] {
            let error = send_signal(pid, 0).unwrap_err();
            assert_eq!(error.io_error().raw_os_error(), Some(libc::EINVAL));
            assert!(error.to_string().contains("2147483647"), "{error}");
        }
    }
}
