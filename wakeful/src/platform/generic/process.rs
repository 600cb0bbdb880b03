//! No descriptor of a process that wakeful knows of.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::process::State;
use crate::signal::Signal;

#[derive(Debug)]
pub(crate) struct Process(Infallible);

impl Process {
    pub(crate) fn open(_: u32) -> io::Result<Option<Process>> {
        Ok(None)
    }

    pub(crate) fn state(&self) -> io::Result<State> {
        match self.0 {}
    }

    pub(crate) fn send_signal(&self, _: Signal) -> io::Result<()> {
        match self.0 {}
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }
}
