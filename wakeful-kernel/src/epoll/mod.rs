//! epoll(7): Linux's readiness queue, its whole vocabulary.
//!
//! An [`Epoll`] holds an *interest list* of descriptors. Those that are ready stand on its *ready
//! list*, from which [`Epoll::wait`] takes them in turn. How a descriptor gets back onto the ready
//! list is what its [`Flags`] decide:
//!
//! | Flags | After it was reported |
//! |---|---|
//! | none of the below (level) | reported again by every wait for as long as it is ready |
//! | [`EDGE`](Flags::EDGE) | reported again when something new happens: read until `EAGAIN` |
//! | [`ONESHOT`](Flags::ONESHOT) | silent until [`Epoll::modify`] arms it anew |
//! | [`EXCLUSIVE`](Flags::EXCLUSIVE) | as level or edge, but only one of several epolls is told |
//!
//! # What to know
//!
//! - The key of a registration is *(descriptor number, open file)*. Closing a descriptor removes it
//!   only with the last duplicate of the open file: with a duplicate alive, events go on, and
//!   `delete` answers `EBADF`. Delete before closing.
//! - `ERR` and `HUP` are reported whether asked for or not, except after `ONESHOT` has fired.
//! - An epoll is itself pollable: readable while its ready list is not empty.
//! - A forked child shares the interest list with its parent.
//!
//! On illumos epoll is a part of the C library, for programs made for Linux. There a wait is to the
//! millisecond, a one-shot that has fired is off the list (`modify` answers `ENOENT`), a descriptor
//! that was closed stays on the list until a wait finds it closed, and an edge may come only after the
//! descriptor was drained.
//!
//! # References
//! - [epoll(7)](https://man7.org/linux/man-pages/man7/epoll.7.html)
//! - [epoll_ctl(2)](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html)
//! - [epoll_wait(2)](https://man7.org/linux/man-pages/man2/epoll_wait.2.html)
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use wakeful_kernel::epoll::{Epoll, Event, Flags};
//! use wakeful_kernel::linux::EventFd;
//!
//! let epoll = Epoll::new()?;
//! let counter = EventFd::new(1)?;
//! epoll.add(&counter, Flags::IN | Flags::EDGE, 23)?;
//!
//! let mut events = Vec::<Event>::with_capacity(3);
//! epoll.wait(&mut events, Some(Duration::from_secs(1)))?;
//! assert_eq!(events[0].token(), 23);
//! assert!(events[0].is_readable());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(any(target_os = "linux", target_os = "android"))]
mod busy_poll;
mod error;
mod flags;
mod wait;

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use busy_poll::BusyPoll;
pub use error::{
    AddError, BusyPollError, CreateError, DeleteError, DuplicateError, ModifyError, WaitError,
};
pub use flags::Flags;
pub use wait::resolution;

pub use crate::readiness::{Event, Readiness, UserData};

use crate::descriptor::descriptor_owner;
use crate::error::check;
use crate::sys;

/// `epoll_create1(EPOLL_CLOEXEC)`—An epoll instance.
///
/// All of its methods take `&self`, and any number of threads may wait and change the interest list
/// at the same time.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
}

descriptor_owner!(Epoll);

impl Epoll {
    /// `epoll_create1(EPOLL_CLOEXEC)`—Creates a new epoll object.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    #[doc(alias = "epoll_create1")]
    pub fn new() -> Result<Epoll, CreateError> {
        // SAFETY: the call takes an integer.
        let fd = check(unsafe { sys::epoll_create1(sys::EPOLL_CLOEXEC) })
            .map_err(|source| CreateError { source })?;
        // SAFETY: the call succeeded, so `fd` is an open descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Epoll { fd })
    }

    /// `epoll_ctl(self, EPOLL_CTL_ADD, fd, event)`—Puts a descriptor on the interest list.
    ///
    /// `token` comes back with every event of it. If the descriptor is ready already, that counts as
    /// the first edge.
    ///
    /// # Errors
    ///
    /// `EEXIST`: it is on the list. `EPERM`: the file cannot be polled (regular files, directories,
    /// /dev/null, /dev/zero). `EINVAL`: it is this epoll itself, or `EXCLUSIVE` stands beside a flag
    /// that it forbids. `ELOOP`: epolls watch one another in a circle or more than five deep.
    /// `ENOSPC`: /proc/sys/fs/epoll/max_user_watches is reached. `EBADF`, `ENOMEM`.
    #[doc(alias = "EPOLL_CTL_ADD")]
    pub fn add(&self, fd: impl AsFd, flags: Flags, token: impl UserData) -> Result<(), AddError> {
        self.add_raw(fd.as_fd().as_raw_fd(), flags, token)
    }

    /// As [`add`](Epoll::add), by number.
    ///
    /// Safe because the kernel ties the registration to the open file behind the number, not to the
    /// number: once it is closed for good the registration is gone, whatever the number means then.
    ///
    /// # Errors
    ///
    /// As [`add`](Epoll::add); `EBADF` for a number that is not open.
    #[inline]
    pub fn add_raw(&self, fd: RawFd, flags: Flags, token: impl UserData) -> Result<(), AddError> {
        self.control(sys::EPOLL_CTL_ADD, fd, flags, token).map_err(|source| AddError {
            fd,
            flags,
            source,
        })
    }

    /// `epoll_ctl(self, EPOLL_CTL_MOD, fd, event)`—Replaces the flags and the token of a descriptor.
    ///
    /// It arms `ONESHOT` anew. If the descriptor is ready for the new flags, that counts as an edge,
    /// so the next wait reports it.
    ///
    /// # Errors
    ///
    /// `ENOENT`: it is not on the list. `EINVAL`: it was added with `EXCLUSIVE`, or the new flags
    /// contain `EXCLUSIVE`. `EBADF`.
    #[doc(alias = "EPOLL_CTL_MOD")]
    pub fn modify(
        &self,
        fd: impl AsFd,
        flags: Flags,
        token: impl UserData,
    ) -> Result<(), ModifyError> {
        self.modify_raw(fd.as_fd().as_raw_fd(), flags, token)
    }

    /// As [`modify`](Epoll::modify), by number; safe for the same reason as [`add_raw`](Epoll::add_raw).
    ///
    /// # Errors
    ///
    /// As [`modify`](Epoll::modify).
    #[inline]
    pub fn modify_raw(
        &self,
        fd: RawFd,
        flags: Flags,
        token: impl UserData,
    ) -> Result<(), ModifyError> {
        self.control(sys::EPOLL_CTL_MOD, fd, flags, token).map_err(|source| ModifyError {
            fd,
            flags,
            source,
        })
    }

    /// `epoll_ctl(self, EPOLL_CTL_DEL, fd, NULL)`—Takes a descriptor off the interest list.
    ///
    /// No wait that starts after this returns will report it.
    ///
    /// # Errors
    ///
    /// `ENOENT`: it is not on the list. `EBADF`: the number is closed; if a duplicate of its open
    /// file is alive, its events go on and can no longer be stopped but by closing that or this.
    #[doc(alias = "EPOLL_CTL_DEL")]
    pub fn delete(&self, fd: impl AsFd) -> Result<(), DeleteError> {
        self.delete_raw(fd.as_fd().as_raw_fd())
    }

    /// As [`delete`](Epoll::delete), by number; safe for the same reason as [`add_raw`](Epoll::add_raw).
    ///
    /// # Errors
    ///
    /// As [`delete`](Epoll::delete).
    #[inline]
    pub fn delete_raw(&self, fd: RawFd) -> Result<(), DeleteError> {
        let epoll = self.fd.as_raw_fd();
        // SAFETY: EPOLL_CTL_DEL does not look at the event (Linux 2.6.9), so null is allowed.
        check(unsafe { sys::epoll_ctl(epoll, sys::EPOLL_CTL_DEL, fd, ptr::null_mut()) })
            .map(drop)
            .map_err(|source| DeleteError { fd, source })
    }

    #[inline]
    fn control(
        &self,
        operation: libc::c_int,
        fd: RawFd,
        flags: Flags,
        token: impl UserData,
    ) -> std::io::Result<()> {
        let mut event = sys::epoll_event { events: flags.bits(), u64: token.into_u64() };
        // SAFETY: `event` is valid for the read of one struct, all that ADD and MOD do with it.
        check(unsafe { sys::epoll_ctl(self.fd.as_raw_fd(), operation, fd, &mut event) }).map(drop)
    }

    /// `fcntl(self, F_DUPFD_CLOEXEC, 0)`—A second descriptor of the same epoll.
    ///
    /// Both share one interest list and one ready list.
    ///
    /// # Errors
    ///
    /// `EMFILE`.
    pub fn try_clone(&self) -> Result<Epoll, DuplicateError> {
        match self.fd.try_clone() {
            Ok(fd) => Ok(Epoll { fd }),
            Err(source) => Err(DuplicateError { fd: self.fd.as_raw_fd(), source }),
        }
    }
}
