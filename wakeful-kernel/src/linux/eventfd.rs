use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::descriptor::{self, descriptor_owner};
use crate::error::check;
use crate::sys;

operation_error! {
    /// An eventfd could not be created.
    EventFdError: "eventfd", advice: |_, errno| match errno {
        libc::EPERM => "a sandbox refuses eventfds",
        _ => "",
    }
}

operation_error! {
    /// The counter could not be read.
    EventFdReadError: "read(eventfd)" {
        /// The descriptor.
        fd: RawFd,
    }
}

operation_error! {
    /// The counter could not be added to.
    EventFdWriteError: "write(eventfd)" {
        /// The descriptor.
        fd: RawFd,
        /// What was to be added.
        value: u64,
    },
    advice: |error, errno| match errno {
        libc::EINVAL if error.value == u64::MAX => "the largest number that can be added is u64::MAX - 1",
        libc::EAGAIN => "the counter would pass u64::MAX - 1: read it first",
        _ => "",
    }
}

/// What a read takes from the counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semantics {
    /// All of it.
    #[default]
    Counter,
    /// One (`EFD_SEMAPHORE`).
    Semaphore,
}

/// `eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK)`—A counter in the kernel that can be waited for.
///
/// Readable while the counter is above zero. Edge-triggered waits report every write, read or not.
///
/// # References
/// - [eventfd(2)](https://man7.org/linux/man-pages/man2/eventfd.2.html)
///
/// # Examples
///
/// ```
/// use wakeful_kernel::linux::EventFd;
///
/// let counter = EventFd::new(2)?;
/// counter.write(3)?;
/// assert_eq!(counter.read()?, 5);
/// assert_eq!(counter.read().unwrap_err().io_error().kind(), std::io::ErrorKind::WouldBlock);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "eventfd")]
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
}

descriptor_owner!(EventFd);

impl EventFd {
    /// `eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK)`—Creates a counter.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(initial: u32) -> Result<EventFd, EventFdError> {
        EventFd::with_semantics(initial, Semantics::Counter)
    }

    /// As [`new`](EventFd::new), saying what a read takes.
    ///
    /// # Errors
    ///
    /// As [`new`](EventFd::new).
    #[doc(alias = "EFD_SEMAPHORE")]
    pub fn with_semantics(initial: u32, semantics: Semantics) -> Result<EventFd, EventFdError> {
        let flags = libc::EFD_CLOEXEC
            | libc::EFD_NONBLOCK
            | match semantics {
                Semantics::Counter => 0,
                Semantics::Semaphore => libc::EFD_SEMAPHORE,
            };
        // SAFETY: the call takes integers.
        let fd = check(unsafe { sys::eventfd(initial, flags) })
            .map_err(|source| EventFdError { source })?;
        // SAFETY: the call succeeded, so `fd` is an open descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(EventFd { fd })
    }

    /// Moves it to a high number; see [`descriptor::into_high_number`].
    #[must_use]
    pub fn into_high_number(self) -> EventFd {
        EventFd { fd: descriptor::into_high_number(self.fd) }
    }

    /// `read(self, &value, 8)`—Takes the counter (or one of it), leaving zero (or one less).
    ///
    /// # Errors
    ///
    /// `EAGAIN` while the counter is zero.
    pub fn read(&self) -> Result<u64, EventFdReadError> {
        let fd = self.fd.as_raw_fd();
        let mut value = [0; 8];
        // An eventfd is read in whole: eight bytes or an error.
        descriptor::read(&self.fd, &mut value)
            .map(|_| u64::from_ne_bytes(value))
            .map_err(|source| EventFdReadError { fd, source })
    }

    /// `write(self, &value, 8)`—Adds to the counter and wakes whoever waits.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when the counter would pass `u64::MAX - 1`, `EINVAL` for `u64::MAX`.
    pub fn write(&self, value: u64) -> Result<(), EventFdWriteError> {
        let fd = self.fd.as_raw_fd();
        descriptor::write(&self.fd, &value.to_ne_bytes())
            .map(drop)
            .map_err(|source| EventFdWriteError { fd, value, source })
    }
}
