//! A watched path: the file it leads to, and the directories in which it could be made to lead elsewhere.

use std::io;
use std::path::PathBuf;

use super::directory::{self, Entry};
use super::{Desk, ENTRIES, Fate, OF_FILE, Role, Watched, What, cookie};
use crate::platform::way::{End, StepKind, Way, is_missing};
use crate::watch::{Change, Kind, Kinds, Watch, WatchId};

/// That a directory goes is told by the one that it is in.
const OF_STEP: What = ENTRIES.union(What::REVOKED);

pub(super) struct PathWatch {
    id: WatchId,
    /// As it was given.
    path: PathBuf,
    absolute: PathBuf,
    kinds: Kinds,
    steps: Vec<Watched>,
    file: Option<(Entry, Watched)>,
    /// Which file it was by what was reported last.
    known: Option<Entry>,
    /// It was given up since then: one of the same number may be another.
    was_given_up: bool,
}

impl PathWatch {
    pub(super) fn new(
        id: WatchId,
        watch: Watch,
        absolute: PathBuf,
        desk: &mut Desk<'_>,
    ) -> io::Result<PathWatch> {
        let Watch { path, kinds, .. } = watch;
        let (steps, file, known) = (Vec::new(), None, None);
        let was_given_up = false;
        let mut new = PathWatch { id, path, absolute, kinds, steps, file, known, was_given_up };
        if let Err(error) = new.follow(desk) {
            new.release(desk);
            return Err(error);
        }
        new.known = new.file.as_ref().map(|&(entry, _)| entry);
        Ok(new)
    }

    pub(super) fn notice(&mut self, events: &[(Role, What)], desk: &mut Desk<'_>) -> Fate {
        let (mut may_lead_elsewhere, mut was_renamed) = (false, false);
        for &(role, what) in events {
            if role == Role::Step {
                may_lead_elsewhere = true;
                continue;
            }
            if what.contains(What::WRITTEN) {
                self.tell(Kind::Modified, desk);
            }
            let is_gone = what.intersects(What::DELETED | What::RENAMED);
            if what.intersects(What::ATTRIBUTES | What::LINKS) {
                self.tell(Kind::Attributes, desk);
            }
            if what.contains(What::REVOKED) {
                self.tell(Kind::Unmounted, desk);
            }
            may_lead_elsewhere |= is_gone || what.contains(What::REVOKED);
            was_renamed |= what.contains(What::RENAMED);
        }
        if may_lead_elsewhere {
            self.follow_and_tell(was_renamed, desk);
        }
        Fate::Lives
    }

    fn tell(&mut self, kind: Kind, desk: &mut Desk<'_>) {
        let wanted = match kind {
            Kind::Created => Kinds::CREATED,
            Kind::Modified => Kinds::MODIFIED,
            Kind::Attributes => Kinds::ATTRIBUTES,
            Kind::Removed => Kinds::REMOVED,
            Kind::RenamedFrom(_) => Kinds::RENAMED,
            _ => Kinds::empty(),
        };
        if self.kinds.contains(wanted) {
            let is_directory = self.known.is_some_and(|entry| entry.is_directory());
            desk.changes.push_back(Change::new(kind, self.id, self.path.clone(), is_directory));
        }
    }

    /// Follows the path anew, and tells if it leads elsewhere.
    fn follow_and_tell(&mut self, was_renamed: bool, desk: &mut Desk<'_>) {
        let result = self.follow(desk);
        let now = self.file.as_ref().map(|&(entry, _)| entry);
        let before = self.known;
        let was_given_up = std::mem::take(&mut self.was_given_up);
        if now.is_some() {
            self.known = now;
        }
        match (before, now) {
            (Some(_), None) if was_renamed => self.tell(Kind::RenamedFrom(cookie()), desk),
            (Some(_), None) => self.tell(Kind::Removed, desk),
            (before, Some(now))
                if was_given_up || before.is_none_or(|it| it.identity != now.identity) =>
            {
                self.tell(Kind::Created, desk);
            }
            _ => {}
        }
        self.known = now;
        if let Err(error) = result {
            desk.changes.push_back(Change::unwatched(self.id, self.path.clone(), false, error));
        }
    }

    /// Watches wherever the path leads through now, and the file.
    fn follow(&mut self, desk: &mut Desk<'_>) -> io::Result<()> {
        let absolute = self.absolute.clone();
        Way::follow(&absolute, |way| (self.watch_all(way, desk), self.file.is_some()))
    }

    fn watch_all(&mut self, way: &Way, desk: &mut Desk<'_>) -> io::Result<()> {
        let mut result = Ok(());
        for step in std::mem::take(&mut self.steps) {
            desk.unwatch(step);
        }
        for step in &way.steps {
            let opened = directory::open_path(&step.directory);
            match opened.and_then(|fd| desk.watch(self.id, Role::Step, fd, OF_STEP)) {
                Ok(watched) => self.steps.push(watched),
                // A precaution, without which it goes on, too.
                Err(_) if step.kind == StepKind::Folder => {}
                // The next attempt finds out.
                Err(error) if is_missing(&error) => {}
                Err(error) => result = Err(error),
            }
        }
        // The one that is watched stays watched, so that nothing of it is missed.
        let before = self.file.take();
        let found = match way.end {
            End::File => directory::open_path(&self.absolute),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let identified = found.and_then(|fd| Ok((directory::look(&fd)?, fd)));
        match (before, identified) {
            (Some(before), Ok((entry, _))) if before.0.identity == entry.identity => {
                self.file = Some(before)
            }
            (before, identified) => {
                if let Some((_, watched)) = before {
                    self.was_given_up = true;
                    desk.unwatch(watched);
                }
                let watched = identified.and_then(|(entry, fd)| {
                    Ok((entry, desk.watch(self.id, Role::File, fd, OF_FILE)?))
                });
                match watched {
                    Ok(file) => self.file = Some(file),
                    Err(error) if is_missing(&error) => {}
                    Err(error) => result = Err(error),
                }
            }
        }
        result
    }

    pub(super) fn release(self, desk: &mut Desk<'_>) {
        for watched in self.steps.into_iter().chain(self.file.map(|(_, watched)| watched)) {
            desk.unwatch(watched);
        }
    }
}
