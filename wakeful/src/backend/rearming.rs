//! The registrations of backends whose kernel knows no edge: poll(2), and event ports.

use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;

use wakeful_kernel::descriptor::Identity;
use wakeful_kernel::poll::PollFd;
use wakeful_kernel::readiness::Readiness;

use crate::event::Event;
use crate::rearm::{Cause, Direction};
use crate::{Interest, Token, Trigger};

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
    /// Where each descriptor's entry is.
    index: HashMap<RawFd, usize>,
    /// Distinguishes a registration from an earlier one of the same descriptor.
    next_generation: u64,
    /// A wait is under way on a snapshot of this table, as far as poll(2) is concerned.
    pub(super) waiting: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    fd: RawFd,
    identity: Identity,
    token: Token,
    interest: Interest,
    /// What is yet to be reported.
    armed: Readiness,
    silence: Silence,
    pub(super) generation: u64,
    /// The kernel waits for it, as far as event ports are concerned: until there is an event.
    is_associated: bool,
}

/// What the kernel is to wait for.
#[cfg_attr(not(backend = "event-ports"), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) readiness: Readiness,
    pub(super) generation: u64,
}

/// Whether a registration is passed over, and how long. poll(2) reports errors and hang-ups whatever
/// it is asked for, so there is no other way to have them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    None,
    /// An error was reported: until somebody took it, or drained the source.
    UntilErrorTaken,
    /// A hang-up was reported, which stays: until the source is drained, which says that it is over.
    UntilDrained,
    /// A one-shot was reported: until it is registered anew.
    UntilRegistered,
}

impl Entry {
    pub(super) fn poll_fd(&self) -> PollFd<'static> {
        // poll(2) passes over negative descriptors.
        let fd = if self.silence == Silence::None { self.fd } else { -1 };
        PollFd::from_raw(fd, self.armed)
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
        let armed = wanted(interest);
        let silence = Silence::None;
        self.index.insert(fd, self.entries.len());
        self.entries.push(Entry {
            fd,
            identity,
            token,
            interest,
            armed,
            silence,
            generation,
            is_associated: false,
        });
        Ok(())
    }

    pub(super) fn replace(
        &mut self,
        fd: RawFd,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let generation = self.new_generation();
        let entry = self.get(fd).ok_or_else(not_registered)?;
        entry.token = token;
        entry.interest = interest;
        entry.armed = wanted(interest);
        entry.silence = Silence::None;
        entry.generation = generation;
        entry.is_associated = false;
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
        match entry.interest.trigger() {
            Trigger::Level => {}
            Trigger::Oneshot | Trigger::EdgeOneshot => entry.silence = Silence::UntilRegistered,
            Trigger::Edge => {
                entry.armed -= found;
                if found.contains(Readiness::HUP) {
                    entry.silence = Silence::UntilDrained;
                } else if found.contains(Readiness::ERR) {
                    entry.silence = Silence::UntilErrorTaken;
                }
            }
        }
        // With `IN` reported before and not armed, the end of the stream still is something to read.
        let implied =
            if found.contains(Readiness::RDHUP) { Readiness::IN } else { Readiness::empty() };
        Some(Event::new(found | implied, entry.token))
    }

    /// Whether the registration is the same as when the wait began.
    pub(super) fn is_current(&self, fd: RawFd, generation: u64) -> bool {
        self.index.get(&fd).is_some_and(|&index| self.entries[index].generation == generation)
    }

    /// Arms a direction of an edge-triggered registration; answers whether that changed anything.
    pub(super) fn rearm(&mut self, fd: RawFd, direction: Direction, cause: Cause) -> bool {
        let Some(entry) = self.get(fd) else {
            return false;
        };
        let ends_silence = match entry.silence {
            Silence::None | Silence::UntilErrorTaken => true,
            Silence::UntilDrained => cause == Cause::Drained,
            Silence::UntilRegistered => false,
        };
        if entry.interest.trigger() != Trigger::Edge || !ends_silence {
            return false;
        }
        let of_direction = match direction {
            Direction::Read => Readiness::IN | Readiness::PRI | Readiness::RDHUP,
            Direction::Write => Readiness::OUT,
            Direction::Any => Readiness::all(),
        };
        let before = (entry.armed, entry.silence);
        entry.armed |= wanted(entry.interest) & of_direction;
        entry.silence = Silence::None;
        let is_changed = (entry.armed, entry.silence) != before;
        entry.is_associated &= !is_changed;
        is_changed
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.entries.iter().map(|entry| entry.fd)
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
    /// What the kernel is to wait for, if it does not; it counts as told then.
    pub(super) fn next_association(&mut self, fd: RawFd) -> Option<Wanted> {
        let entry = self.get(fd)?;
        if entry.is_associated || entry.silence != Silence::None {
            return None;
        }
        entry.is_associated = true;
        Some(Wanted { readiness: entry.armed, generation: entry.generation })
    }

    /// The kernel does not wait for it any more: there was an event, or something else is to be waited for.
    pub(super) fn dissociated(&mut self, fd: RawFd, generation: u64) {
        if let Some(entry) = self.get(fd).filter(|entry| entry.generation == generation) {
            entry.is_associated = false;
        }
    }

    /// Whether or not the kernel waits for it, it is to be told anew.
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
