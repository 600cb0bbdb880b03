//! An eventfd; or a pipe, where a sandbox refuses eventfds.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use wakeful_kernel::linux::EventFd;

use super::pipe_bell;
use super::ringing::make_readable;

#[derive(Debug)]
pub(crate) enum Bell {
    EventFd(EventFd),
    Pipe(pipe_bell::Bell),
}

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        match EventFd::new(0) {
            Ok(eventfd) => Ok(Bell::EventFd(eventfd)),
            // If it was for want of descriptors or memory, the pipe will say so too.
            Err(_) => Ok(Bell::Pipe(pipe_bell::Bell::new()?)),
        }
    }

    /// # Errors
    ///
    /// It is not readable.
    #[inline]
    pub(crate) fn ring(&self) -> io::Result<()> {
        match self {
            Bell::EventFd(eventfd) => {
                make_readable(eventfd.as_fd(), || eventfd.write(1).map_err(io::Error::from))
            }
            Bell::Pipe(pipe) => pipe.ring(),
        }
    }

    #[inline]
    pub(crate) fn silence(&self) {
        match self {
            // Silent already, if nobody has rung. After another error it stays readable.
            Bell::EventFd(eventfd) => drop(eventfd.read()),
            Bell::Pipe(pipe) => pipe.silence(),
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Bell::EventFd(eventfd) => eventfd.as_fd(),
            Bell::Pipe(pipe) => pipe.as_fd(),
        }
    }
}
