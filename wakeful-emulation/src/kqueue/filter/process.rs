//! `EVFILT_PROC`: a pidfd, which tells of the end.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::kqueue::abi::{self, kevent};
use crate::kqueue::knote::Found;
use crate::linux::{self, Errno, Result};

#[derive(Debug)]
pub(in crate::kqueue) struct Process {
    fd: OwnedFd,
    fflags: u32,
}

impl Process {
    /// # Errors
    ///
    /// `ESRCH`: there is no such process, or it has ended and was waited for. `EOPNOTSUPP`: to be told of
    /// forks and executions, which Linux tells to debuggers only.
    pub(in crate::kqueue) fn new(change: &kevent) -> Result<Process> {
        let pid = libc::pid_t::try_from(change.ident).ok().filter(|&pid| pid > 0);
        let mut new = Process { fd: linux::pidfd(pid.ok_or(Errno(libc::ESRCH))?)?, fflags: 0 };
        new.change(change)?;
        Ok(new)
    }

    pub(in crate::kqueue) fn change(&mut self, change: &kevent) -> Result<()> {
        if change.fflags & (abi::NOTE_FORK | abi::NOTE_EXEC | abi::NOTE_TRACK) != 0 {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        if change.flags & abi::EV_ADD != 0 || change.fflags != 0 {
            self.fflags = change.fflags & abi::NOTE_EXIT;
        }
        Ok(())
    }

    pub(in crate::kqueue) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether it has ended, and how, if it is a child that was not waited for.
    pub(in crate::kqueue) fn look(&self) -> Result<Option<Found>> {
        let fd = self.fd.as_raw_fd();
        let has_ended = linux::poll_now(fd, libc::POLLIN)? != 0;
        if !has_ended || self.fflags == 0 {
            return Ok(None);
        }
        let data = match linux::peek_status(fd) {
            Ok(status) => i64::from(status),
            Err(error) if error.is_passing() => return Err(error),
            // Not a status that there is.
            Err(_) => -1,
        };
        Ok(Some(Found { data, fflags: self.fflags, flags: abi::EV_EOF }))
    }
}
