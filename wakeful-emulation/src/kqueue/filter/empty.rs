//! `EVFILT_EMPTY`: a socket's output queue, looked at again and again, since Linux does not tell of its end.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::kqueue::abi::kevent;
use crate::kqueue::knote::Found;
use crate::linux::{self, Errno, Identity, Result};

#[derive(Debug)]
pub(in crate::kqueue) struct Empty {
    fd: RawFd,
    identity: Identity,
    /// When it is looked at.
    clock: OwnedFd,
    /// Whether what is there now was reported, as far as `EV_CLEAR` is concerned.
    was_reported: bool,
}

/// While something is on its way.
const SOON: Duration = Duration::from_millis(1);
/// While there is nothing.
const LATER: Duration = Duration::from_millis(10);

impl Empty {
    /// # Errors
    ///
    /// `EBADF`: no such descriptor. `EINVAL`: it is no socket.
    pub(in crate::kqueue) fn new(change: &kevent) -> Result<Empty> {
        let fd = RawFd::try_from(change.ident).map_err(|_| Errno::BADF)?;
        let identity = linux::identity(fd)?;
        if identity.kind != libc::S_IFSOCK {
            return Err(Errno(libc::EINVAL));
        }
        linux::ioctl_int(fd, libc::TIOCOUTQ).map_err(|_| Errno(libc::EINVAL))?;
        let clock = linux::timerfd(libc::CLOCK_MONOTONIC)?;
        linux::set_timer(&clock, 0, SOON, None)?;
        Ok(Empty { fd, identity, clock, was_reported: false })
    }

    pub(in crate::kqueue) fn raw_fd(&self) -> RawFd {
        self.clock.as_raw_fd()
    }

    pub(in crate::kqueue) fn is_same(&self) -> Result<bool> {
        linux::is_still(self.fd, &self.identity)
    }

    /// # Errors
    ///
    /// `EBADF`: it was closed, or is another by now.
    pub(in crate::kqueue) fn look(&mut self) -> Result<Option<Found>> {
        if !self.is_same()? {
            return Err(Errno::BADF);
        }
        linux::count(&self.clock)?;
        let is_empty = linux::ioctl_int(self.fd, libc::TIOCOUTQ)? == 0;
        linux::set_timer(&self.clock, 0, if is_empty { LATER } else { SOON }, None)?;
        if !is_empty {
            self.was_reported = false;
        }
        Ok((is_empty && !self.was_reported).then(Found::default))
    }

    pub(in crate::kqueue) fn clear(&mut self) {
        self.was_reported = true;
    }
}
