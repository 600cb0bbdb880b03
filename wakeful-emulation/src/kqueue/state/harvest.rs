//! Queuing the knotes of what has happened, in the order in which it did.

use std::os::fd::{AsRawFd, RawFd};

use super::{BELL, EXCEPTS, FILES, FIRST_KNOTE, MANY, READS, State, WRITES};
use crate::kqueue::clocks;
use crate::kqueue::knote::{Key, Knote, Source};
use crate::linux::{self, Result};

impl State {
    /// Queues what has happened since the last time, in its order.
    ///
    /// # Errors
    ///
    /// Those of the calls that find out. What is known by then is queued.
    pub(in crate::kqueue) fn harvest(&mut self, first: RawFd, most: usize) -> Result<()> {
        while let Some(&key) = self.untold.last() {
            match self.arm(key, first) {
                Err(error) if !error.says_closed() => return Err(error),
                _ => self.untold.pop(),
            };
        }
        if !self.unexplained.is_empty() {
            self.harvest_files()?;
        }
        self.clocks.settle()?;
        let mut has_sides = false;
        for number in linux::ready(first, most.saturating_add(FIRST_KNOTE as usize))? {
            match number {
                BELL => {}
                READS | WRITES | EXCEPTS => {
                    has_sides = true;
                    self.harvest_side(number, first, most)?;
                }
                FILES => self.harvest_files()?,
                number => self.activate_ready(number),
            }
        }
        if has_sides {
            // A side that has nothing left leaves the list of the first epoll only when it is
            // asked, and would keep its place before what happens next.
            let _ = linux::poll_now(first, libc::POLLIN);
        }
        self.harvest_offsets();
        self.harvest_signals()
    }

    fn harvest_side(&mut self, side: u64, first: RawFd, most: usize) -> Result<()> {
        let epoll = self.sides.get(&side).map(AsRawFd::as_raw_fd);
        let found = epoll.map(|epoll| linux::ready(epoll, most)).transpose()?.unwrap_or_default();
        let is_stranger = |number: &u64| *number >= FIRST_KNOTE && !self.keys.contains_key(number);
        let has_stranger = found.iter().any(is_stranger);
        for number in found {
            match number {
                clocks::MONOTONIC | clocks::REALTIME => self.harvest_clock(number)?,
                number => self.activate_ready(number),
            }
        }
        if has_stranger {
            // Without descriptors for it, it is tried again the next time.
            let _ = self.make_anew(side, first);
        }
        Ok(())
    }

    /// Queues the timers that have no timerfd of their own, and are due.
    fn harvest_clock(&mut self, clock: u64) -> Result<()> {
        let mut failed = None;
        for (due, number) in self.clocks.take(clock)? {
            let key = self.keys.get(&number);
            let knote = key.and_then(|key| self.knotes.get_mut(key));
            let Some(Source::Timer(timer)) = knote.map(|knote| &mut knote.source) else {
                continue;
            };
            let expired = timer.expire(due);
            let next = timer.shared_deadline();
            match expired {
                Ok(false) => continue,
                Ok(true) => self.activate(number),
                Err(error) => failed = Some(error),
            }
            if let Some((clock, deadline)) = next {
                failed = self.clocks.insert(clock, deadline, number).err().or(failed);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Queues the knotes of the files to which something has happened.
    pub(in crate::kqueue) fn harvest_files(&mut self) -> Result<()> {
        for number in self.hear()? {
            self.activate_heard(number);
        }
        Ok(())
    }

    /// Queues the knotes of the signals that have come. Each call looks at all of them: the program
    /// may have set another disposition.
    fn harvest_signals(&mut self) -> Result<()> {
        let mut result = Ok(());
        for number in self.signals.clone() {
            let key = self.keys.get(&number);
            let knote = key.and_then(|key| self.knotes.get_mut(key));
            let Some(Source::Signal(signal)) = knote.map(|knote| &mut knote.source) else {
                continue;
            };
            match signal.keep() {
                Ok(true) => self.activate(number),
                Ok(false) => {}
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Queues the knotes of the files whose offset was moved back since they were looked at.
    fn harvest_offsets(&mut self) {
        let moved_back = |number: &u64| self.knote(*number).is_some_and(Knote::has_moved_back);
        let numbers: Vec<u64> = self.files_read.iter().copied().filter(moved_back).collect();
        for number in numbers {
            self.activate(number);
        }
    }

    /// Queues a knote that was registered just now, if epoll finds it ready: a kernel asks the
    /// filter when the event is added. What is true in memory is not asked for here.
    pub(in crate::kqueue) fn activate_new(&mut self, key: Key, first: RawFd) {
        let Some(knote) = self.knotes.get(&key).filter(|knote| knote.is_enabled) else {
            return;
        };
        let number = knote.number;
        match (knote.side(), knote.watched()) {
            // What epoll tells of by level it tells of again: one look is less than taking in a
            // side.
            (_, Some((fd, events))) if events & libc::EPOLLET == 0 => {
                if linux::poll_now(fd, events as i16).is_ok_and(|ready| ready != 0) {
                    self.activate_ready(number);
                }
            }
            // What fails here is found out by the next scan: an epoll that was not asked forgets
            // nothing.
            (Some(side), _) => drop(self.harvest_side(side, first, MANY)),
            (None, _) => {}
        }
    }

    /// Queues a knote: once until a scan has looked at it, however often it becomes true.
    pub(in crate::kqueue) fn activate(&mut self, number: u64) {
        let key = self.keys.get(&number);
        let Some(knote) = key.and_then(|key| self.knotes.get_mut(key)) else {
            return;
        };
        if knote.is_enabled && !std::mem::replace(&mut knote.is_queued, true) {
            self.active.push_back(number);
            self.activations += 1;
        }
    }

    /// Queues a knote that epoll reports. What only a clock has moved must be true, too.
    fn activate_ready(&mut self, number: u64) {
        let key = self.keys.get(&number);
        let knote = key.and_then(|key| self.knotes.get_mut(key));
        let is_idle = |knote: &mut Knote| knote.has_clock() && matches!(knote.look(), Ok(None));
        if !knote.is_some_and(is_idle) {
            self.activate(number);
        }
    }

    /// Queues a knote to whose file something has happened, if it is what the knote is for.
    fn activate_heard(&mut self, number: u64) {
        if self.knote(number).is_some_and(Knote::is_true_in_memory) {
            self.activate(number);
        }
    }

    fn knote(&self, number: u64) -> Option<&Knote> {
        self.knotes.get(self.keys.get(&number)?)
    }
}
