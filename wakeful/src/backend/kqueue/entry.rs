//! What is known of a registration, and which events of the kernel it is made of.

use std::collections::HashMap;
use std::os::fd::RawFd;

use wakeful_kernel::descriptor::{AccessMode, Identity};
use wakeful_kernel::kqueue::filter::{Direction, Except, Read, Write};
use wakeful_kernel::kqueue::{Filter, Mode, System};

use crate::{Interest, Token, Trigger};

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) entries: HashMap<RawFd, Entry>,
    /// The generation of the next registration.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) token: Token,
    pub(super) interest: Interest,
    /// What the kernel's events come with. None is used again, so that those of an earlier registration, which
    /// another thread has fetched already, are told from those of this.
    pub(super) generation: usize,
    /// The kernel has no such event of this descriptor: of a kqueue, for example, which is never writable.
    pub(super) lacks_write: bool,
    pub(super) lacks_except: bool,
    /// It is a pipe that nobody reads any more, as the kernel said when its event was to be added.
    pub(super) end: Option<Identity>,
    /// The one direction that an end of a pipe is open for: kernels say nothing of the other, not
    /// even that the pipe has ended.
    open_for: Option<Filter>,
    /// The filter for the end alone reports by level, because the end has come.
    pub(super) is_end_level: bool,
}

impl Table {
    pub(super) fn entry(&mut self, fd: RawFd, token: Token, interest: Interest) -> Entry {
        self.next = self.next.wrapping_add(1);
        let is_both = interest.is_readable() && interest.is_writable();
        Entry {
            token,
            interest,
            generation: self.next,
            lacks_write: false,
            lacks_except: false,
            end: None,
            open_for: if is_both { None } else { open_direction(fd) },
            is_end_level: false,
        }
    }
}

impl Entry {
    pub(super) fn is_oneshot(&self) -> bool {
        matches!(self.interest.trigger(), Trigger::Oneshot | Trigger::EdgeOneshot)
    }

    /// Whether the number still is that of the pipe that nobody reads any more.
    pub(super) fn is_at_its_end(&self, fd: RawFd) -> bool {
        self.end.is_some() && Identity::of(fd).ok() == self.end
    }

    /// The events that the kernel has of it.
    pub(super) fn directions(&self, fd: RawFd) -> impl Iterator<Item = Direction> + Clone + use<> {
        let Entry { lacks_write, lacks_except, .. } = *self;
        self.all_directions(fd).filter(move |it| match it.filter() {
            Filter::Write => !lacks_write,
            Filter::Except => !lacks_except,
            _ => true,
        })
    }

    /// The events that its interest waits for.
    pub(super) fn all_directions(
        &self,
        fd: RawFd,
    ) -> impl Iterator<Item = Direction> + Clone + use<> {
        let interest = self.interest;
        let read = interest.is_readable().then(|| Direction::Read(Read::from_raw(fd)));
        let write = interest.is_writable().then(|| Direction::Write(Write::from_raw(fd)));
        // Where it cannot be told it is left out, unless nothing else is waited for.
        let can_tell = System::CURRENT.number_of(Filter::Except).is_some()
            || !(interest.is_readable() || interest.is_writable());
        let except =
            (interest.is_priority() && can_tell).then(|| Direction::Except(Except::from_raw(fd)));
        let end = self.filter_of_end().map(|filter| match filter {
            Filter::Write => Direction::Write(Write::from_raw(fd)),
            // There is never as much to read, but the kernel reports the end all the same.
            _ => Direction::Read(Read::from_raw(fd).low_water(usize::MAX)),
        });
        [read, write, except, end].into_iter().flatten()
    }

    /// The filter that waits for the end alone, if no other one hears of it.
    fn filter_of_end(&self) -> Option<Filter> {
        let (reads, writes) = (self.interest.is_readable(), self.interest.is_writable());
        match self.open_for {
            Some(Filter::Write) => (!writes).then_some(Filter::Write),
            Some(_) => (!reads).then_some(Filter::Read),
            None => (!reads && !writes).then_some(Filter::Read),
        }
    }

    /// Whether a filter waits for the end alone.
    pub(super) fn is_of_end(&self, filter: Option<Filter>) -> bool {
        filter.is_some() && filter == self.filter_of_end()
    }

    pub(super) fn mode(&self, direction: Direction) -> Mode {
        match self.interest.trigger() {
            _ if self.is_of_end(Some(direction.filter())) => Mode::Clear,
            Trigger::Edge => Mode::Clear,
            Trigger::Level => Mode::Level,
            // Armed while it is ready it reports in either way, and once; and not every kernel has
            // both flags.
            Trigger::Oneshot | Trigger::EdgeOneshot => Mode::Dispatch,
        }
    }
}

/// Returns the one direction that an end of a pipe is open for.
fn open_direction(fd: RawFd) -> Option<Filter> {
    if !Identity::of(fd).is_ok_and(|identity| identity.is_pipe()) {
        return None;
    }
    match AccessMode::of(fd) {
        Ok(AccessMode::ReadOnly) => Some(Filter::Read),
        Ok(AccessMode::WriteOnly) => Some(Filter::Write),
        _ => None,
    }
}
