//! When registrations are looked at again whose edge the kernel cannot make.
//!
//! An edge is made of a level by waiting again once the source was drained. Of some registrations
//! the backend does not learn that: of bare descriptors, which others read; of a source whose
//! operation failed before it was drained; and of one whose error or hang-up stays, since poll(2)
//! reports both whatever it is asked for. Such a registration is rechecked, with a zero-timeout
//! poll(2) of all that are due. What is no longer ready is armed, and nothing was missed. What
//! still is ready was left undrained, or was drained and has become ready since: it is reported
//! again, at once if the number of unread bytes says that something has happened, and otherwise
//! after [`REPORT_AFTER`], or, if the source was found drained before, after [`REPORT_EARLY`]. The
//! interval doubles up to [`LONGEST`], so nothing is lost, and nothing spins.

use std::collections::BTreeSet;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use wakeful_kernel::poll::{PollFd, poll};
use wakeful_kernel::readiness::Readiness;

use super::{Entry, Table};
use crate::event::Event;

/// What a recheck is about. Each has an interval of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// Something to read was reported.
    Read,
    /// Room to write was reported.
    Write,
    /// An error or a hang-up was reported.
    End,
}

impl Reason {
    pub(super) const ALL: [Reason; 3] = [Reason::Read, Reason::Write, Reason::End];

    /// What was reported.
    pub(super) fn readiness(self) -> Readiness {
        match self {
            Reason::Read => Readiness::IN | Readiness::PRI,
            Reason::Write => Readiness::OUT,
            Reason::End => STICKY,
        }
    }
}

/// What poll(2) reports whatever it is asked for.
pub(super) const STICKY: Readiness = Readiness::ERR.union(Readiness::HUP);

/// The unit of time: the shortest interval, about as long as another thread takes to drain what was
/// reported.
const TICK: Duration = Duration::from_nanos(1_000_000 / 16);

/// What stays ready without a sign of activity is not reported again before that.
const REPORT_AFTER: u64 = ticks(Duration::from_millis(32));

/// The same, once for each time that the source was found drained.
const REPORT_EARLY: u64 = ticks(Duration::from_millis(1));

/// For how many times that is remembered.
const MOST_CREDIT: u8 = 4;

/// The longest interval, at which all registrations are rechecked together.
pub(in crate::backend) const LONGEST: Duration = Duration::from_millis(128);

const fn ticks(duration: Duration) -> u64 {
    (duration.as_nanos() / TICK.as_nanos()) as u64
}

/// The next recheck of a registration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recheck {
    /// In ticks since the [`Schedule`] began. Zero: before the next wait.
    due: u64,
    /// In ticks; doubled by each recheck that finds no change.
    interval: u64,
    /// It was reported right before, which is not repeated without need.
    is_fresh: bool,
    /// How many bytes were unread at the last report or recheck, if the descriptor counts them.
    unread: Option<usize>,
}

impl Recheck {
    /// Before the next wait.
    pub(super) fn at_once(unread: Option<usize>) -> Recheck {
        Recheck { due: 0, interval: 0, is_fresh: true, unread }
    }

    pub(super) fn is_due(&self, now: u64) -> bool {
        self.due <= now
    }
}

/// What came of a recheck, for the backend to act on.
#[derive(Debug, Default)]
pub(in crate::backend) struct Rechecked {
    /// The kernel is to wait for other readiness of these.
    pub(in crate::backend) changed: Vec<RawFd>,
    /// These were closed without a word; their registrations are gone.
    pub(in crate::backend) closed: Vec<RawFd>,
}

/// All rechecks of a poller, by time.
#[derive(Debug)]
pub(super) struct Schedule {
    epoch: Instant,
    queue: BTreeSet<(u64, RawFd, Reason)>,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule { epoch: Instant::now(), queue: BTreeSet::new() }
    }
}

impl Schedule {
    /// In ticks since it began.
    fn now(&self) -> u64 {
        ticks(self.epoch.elapsed())
    }

    /// Replaces what is scheduled in `place`, which belongs to this descriptor and reason.
    pub(super) fn set(
        &mut self,
        place: &mut Option<Recheck>,
        fd: RawFd,
        reason: Reason,
        recheck: Option<Recheck>,
    ) {
        if let Some(earlier) = place.take() {
            self.queue.remove(&(earlier.due, fd, reason));
        }
        if let Some(recheck) = recheck {
            self.queue.insert((recheck.due, fd, reason));
            *place = Some(recheck);
        }
    }

    /// A tick from now, or less.
    pub(super) fn soon(&self, unread: Option<usize>) -> Recheck {
        Recheck { due: self.now() + 1, interval: 1, is_fresh: false, unread }
    }

    /// After a recheck that found what it is about unchanged.
    pub(super) fn after(&self, recheck: Recheck, unread: Option<usize>) -> Recheck {
        let interval = (recheck.interval * 2).clamp(1, ticks(LONGEST));
        // At a multiple of the interval, so that those with the same are due together.
        let due = (self.now() / interval + 1) * interval;
        Recheck { due, interval, is_fresh: false, unread }
    }

    /// The time, and the descriptors that are due, once each.
    pub(super) fn due(&self) -> (u64, Vec<RawFd>) {
        if self.queue.is_empty() {
            return (0, Vec::new());
        }
        let now = self.now();
        let due = self.queue.iter().take_while(|&&(due, ..)| due <= now);
        let mut due: Vec<RawFd> = due.map(|&(_, fd, _)| fd).collect();
        due.sort_unstable();
        due.dedup();
        (now, due)
    }

    /// How long a wait may last.
    pub(super) fn longest_wait(&self) -> Option<Duration> {
        let &(due, ..) = self.queue.first()?;
        // Beyond what can be counted in nanoseconds, after centuries, it is too early, which does
        // no harm.
        let due = Duration::from_nanos(due.saturating_mul(TICK.as_nanos() as u64));
        Some(due.saturating_sub(self.epoch.elapsed()))
    }
}

impl Entry {
    /// The source was found drained, or its unread bytes have changed: the program reads on.
    fn give_credit(&mut self, reason: Reason, is_due: bool) {
        let credit = &mut self.credit[reason as usize];
        if self.is_bare && is_due {
            *credit = (*credit + 1).min(MOST_CREDIT);
        }
    }

    /// What becomes of a direction that is still ready: the next recheck, and whether it is
    /// reported.
    fn still_ready(
        &mut self,
        reason: Reason,
        recheck: Recheck,
        schedule: &Schedule,
    ) -> (Recheck, bool) {
        let unread = self.unread(reason);
        let has_moved = unread.is_some() && unread != recheck.unread;
        self.give_credit(reason, has_moved);
        if has_moved {
            return (Recheck::at_once(unread), true);
        }
        let credit = &mut self.credit[reason as usize];
        if recheck.is_fresh || recheck.interval < REPORT_EARLY {
            return (schedule.after(recheck, unread), false);
        }
        if *credit > 0 {
            *credit -= 1;
            return (Recheck::at_once(unread), true);
        }
        if recheck.interval < REPORT_AFTER {
            return (schedule.after(recheck, unread), false);
        }
        (Recheck { due: 0, is_fresh: true, ..recheck }, true)
    }
}

impl Table {
    /// Looks at the registrations that are due, and reports those of which the kernel cannot.
    pub(in crate::backend) fn recheck(&mut self, events: &mut Vec<Event>) -> Rechecked {
        let mut rechecked = Rechecked::default();
        let (time, due) = self.schedule.due();
        if due.is_empty() {
            return rechecked;
        }
        let asked = |fd: &RawFd| self.entries[self.index[fd]].wanted() | Readiness::RDHUP;
        let mut fds: Vec<_> = due.iter().map(|fd| PollFd::from_raw(*fd, asked(fd))).collect();
        // In a small buffer the kernel's events come first every second time.
        self.rechecks_first = !self.rechecks_first;
        let room = events.capacity() - events.len();
        let share = if room > 2 { room / 3 } else { room.min(self.rechecks_first.into()) };
        let most = events.len() + share;
        let is_known = poll(&mut fds, Some(Duration::ZERO)).is_ok();
        for found in fds {
            let fd = found.raw_fd();
            let Some(&index) = self.index.get(&fd) else { continue };
            if events.len() == most {
                break;
            }
            if found.readiness().contains(Readiness::NVAL) {
                self.forget(fd);
                rechecked.closed.push(fd);
                continue;
            }
            let entry = &mut self.entries[index];
            let before = (entry.armed, entry.stuck);
            // If it is not known, it is as it was.
            let as_it_was = (entry.wanted() - entry.armed) | entry.stuck;
            let now = if is_known { found.readiness() } else { as_it_was };
            let of_end = self.recheck_end(index, now, time);
            let report = of_end | self.recheck_directions(index, now, time);
            let entry = &mut self.entries[index];
            if !report.is_empty() {
                events.push(entry.event(report));
            }
            if (entry.armed, entry.stuck) != before {
                entry.is_associated = false;
                rechecked.changed.push(fd);
            }
        }
        rechecked
    }

    /// How long a wait may last until a registration is to be rechecked.
    pub(in crate::backend) fn longest_wait(&self) -> Option<Duration> {
        self.schedule.longest_wait()
    }

    /// Ends what is over; answers with what has come to what is stuck.
    fn recheck_end(&mut self, index: usize, now: Readiness, time: u64) -> Readiness {
        let entry = &mut self.entries[index];
        let (armed, stuck) = (entry.armed, entry.stuck);
        entry.armed |= entry.wanted() - now;
        if stuck.is_empty() {
            return Readiness::empty();
        }
        if entry.unstick(now) {
            // From here on the kernel reports it.
            self.cancel(index, &[Reason::End]);
            return Readiness::empty();
        }
        let report = (now & armed) | ((now & STICKY) - stuck);
        if !report.is_empty() {
            entry.stuck = now & STICKY;
            entry.armed -= report;
            self.end_reported(index, now);
            return report | (now & STICKY);
        }
        let recheck = entry.rechecks[Reason::End as usize].filter(|recheck| recheck.is_due(time));
        if let Some(recheck) = recheck {
            let next = self.schedule.after(recheck, None);
            self.set_recheck(index, Reason::End, Some(next));
        }
        report
    }

    /// Answers with the directions that are to be reported again.
    fn recheck_directions(&mut self, index: usize, now: Readiness, time: u64) -> Readiness {
        let mut report = Readiness::empty();
        for reason in [Reason::Read, Reason::Write] {
            let entry = &self.entries[index];
            let Some(recheck) = entry.rechecks[reason as usize] else { continue };
            let ready = (now & entry.wanted() & reason.readiness()) - entry.armed;
            let is_last = reason == Reason::Read && now.contains(Readiness::RDHUP);
            let is_drained = ready.is_empty();
            if is_drained || (is_last && !entry.armed.contains(Readiness::RDHUP)) {
                self.entries[index].give_credit(reason, is_drained);
                self.cancel(index, &[reason]);
                continue;
            }
            if !recheck.is_due(time) {
                continue;
            }
            let (next, is_reported) =
                self.entries[index].still_ready(reason, recheck, &self.schedule);
            if is_reported {
                report |= ready;
            }
            self.set_recheck(index, reason, Some(next));
        }
        report
    }
}
