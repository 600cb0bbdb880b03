//! `EVFILT_VNODE`: what inotify says of a file, told apart by what fstat(2) says of it.

use std::os::fd::RawFd;

use crate::files::{ENTRIES, Heard, Role};
use crate::kqueue::abi::{self, kevent};
use crate::kqueue::knote::Found;
use crate::linux::{self, Errno, Identity, Result};

#[derive(Debug)]
pub(in crate::kqueue) struct Vnode {
    fd: RawFd,
    /// As it was when it was looked at last.
    identity: Identity,
    wanted: u32,
    found: u32,
    /// What was heard since then, and what it means for the entries of a directory.
    heard: u32,
    entries: u32,
    heard_parent: bool,
}

impl Vnode {
    /// # Errors
    ///
    /// `EBADF`: no such descriptor. `EINVAL`: what it is has no name in a file system.
    pub(in crate::kqueue) fn new(change: &kevent) -> Result<Vnode> {
        let fd = RawFd::try_from(change.ident).map_err(|_| Errno::BADF)?;
        let identity = linux::identity(fd)?;
        // A pipe or a socket is "pipe:[…]".
        if !linux::path_of(fd)?.is_absolute() {
            return Err(Errno(libc::EINVAL));
        }
        Ok(Vnode {
            fd,
            identity,
            wanted: change.fflags,
            found: 0,
            heard: 0,
            entries: 0,
            heard_parent: false,
        })
    }

    pub(in crate::kqueue) fn change(&mut self, change: &kevent) {
        // "Doing so will not reset any filter which has already been triggered": what was found stays.
        if change.flags & abi::EV_ADD != 0 || change.fflags != 0 {
            self.wanted = change.fflags;
        }
    }

    pub(in crate::kqueue) fn fd(&self) -> RawFd {
        self.fd
    }

    /// Whether the number still means the file that it meant.
    pub(in crate::kqueue) fn is_same(&self) -> Result<bool> {
        linux::is_still(self.fd, &self.identity)
    }

    /// What of the file has to be heard of.
    pub(in crate::kqueue) fn mask(&self) -> u32 {
        let written = abi::NOTE_WRITE | abi::NOTE_EXTEND;
        // What happens to its entries would be heard of a directory, too.
        let (written, modified) = match self.is_directory() {
            true => (written | abi::NOTE_LINK, ENTRIES),
            false => (written | abi::NOTE_ATTRIB, libc::IN_MODIFY),
        };
        let table = [
            (written, modified),
            (abi::NOTE_ATTRIB | abi::NOTE_LINK | abi::NOTE_DELETE, libc::IN_ATTRIB),
            (abi::NOTE_RENAME, libc::IN_MOVE_SELF),
            (abi::NOTE_OPEN, libc::IN_OPEN),
            (abi::NOTE_CLOSE, libc::IN_CLOSE_NOWRITE),
            (abi::NOTE_CLOSE_WRITE, libc::IN_CLOSE_WRITE),
            (abi::NOTE_READ, libc::IN_ACCESS),
        ];
        let wanted = table.iter().filter(|(notes, _)| self.wanted & notes != 0);
        let mask = wanted.fold(0, |mask, (_, more)| mask | more);
        // The parent has to be found again. A watch for nothing at all is refused.
        if self.needs_parent() || mask == 0 { mask | libc::IN_MOVE_SELF } else { mask }
    }

    /// What has to be heard of the directory that it is in, if anything.
    pub(in crate::kqueue) fn parent_mask(&self) -> Option<u32> {
        self.needs_parent().then_some(libc::IN_DELETE | libc::IN_MOVED_TO)
    }

    fn needs_parent(&self) -> bool {
        self.is_directory() && self.wanted & abi::NOTE_DELETE != 0
    }

    fn is_directory(&self) -> bool {
        self.identity.kind == libc::S_IFDIR
    }

    /// Takes in one thing that was heard.
    pub(in crate::kqueue) fn hear(&mut self, heard: &Heard) {
        match heard.role {
            // A directory that is removed while it is open does not say so itself, but its parent does.
            Role::Parent => self.heard_parent = true,
            Role::File => {
                self.heard |= heard.mask;
                if heard.mask & ENTRIES != 0 && self.is_directory() {
                    self.entries |= entries(heard);
                }
            }
        }
    }

    /// What all that was heard since the last time comes to. Whether its parent is another by now.
    ///
    /// # Errors
    ///
    /// What prevents to find out; what was heard is kept.
    pub(in crate::kqueue) fn tell_apart(&mut self) -> Result<bool> {
        let now = match linux::identity(self.fd) {
            Ok(now) if self.identity.is(&now) => now,
            Err(error) if !error.says_closed() => return Err(error),
            // Closed, or another file by now, as will be found out when it is looked at.
            _ => return Ok(false),
        };
        let heard = std::mem::take(&mut self.heard);
        let entries = std::mem::take(&mut self.entries);
        let before = self.identity;
        if std::mem::take(&mut self.heard_parent) && now.links == 0 && before.links > 0 {
            self.find(abi::NOTE_DELETE);
            self.identity.links = 0;
        }
        for (mask, notes) in [
            (libc::IN_MODIFY, modified(&before, &now)),
            (libc::IN_ATTRIB, attributes(&before, &now, self.is_directory())),
            (ENTRIES, entries),
            (libc::IN_MOVE_SELF, abi::NOTE_RENAME),
            (libc::IN_UNMOUNT, abi::NOTE_REVOKE),
            (libc::IN_OPEN, abi::NOTE_OPEN),
            (libc::IN_CLOSE_NOWRITE, abi::NOTE_CLOSE),
            (libc::IN_CLOSE_WRITE, abi::NOTE_CLOSE_WRITE),
            (libc::IN_ACCESS, abi::NOTE_READ),
        ] {
            if heard & mask != 0 {
                self.find(notes);
            }
        }
        // What has changed already, but was not yet heard of, is told when it is.
        if heard & libc::IN_MODIFY != 0 {
            self.identity.size = now.size;
        }
        if heard & libc::IN_ATTRIB != 0 {
            (self.identity.links, self.identity.access) = (now.links, now.access);
        }
        Ok(heard & libc::IN_MOVE_SELF != 0)
    }

    fn find(&mut self, notes: u32) {
        // What happened is told whole to whoever wants a part of it; that it is gone for good, to everybody.
        if notes & (self.wanted | abi::NOTE_REVOKE) != 0 {
            self.found |= notes;
        }
    }

    /// # Errors
    ///
    /// `EBADF`: it was closed, or is another by now.
    pub(in crate::kqueue) fn look(&self) -> Result<Option<Found>> {
        if !self.is_same()? {
            return Err(Errno::BADF);
        }
        let is_revoked = self.found & abi::NOTE_REVOKE != 0;
        let flags = if is_revoked { abi::EV_EOF } else { 0 };
        Ok((self.found != 0).then_some(Found { data: 0, fflags: self.found, flags }))
    }

    pub(in crate::kqueue) fn has_found(&self) -> bool {
        self.found != 0
    }

    pub(in crate::kqueue) fn clear(&mut self) {
        self.found = 0;
    }
}

/// Writing and truncating are the same to inotify.
fn modified(before: &Identity, now: &Identity) -> u32 {
    match now.size.cmp(&before.size) {
        std::cmp::Ordering::Greater => abi::NOTE_WRITE | abi::NOTE_EXTEND,
        std::cmp::Ordering::Equal => abi::NOTE_WRITE,
        // Truncated; what was written then cannot be told from that any more.
        std::cmp::Ordering::Less => abi::NOTE_WRITE | abi::NOTE_ATTRIB,
    }
}

/// So are links, and removing them. Those of a directory are the directories in it, which `entries` tells of.
fn attributes(before: &Identity, now: &Identity, is_directory: bool) -> u32 {
    let links = match now.links.cmp(&before.links) {
        std::cmp::Ordering::Less if now.links == 0 => abi::NOTE_DELETE,
        std::cmp::Ordering::Less if !is_directory => abi::NOTE_LINK | abi::NOTE_DELETE,
        std::cmp::Ordering::Greater if !is_directory => abi::NOTE_LINK,
        _ => return abi::NOTE_ATTRIB,
    };
    if now.access == before.access { links } else { links | abi::NOTE_ATTRIB }
}

fn entries(heard: &Heard) -> u32 {
    let moved = libc::IN_MOVED_FROM | libc::IN_MOVED_TO;
    let is_directory = heard.mask & libc::IN_ISDIR != 0;
    match heard.mask & moved != 0 {
        _ if heard.stays => abi::NOTE_WRITE,
        true if is_directory => abi::NOTE_WRITE | abi::NOTE_EXTEND | abi::NOTE_LINK,
        true => abi::NOTE_WRITE | abi::NOTE_EXTEND,
        false if is_directory => abi::NOTE_WRITE | abi::NOTE_LINK,
        false => abi::NOTE_WRITE,
    }
}
