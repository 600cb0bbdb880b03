//! `EVFILT_TIMER`: a timerfd, which counts.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::kqueue::abi::{self, kevent};
use crate::kqueue::knote::Found;
use crate::linux::{self, Errno, Result};

#[derive(Debug)]
pub(in crate::kqueue) struct Timer {
    fd: OwnedFd,
    clock: i32,
    /// How many periods were found to be over, and not cleared.
    expired: i64,
}

const UNITS: u32 = abi::NOTE_SECONDS | abi::NOTE_MSECONDS | abi::NOTE_USECONDS | abi::NOTE_NSECONDS;

impl Timer {
    pub(in crate::kqueue) fn new(change: &kevent) -> Result<Timer> {
        let clock = clock(change);
        let timer = Timer { fd: linux::timerfd(clock)?, clock, expired: 0 };
        timer.start(change)?;
        Ok(timer)
    }

    /// Set anew: what has expired and was not reported is forgotten.
    pub(in crate::kqueue) fn set(&mut self, change: &kevent) -> Result<()> {
        self.start(change)?;
        self.expired = 0;
        Ok(())
    }

    /// Whether it is a time of day: it stays over until it is deleted or set again.
    pub(in crate::kqueue) fn is_of_day(&self) -> bool {
        self.clock == libc::CLOCK_REALTIME
    }

    /// Whether it takes another timerfd.
    pub(in crate::kqueue) fn is_of_other_clock(&self, change: &kevent) -> bool {
        clock(change) != self.clock
    }

    fn start(&self, change: &kevent) -> Result<()> {
        let amount = u64::try_from(change.data).map_err(|_| Errno(libc::EINVAL))?;
        let time = match change.fflags & UNITS {
            abi::NOTE_SECONDS => Duration::from_secs(amount),
            0 | abi::NOTE_MSECONDS => Duration::from_millis(amount),
            abi::NOTE_USECONDS => Duration::from_micros(amount),
            abi::NOTE_NSECONDS => Duration::from_nanos(amount),
            _ => return Err(Errno(libc::EINVAL)),
        };
        if change.fflags & abi::NOTE_ABSTIME != 0 {
            return linux::set_timer(&self.fd, libc::TFD_TIMER_ABSTIME, time, None);
        }
        // A period of nothing is one of the least there is.
        let period = time.max(Duration::from_nanos(1));
        let is_periodic = change.flags & abi::EV_ONESHOT == 0;
        linux::set_timer(&self.fd, 0, time, is_periodic.then_some(period))
    }

    pub(in crate::kqueue) fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// `data` is the number of periods since the last report.
    pub(in crate::kqueue) fn look(&mut self) -> Option<Found> {
        let count = i64::try_from(linux::count(&self.fd)).unwrap_or(i64::MAX);
        self.expired = self.expired.saturating_add(count);
        self.has_expired().then_some(Found { data: self.expired, ..Found::default() })
    }

    pub(in crate::kqueue) fn has_expired(&self) -> bool {
        self.expired > 0
    }

    pub(in crate::kqueue) fn clear(&mut self) {
        self.expired = 0;
    }
}

fn clock(change: &kevent) -> i32 {
    if change.fflags & abi::NOTE_ABSTIME != 0 {
        libc::CLOCK_REALTIME
    } else {
        libc::CLOCK_MONOTONIC
    }
}
