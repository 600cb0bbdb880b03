//! poll(2): waiting for any of a list of descriptors, handed over anew at every call.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use crate::error::check;
use crate::readiness::Readiness;
use crate::sys;

operation_error! {
    /// The wait failed, or a signal interrupted it.
    PollError: "poll" {
        /// How many descriptors were asked about.
        count: usize,
    },
    advice: |_, errno| match errno {
        libc::EINVAL => "more descriptors than RLIMIT_NOFILE allows: ask about fewer or raise the limit",
        _ => "",
    }
}

/// The finest timeout that [`poll`] can tell apart: a nanosecond where there is ppoll(2), else a
/// millisecond. Finer timeouts are rounded up.
pub const RESOLUTION: Duration = sys::POLL_RESOLUTION;

/// `struct pollfd`—One descriptor, what to wait for, and what was found.
///
/// It borrows its descriptor, so that the descriptor cannot be closed while it is being asked about.
#[doc(alias = "pollfd")]
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct PollFd<'fd> {
    raw: libc::pollfd,
    descriptor: PhantomData<BorrowedFd<'fd>>,
}

impl<'fd> PollFd<'fd> {
    /// Asks whether the descriptor is ready for any of `interest`.
    ///
    /// `ERR`, `HUP` and `NVAL` are reported in any case.
    pub fn new(fd: &'fd impl AsFd, interest: Readiness) -> PollFd<'fd> {
        PollFd::from_raw(fd.as_fd().as_raw_fd(), interest)
    }

    /// As [`new`](PollFd::new), by number.
    ///
    /// The caller sees to it that the number is still the descriptor that it means when it polls; a
    /// closed one is reported as `NVAL`, a negative one is passed over.
    pub fn from_raw(fd: RawFd, interest: Readiness) -> PollFd<'static> {
        PollFd {
            raw: libc::pollfd { fd, events: to_poll(interest), revents: 0 },
            descriptor: PhantomData,
        }
    }

    /// The descriptor's number, negative if this entry is passed over.
    pub fn raw_fd(&self) -> RawFd {
        self.raw.fd
    }

    /// What to wait for.
    pub fn interest(&self) -> Readiness {
        from_poll(self.raw.events)
    }

    /// Waits for something else from the next call on.
    pub fn set_interest(&mut self, interest: Readiness) {
        self.raw.events = to_poll(interest);
    }

    /// What the last call found.
    pub fn readiness(&self) -> Readiness {
        from_poll(self.raw.revents)
    }
}

impl fmt::Debug for PollFd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollFd")
            .field("fd", &self.raw.fd)
            .field("interest", &self.interest())
            .field("readiness", &self.readiness())
            .finish()
    }
}

/// `poll(fds, nfds, timeout)`, or `ppoll` where that exists—Waits until one of the descriptors is
/// ready.
///
/// Answers with the number of entries whose [`readiness`](PollFd::readiness) is not empty: 0 when
/// the timeout passed first. `None` waits without end, `Some(Duration::ZERO)` not at all. The
/// timeout is never cut short; see [`RESOLUTION`].
///
/// # References
/// - [Linux](https://man7.org/linux/man-pages/man2/poll.2.html)
/// - [FreeBSD](https://man.freebsd.org/cgi/man.cgi?query=poll&sektion=2)
/// - [illumos](https://illumos.org/man/2/poll)
///
/// # Errors
///
/// `EINTR` when a signal handler ran, `EINVAL` for too many descriptors, `ENOMEM`. A descriptor that
/// is not open is no error of the call: it is reported as `NVAL`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wakeful_kernel::poll::{PollFd, poll};
/// use wakeful_kernel::readiness::Readiness;
///
/// let (reader, writer) = wakeful_kernel::pipe::pipe()?;
/// let mut fds = [PollFd::new(&reader, Readiness::IN), PollFd::new(&writer, Readiness::OUT)];
/// assert_eq!(poll(&mut fds, Some(Duration::ZERO))?, 1);
/// assert!(fds[0].readiness().is_empty());
/// assert_eq!(fds[1].readiness(), Readiness::OUT);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "ppoll")]
pub fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<usize, PollError> {
    let count = fds.len();
    // SAFETY: PollFd is a transparent wrapper of `struct pollfd`, so the slice is valid for reads
    // and writes of `count` of them, and it is borrowed mutably for the whole call.
    let ready = unsafe { sys::poll_with_timeout(fds.as_mut_ptr().cast(), count, timeout) };
    check(ready).map(|ready| ready as usize).map_err(|source| PollError { count, source })
}

/// `poll(&fd, 1, 0)`—What one descriptor is ready for right now, of `interest`.
///
/// The cheapest question that can be put to a descriptor: it is several times cheaper than an
/// accept(2) that finds nothing.
///
/// # Errors
///
/// As [`poll`].
pub fn ready_now(fd: impl AsFd, interest: Readiness) -> Result<Readiness, PollError> {
    raw_ready_now(fd.as_fd().as_raw_fd(), interest)
}

/// As [`ready_now`], by number: see [`PollFd::from_raw`].
///
/// # Errors
///
/// As [`poll`].
pub fn raw_ready_now(fd: RawFd, interest: Readiness) -> Result<Readiness, PollError> {
    let mut fds = [PollFd::from_raw(fd, interest)];
    poll(&mut fds, Some(Duration::ZERO))?;
    Ok(fds[0].readiness())
}

/// Each readiness bit and this system's poll(2) bit for it.
const BITS: &[(Readiness, libc::c_short)] = &[
    (Readiness::IN, libc::POLLIN),
    (Readiness::PRI, libc::POLLPRI),
    (Readiness::OUT, libc::POLLOUT),
    (Readiness::ERR, libc::POLLERR),
    (Readiness::HUP, libc::POLLHUP),
    (Readiness::NVAL, libc::POLLNVAL),
    (Readiness::RDNORM, libc::POLLRDNORM),
    (Readiness::RDBAND, libc::POLLRDBAND),
    (Readiness::WRNORM, libc::POLLWRNORM),
    (Readiness::WRBAND, libc::POLLWRBAND),
    (Readiness::RDHUP, sys::POLLRDHUP),
];

fn to_poll(readiness: Readiness) -> libc::c_short {
    // Bits without a name go through as they are.
    let unnamed = BITS.iter().fold(readiness, |rest, (bit, _)| rest - *bit);
    BITS.iter()
        .filter(|(bit, _)| readiness.contains(*bit))
        .fold(unnamed.bits() as libc::c_short, |raw, (_, raw_bit)| raw | raw_bit)
}

fn from_poll(raw: libc::c_short) -> Readiness {
    let unnamed = BITS.iter().fold(raw, |rest, (_, raw_bit)| rest & !raw_bit);
    BITS.iter()
        .filter(|(_, raw_bit)| raw & raw_bit != 0)
        .fold(Readiness::from_bits_retain(u32::from(unnamed as u16)), |readiness, (bit, _)| {
            readiness | *bit
        })
}
