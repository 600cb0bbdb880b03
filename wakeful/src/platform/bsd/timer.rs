//! A timer in a kqueue of its own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime};

use wakeful_kernel::kqueue::filter;
use wakeful_kernel::kqueue::{Change, Kqueue, Mode};

use crate::time::Clock;

#[derive(Debug)]
pub(crate) struct Timer(Kqueue);

/// There is one in the kqueue.
const ID: usize = 0;

impl Timer {
    pub(crate) fn new(clock: Clock) -> io::Result<Timer> {
        match clock {
            Clock::Monotonic | Clock::Wall => Ok(Timer(Kqueue::new()?)),
            Clock::Boot => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a kqueue has no timer that counts while the machine is suspended: use \
                 Clock::Monotonic, and look at the time after it has expired",
            )),
        }
    }

    pub(crate) fn set_after(&self, delay: Duration, period: Option<Duration>) -> io::Result<()> {
        self.set(match period {
            // The first period begins now.
            Some(period) => filter::Timer::every(ID, period),
            None => filter::Timer::after(ID, delay),
        })
    }

    pub(crate) fn set_at(&self, since_epoch: Duration) -> io::Result<()> {
        let time = SystemTime::UNIX_EPOCH.checked_add(since_epoch);
        self.set(match time {
            Some(time) => filter::Timer::at(ID, time),
            None => filter::Timer::after(ID, Duration::MAX),
        })
    }

    fn set(&self, timer: filter::Timer) -> io::Result<()> {
        // First deleted: what has expired is forgotten then on every system.
        self.disarm()?;
        Ok(self.0.apply([Change::add(timer, Mode::Clear, 0)?])?)
    }

    pub(crate) fn disarm(&self) -> io::Result<()> {
        let timer = filter::Timer::after(ID, Duration::ZERO);
        match self.0.apply([Change::delete(timer)?]).map_err(io::Error::from) {
            // It was not set, or has expired.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }

    pub(crate) fn expirations(&self) -> io::Result<u64> {
        let mut events = Vec::with_capacity(1);
        self.0.wait(&mut events, Some(Duration::ZERO))?;
        let count = events.first().and_then(|event| u64::try_from(event.data()).ok());
        count.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
