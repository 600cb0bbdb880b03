//! The files that a queue watches: one inotify for all of them, made when there is a first.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::linux::{self, Errno, Inotify, Record, Result};

#[derive(Debug, Default)]
pub(crate) struct Files {
    inotify: Option<Inotify>,
    /// inotify has one watch per file, of which several watchers may want to hear.
    listeners: HashMap<i32, Vec<Listener>>,
    /// The watches that each watcher listens to.
    watches: HashMap<u64, Vec<i32>>,
    /// The kernel has been told to watch less, of which it leaves a record.
    pub(crate) has_unwatched: bool,
}

/// Who wants to hear of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listener {
    number: u64,
    mask: u32,
    role: Role,
}

/// What a watched file is to the watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    File,
    /// The directory that the file is in.
    Parent,
}

/// Something happened to a file that a watcher listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) number: u64,
    pub(crate) role: Role,
    pub(crate) mask: u32,
    /// The entry of the directory that it is about; empty if it is about the file itself.
    pub(crate) name: Vec<u8>,
    /// The entry was moved within the directory, of which there are two records.
    pub(crate) stays: bool,
}

/// An entry of a directory comes or goes.
pub(crate) const ENTRIES: u32 =
    libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_MOVED_TO;

/// How often to read in one go.
const READS: usize = 64;

impl Files {
    /// The inotify, if this is what made it, to be put into the epoll.
    pub(crate) fn open(&mut self) -> Result<Option<&OwnedFd>> {
        if self.inotify.is_some() {
            return Ok(None);
        }
        let inotify = Inotify::new()?;
        Ok(Some(self.inotify.insert(inotify).fd()))
    }

    /// Whether something was ever watched.
    pub(crate) fn is_open(&self) -> bool {
        self.inotify.is_some()
    }

    /// Hears of what happens to the file of a descriptor.
    pub(crate) fn listen(&mut self, fd: RawFd, number: u64, mask: u32) -> Result<()> {
        self.watch(Path::new(&format!("/proc/self/fd/{fd}")), number, Role::File, mask)
    }

    /// Hears of what happens in the directory that the file of a descriptor is in by now.
    pub(crate) fn listen_to_parent(&mut self, fd: RawFd, number: u64, mask: u32) -> Result<()> {
        let path = linux::path_of(fd)?;
        self.watch(path.parent().unwrap_or(Path::new("/")), number, Role::Parent, mask)
    }

    /// Hears of what happens to the file of a path; `mask` may say how the path is to be followed.
    pub(crate) fn watch(&mut self, path: &Path, number: u64, role: Role, mask: u32) -> Result<()> {
        let inotify = self.inotify.as_ref().ok_or(Errno::BADF)?;
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno(libc::ENOENT))?;
        let watch = inotify.watch(&path, mask)?;
        let listener = Listener { number, mask, role };
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

    pub(crate) fn forget(&mut self, number: u64) {
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
    ///
    /// # Errors
    ///
    /// Those of reading; nothing is lost.
    pub(crate) fn hear(&mut self) -> Result<Vec<Heard>> {
        let Some(inotify) = &self.inotify else {
            return Ok(Vec::new());
        };
        let mut records = Vec::new();
        // Whoever writes faster than this reads is heard of next time.
        for _ in 0..READS {
            match inotify.read() {
                Ok(more) if more.is_empty() => break,
                Ok(more) => records.extend(more),
                Err(error) if records.is_empty() => return Err(error),
                // It comes again, if it has not passed.
                Err(_) => break,
            }
        }
        self.has_unwatched = false;
        let mut heard = Vec::new();
        for (at, record) in records.iter().enumerate() {
            if record.mask & libc::IN_Q_OVERFLOW != 0 {
                let all = self.listeners.values().flatten();
                heard.extend(all.map(|it| it.hears(it.mask | record.mask, &[], false)));
                continue;
            }
            let is_followed = records.get(at + 1).is_some_and(|it| record.is_moved_within(it));
            let before = at.checked_sub(1).and_then(|before| records.get(before));
            let follows = before.is_some_and(|it| it.is_moved_within(record));
            let stays = is_followed || follows;
            let listeners =
                self.listeners.get(&record.watch).map(Vec::as_slice).unwrap_or_default();
            if !record.name.is_empty() && record.mask & ENTRIES == 0 {
                // What happens to a file that is in it is not the directory's matter.
                continue;
            }
            let wanted = |it: &&Listener| record.mask & (it.mask | libc::IN_UNMOUNT) != 0;
            let wanted = listeners.iter().filter(wanted);
            heard.extend(wanted.map(|it| it.hears(record.mask, &record.name, stays)));
            if record.mask & libc::IN_IGNORED != 0 {
                self.listeners.remove(&record.watch);
            }
        }
        Ok(heard)
    }
}

impl Listener {
    fn hears(&self, mask: u32, name: &[u8], stays: bool) -> Heard {
        Heard { number: self.number, role: self.role, mask, name: name.to_vec(), stays }
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
