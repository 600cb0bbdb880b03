//! No timer of the kernel's that wakeful knows of.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::time::Clock;

#[derive(Debug)]
pub(crate) struct Timer(Infallible);

impl Timer {
    pub(crate) fn new(_: Clock) -> io::Result<Timer> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "wakeful knows no timer of this kernel's yet: use Poll::timers",
        ))
    }

    pub(crate) fn set_after(&self, _: Duration, _: Option<Duration>) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn set_at(&self, _: Duration) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn disarm(&self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn expirations(&self) -> io::Result<u64> {
        match self.0 {}
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
