//! Sets of signals, and the calling thread's signal mask.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;

use libc::c_int;

use crate::error::check;

operation_error! {
    /// A signal number that the system does not know.
    SignalError: "sigaddset" {
        /// The number.
        signal: c_int,
    },
    advice: |_, _| "signal numbers go from 1 to SIGRTMAX; take libc's constants"
}

operation_error! {
    /// The thread's signal mask could not be changed.
    MaskError: "pthread_sigmask"
}

/// `sigset_t`—A set of signals.
///
/// # References
/// - [Linux](https://man7.org/linux/man-pages/man3/sigsetops.3.html)
/// - [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/sigaddset.html)
#[doc(alias = "sigset_t")]
#[derive(Clone, Copy)]
pub struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// `sigemptyset(&set)`—No signal.
    #[doc(alias = "sigemptyset")]
    pub fn empty() -> SignalSet {
        let mut set = MaybeUninit::uninit();
        // SAFETY: `set` is valid for the write of one sigset_t. The call cannot fail.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: sigemptyset(3) has initialised the set.
        SignalSet(unsafe { set.assume_init() })
    }

    /// `sigfillset(&set)`—Every signal.
    #[doc(alias = "sigfillset")]
    pub fn full() -> SignalSet {
        let mut set = SignalSet::empty();
        // SAFETY: the set is initialised and borrowed mutably. The call cannot fail.
        unsafe { libc::sigfillset(&mut set.0) };
        set
    }

    /// The set of the signals given.
    ///
    /// # Errors
    ///
    /// A number that is no signal.
    pub fn of(signals: &[c_int]) -> Result<SignalSet, SignalError> {
        let mut set = SignalSet::empty();
        for &signal in signals {
            set.add(signal)?;
        }
        Ok(set)
    }

    /// `sigaddset(&set, signal)`—Adds a signal.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the number is no signal.
    #[doc(alias = "sigaddset")]
    pub fn add(&mut self, signal: c_int) -> Result<(), SignalError> {
        // SAFETY: the set is initialised and borrowed mutably.
        check(unsafe { libc::sigaddset(&mut self.0, signal) })
            .map(drop)
            .map_err(|source| SignalError { signal, source })
    }

    /// `sigdelset(&set, signal)`—Takes a signal out.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the number is no signal.
    #[doc(alias = "sigdelset")]
    pub fn remove(&mut self, signal: c_int) -> Result<(), SignalError> {
        // SAFETY: the set is initialised and borrowed mutably.
        check(unsafe { libc::sigdelset(&mut self.0, signal) })
            .map(drop)
            .map_err(|source| SignalError { signal, source })
    }

    /// `sigismember(&set, signal)`—Whether the signal is in the set; a number that is no signal is not.
    #[doc(alias = "sigismember")]
    pub fn contains(&self, signal: c_int) -> bool {
        // SAFETY: the set is initialised and borrowed.
        unsafe { libc::sigismember(&self.0, signal) == 1 }
    }

    /// `pthread_sigmask(SIG_BLOCK, set, &before)`—Blocks these signals in the calling thread too.
    ///
    /// Answers with the mask that was in force before. Threads started later inherit the new mask;
    /// so do programs that the process executes.
    ///
    /// # Errors
    ///
    /// None that the manual knows for valid sets.
    #[doc(alias = "pthread_sigmask")]
    pub fn block(&self) -> Result<SignalSet, MaskError> {
        self.mask(libc::SIG_BLOCK)
    }

    /// `pthread_sigmask(SIG_SETMASK, set, &before)`—Makes this the calling thread's mask.
    ///
    /// Answers with the mask that was in force before.
    ///
    /// # Errors
    ///
    /// None that the manual knows for valid sets.
    #[doc(alias = "pthread_sigmask")]
    pub fn set_as_mask(&self) -> Result<SignalSet, MaskError> {
        self.mask(libc::SIG_SETMASK)
    }

    fn mask(&self, how: c_int) -> Result<SignalSet, MaskError> {
        let mut before = SignalSet::empty();
        // SAFETY: both sets are initialised; the first is only read, the second only written.
        match unsafe { libc::pthread_sigmask(how, &self.0, &mut before.0) } {
            0 => Ok(before),
            errno => Err(MaskError { source: io::Error::from_raw_os_error(errno) }),
        }
    }

    /// The signals of the set, in ascending order.
    pub fn signals(&self) -> Vec<c_int> {
        // No system has more than these; a number that is no signal is in no set.
        (1..=128).filter(|&signal| self.contains(signal)).collect()
    }

    /// The C set, for calls that take a pointer to one.
    pub fn as_raw(&self) -> &libc::sigset_t {
        &self.0
    }
}

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((1..=64).filter(|&signal| self.contains(signal))).finish()
    }
}
