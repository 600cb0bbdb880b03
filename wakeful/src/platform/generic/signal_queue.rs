//! No descriptor of blocked signals that wakeful knows of.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use wakeful_kernel::signal::SignalSet;

use crate::signal::Received;

#[derive(Debug)]
pub(crate) struct SignalQueue(Infallible);

impl SignalQueue {
    pub(crate) fn new(_: &SignalSet) -> io::Result<SignalQueue> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this system does not queue blocked signals in a descriptor: use signal::Signals",
        ))
    }

    pub(crate) fn restrict(&self, _: &SignalSet) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn receive(&self) -> io::Result<Received> {
        match self.0 {}
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
