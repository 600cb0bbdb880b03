//! A pidfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use wakeful_kernel::linux::{ExitState, PidFd};
use wakeful_kernel::poll::{PollFd, poll};
use wakeful_kernel::readiness::Readiness;

use crate::process::State;
use crate::signal::Signal;

#[derive(Debug)]
pub(crate) struct Process(PidFd);

impl Process {
    /// `None` where there are no pidfds: the kernel is too old, or a sandbox refuses them.
    pub(crate) fn open(pid: u32) -> io::Result<Option<Process>> {
        match PidFd::open(pid).map_err(io::Error::from) {
            Ok(process) => Ok(Some(Process(process))),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOSYS | libc::EPERM | libc::EACCES) => Ok(None),
                _ => Err(error),
            },
        }
    }

    pub(crate) fn state(&self) -> io::Result<State> {
        match self.0.peek().map_err(io::Error::from) {
            Ok(None) => Ok(State::Running),
            Ok(Some(state)) => Ok(State::Ended(exit_status(state))),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {
                Ok(State::NotOurs(self.has_ended()?))
            }
            // Before Linux 5.4 a pidfd can be polled, but not waited for.
            Err(_) => Ok(if self.has_ended()? { State::Unseen } else { State::Running }),
        }
    }

    fn has_ended(&self) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.0, Readiness::IN)];
        Ok(poll(&mut fds, Some(Duration::ZERO))? > 0)
    }

    pub(crate) fn send_signal(&self, signal: Signal) -> io::Result<()> {
        Ok(self.0.send_signal(signal.as_raw())?)
    }
}

/// As wait(2) codes it.
fn exit_status(state: ExitState) -> ExitStatus {
    const CORE_DUMPED: i32 = 0x80;
    ExitStatus::from_raw(match state {
        ExitState::Exited(code) => (code & 0xff) << 8,
        ExitState::Killed(signal) => signal,
        ExitState::Dumped(signal) => signal | CORE_DUMPED,
    })
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
