use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

bitflags::bitflags! {
    /// What happens to a file. The bits are this crate's; each system has its own.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct VnodeEvents: u32 {
        /// `NOTE_DELETE`—unlink(2) was called on it, or another file was renamed over it.
        const DELETE = 1;
        /// `NOTE_WRITE`—It was written to; of a directory, an entry came or went.
        const WRITE = 2;
        /// `NOTE_EXTEND`—It has grown.
        const EXTEND = 4;
        /// `NOTE_ATTRIB`—Its attributes have changed.
        const ATTRIBUTES = 8;
        /// `NOTE_LINK`—Its number of links has changed; of a directory, one came into it or left it.
        const LINK = 0x10;
        /// `NOTE_RENAME`—It was renamed.
        const RENAME = 0x20;
        /// `NOTE_REVOKE`—Access was revoked, or its file system unmounted.
        const REVOKE = 0x40;
        /// `NOTE_OPEN`—It was opened. FreeBSD.
        const OPEN = 0x80;
        /// `NOTE_CLOSE`—One that could not write to it was closed. FreeBSD.
        const CLOSE = 0x100;
        /// `NOTE_CLOSE_WRITE`—One that could write to it was closed. FreeBSD.
        const CLOSE_WRITE = 0x200;
        /// `NOTE_READ`—It was read. FreeBSD.
        const READ = 0x400;
        /// `NOTE_TRUNCATE`—It was made shorter. OpenBSD.
        const TRUNCATE = 0x800;
        /// `NOTE_FUNLOCK`—A lock on it was released. macOS.
        const UNLOCK = 0x1000;
    }
}

impl VnodeEvents {
    /// The seven that every system has.
    pub const EVERYWHERE: VnodeEvents = VnodeEvents::from_bits_truncate(0x7f);
}

/// `EVFILT_VNODE`—Something happens to a file or a directory that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vnode {
    fd: RawFd,
    events: VnodeEvents,
}

impl Vnode {
    /// Of a descriptor, which must be open when the change is made, and what of it. Closing it deletes the
    /// event.
    pub fn new(fd: impl AsFd, events: VnodeEvents) -> Vnode {
        Vnode::from_raw(fd.as_fd().as_raw_fd(), events)
    }

    /// As [`new`](Vnode::new), by number.
    ///
    /// Safe because the kernel ties the event to the open file behind the number.
    pub fn from_raw(fd: RawFd, events: VnodeEvents) -> Vnode {
        Vnode { fd, events }
    }
}

impl Subject for Vnode {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        let mut description = Description::of_descriptor(system, Filter::Vnode, self.fd)?;
        for event in self.events.iter() {
            let Some(&(_, bit)) = system.vnode.iter().find(|&&(it, _)| it == event) else {
                let missing =
                    Some(event.iter_names().next().map_or("such event", |(name, _)| name));
                return Err(BuildError { filter: Filter::Vnode, missing });
            };
            description.fflags |= bit;
        }
        Ok(description)
    }
}
