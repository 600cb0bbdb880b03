//! A kqueue that tells of the end of a process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wakeful_kernel::kqueue::filter::{self, ProcessEvents};
use wakeful_kernel::kqueue::{Change, Kqueue, Mode};
use wakeful_kernel::process;

use crate::process::State;
use crate::signal::Signal;

#[derive(Debug)]
pub(crate) struct Process {
    kqueue: Kqueue,
    pid: u32,
    /// Its status comes with the end.
    tells_status: bool,
    end: Mutex<Option<End>>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Status(i32),
    Unknown,
}

impl Process {
    /// `None` where the kqueue does not tell.
    pub(crate) fn open(pid: u32) -> io::Result<Option<Process>> {
        let kqueue = Kqueue::new()?;
        let number = libc::pid_t::try_from(pid).unwrap_or(-1);
        let with_status = ProcessEvents::EXIT | ProcessEvents::EXIT_STATUS;
        // Where it has to be asked for, that is allowed of children only.
        for (events, tells_status) in [(with_status, true), (ProcessEvents::EXIT, false)] {
            let change = Change::add(filter::Process::new(number, events), Mode::Clear, 0)?;
            match kqueue.apply([change]).map_err(io::Error::from) {
                Ok(()) => {
                    let end = Mutex::default();
                    return Ok(Some(Process { kqueue, pid, tells_status, end }));
                }
                Err(error) if error.raw_os_error() == Some(libc::EACCES) => {}
                Err(error) => match error.raw_os_error() {
                    // Of a sandbox around the emulation.
                    Some(libc::ENOSYS | libc::EPERM) => return Ok(None),
                    _ => return Err(error),
                },
            }
        }
        Ok(None)
    }

    pub(crate) fn state(&self) -> io::Result<State> {
        Ok(match self.end()? {
            None => State::Running,
            Some(End::Status(status)) => State::Ended(ExitStatus::from_raw(status)),
            Some(End::Unknown) => State::NotOurs(true),
        })
    }

    fn end(&self) -> io::Result<Option<End>> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.is_some() {
            return Ok(*end);
        }
        let mut events = Vec::with_capacity(1);
        self.kqueue.wait(&mut events, Some(Duration::ZERO))?;
        let Some(event) = events.first() else {
            return Ok(None);
        };
        // The emulation says -1 where it cannot know.
        let status = i32::try_from(event.data()).ok().filter(|&status| status >= 0);
        *end = Some(status.filter(|_| self.tells_status).map_or(End::Unknown, End::Status));
        self.stay_readable()?;
        Ok(*end)
    }

    /// The end is told once by the kernel, and from then on by this.
    fn stay_readable(&self) -> io::Result<()> {
        let over = filter::Timer::after(0, Duration::ZERO);
        Ok(self.kqueue.apply([Change::add(over, Mode::Level, 0)?])?)
    }

    pub(crate) fn send_signal(&self, signal: Signal) -> io::Result<()> {
        if self.end()?.is_some() {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(process::send_signal(self.pid, signal.as_raw())?)
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}
