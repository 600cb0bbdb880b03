//! An event port tells of what happens to files.
//!
//! Each event ends an association. It is made again with the times that the file has then, before anything else is
//! looked at: so what happens from there on is told, and nothing is missed in between.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wakeful_kernel::event_port::{EventPort, EventSource, FileEvents, FileObj};

use super::watches::{BATCH, What};

/// There is no flag of open(2) for a descriptor that is only to be watched.
pub(crate) const OPEN_TO_WATCH: i32 = 0;

#[derive(Debug)]
pub(super) struct Teller {
    port: EventPort,
    /// By their places.
    watched: Mutex<HashMap<usize, Watched>>,
}

#[derive(Debug)]
struct Watched {
    /// By way of its descriptor, so that it is the same whatever becomes of its name.
    file: FileObj,
    events: FileEvents,
    /// When it was written to last, as far as that was told.
    written: (i64, i64),
}

impl Teller {
    pub(super) fn new() -> io::Result<Teller> {
        Ok(Teller { port: EventPort::new()?, watched: Mutex::default() })
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<usize, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of an open file from now on, by its place.
    pub(super) fn watch(&self, fd: BorrowedFd<'_>, place: usize, what: What) -> io::Result<()> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        let file = FileObj::new(path.as_path())?;
        let written = written(&path.metadata()?);
        let mut events = FileEvents::ATTRIB;
        if what.contains(What::WRITTEN) {
            events |= FileEvents::MODIFIED | FileEvents::TRUNC;
        }
        self.port.associate_file(&file, events, place)?;
        self.watched().insert(place, Watched { file, events, written });
        Ok(())
    }

    /// Tells of it no more.
    pub(super) fn unwatch(&self, _: BorrowedFd<'_>, place: usize) {
        if let Some(Watched { file, .. }) = self.watched().remove(&place) {
            let _ = self.port.dissociate_file(&file);
        }
    }

    /// Is readable, though nothing has happened.
    pub(super) fn nudge(&self) {
        // A full port is readable.
        let _ = self.port.send(1, 0);
    }

    /// What has happened since the last time, if anything.
    pub(super) fn happened(&self) -> io::Result<Option<Vec<(usize, What)>>> {
        let events = self.port.get_n(BATCH, Some(Duration::ZERO))?;
        if events.is_empty() {
            return Ok(None);
        }
        let mut watched = self.watched();
        let mut told = Vec::new();
        for event in events.iter().filter(|event| event.source == EventSource::File) {
            let (Some(watched), Some(found)) = (watched.get_mut(&event.user), event.file_events())
            else {
                continue;
            };
            told.push((event.user, self.again(watched, event.user, found)));
        }
        Ok(Some(told))
    }

    /// Associates a file again. What was found, in our words.
    fn again(&self, watched: &mut Watched, place: usize, found: FileEvents) -> What {
        let mut what = What::empty();
        for (theirs, ours) in [
            (FileEvents::MODIFIED | FileEvents::TRUNC, What::WRITTEN),
            // Another was renamed over it.
            (FileEvents::DELETE | FileEvents::RENAME_TO, What::DELETED),
            (FileEvents::RENAME_FROM, What::RENAMED),
            (FileEvents::UNMOUNTED | FileEvents::MOUNTEDOVER, What::REVOKED),
        ] {
            if found.intersects(theirs) {
                what |= ours;
            }
        }
        let is_refreshed = watched.file.refresh().is_ok();
        // After that: what happens in between is told by the association.
        let now = watched.file.path().metadata().ok();
        if let Some(now) = &now {
            // Something may have been written after what was found.
            if std::mem::replace(&mut watched.written, written(now)) != watched.written {
                what |= What::WRITTEN;
            }
        }
        // Which writing changes as well.
        if found.contains(FileEvents::ATTRIB) && !what.contains(What::WRITTEN) {
            what |= What::ATTRIBUTES | What::LINKS;
        }
        // A name of it may be gone without an exception's being told, since this is not the way that it was opened by.
        if now.is_none_or(|now| now.nlink() == 0) {
            return what | What::DELETED;
        }
        if is_refreshed && !what.contains(What::REVOKED) {
            // One that cannot be is told of no more, as when its file system goes away.
            let _ = self.port.associate_file(&watched.file, watched.events, place);
        }
        what
    }
}

impl AsFd for Teller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.as_fd()
    }
}

fn written(metadata: &Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
}
