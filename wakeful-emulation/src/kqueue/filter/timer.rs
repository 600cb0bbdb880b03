//! `EVFILT_TIMER`: a timerfd, which counts; or, where there is no descriptor left for it, a deadline in memory.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::kqueue::abi::{self, kevent};
use crate::kqueue::knote::Found;
use crate::linux::{self, Errno, Result};

#[derive(Debug)]
pub(in crate::kqueue) struct Timer {
    /// `None` for one that is due by the timerfd of its clock.
    fd: Option<OwnedFd>,
    clock: i32,
    /// When it is due next, without a timerfd of its own; `None` after it has expired once and for all.
    deadline: Option<Duration>,
    period: Option<Duration>,
    /// How many periods were found to be over, and not cleared.
    expired: i64,
}

const UNITS: u32 = abi::NOTE_SECONDS | abi::NOTE_MSECONDS | abi::NOTE_USECONDS | abi::NOTE_NSECONDS;

impl Timer {
    pub(in crate::kqueue) fn new(change: &kevent) -> Result<Timer> {
        let clock = clock(change);
        let fd = match linux::own_timerfd(clock) {
            Ok(fd) => Some(fd),
            Err(Errno(libc::EMFILE | libc::ENFILE)) => None,
            Err(error) => return Err(error),
        };
        let mut timer = Timer { fd, clock, deadline: None, period: None, expired: 0 };
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

    fn start(&mut self, change: &kevent) -> Result<()> {
        let amount = u64::try_from(change.data).map_err(|_| Errno(libc::EINVAL))?;
        let time = match change.fflags & UNITS {
            abi::NOTE_SECONDS => Duration::from_secs(amount),
            0 | abi::NOTE_MSECONDS => Duration::from_millis(amount),
            abi::NOTE_USECONDS => Duration::from_micros(amount),
            abi::NOTE_NSECONDS => Duration::from_nanos(amount),
            _ => return Err(Errno(libc::EINVAL)),
        };
        let is_of_day = change.fflags & abi::NOTE_ABSTIME != 0;
        // A period of nothing is one of the least there is.
        let period = time.max(Duration::from_nanos(1));
        let is_periodic = !is_of_day && change.flags & abi::EV_ONESHOT == 0;
        let period = is_periodic.then_some(period);
        if let Some(fd) = &self.fd {
            let flags = if is_of_day { libc::TFD_TIMER_ABSTIME } else { 0 };
            return linux::set_timer(fd, flags, time, period);
        }
        let start = if is_of_day { Duration::ZERO } else { linux::now(self.clock)? };
        self.deadline = Some(start.saturating_add(time));
        self.period = period;
        Ok(())
    }

    pub(in crate::kqueue) fn raw_fd(&self) -> Option<RawFd> {
        self.fd.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// When it is due, and by which clock, if it has no timerfd of its own.
    pub(in crate::kqueue) fn shared_deadline(&self) -> Option<(i32, Duration)> {
        self.deadline.map(|deadline| (self.clock, deadline))
    }

    /// The timerfd of its clock has expired. Whether it was due then: it may have been set anew since.
    pub(in crate::kqueue) fn expire(&mut self, due: Duration) -> Result<bool> {
        if self.deadline != Some(due) {
            return Ok(false);
        }
        let late = linux::now(self.clock)?.saturating_sub(due);
        let more = self.period.map(|period| late.as_nanos() / period.as_nanos().max(1));
        let count = i64::try_from(more.unwrap_or(0)).unwrap_or(i64::MAX).saturating_add(1);
        self.expired = self.expired.saturating_add(count);
        self.deadline = self.period.map(|period| {
            // From here on, if it is as many periods as that.
            let passed = u32::try_from(count).map(|count| period.saturating_mul(count));
            due.saturating_add(passed.unwrap_or_else(|_| late.saturating_add(period)))
        });
        Ok(true)
    }

    /// Returns the number of periods since the last report.
    pub(in crate::kqueue) fn look(&mut self) -> Result<Option<Found>> {
        if let Some(fd) = &self.fd {
            let count = i64::try_from(linux::count(fd)?).unwrap_or(i64::MAX);
            self.expired = self.expired.saturating_add(count);
        }
        let found = Found { data: self.expired, ..Found::default() };
        Ok((self.expired > 0).then_some(found))
    }

    /// Whether it has expired as far as is known in memory.
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
