//! No way to watch files that wakeful knows of.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::watch::{Change, Watch, WatchId};

#[derive(Debug)]
pub(crate) struct Watches(Infallible);

impl Watches {
    pub(crate) fn new() -> io::Result<Watches> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "wakeful cannot watch files on this system yet: look at them from time to time",
        ))
    }

    pub(crate) fn add(&self, _: Watch) -> io::Result<WatchId> {
        match self.0 {}
    }

    pub(crate) fn remove(&self, _: WatchId) {
        match self.0 {}
    }

    pub(crate) fn remind(&self) {
        match self.0 {}
    }

    pub(crate) fn next_change(&self, _: &mut usize) -> Option<Change> {
        match self.0 {}
    }
}

impl AsFd for Watches {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
