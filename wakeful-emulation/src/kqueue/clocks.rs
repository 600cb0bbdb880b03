//! Timers without a timerfd of their own: at the limit of descriptors one timerfd serves all timers of a clock.
//!
//! A kernel's timers need no descriptor, so adding one does not fail for want of it. A timer that could have no timerfd
//! has a deadline in memory; the timerfd of its clock is set to the earliest.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::linux::{self, Result};

/// What epoll calls the timerfds of the clocks.
pub(super) const MONOTONIC: u64 = 5;
pub(super) const REALTIME: u64 = 6;

/// When each timer is due, by its clock.
#[derive(Debug, Default)]
pub(super) struct Clocks(BTreeMap<i32, Clock>);

#[derive(Debug)]
struct Clock {
    fd: OwnedFd,
    /// Deadlines and the numbers of knotes. One that was set anew since stays here, and is passed over when it is due.
    due: BTreeSet<(Duration, u64)>,
    /// The timerfd is set to the earliest.
    is_set: bool,
}

/// How epoll calls a clock.
pub(super) fn number(clock: i32) -> u64 {
    if clock == libc::CLOCK_REALTIME { REALTIME } else { MONOTONIC }
}

impl Clocks {
    /// The timerfd of a clock, which is made if there is none: it is to be put into the epoll then.
    ///
    /// # Errors
    ///
    /// There is no descriptor for it.
    pub(super) fn open(&mut self, clock: i32) -> Result<Option<RawFd>> {
        if self.0.contains_key(&clock) {
            return Ok(None);
        }
        let fd = linux::timerfd(clock)?;
        let raw = fd.as_raw_fd();
        self.0.insert(clock, Clock { fd, due: BTreeSet::new(), is_set: true });
        Ok(Some(raw))
    }

    pub(super) fn close(&mut self, clock: i32) {
        self.0.remove(&clock);
    }

    /// Those that there are, with how epoll calls them.
    pub(super) fn fds(&self) -> impl Iterator<Item = (RawFd, u64)> {
        self.0.iter().map(|(&clock, it)| (it.fd.as_raw_fd(), number(clock)))
    }

    /// A timer is due at this time of its clock.
    pub(super) fn insert(&mut self, clock: i32, deadline: Duration, knote: u64) -> Result<()> {
        let Some(clock) = self.0.get_mut(&clock) else {
            return Ok(());
        };
        clock.due.insert((deadline, knote));
        clock.set()
    }

    /// Sets the timerfds that could not be set before.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.0.values_mut().filter(|clock| !clock.is_set).try_for_each(Clock::set)
    }

    /// Takes those that are due by now, of a clock that has expired.
    ///
    /// # Errors
    ///
    /// Those of reading and setting the timerfd. They stay due.
    pub(super) fn take(&mut self, clock: u64) -> Result<Vec<(Duration, u64)>> {
        let found = self.0.iter_mut().find(|(it, _)| number(**it) == clock);
        let Some((&id, clock)) = found else {
            return Ok(Vec::new());
        };
        let now = linux::now(id)?;
        let later = clock.due.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut clock.due, later);
        if let Err(error) = linux::count(&clock.fd).and_then(|_| clock.set()) {
            clock.due.extend(due);
            return Err(error);
        }
        Ok(due.into_iter().collect())
    }
}

impl Clock {
    fn set(&mut self) -> Result<()> {
        let result = match self.due.first() {
            Some(&(deadline, _)) => {
                linux::set_timer(&self.fd, libc::TFD_TIMER_ABSTIME, deadline, None)
            }
            None => Ok(()),
        };
        self.is_set = result.is_ok();
        result
    }
}
