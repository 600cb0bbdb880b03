//! A timer that tells an event port of its own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime};

use wakeful_kernel::event_port::{self, EventPort};

use crate::time::Clock;

#[derive(Debug)]
pub(crate) struct Timer {
    /// First, so that it goes before what it tells.
    timer: event_port::Timer,
    port: EventPort,
}

impl Timer {
    pub(crate) fn new(clock: Clock) -> io::Result<Timer> {
        let clock = match clock {
            Clock::Monotonic => event_port::Clock::Monotonic,
            Clock::Wall => event_port::Clock::Realtime,
            Clock::Boot => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "this system has no timer that counts while the machine is suspended: use \
                     Clock::Monotonic, and look at the time after it has expired",
                ));
            }
        };
        let port = EventPort::new()?;
        let timer = port.timer(clock, 0)?;
        Ok(Timer { timer, port })
    }

    pub(crate) fn set_after(&self, delay: Duration, period: Option<Duration>) -> io::Result<()> {
        self.forget()?;
        Ok(self.timer.set(delay, period)?)
    }

    pub(crate) fn set_at(&self, since_epoch: Duration) -> io::Result<()> {
        self.forget()?;
        match SystemTime::UNIX_EPOCH.checked_add(since_epoch) {
            Some(time) => Ok(self.timer.set_at(time)?),
            None => Ok(self.timer.set(Duration::MAX, None)?),
        }
    }

    pub(crate) fn disarm(&self) -> io::Result<()> {
        self.forget()
    }

    /// What has expired is forgotten, too.
    fn forget(&self) -> io::Result<()> {
        self.timer.stop()?;
        self.take().map(drop)
    }

    pub(crate) fn expirations(&self) -> io::Result<u64> {
        let count = self.take()?;
        if count > 0 { Ok(count) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn take(&self) -> io::Result<u64> {
        let mut events = Vec::with_capacity(1);
        self.port.get_raw(&mut events, 1, 1, Some(Duration::ZERO))?;
        let count = events.first().and_then(|event| u64::try_from(event.events()).ok());
        Ok(count.unwrap_or(0))
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.as_fd()
    }
}
