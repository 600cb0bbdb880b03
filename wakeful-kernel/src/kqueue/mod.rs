//! kqueue(2): the readiness queue of the BSDs and of macOS, its whole vocabulary.
//!
//! A [`Kqueue`] holds *events that are waited for*, each known by what it is about (a descriptor, a process, a
//! number of the caller's) and the [`Filter`] that says when it is true. [`Change`]s add and delete them, many
//! with one call; [`Kqueue::wait`] reports those that are true, as [`Event`]s. How often one is reported is its
//! [`Mode`]:
//!
//! | Mode | After it was reported |
//! |---|---|
//! | [`Level`](Mode::Level) | reported again by every wait for as long as it is true |
//! | [`Clear`](Mode::Clear) | reported again when something new happens |
//! | [`Oneshot`](Mode::Oneshot) | deleted |
//! | [`Dispatch`](Mode::Dispatch) | disabled until [`Change::enable`] |
//!
//! What there is to wait for is in [`filter`], a file per filter. Systems differ in what they have and in the
//! numbers they have it by; [`system`] holds all of that as data, and [`System::CURRENT`] is this one. A change
//! that the system cannot make is refused when it is built.
//!
//! On Linux this module is there with the feature `emulation`, over the crate `wakeful-emulation`, as FreeBSD
//! has it.
//!
//! # What to know
//!
//! - Closing a descriptor deletes its events, those of duplicates not.
//! - A kqueue is itself a descriptor: readable while there are events. A forked child does not inherit it.
//! - `EINTR` from a wait: a signal handler ran. What was to be changed has been changed.
//!
//! # References
//! - [kqueue(2) of FreeBSD](https://man.freebsd.org/cgi/man.cgi?query=kqueue&sektion=2),
//!   [NetBSD](https://man.netbsd.org/kqueue.2), [OpenBSD](https://man.openbsd.org/kqueue.2)
//! - Jonathan Lemon, "Kqueue: A generic and scalable event notification facility", USENIX 2001
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use wakeful_kernel::kqueue::filter::Timer;
//! use wakeful_kernel::kqueue::{Change, Happening, Kqueue, Mode};
//!
//! let kqueue = Kqueue::new()?;
//! let timer = Timer::after(1, Duration::from_millis(5));
//! kqueue.apply([Change::add(timer, Mode::Oneshot, 23)?])?;
//!
//! let mut events = Vec::with_capacity(3);
//! kqueue.wait(&mut events, Some(Duration::from_secs(1)))?;
//! assert_eq!(events[0].user_data(), 23);
//! assert!(matches!(events[0].happening(), Happening::Timer { id: 1, expirations: 1 }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aio;
mod change;
mod error;
mod event;
pub mod filter;
pub mod system;

use std::borrow::Borrow;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::Duration;

use libc::c_int;

pub use change::{Change, FlagOperation, Mode};
pub use error::{ApplyError, BuildError, ChangeError, CreateError, WaitError};
pub use event::{Event, Happening};
pub use filter::Filter;
pub use system::System;

use crate::aio::Operations;
use crate::sys::kqueue as sys;

/// `kqueue()`—A kernel event queue.
///
/// All of its methods take `&self`, and any number of threads may wait and make changes at the same time.
#[derive(Debug)]
pub struct Kqueue {
    // Before the descriptor: what is under way is to be cancelled while it is there.
    operations: OnceLock<Box<Operations>>,
    fd: sys::Owner,
}

impl AsFd for Kqueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Kqueue {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<Kqueue> for OwnedFd {
    #[allow(clippy::useless_conversion)]
    fn from(kqueue: Kqueue) -> OwnedFd {
        kqueue.fd.into()
    }
}

/// Longer timeouts are cut to this, about three years: some kernels refuse what others take.
const LONGEST: Duration = Duration::from_secs(100_000_000);

/// As many changes are made without memory from the heap.
const FEW: usize = 8;

impl Kqueue {
    /// `kqueue1(O_CLOEXEC)`, or `kqueue()` and `fcntl(F_SETFD)`—Creates a new queue.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    #[doc(alias = "kqueue1")]
    pub fn new() -> Result<Kqueue, CreateError> {
        match sys::create_cloexec() {
            Ok(fd) => Ok(Kqueue { operations: OnceLock::new(), fd }),
            Err(source) => Err(CreateError { source }),
        }
    }

    /// `kevent(self, changes, n, receipts, n, NULL)`—Makes changes, in their order, with one call.
    ///
    /// Each is tried, whether others fail or not. No event is taken.
    ///
    /// # Errors
    ///
    /// One per change that failed, with its index. `EBADF`: no such descriptor. `ENOENT`: the event is not
    /// there, which cannot be said of one to add, except for the file or process that it is about. `EINVAL`:
    /// the filter does not take such a descriptor, or this version of the system has not got the filter.
    /// `ESRCH`: no such process. `ENOMEM`.
    #[doc(alias = "kevent")]
    pub fn apply<C: Borrow<Change>>(
        &self,
        changes: impl IntoIterator<Item = C>,
    ) -> Result<(), ApplyError> {
        let mut few = [Change::NOTHING; FEW];
        let mut many = Vec::new();
        let mut count = 0;
        for change in changes {
            let change = change.borrow().with_receipt();
            match few.get_mut(count) {
                Some(place) => *place = change,
                None if many.is_empty() => many.extend(few.into_iter().chain([change])),
                None => many.push(change),
            }
            count += 1;
        }
        let receipts = if many.is_empty() { few.get_mut(..count) } else { Some(&mut many[..]) };
        match receipts {
            None | Some([]) => Ok(()),
            Some(receipts) => self.apply_all(receipts),
        }
    }

    /// Makes changes that ask for receipts, which replace them.
    fn apply_all(&self, receipts: &mut [Change]) -> Result<(), ApplyError> {
        let (at, length) = (receipts.as_mut_ptr().cast::<sys::kevent>(), receipts.len());
        let kq = self.fd.as_raw_fd();
        // SAFETY: changes and receipts are the same memory, which kevent(2) allows: `length` structs, since
        // Change is a transparent one. The null timeout does not matter: there is a receipt for each change,
        // with which the call returns at once.
        let count = unsafe { sys::kevent_call(kq, at, length, at, length, std::ptr::null()) };
        match crate::error::check(count) {
            Ok(count) => {
                let count = usize::try_from(count).unwrap_or(0);
                ApplyError::of(receipts.get(..count).unwrap_or(receipts))
            }
            // The changes have been made.
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => Ok(()),
            Err(source) => Err(ApplyError::whole(receipts, source)),
        }
    }

    /// `kevent(self, NULL, 0, events, capacity, timeout)`—Waits for events.
    ///
    /// Appends to `events`, into the room left up to its capacity, and answers with how many were added: 0
    /// when the timeout passed first. `None` waits without end, `Some(Duration::ZERO)` not at all. The wait is
    /// never shorter than asked for, except that one longer than three years ends after three years.
    ///
    /// # Errors
    ///
    /// `EINTR` when a signal handler ran; `EINVAL` when there is no room for an event.
    #[doc(alias = "kevent")]
    pub fn wait(
        &self,
        events: &mut Vec<Event>,
        timeout: Option<Duration>,
    ) -> Result<usize, WaitError> {
        self.apply_and_wait(&[], events, timeout)
    }

    /// `kevent(self, NULL, 0, events, most, timeout)`—As [`wait`](Kqueue::wait), for so many events at most.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn wait_for_some(
        &self,
        events: &mut Vec<Event>,
        most: usize,
        timeout: Option<Duration>,
    ) -> Result<usize, WaitError> {
        self.call(&[], events, most, timeout)
    }

    /// `kevent(self, changes, n, events, capacity, timeout)`—Makes changes and waits, with one call.
    ///
    /// A change that fails is an event of its own, with [`Event::error`]; if there are any, the call does not
    /// wait. Without room for it the call fails with that error, and the changes after it are not made.
    ///
    /// # Errors
    ///
    /// As [`wait`](Kqueue::wait).
    #[doc(alias = "kevent")]
    pub fn apply_and_wait(
        &self,
        changes: &[Change],
        events: &mut Vec<Event>,
        timeout: Option<Duration>,
    ) -> Result<usize, WaitError> {
        self.call(changes, events, usize::MAX, timeout)
    }

    fn call(
        &self,
        changes: &[Change],
        events: &mut Vec<Event>,
        most: usize,
        timeout: Option<Duration>,
    ) -> Result<usize, WaitError> {
        let timeout = timeout.map(|timeout| crate::sys::timespec(timeout.min(LONGEST)));
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let room = events.spare_capacity_mut();
        let capacity = room.len().min(most).min(c_int::MAX as usize);
        let error = |source| WaitError { capacity, source };
        if capacity == 0 {
            // To kevent(2) this is a call that does not wait.
            return Err(error(io::Error::from_raw_os_error(libc::EINVAL)));
        }
        // SAFETY: both lists are valid for as many structs as is said, Change and Event being transparent ones;
        // the timeout is null or valid until the call returns.
        let count = unsafe {
            sys::kevent_call(
                self.fd.as_raw_fd(),
                changes.as_ptr().cast(),
                changes.len(),
                room.as_mut_ptr().cast(),
                capacity,
                timeout,
            )
        };
        let added = crate::error::check(count).map_err(error)? as usize;
        // SAFETY: the kernel has written `added` structs behind the present length, at most `capacity`.
        unsafe { events.set_len(events.len() + added.min(capacity)) };
        Ok(added.min(capacity))
    }
}
