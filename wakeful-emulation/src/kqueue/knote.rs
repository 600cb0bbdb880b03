//! An event that is waited for: its key, its state, and what it stands on.

use super::abi::{self, kevent};
use super::filter::{Descriptor, Empty, Operation, Process, Signal, Timer, User, Vnode};
use crate::linux::{Errno, Result};

/// Events are known by what they are about and the filter.
pub(super) type Key = (usize, i16);

#[derive(Debug)]
pub(super) struct Knote {
    pub(super) key: Key,
    /// By which epoll tells of it, and which no other has.
    pub(super) number: u64,
    /// Those that stay.
    flags: u16,
    udata: usize,
    pub(super) is_enabled: bool,
    /// It stands in the line of those to be looked at.
    pub(super) is_queued: bool,
    /// Whether epoll has been told of its descriptor.
    pub(super) is_armed: bool,
    /// To be reported, whatever its filter says.
    is_forced: bool,
    pub(super) source: Source,
}

/// What an event is reported with, as it was added.
const STAYING: u16 = abi::EV_ONESHOT | abi::EV_CLEAR | abi::EV_DISPATCH | abi::EV_RECEIPT;

#[derive(Debug)]
pub(super) enum Source {
    Operation(Operation),
    Descriptor(Descriptor),
    Empty(Empty),
    Process(Process),
    Signal(Signal),
    Timer(Timer),
    User(User),
    Vnode(Vnode),
}

/// What a filter has to say when its event is true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) data: i64,
    pub(super) fflags: u32,
    /// `EV_EOF`
    pub(super) flags: u16,
}

/// What becomes of an event that has been reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It is taken out.
    Delete,
    /// It is not reported any more until it is enabled.
    Disable,
    /// It is reported when something new happens.
    Wait,
    /// It is reported as long as it is true.
    Again,
}

impl Knote {
    pub(super) fn new(change: &kevent, number: u64) -> Result<Knote> {
        let source = match change.filter {
            abi::EVFILT_READ | abi::EVFILT_WRITE | abi::EVFILT_EXCEPT => {
                Source::Descriptor(Descriptor::new(change)?)
            }
            abi::EVFILT_VNODE => Source::Vnode(Vnode::new(change)?),
            abi::EVFILT_EMPTY => Source::Empty(Empty::new(change)?),
            abi::EVFILT_SIGNAL => Source::Signal(Signal::new(change)?),
            abi::EVFILT_PROC => Source::Process(Process::new(change)?),
            abi::EVFILT_TIMER => Source::Timer(Timer::new(change)?),
            abi::EVFILT_USER => Source::User(User::new(change)),
            // The operation itself adds it.
            abi::EVFILT_AIO | abi::EVFILT_LIO => return Err(Errno(libc::EPERM)),
            _ => return Err(Errno(libc::EINVAL)),
        };
        // By themselves, as the manual has it. A process ends once.
        let flags = change.flags
            | match &source {
                // The end of a time of day stays.
                Source::Timer(timer) if timer.is_of_day() => 0,
                Source::Timer(_) | Source::Signal(_) => abi::EV_CLEAR,
                Source::Process(_) => abi::EV_CLEAR | abi::EV_ONESHOT,
                _ => 0,
            };
        Ok(Knote {
            key: (change.ident, change.filter),
            number,
            flags: flags & STAYING,
            udata: change.udata as usize,
            is_enabled: change.flags & abi::EV_DISABLE == 0,
            is_queued: false,
            is_armed: false,
            is_forced: false,
            source,
        })
    }

    /// Of an asynchronous operation, or of a list of such.
    pub(super) fn of_operation(key: Key, user: usize, number: u64) -> Knote {
        Knote {
            key,
            number,
            flags: 0,
            udata: user,
            is_enabled: true,
            is_queued: false,
            is_armed: false,
            is_forced: false,
            source: Source::Operation(Operation::new(key.1 == abi::EVFILT_LIO)),
        }
    }

    /// It has ended.
    pub(super) fn operation_ended(&mut self) {
        if let Source::Operation(operation) = &mut self.source {
            operation.end();
        }
    }

    /// Another change of an event that is there already.
    pub(super) fn change(&mut self, change: &kevent) -> Result<()> {
        if change.flags & abi::EV_KEEPUDATA == 0 {
            self.udata = change.udata as usize;
        }
        match &mut self.source {
            Source::Descriptor(descriptor) => descriptor.change(change),
            Source::Process(process) => process.change(change)?,
            Source::Timer(timer) if change.flags & abi::EV_ADD != 0 => timer.set(change)?,
            Source::Timer(_) | Source::Empty(_) | Source::Signal(_) | Source::Operation(_) => {}
            Source::User(user) => user.change(change),
            Source::Vnode(vnode) => vnode.change(change),
        }
        if change.flags & abi::EV_DISABLE != 0 {
            self.is_enabled = false;
        } else if change.flags & (abi::EV_ADD | abi::EV_ENABLE) != 0 {
            self.is_enabled = true;
        }
        Ok(())
    }

    /// Reported at the next scan, and then no more.
    pub(super) fn force(&mut self) {
        self.flags |= abi::EV_ONESHOT;
        self.is_forced = true;
    }

    /// What there is to report, if anything.
    pub(super) fn look(&mut self) -> Result<Option<Found>> {
        if !self.is_enabled {
            return Ok(None);
        }
        let found = match &mut self.source {
            Source::Descriptor(descriptor) => descriptor.look()?,
            Source::Empty(empty) => empty.look()?,
            Source::Process(process) => process.look()?,
            Source::Signal(signal) => signal.look(),
            Source::Timer(timer) => timer.look()?,
            Source::Operation(operation) => operation.look(),
            Source::User(user) => user.look(),
            Source::Vnode(vnode) => vnode.look()?,
        };
        Ok(if self.is_forced { Some(found.unwrap_or_default()) } else { found })
    }

    /// It is being reported.
    pub(super) fn report(&mut self, found: Found) -> (kevent, After) {
        let event = kevent {
            ident: self.key.0,
            filter: self.key.1,
            flags: self.flags | found.flags,
            fflags: found.fflags,
            data: found.data,
            udata: self.udata as *mut _,
            ext: [0; 4],
        };
        let clears = self.flags & abi::EV_CLEAR != 0;
        match &mut self.source {
            Source::Descriptor(descriptor) if clears => descriptor.clear(),
            Source::Empty(empty) if clears => empty.clear(),
            Source::Signal(signal) => signal.clear(found.data),
            Source::Timer(timer) if clears => timer.clear(),
            Source::User(user) if clears => user.clear(),
            Source::Vnode(vnode) if clears => vnode.clear(),
            _ => {}
        }
        let after = if self.flags & abi::EV_ONESHOT != 0 {
            After::Delete
        } else if self.flags & abi::EV_DISPATCH != 0 {
            self.is_enabled = false;
            After::Disable
        } else if clears {
            After::Wait
        } else {
            After::Again
        };
        (event, after)
    }

    /// Whether a change makes it another, though its key is the same.
    pub(super) fn becomes_another(&self, change: &kevent) -> bool {
        change.flags & abi::EV_ADD != 0
            && match &self.source {
                Source::Timer(timer) => timer.is_of_other_clock(change),
                Source::Descriptor(descriptor) => descriptor.changes_mark(change),
                _ => false,
            }
    }

    /// Whether it is a regular file whose offset was moved back since it was looked at.
    pub(super) fn has_moved_back(&self) -> bool {
        matches!(&self.source, Source::Descriptor(descriptor) if descriptor.has_moved_back())
    }

    /// Whether there is something to report of which epoll knows nothing.
    pub(super) fn is_true_in_memory(&self) -> bool {
        self.is_forced
            || match &self.source {
                Source::Descriptor(descriptor) => {
                    // What cannot be looked at now is looked at by the scan.
                    descriptor.is_file() && descriptor.look_at_file() != Ok(None)
                }
                Source::Operation(operation) => operation.look().is_some(),
                Source::User(user) => user.look().is_some(),
                Source::Vnode(vnode) => vnode.has_found(),
                Source::Signal(signal) => signal.look().is_some(),
                Source::Timer(timer) => timer.has_expired(),
                Source::Empty(_) | Source::Process(_) => false,
            }
    }

    /// Whether its number still means what it meant, as far as it is a descriptor's.
    pub(super) fn is_same(&self) -> Result<bool> {
        match &self.source {
            Source::Descriptor(descriptor) => descriptor.is_same(),
            Source::Empty(empty) => empty.is_same(),
            Source::Vnode(vnode) => vnode.is_same(),
            _ => Ok(true),
        }
    }

    pub(super) fn is_edge(&self) -> bool {
        self.flags & abi::EV_CLEAR != 0
    }
}
