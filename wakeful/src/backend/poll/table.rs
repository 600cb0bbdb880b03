//! The registrations of the poll(2) backend.

use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;

use wakeful_kernel::descriptor::Identity;
use wakeful_kernel::poll::PollFd;
use wakeful_kernel::readiness::Readiness;

use crate::event::Event;
use crate::rearm::Direction;
use crate::{Interest, Token, Trigger};

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
    /// Where each descriptor's entry is.
    index: HashMap<RawFd, usize>,
    /// Distinguishes a registration from an earlier one of the same descriptor.
    next_generation: u64,
    /// A wait is under way on a snapshot of this table.
    pub(super) waiting: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    fd: RawFd,
    identity: Identity,
    token: Token,
    interest: Interest,
    /// What is yet to be reported; `None` is silence, hang-ups and errors included.
    armed: Option<Readiness>,
    pub(super) generation: u64,
}

impl Entry {
    pub(super) fn poll_fd(&self) -> PollFd<'static> {
        match self.armed {
            Some(armed) => PollFd::from_raw(self.fd, armed),
            // poll(2) passes over negative descriptors.
            None => PollFd::from_raw(-1, Readiness::empty()),
        }
    }
}

impl Table {
    pub(super) fn insert(
        &mut self,
        fd: RawFd,
        identity: Identity,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        if let Some(&index) = self.index.get(&fd) {
            if self.entries[index].identity == identity {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
            // The number was closed without a word, and means another file now.
            self.remove(fd)?;
        }
        let generation = self.new_generation();
        let armed = Some(wanted(interest));
        self.index.insert(fd, self.entries.len());
        self.entries.push(Entry { fd, identity, token, interest, armed, generation });
        Ok(())
    }

    pub(super) fn replace(&mut self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        let generation = self.new_generation();
        let entry = self.get(fd).ok_or_else(not_registered)?;
        entry.token = token;
        entry.interest = interest;
        entry.armed = Some(wanted(interest));
        entry.generation = generation;
        Ok(())
    }

    pub(super) fn remove(&mut self, fd: RawFd) -> io::Result<()> {
        let index = self.index.remove(&fd).ok_or_else(not_registered)?;
        self.entries.swap_remove(index);
        if let Some(moved) = self.entries.get(index) {
            self.index.insert(moved.fd, index);
        }
        Ok(())
    }

    /// Takes note that this was found; answers with what to report, unless the registration has
    /// changed since the wait began.
    pub(super) fn take(&mut self, fd: RawFd, generation: u64, found: Readiness) -> Option<Event> {
        let entry = self.get(fd).filter(|entry| entry.generation == generation)?;
        if found.contains(Readiness::NVAL) {
            // Closed without a word. Under epoll the registration would have gone with it.
            let _ = self.remove(fd);
            return None;
        }
        match entry.interest.trigger() {
            Trigger::Level => {}
            Trigger::Oneshot | Trigger::EdgeOneshot => entry.armed = None,
            Trigger::Edge => {
                // poll(2) cannot leave out hang-ups and errors, so after one of them the entry is
                // passed over. Until then it stays, be it for them alone.
                let ended = found.intersects(Readiness::HUP | Readiness::ERR);
                entry.armed = (!ended).then_some(entry.armed.unwrap_or_default() - found);
            }
        }
        // With `IN` reported before and not armed, the end of the stream still is something to read.
        let implied =
            if found.contains(Readiness::RDHUP) { Readiness::IN } else { Readiness::empty() };
        Some(Event::new(found | implied, entry.token))
    }

    /// Arms an edge-triggered registration for a direction that was drained; answers whether that
    /// changed anything.
    pub(super) fn rearm(&mut self, fd: RawFd, direction: Direction) -> bool {
        let Some(entry) = self.get(fd) else { return false };
        if entry.interest.trigger() != Trigger::Edge {
            return false;
        }
        let of_direction = match direction {
            Direction::Read => Readiness::IN | Readiness::PRI | Readiness::RDHUP,
            Direction::Write => Readiness::OUT,
            Direction::Any => Readiness::all(),
        };
        let before = entry.armed;
        let more = wanted(entry.interest) & of_direction;
        entry.armed = Some(before.unwrap_or_default() | more);
        entry.armed != before
    }

    fn get(&mut self, fd: RawFd) -> Option<&mut Entry> {
        self.index.get(&fd).and_then(|&index| self.entries.get_mut(index))
    }

    fn new_generation(&mut self) -> u64 {
        self.next_generation += 1;
        self.next_generation
    }
}

fn not_registered() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
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
