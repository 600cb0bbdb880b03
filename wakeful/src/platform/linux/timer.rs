//! A timerfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use wakeful_kernel::linux::{self, Expiry, TimerFd};

use super::refused::refused;
use crate::time::Clock;

#[derive(Debug)]
pub(crate) struct Timer(TimerFd);

impl Timer {
    pub(crate) fn new(clock: Clock) -> io::Result<Timer> {
        let clock = match clock {
            Clock::Monotonic => linux::Clock::Monotonic,
            Clock::Boot => linux::Clock::Boot,
            Clock::Wall => linux::Clock::Realtime,
        };
        let advice = "use Poll::timers, which needs no descriptor";
        match TimerFd::new(clock) {
            Ok(timer) => Ok(Timer(timer)),
            Err(error) => Err(refused("timerfd_create(2)", error, advice)),
        }
    }

    pub(crate) fn set_after(&self, delay: Duration, period: Option<Duration>) -> io::Result<()> {
        self.0.set(Expiry::After(delay), period)?;
        Ok(())
    }

    pub(crate) fn set_at(&self, since_epoch: Duration) -> io::Result<()> {
        self.0.set(Expiry::AtUnlessClockSet(since_epoch), None)?;
        Ok(())
    }

    pub(crate) fn disarm(&self) -> io::Result<()> {
        self.0.disarm()?;
        Ok(())
    }

    pub(crate) fn expirations(&self) -> io::Result<u64> {
        Ok(self.0.read()?)
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
