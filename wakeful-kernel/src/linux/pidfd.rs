use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::c_int;

use crate::descriptor::descriptor_owner;
use crate::error::check;
use crate::sys;

operation_error! {
    /// A process could not be opened.
    PidFdOpenError: "pidfd_open" {
        /// The process.
        pid: u32,
    },
    advice: |_, errno| match errno {
        libc::ESRCH => "there is no such process: it has ended and was waited for",
        libc::EINVAL => "a process number is positive, and must not be that of a mere thread",
        libc::ENOSYS => "this kernel has no pidfds: they came with Linux 5.3",
        libc::EPERM => "a sandbox refuses pidfds",
        _ => "",
    }
}

operation_error! {
    /// A process could not be waited for.
    PidFdWaitError: "waitid(P_PIDFD)" {
        /// The descriptor.
        fd: RawFd,
    },
    advice: |_, errno| match errno {
        libc::ECHILD => "only a child of this process can be waited for, once, and not while SIGCHLD \
            is ignored",
        libc::EINVAL => "this kernel cannot wait for a pidfd: that came with Linux 5.4",
        _ => "",
    }
}

operation_error! {
    /// A signal could not be sent.
    PidFdSignalError: "pidfd_send_signal" {
        /// The descriptor.
        fd: RawFd,
        /// The signal.
        signal: c_int,
    },
    advice: |_, errno| match errno {
        libc::ESRCH => "the process has ended and was waited for",
        libc::EINVAL => "signal numbers go from 0 to SIGRTMAX; take libc's constants",
        _ => "",
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitState {
    /// It called exit(3) with this status.
    Exited(i32),
    /// This signal ended it.
    Killed(i32),
    /// This signal ended it, and it left a core dump.
    Dumped(i32),
}

/// `pidfd_open(pid, 0)`—A process that can be waited for, and never mistaken for another.
///
/// Readable once the process has ended, whether it is a child or not, and whether it has been waited
/// for or not.
///
/// # References
/// - [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html)
/// - [pidfd_send_signal(2)](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html)
/// - [waitid(2)](https://man7.org/linux/man-pages/man2/waitid.2.html)
///
/// # Examples
///
/// ```
/// use wakeful_kernel::linux::{ExitState, PidFd};
/// use wakeful_kernel::poll::{PollFd, poll};
/// use wakeful_kernel::readiness::Readiness;
///
/// let child = std::process::Command::new("sleep").arg("60").spawn()?;
/// let process = PidFd::open(child.id())?;
/// assert_eq!(process.try_wait()?, None);
/// process.send_signal(libc::SIGTERM)?;
/// poll(&mut [PollFd::new(&process, Readiness::IN)], None)?;
/// assert_eq!(process.try_wait()?, Some(ExitState::Killed(libc::SIGTERM)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "pidfd")]
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
}

descriptor_owner!(PidFd);

impl PidFd {
    /// `pidfd_open(pid, 0)`—Opens a process. The descriptor is close-on-exec by itself.
    ///
    /// For a child that has not been waited for the number cannot mean another process.
    ///
    /// # Errors
    ///
    /// `ESRCH`: no such process. `EINVAL`: no process number, or a thread's. `ENOSYS` before Linux
    /// 5.3. `EMFILE`, `ENFILE`, `ENOMEM`.
    #[doc(alias = "pidfd_open")]
    pub fn open(pid: u32) -> Result<PidFd, PidFdOpenError> {
        let error = |source| PidFdOpenError { pid, source };
        // A number beyond pid_t is as invalid to the kernel as a negative one.
        let raw_pid = libc::pid_t::try_from(pid).unwrap_or(-1);
        // SAFETY: the call takes integers.
        let fd = check(unsafe { sys::pidfd_open(raw_pid, 0) }).map_err(error)?;
        // SAFETY: the call succeeded, so `fd` is an open descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(PidFd { fd })
    }

    /// `waitid(P_PIDFD, self, &info, WEXITED | WNOHANG)`—Takes the child's exit state, if it has ended.
    ///
    /// It can be taken once; the child is gone from the process table then.
    ///
    /// # Errors
    ///
    /// `ECHILD`: not a child, waited for already, or `SIGCHLD` is ignored. `EINVAL` before Linux 5.4.
    #[doc(alias = "waitid")]
    pub fn try_wait(&self) -> Result<Option<ExitState>, PidFdWaitError> {
        self.wait_with(libc::WNOHANG)
    }

    /// `waitid(P_PIDFD, self, &info, WEXITED)`—Blocks until the child has ended, and takes its exit
    /// state.
    ///
    /// # Errors
    ///
    /// As [`try_wait`](PidFd::try_wait); `EINTR` when a signal handler ran.
    pub fn wait(&self) -> Result<ExitState, PidFdWaitError> {
        loop {
            if let Some(state) = self.wait_with(0)? {
                return Ok(state);
            }
        }
    }

    /// `waitid(P_PIDFD, self, &info, WEXITED | WNOHANG | WNOWAIT)`—Looks at the child's exit state, if it
    /// has ended, and leaves it to be taken.
    ///
    /// # Errors
    ///
    /// As [`try_wait`](PidFd::try_wait).
    pub fn peek(&self) -> Result<Option<ExitState>, PidFdWaitError> {
        self.wait_with(libc::WNOHANG | libc::WNOWAIT)
    }

    fn wait_with(&self, options: c_int) -> Result<Option<ExitState>, PidFdWaitError> {
        let fd = self.fd.as_raw_fd();
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: `info` is valid for the write of one siginfo_t.
        check(unsafe {
            sys::waitid(libc::P_PIDFD, fd as libc::id_t, info.as_mut_ptr(), libc::WEXITED | options)
        })
        .map_err(|source| PidFdWaitError { fd, source })?;
        // SAFETY: siginfo_t consists of integers and pointers, for which zeroes are valid, and the
        // kernel has filled in what it had to say.
        let info = unsafe { info.assume_init() };
        // SAFETY: waitid(2) fills the fields of SIGCHLD, or leaves the zeroes where nothing ended.
        let pid = unsafe { info.si_pid() };
        // SAFETY: as above.
        let status = unsafe { info.si_status() };
        Ok((pid != 0).then_some(match info.si_code {
            libc::CLD_EXITED => ExitState::Exited(status),
            libc::CLD_DUMPED => ExitState::Dumped(status),
            _ => ExitState::Killed(status),
        }))
    }

    /// `pidfd_send_signal(self, signal, NULL, 0)`—Sends a signal; 0 only checks that it could be sent.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the process has ended and was waited for. `EPERM`: not this user's. `EINVAL`: no
    /// such signal.
    #[doc(alias = "pidfd_send_signal")]
    pub fn send_signal(&self, signal: c_int) -> Result<(), PidFdSignalError> {
        let fd = self.fd.as_raw_fd();
        // SAFETY: a null info is allowed, and means what kill(2) would send.
        check(unsafe { sys::pidfd_send_signal(fd, signal, ptr::null(), 0) })
            .map(drop)
            .map_err(|source| PidFdSignalError { fd, signal, source })
    }
}
