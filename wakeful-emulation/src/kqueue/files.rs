//! The files that a kqueue watches: one inotify for all of them, made when there is a first.

use std::collections::HashMap;
use std::ffi::{CString, OsString};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::linux::{Errno, Inotify, Record, Result};

#[derive(Debug, Default)]
pub(super) struct Files {
    inotify: Option<Inotify>,
    /// inotify has one watch per file, of which several knotes may want to hear.
    listeners: HashMap<i32, Vec<Listener>>,
    /// The watches that each knote listens to.
    watches: HashMap<u64, Vec<i32>>,
    /// The kernel has been told to watch less, of which it leaves a record.
    pub(super) has_unwatched: bool,
}

/// Who wants to hear of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listener {
    number: u64,
    mask: u32,
    role: Role,
}

/// What a watched file is to the knote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    File,
    /// The directory that the file is in.
    Parent,
}

/// Something happened to a file that a knote listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) number: u64,
    pub(super) role: Role,
    pub(super) mask: u32,
    /// The entry was moved within the directory, and this is the first of the two records.
    pub(super) stays: bool,
}

/// An entry of a directory comes or goes.
pub(super) const ENTRIES: u32 =
    libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_MOVED_TO;

/// How often to read in one go.
const READS: usize = 64;

impl Files {
    /// The inotify, if this is what made it, to be put into the epoll.
    pub(super) fn open(&mut self) -> Result<Option<&OwnedFd>> {
        if self.inotify.is_some() {
            return Ok(None);
        }
        let inotify = Inotify::new()?;
        Ok(Some(self.inotify.insert(inotify).fd()))
    }

    /// Hears of what happens to the file of a descriptor.
    pub(super) fn listen(&mut self, fd: RawFd, number: u64, mask: u32) -> Result<()> {
        let path = format!("/proc/self/fd/{fd}");
        self.watch(path.into_bytes(), Listener { number, mask, role: Role::File })
    }

    /// Hears of what happens in the directory that the file of a descriptor is in by now.
    pub(super) fn listen_to_parent(&mut self, fd: RawFd, number: u64, mask: u32) -> Result<()> {
        let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).map_err(|_| Errno::BADF)?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        let parent = OsString::from(parent).into_vec();
        self.watch(parent, Listener { number, mask, role: Role::Parent })
    }

    fn watch(&mut self, path: Vec<u8>, listener: Listener) -> Result<()> {
        let inotify = self.inotify.as_ref().ok_or(Errno::BADF)?;
        let path = CString::new(path).map_err(|_| Errno::BADF)?;
        let watch = inotify.watch(&path, listener.mask)?;
        let (number, role) = (listener.number, listener.role);
        for other in self.watches.get(&number).cloned().unwrap_or_default() {
            if other != watch {
                self.stop(other, |it| (it.number, it.role) == (number, role));
            }
        }
        let listeners = self.listeners.entry(watch).or_default();
        match listeners.iter_mut().find(|it| (it.number, it.role) == (number, role)) {
            Some(same) => same.mask = listener.mask,
            None => listeners.push(listener),
        }
        let watches = self.watches.entry(number).or_default();
        if !watches.contains(&watch) {
            watches.push(watch);
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, number: u64) {
        for watch in self.watches.remove(&number).unwrap_or_default() {
            self.stop(watch, |listener| listener.number == number);
        }
    }

    fn stop(&mut self, watch: i32, is_unwanted: impl Fn(&Listener) -> bool) {
        let Some(listeners) = self.listeners.get_mut(&watch) else {
            return;
        };
        listeners.retain(|listener| !is_unwanted(listener));
        if let (true, Some(inotify)) = (listeners.is_empty(), &self.inotify) {
            inotify.unwatch(watch);
            self.has_unwatched = true;
            self.listeners.remove(&watch);
        }
    }

    /// What has happened, for each that listens, in its order.
    pub(super) fn hear(&mut self) -> Vec<Heard> {
        let Some(inotify) = &self.inotify else {
            return Vec::new();
        };
        let mut records = Vec::new();
        // Whoever writes faster than this reads is heard of next time.
        for _ in 0..READS {
            let more = inotify.read();
            if more.is_empty() {
                break;
            }
            records.extend(more);
        }
        self.has_unwatched = false;
        let mut heard = Vec::new();
        let mut skipped = None;
        for (at, record) in records.iter().enumerate() {
            if skipped == Some(at) {
                continue;
            }
            if record.mask & libc::IN_Q_OVERFLOW != 0 {
                heard.extend(
                    self.listeners
                        .values()
                        .flatten()
                        .map(|it| it.hears(it.mask | record.mask, false)),
                );
                continue;
            }
            let stays = records.get(at + 1).is_some_and(|next| record.is_moved_within(next));
            if stays {
                skipped = Some(at + 1);
            }
            let listeners =
                self.listeners.get(&record.watch).map(Vec::as_slice).unwrap_or_default();
            if record.is_of_entry && record.mask & ENTRIES == 0 {
                // What happens to a file that is in it is not the directory's matter.
                continue;
            }
            let wanted = |it: &&Listener| record.mask & (it.mask | libc::IN_UNMOUNT) != 0;
            heard.extend(listeners.iter().filter(wanted).map(|it| it.hears(record.mask, stays)));
            if record.mask & libc::IN_IGNORED != 0 {
                self.listeners.remove(&record.watch);
            }
        }
        heard
    }
}

impl Listener {
    fn hears(&self, mask: u32, stays: bool) -> Heard {
        Heard { number: self.number, role: self.role, mask, stays }
    }
}

impl Record {
    /// Whether this and the next are a rename inside one directory.
    fn is_moved_within(&self, next: &Record) -> bool {
        self.mask & libc::IN_MOVED_FROM != 0
            && next.mask & libc::IN_MOVED_TO != 0
            && (self.watch, self.cookie) == (next.watch, next.cookie)
    }
}
