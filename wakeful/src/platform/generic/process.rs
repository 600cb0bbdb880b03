//! No descriptor of a process that wakeful knows of.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use wakeful_kernel::process;

use crate::process::State;
use crate::signal::Signal;

#[derive(Debug)]
pub(crate) struct Process(Infallible);

impl Process {
    pub(crate) fn open(pid: u32) -> io::Result<Option<Process>> {
        // That there is none can be told.
        match process::send_signal(pid, 0).map_err(io::Error::from) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(error),
            _ => Ok(None),
        }
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
