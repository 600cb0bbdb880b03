//! What interrupts a wait, and what makes the kqueue readable for an outer loop.
//!
//! A knote that is queued already is no edge to an outer kqueue. So while the descriptor is lent out, each wake-up
//! deletes its event first, and adds it again.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use wakeful_kernel::descriptor::into_high_number;
use wakeful_kernel::kqueue::filter::{Read, User, Write};
use wakeful_kernel::kqueue::{Change, Event, Filter, FlagOperation, Kqueue, Mode};
use wakeful_kernel::pipe::pipe;

/// There is one; its filter and number tell it from registrations.
#[derive(Debug)]
pub(super) enum Wake {
    User,
    /// Where the system has no such events, or an older version of it has not.
    Pipe {
        reader: OwnedFd,
        writer: OwnedFd,
    },
}

/// The number of the waker's user event.
const WAKE: usize = 0;
/// The number of the user event that is an edge to an outer loop, and nothing else.
const PULSE: usize = 1;

impl Wake {
    pub(super) fn new(kqueue: &Kqueue) -> io::Result<Wake> {
        let user = Change::add(User::new(WAKE), Mode::Clear, 0);
        if user.is_ok_and(|user| kqueue.apply([user]).is_ok()) {
            return Ok(Wake::User);
        }
        let (reader, writer) = pipe()?;
        let (reader, writer) = (into_high_number(reader), into_high_number(writer));
        kqueue.apply([Change::add(Read::new(&reader), Mode::Clear, 0)?])?;
        Ok(Wake::Pipe { reader, writer })
    }

    /// Interrupts a wait; `is_lent` makes it an edge to an outer loop as well.
    pub(super) fn wake(&self, kqueue: &Kqueue, is_lent: bool) -> io::Result<()> {
        match self {
            Wake::User if is_lent => {
                let user = User::new(WAKE);
                let changes = [
                    Change::delete(user)?,
                    Change::add(user, Mode::Clear, 0)?,
                    Change::trigger(WAKE, FlagOperation::Keep, 0)?,
                ];
                apply_again(kqueue, changes)
            }
            Wake::User => Ok(kqueue.apply([Change::trigger(WAKE, FlagOperation::Keep, 0)?])?),
            Wake::Pipe { reader, writer } => {
                match wakeful_kernel::descriptor::write(writer, &[1]) {
                    // Full of wake-ups, hence readable.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => drop(result?),
                }
                if !is_lent {
                    return Ok(());
                }
                let read = Read::new(reader);
                apply_again(kqueue, [Change::delete(read)?, Change::add(read, Mode::Clear, 0)?])
            }
        }
    }

    /// Tells an outer loop to look at the kqueue again, by an event that is added and deleted: if other knotes are queued,
    /// that is an edge; if none is, the outer loop finds nothing when it looks.
    pub(super) fn pulse(&self, kqueue: &Kqueue) -> io::Result<()> {
        match self {
            Wake::User => {
                let user = User::new(PULSE);
                kqueue.apply([
                    Change::add(user, Mode::Clear, 0)?,
                    Change::trigger(PULSE, FlagOperation::Keep, 0)?,
                    Change::delete(user)?,
                ])?;
            }
            Wake::Pipe { writer, .. } => {
                // There is room in it, or it is full of wake-ups, which are queued.
                let write = Write::new(writer);
                kqueue.apply([Change::add(write, Mode::Clear, 0)?, Change::delete(write)?])?;
            }
        }
        Ok(())
    }

    /// Whether the event comes from a wake-up; if so, it is made ready for the next.
    pub(super) fn sent(&self, event: &Event) -> bool {
        match self {
            Wake::User => event.filter() == Some(Filter::User) && event.ident() == WAKE,
            Wake::Pipe { reader, .. } => {
                let is_it = event.ident() == reader.as_raw_fd() as usize;
                let mut buffer = [0; 64];
                while is_it
                    && matches!(wakeful_kernel::descriptor::read(reader, &mut buffer), Ok(64))
                {
                }
                is_it
            }
        }
    }
}

/// Applies changes that begin with a deletion. What is not there may have been deleted by another thread, which is
/// about to add it again.
pub(super) fn apply_again<const N: usize>(kqueue: &Kqueue, changes: [Change; N]) -> io::Result<()> {
    let Err(error) = kqueue.apply(changes) else {
        return Ok(());
    };
    let is_missing = |errno| errno == Some(libc::ENOENT);
    let mut others =
        error.errors().iter().filter(|error| !is_missing(error.io_error().raw_os_error()));
    match others.next().and_then(|error| error.io_error().raw_os_error()) {
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Ok(()),
    }
}
