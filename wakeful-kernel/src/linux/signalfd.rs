use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::descriptor::descriptor_owner;
use crate::error::{check, check_size};
use crate::signal::SignalSet;
use crate::sys;

operation_error! {
    /// A signalfd could not be created or changed.
    SignalFdError: "signalfd" {
        /// The signals it was to take.
        signals: Vec<i32>,
    },
    advice: |_, errno| match errno {
        libc::EPERM => "a sandbox refuses signalfds",
        _ => "",
    }
}

operation_error! {
    /// No signal could be read.
    SignalFdReadError: "read(signalfd)" {
        /// The descriptor.
        fd: RawFd,
    }
}

/// `signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK)`—Signals as records that can be waited for.
///
/// It takes what is *pending*, so the signals must be [blocked](SignalSet::block) in every thread:
/// one thread that lets them through receives them in the ordinary way, and by default dies of
/// them with the whole process. The mask survives exec.
///
/// Standard signals do not queue: three of one kind before a read are one record. A descriptor
/// reads the signals of the process that reads, but an epoll reports those of the process that
/// added it.
///
/// # References
/// - [signalfd(2)](https://man7.org/linux/man-pages/man2/signalfd.2.html)
///
/// # Examples
///
/// ```
/// use wakeful_kernel::linux::SignalFd;
/// use wakeful_kernel::signal::SignalSet;
///
/// let signals = SignalSet::of(&[libc::SIGUSR1])?;
/// signals.block()?;
/// let received = SignalFd::new(&signals)?;
/// // SAFETY: raise(3) takes an integer, and the signal is blocked.
/// unsafe { libc::raise(libc::SIGUSR1) };
/// let signal = received.read()?;
/// assert_eq!(signal.signal(), libc::SIGUSR1);
/// assert_eq!(signal.sender_pid(), std::process::id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "signalfd")]
#[derive(Debug)]
pub struct SignalFd {
    fd: OwnedFd,
}

descriptor_owner!(SignalFd);

impl SignalFd {
    /// `signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK)`—Takes the signals of `set`.
    ///
    /// `SIGKILL` and `SIGSTOP` are passed over silently, as the kernel does.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(signals: &SignalSet) -> Result<SignalFd, SignalFdError> {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is borrowed for the whole call, which only reads it.
        let fd = check(unsafe { sys::signalfd(-1, signals.as_raw(), flags) })
            .map_err(|source| SignalFdError { signals: signals.signals(), source })?;
        // SAFETY: the call succeeded, so `fd` is an open descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(SignalFd { fd })
    }

    /// `signalfd(self, set, 0)`—Takes the signals of another set from now on.
    ///
    /// # Errors
    ///
    /// None that the manual knows for an open signalfd.
    pub fn set_signals(&self, signals: &SignalSet) -> Result<(), SignalFdError> {
        // SAFETY: the set is borrowed for the whole call, which only reads it.
        check(unsafe { sys::signalfd(self.fd.as_raw_fd(), signals.as_raw(), 0) })
            .map(drop)
            .map_err(|source| SignalFdError { signals: signals.signals(), source })
    }

    /// `read(self, &info, sizeof info)`—Takes one pending signal.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when none is pending.
    pub fn read(&self) -> Result<SignalInfo, SignalFdReadError> {
        let fd = self.fd.as_raw_fd();
        let mut info = MaybeUninit::<sys::signalfd_siginfo>::uninit();
        let size = size_of::<sys::signalfd_siginfo>();
        // SAFETY: `info` is valid for writes of `size` bytes. A signalfd is read in whole records.
        check_size(unsafe { libc::read(fd, info.as_mut_ptr().cast(), size) })
            .map_err(|source| SignalFdReadError { fd, source })?;
        // SAFETY: the read succeeded, so the kernel has filled one whole record.
        Ok(SignalInfo(unsafe { info.assume_init() }))
    }
}

/// `struct signalfd_siginfo`—One signal, and what the kernel knows of its cause.
#[doc(alias = "signalfd_siginfo")]
#[derive(Clone, Copy)]
pub struct SignalInfo(sys::signalfd_siginfo);

impl SignalInfo {
    /// The signal's number.
    pub fn signal(&self) -> i32 {
        self.0.ssi_signo as i32
    }

    /// What sent it: `SI_USER`, `SI_QUEUE`, `SI_TIMER`, `CLD_EXITED` and so on.
    pub fn code(&self) -> i32 {
        self.0.ssi_code
    }

    /// The process that sent it, or the child it is about.
    pub fn sender_pid(&self) -> u32 {
        self.0.ssi_pid
    }

    /// The real user of that process.
    pub fn sender_uid(&self) -> u32 {
        self.0.ssi_uid
    }

    /// `SIGCHLD`: the exit status or the signal that ended or stopped the child.
    pub fn status(&self) -> i32 {
        self.0.ssi_status
    }

    /// The integer sent along by sigqueue(3).
    pub fn value(&self) -> i32 {
        self.0.ssi_int
    }

    /// The whole record.
    pub fn as_raw(&self) -> &sys::signalfd_siginfo {
        &self.0
    }
}

impl fmt::Debug for SignalInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignalInfo")
            .field("signal", &self.signal())
            .field("code", &self.code())
            .field("sender_pid", &self.sender_pid())
            .field("sender_uid", &self.sender_uid())
            .field("status", &self.status())
            .field("value", &self.value())
            .finish()
    }
}
