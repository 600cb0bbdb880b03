//! The registrations of backends whose kernel knows no edge: poll(2), and event ports.

mod recheck;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use wakeful_kernel::descriptor::{self, Identity};
use wakeful_kernel::pipe::pipe;
use wakeful_kernel::poll::{PollFd, raw_ready_now};
use wakeful_kernel::readiness::Readiness;

pub(super) use self::recheck::{LONGEST, Rechecked};
use self::recheck::{Reason, Recheck, STICKY, Schedule};
use crate::event::Event;
use crate::rearm::{Cause, Direction};
use crate::{Interest, Token, Trigger};

#[derive(Debug)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
    /// Where each descriptor's entry is.
    index: HashMap<RawFd, usize>,
    /// Distinguishes a registration from an earlier one of the same descriptor.
    next_generation: u64,
    schedule: Schedule,
    /// Whether in a buffer that is too small for all it is the rechecks' turn.
    rechecks_first: bool,
    /// A pipe without a name, if the system tells those from named ones by their device.
    pipe: Option<Identity>,
}

#[derive(Debug)]
pub(super) struct Entry {
    fd: RawFd,
    identity: Identity,
    token: Token,
    interest: Interest,
    /// Whether others read and write it, and close it without a word.
    is_bare: bool,
    /// What is yet to be reported.
    armed: Readiness,
    /// An error or a hang-up that was reported and has not ended. The kernel does not wait for the
    /// registration until it has, because it would report the same again.
    stuck: Readiness,
    /// What is stuck cannot end.
    is_over: bool,
    /// A one-shot that was reported is passed over until it is registered again.
    has_fired: bool,
    /// An operation would have blocked since the kernel began to wait, so what it found may be
    /// stale.
    was_drained: bool,
    pub(super) generation: u64,
    /// The kernel waits for it, as far as event ports are concerned: until there is an event.
    is_associated: bool,
    /// By [`Reason`].
    rechecks: [Option<Recheck>; 3],
    /// How many times each direction may be reported early.
    credit: [u8; 3],
}

/// What the kernel is to wait for.
#[cfg_attr(not(backend = "event-ports"), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) readiness: Readiness,
    pub(super) generation: u64,
}

impl Entry {
    pub(super) fn poll_fd(&mut self) -> PollFd<'static> {
        self.was_drained = false;
        // poll(2) passes over negative descriptors.
        PollFd::from_raw(if self.is_waited_for() { self.fd } else { -1 }, self.armed)
    }

    fn is_waited_for(&self) -> bool {
        !self.has_fired && self.stuck.is_empty()
    }

    fn wanted(&self) -> Readiness {
        wanted(self.interest)
    }

    fn is_edge(&self) -> bool {
        self.interest.trigger() == Trigger::Edge
    }

    /// What it is ready for right now, the end of the peer's stream included, if that can be found
    /// out.
    fn ready_now(&self) -> Option<Readiness> {
        let ready = raw_ready_now(self.fd, self.wanted() | Readiness::RDHUP).ok()?;
        (!ready.contains(Readiness::NVAL)).then_some(ready)
    }

    /// Ends what is stuck as far as it is over; answers whether all of it is.
    fn unstick(&mut self, now: Readiness) -> bool {
        let before = self.stuck;
        self.stuck &= now;
        if (before - self.stuck).contains(Readiness::HUP) {
            // It is connected, or open at the other end, for the first time or again.
            self.armed |= self.wanted();
        }
        self.stuck.is_empty()
    }

    /// The bytes that tell whether something has happened since a direction was reported.
    fn unread(&self, reason: Reason) -> Option<usize> {
        // The other direction of a socket has bytes of its own.
        let counts = reason == Reason::Read || self.identity.is_pipe();
        if counts { descriptor::bytes_to_read(self.fd).ok() } else { None }
    }

    /// What is found, as epoll would say it.
    fn event(&self, found: Readiness) -> Event {
        let mut readiness = found & (self.wanted() | STICKY);
        if found.contains(Readiness::RDHUP) {
            readiness |= self.wanted() & Readiness::IN;
        }
        Event::new(readiness, self.token)
    }
}

impl Table {
    /// A table that tells anonymous pipes from named ones by this one of them, or else by a new
    /// one.
    pub(super) fn new(anonymous: Option<Identity>) -> Table {
        let new_pipe = || pipe().ok().and_then(|(reader, _)| identity(&reader).ok());
        Table {
            entries: Vec::new(),
            index: HashMap::new(),
            next_generation: 0,
            schedule: Schedule::default(),
            rechecks_first: false,
            pipe: anonymous.or_else(new_pipe),
        }
    }

    pub(super) fn insert(
        &mut self,
        fd: RawFd,
        identity: Identity,
        token: Token,
        interest: Interest,
        is_bare: bool,
    ) -> io::Result<()> {
        if let Some(&index) = self.index.get(&fd) {
            let earlier = &self.entries[index];
            // Of a bare one that shares its identity with others nothing tells whether it is the
            // same.
            let is_known = !earlier.is_bare || self.is_unique(&identity);
            if earlier.identity == identity && is_known {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
            // The number was closed without a word, and means another file now.
            self.forget(fd);
        }
        let generation = self.new_generation();
        self.index.insert(fd, self.entries.len());
        self.entries.push(Entry {
            fd,
            identity,
            token,
            interest,
            is_bare,
            armed: wanted(interest),
            stuck: Readiness::empty(),
            is_over: false,
            has_fired: false,
            was_drained: false,
            generation,
            is_associated: false,
            rechecks: [None; 3],
            credit: [0; 3],
        });
        Ok(())
    }

    /// # Errors
    ///
    /// `EBADF`: the number is not open. `ENOENT`: its file is not registered.
    pub(super) fn replace(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let index = self.index.get(&fd).copied().ok_or_else(|| not_registered(fd))?;
        let generation = self.new_generation();
        self.cancel(index, &Reason::ALL);
        let entry = &mut self.entries[index];
        entry.token = token;
        entry.interest = interest;
        entry.armed = wanted(interest);
        entry.stuck = Readiness::empty();
        entry.is_over = false;
        entry.has_fired = false;
        entry.was_drained = false;
        entry.credit = [0; 3];
        entry.generation = generation;
        entry.is_associated = false;
        Ok(())
    }

    /// # Errors
    ///
    /// As [`replace`](Table::replace).
    pub(super) fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        if self.forget(fd) { Ok(()) } else { Err(not_registered(fd)) }
    }

    /// Ends the registration of another file that had this number and was closed without a word, if
    /// there is one.
    ///
    /// # Errors
    ///
    /// What prevents to find out.
    pub(super) fn forget_closed(&mut self, fd: RawFd) -> io::Result<bool> {
        let Some(&index) = self.index.get(&fd) else {
            return Ok(false);
        };
        let entry = &self.entries[index];
        if !entry.is_bare {
            // Its type would have said so.
            return Ok(false);
        }
        let is_same = match Identity::of(fd).map_err(io::Error::from) {
            Ok(now) => now == entry.identity,
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => false,
            Err(error) => return Err(error),
        };
        Ok(!is_same && self.forget(fd))
    }

    /// Ends the registration by this number, if there is one.
    pub(super) fn forget(&mut self, fd: RawFd) -> bool {
        let Some(&index) = self.index.get(&fd) else {
            return false;
        };
        self.cancel(index, &Reason::ALL);
        self.index.remove(&fd);
        self.entries.swap_remove(index);
        if let Some(moved) = self.entries.get(index) {
            self.index.insert(moved.fd, index);
        }
        true
    }

    /// The type that would have said when it is drained and closed has given the descriptor away.
    pub(super) fn disown(&mut self, fd: RawFd) -> bool {
        let Some(&index) = self.index.get(&fd) else {
            return false;
        };
        let entry = &mut self.entries[index];
        entry.is_bare = true;
        let reported = entry.wanted() - entry.armed;
        let reasons = [Reason::Read, Reason::Write].into_iter();
        let reasons = reasons.filter(|reason| reported.intersects(reason.readiness()));
        let is_edge = entry.is_edge();
        reasons.filter(|_| is_edge).map(|reason| self.recheck_soon(index, reason)).count() > 0
    }

    /// Takes note that this was found; answers with what to report, unless the registration has
    /// changed since the wait began.
    pub(super) fn take(&mut self, fd: RawFd, generation: u64, found: Readiness) -> Option<Event> {
        let index = self.current(fd, generation)?;
        let entry = &mut self.entries[index];
        match entry.interest.trigger() {
            Trigger::Level => return Some(entry.event(found)),
            Trigger::Oneshot | Trigger::EdgeOneshot => {
                entry.has_fired = true;
                return Some(entry.event(found));
            }
            Trigger::Edge => {}
        }
        let mut all = found;
        if found.intersects(STICKY | Readiness::RDHUP) {
            // What was reported before belongs to it, as it does under epoll.
            let now = entry.ready_now().unwrap_or(found);
            all |= now;
            entry.stuck = now & STICKY;
        }
        entry.armed -= all;
        let event = entry.event(all);
        if !entry.stuck.is_empty() {
            self.end_reported(index, all);
        }
        for reason in [Reason::Read, Reason::Write] {
            let entry = &self.entries[index];
            let is_last = reason == Reason::Read && all.contains(Readiness::RDHUP);
            let is_reported = all.intersects(entry.wanted() & reason.readiness()) && !is_last;
            if is_reported && entry.is_bare && !entry.is_over {
                let unread = entry.unread(reason);
                self.set_recheck(index, reason, Some(Recheck::at_once(unread)));
            }
        }
        Some(event)
    }

    /// Whether a registration was drained after the kernel began to wait, so that what it found may
    /// be stale.
    pub(super) fn was_drained(&self, fd: RawFd, generation: u64) -> bool {
        self.current(fd, generation).is_some_and(|index| self.entries[index].was_drained)
    }

    /// The registration turned out to be of a number that is not open, unless it is not the same as
    /// when the wait began.
    pub(super) fn forget_current(&mut self, fd: RawFd, generation: u64) -> bool {
        self.current(fd, generation).is_some() && self.forget(fd)
    }

    /// Arms a direction of an edge-triggered registration; answers whether the kernel is to wait
    /// for something else, or until another time.
    pub(super) fn rearm(&mut self, fd: RawFd, direction: Direction, cause: Cause) -> bool {
        let Some(&index) = self.index.get(&fd) else {
            return false;
        };
        let entry = &mut self.entries[index];
        if !entry.is_edge() {
            return false;
        }
        let reasons: &[Reason] = match direction {
            Direction::Read => &[Reason::Read],
            Direction::Write => &[Reason::Write],
            Direction::Any => &[Reason::Read, Reason::Write],
        };
        let mut of_direction = entry.wanted() & directions(direction);
        if (of_direction - entry.armed).contains(Readiness::RDHUP) {
            // The end was reported. It stays, and it is the last.
            of_direction -= Readiness::IN | Readiness::RDHUP;
        }
        let before = (entry.armed, entry.stuck);
        let asks = !entry.stuck.is_empty() || cause != Cause::Drained;
        // If the answer is not known, everything is as it was.
        let now = asks.then(|| entry.ready_now()).flatten().unwrap_or(entry.wanted() | STICKY);
        let is_free = entry.unstick(now);
        if cause == Cause::Drained {
            entry.was_drained = true;
            entry.armed |= of_direction;
        } else {
            // What has failed may have left something. It is not reported at once, or what fails
            // again and again would be.
            entry.armed |= of_direction - now;
        }
        let mut is_changed = (entry.armed, entry.stuck) != before;
        let is_over = entry.is_over && !is_free;
        let left = (of_direction & now & Reason::Read.readiness()) - entry.armed;
        match cause {
            Cause::Drained => self.cancel(index, reasons),
            Cause::Failed if !left.is_empty() && !is_over => {
                is_changed |= self.recheck_soon(index, Reason::Read);
            }
            Cause::Failed | Cause::Taken => {}
        }
        if is_free {
            self.cancel(index, &[Reason::End]);
        } else if !is_over {
            self.set_recheck(index, Reason::End, Some(self.schedule.soon(None)));
            is_changed = true;
        }
        self.entries[index].is_associated &= !is_changed;
        is_changed
    }

    /// An error or a hang-up was reported: whether it can end decides whether it is looked at
    /// again.
    fn end_reported(&mut self, index: usize, found: Readiness) {
        let entry = &mut self.entries[index];
        let is_anonymous_pipe = is_anonymous_pipe(&entry.identity, self.pipe.as_ref());
        // A socket that was never connected hangs up as well, and then still has something to say.
        let has_ended = entry.identity.is_socket()
            && entry.stuck.contains(Readiness::HUP)
            && found.contains(Readiness::RDHUP);
        entry.is_over = is_anonymous_pipe || has_ended;
        if self.entries[index].is_over {
            self.cancel(index, &Reason::ALL);
        } else {
            self.set_recheck(index, Reason::End, Some(self.schedule.soon(None)));
        }
    }

    /// Answers whether there was none.
    fn recheck_soon(&mut self, index: usize, reason: Reason) -> bool {
        let entry = &self.entries[index];
        let is_new = entry.rechecks[reason as usize].is_none();
        if is_new {
            let recheck = self.schedule.soon(entry.unread(reason));
            self.set_recheck(index, reason, Some(recheck));
        }
        is_new
    }

    fn set_recheck(&mut self, index: usize, reason: Reason, recheck: Option<Recheck>) {
        let entry = &mut self.entries[index];
        self.schedule.set(&mut entry.rechecks[reason as usize], entry.fd, reason, recheck);
    }

    fn cancel(&mut self, index: usize, reasons: &[Reason]) {
        for &reason in reasons {
            self.set_recheck(index, reason, None);
        }
    }

    /// Whether no two files have this identity.
    fn is_unique(&self, identity: &Identity) -> bool {
        identity.has_inode()
            && (identity.is_socket() || is_anonymous_pipe(identity, self.pipe.as_ref()))
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.entries.iter().map(|entry| entry.fd)
    }

    fn current(&self, fd: RawFd, generation: u64) -> Option<usize> {
        let index = self.index.get(&fd).copied()?;
        (self.entries[index].generation == generation).then_some(index)
    }

    fn get(&mut self, fd: RawFd) -> Option<&mut Entry> {
        self.index.get(&fd).and_then(|&index| self.entries.get_mut(index))
    }

    fn new_generation(&mut self) -> u64 {
        self.next_generation += 1;
        self.next_generation
    }
}

/// For a kernel that waits for a descriptor until there is an event, and then no more.
#[cfg_attr(not(backend = "event-ports"), allow(dead_code))]
impl Table {
    /// What the kernel is to wait for, if it does not; from then on it does.
    pub(super) fn next_association(&mut self, fd: RawFd) -> Option<Wanted> {
        let entry = self.get(fd)?;
        if entry.is_associated || !entry.is_waited_for() {
            return None;
        }
        entry.is_associated = true;
        entry.was_drained = false;
        Some(Wanted { readiness: entry.armed, generation: entry.generation })
    }

    /// The kernel does not wait for it any more: there was an event, or something else is to be
    /// waited for.
    pub(super) fn dissociated(&mut self, fd: RawFd, generation: u64) {
        if let Some(entry) = self.get(fd).filter(|entry| entry.generation == generation) {
            entry.is_associated = false;
        }
    }

    /// The kernel is to wait for it once more, whether or not it does.
    pub(super) fn forget_association(&mut self, fd: RawFd) {
        if let Some(entry) = self.get(fd) {
            entry.is_associated = false;
        }
    }

    /// Whether it is to be looked at again by the next wait, whatever is read of it.
    pub(super) fn is_level(&self, fd: RawFd) -> bool {
        let entry = self.index.get(&fd).and_then(|&index| self.entries.get(index));
        entry.is_some_and(|entry| entry.interest.trigger() == Trigger::Level)
    }

    /// What to ask about an event that was queued when it was ready, and may be stale by the time
    /// it is retrieved. `None`: the source would have said so.
    pub(super) fn question(&self, fd: RawFd, generation: u64) -> Option<PollFd<'static>> {
        let entry = &self.entries[self.current(fd, generation)?];
        let is_sure = entry.is_edge() && !entry.is_bare && !entry.was_drained;
        (!is_sure).then(|| PollFd::from_raw(fd, entry.armed))
    }
}

fn not_registered(fd: RawFd) -> io::Error {
    let is_open = Identity::of(fd).map(|_| io::Error::from_raw_os_error(libc::ENOENT));
    is_open.unwrap_or_else(io::Error::from)
}

fn identity(fd: &impl AsRawFd) -> io::Result<Identity> {
    Ok(Identity::of(fd.as_raw_fd())?)
}

fn is_anonymous_pipe(identity: &Identity, pipe: Option<&Identity>) -> bool {
    identity.is_pipe() && pipe.is_some_and(|pipe| identity.is_on_device_of(pipe))
}

fn directions(direction: Direction) -> Readiness {
    match direction {
        Direction::Read => Readiness::IN | Readiness::PRI | Readiness::RDHUP,
        Direction::Write => Readiness::OUT,
        Direction::Any => Readiness::all(),
    }
}

fn wanted(interest: Interest) -> Readiness {
    let mut readiness = Readiness::empty();
    if interest.is_readable() {
        readiness |= Readiness::IN | Readiness::RDHUP;
    }
    if interest.is_writable() {
        readiness |= Readiness::OUT;
    }
    if interest.is_priority() {
        readiness |= Readiness::PRI;
    }
    readiness
}
