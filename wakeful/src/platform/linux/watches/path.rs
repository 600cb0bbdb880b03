//! A watched path: the file it leads to, and each name on the way that could lead elsewhere.
//!
//! Those are the last name, every symbolic link, and the name of the directory that the last name is in: it
//! can be removed without a word to those who watch it, as long as somebody has it open. If the path leads
//! nowhere, the first name that is missing takes the place of the last. The directories in which they are
//! names are listened to.

use std::fs;
use std::io;
use std::path::PathBuf;

use wakeful_kernel::linux::{self, WatchDescriptor, WatchFlags};

use super::{Desk, Fate, Role, has_vanished};
use crate::platform::way::{End, Step, StepKind, Way};
use crate::watch::{Change, Kind, Kinds, Watch, WatchId};

const STEP: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// It is there, so that it can only go, or be replaced.
const FOLDER: WatchFlags = STEP.difference(WatchFlags::CREATE);

pub(super) struct PathWatch {
    id: WatchId,
    /// As it was given.
    path: PathBuf,
    absolute: PathBuf,
    kinds: Kinds,
    steps: Vec<(Step, WatchDescriptor)>,
    file: Option<WatchDescriptor>,
    /// Whether the path leads somewhere, by what was reported last.
    is_there: bool,
}

impl PathWatch {
    pub(super) fn new(
        id: WatchId,
        watch: Watch,
        absolute: PathBuf,
        desk: &mut Desk<'_>,
    ) -> io::Result<PathWatch> {
        let Watch { path, kinds, .. } = watch;
        let (steps, file) = (Vec::new(), None);
        let mut new = PathWatch { id, path, absolute, kinds, steps, file, is_there: false };
        if let Err(error) = new.follow(desk) {
            new.release(desk);
            return Err(error);
        }
        new.is_there = new.file.is_some();
        Ok(new)
    }

    /// Something happened in a directory on the way.
    pub(super) fn notice_step(
        &mut self,
        step: usize,
        record: &linux::Change<'_>,
        desk: &mut Desk<'_>,
    ) -> Fate {
        let Some((step, _)) = self.steps.get(step) else {
            return Fate::Lives;
        };
        let flags = record.flags();
        let of_the_directory = WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::UNMOUNT
            | WatchFlags::IGNORED;
        if record.name().is_none() {
            if flags.intersects(of_the_directory) {
                self.follow_and_tell(desk);
            }
            return Fate::Lives;
        }
        if record.name() != Some(&step.name) {
            return Fate::Lives;
        }
        let may_be_readable_now = flags.contains(WatchFlags::ATTRIB) && self.file.is_none();
        if step.kind != StepKind::Last || may_be_readable_now {
            self.follow_and_tell(desk);
            return Fate::Lives;
        }
        let kind = match flags {
            _ if flags.contains(WatchFlags::CREATE) => Kind::Created,
            _ if flags.contains(WatchFlags::DELETE) => Kind::Removed,
            _ if flags.contains(WatchFlags::MOVED_FROM) => Kind::RenamedFrom(record.cookie()),
            _ if flags.contains(WatchFlags::MOVED_TO) => Kind::RenamedTo(record.cookie()),
            _ => return Fate::Lives,
        };
        // First, so that whoever is told finds a file that is watched.
        self.follow_or_say_why(desk);
        self.tell(kind, flags.contains(WatchFlags::ISDIR), desk);
        Fate::Lives
    }

    /// Something happened to the file.
    pub(super) fn notice_file(&mut self, record: &linux::Change<'_>, desk: &mut Desk<'_>) -> Fate {
        let flags = record.flags();
        let is_directory = flags.contains(WatchFlags::ISDIR);
        if flags.contains(WatchFlags::IGNORED) {
            self.file = None;
            self.follow_and_tell(desk);
        } else if record.name().is_none() {
            if flags.contains(WatchFlags::MODIFY) {
                self.tell(Kind::Modified, is_directory, desk);
            } else if flags.contains(WatchFlags::ATTRIB) {
                self.tell(Kind::Attributes, is_directory, desk);
            } else if flags.contains(WatchFlags::UNMOUNT) {
                self.tell(Kind::Unmounted, is_directory, desk);
            }
        }
        Fate::Lives
    }

    pub(super) fn catch_up(&mut self, desk: &mut Desk<'_>) -> Fate {
        self.follow_and_tell(desk);
        Fate::Lives
    }

    pub(super) fn release(mut self, desk: &mut Desk<'_>) {
        for descriptor in self.mute(desk) {
            desk.sweep(descriptor);
        }
    }

    fn tell(&mut self, kind: Kind, is_directory: bool, desk: &mut Desk<'_>) {
        let wanted = match kind {
            Kind::Created => Kinds::CREATED,
            Kind::Modified => Kinds::MODIFIED,
            Kind::Attributes => Kinds::ATTRIBUTES,
            Kind::Removed => Kinds::REMOVED,
            Kind::RenamedFrom(_) | Kind::RenamedTo(_) => Kinds::RENAMED,
            _ => Kinds::empty(),
        };
        match kind {
            Kind::Created | Kind::RenamedTo(_) => self.is_there = true,
            // Told already, when the file itself went.
            Kind::Removed | Kind::RenamedFrom(_) if !self.is_there => return,
            Kind::Removed | Kind::RenamedFrom(_) => self.is_there = false,
            _ => {}
        }
        if self.kinds.contains(wanted) {
            desk.changes.push_back(Change::new(kind, self.id, self.path.clone(), is_directory));
        }
    }

    /// Follows the path anew, and tells if it leads elsewhere.
    fn follow_and_tell(&mut self, desk: &mut Desk<'_>) {
        let before = self.file;
        self.follow_or_say_why(desk);
        match self.file {
            Some(_) if self.file == before => {}
            Some(_) => {
                let is_directory = fs::metadata(&self.absolute).is_ok_and(|it| it.is_dir());
                self.tell(Kind::Created, is_directory, desk);
            }
            None => self.tell(Kind::Removed, false, desk),
        }
    }

    fn follow_or_say_why(&mut self, desk: &mut Desk<'_>) {
        if let Err(error) = self.follow(desk) {
            desk.changes.push_back(Change::unwatched(self.id, self.path.clone(), false, error));
        }
    }

    /// Listens wherever the path leads through now, and to the file.
    fn follow(&mut self, desk: &mut Desk<'_>) -> io::Result<()> {
        let mut earlier = self.mute(desk);
        let result = self.listen(desk, &mut earlier);
        for descriptor in earlier {
            desk.sweep(descriptor);
        }
        result
    }

    fn listen(
        &mut self,
        desk: &mut Desk<'_>,
        earlier: &mut Vec<WatchDescriptor>,
    ) -> io::Result<()> {
        let absolute = self.absolute.clone();
        Way::follow(&absolute, |way| {
            // Not swept yet: what the kernel has to say of them is to reach us.
            earlier.extend(self.mute(desk));
            (self.listen_on(way, desk), self.file.is_some())
        })
    }

    fn listen_on(&mut self, way: &Way, desk: &mut Desk<'_>) -> io::Result<()> {
        let mut result = Ok(());
        for step in &way.steps {
            let number = self.steps.len();
            let flags = if step.kind == StepKind::Folder { FOLDER } else { STEP };
            match desk.listen(self.id, Role::Step(number), &step.directory, flags) {
                Ok(descriptor) => self.steps.push((step.clone(), descriptor)),
                Err(_) if step.kind == StepKind::Folder => {}
                // The next attempt finds out.
                Err(error) if has_vanished(&error) => return Ok(()),
                Err(error) => result = Err(error.into()),
            }
        }
        if way.end != End::File {
            return result;
        }
        let flags = WatchFlags::MODIFY | WatchFlags::ATTRIB;
        match desk.listen(self.id, Role::File, &self.absolute, flags) {
            Ok(descriptor) => self.file = Some(descriptor),
            Err(error) if has_vanished(&error) => {}
            Err(error) => {
                // Its permissions may change, which its directory can tell.
                let last = self.steps.iter().position(|(step, _)| step.kind == StepKind::Last);
                if let Some((number, (step, _))) =
                    last.and_then(|it| Some((it, self.steps.get(it)?)))
                {
                    let flags = STEP | WatchFlags::ATTRIB;
                    let _ = desk.listen(self.id, Role::Step(number), &step.directory, flags);
                }
                result = Err(error.into());
            }
        }
        result
    }

    /// Listens nowhere; answers with where it did.
    fn mute(&mut self, desk: &mut Desk<'_>) -> Vec<WatchDescriptor> {
        let mut muted = Vec::new();
        for (number, (_, descriptor)) in self.steps.drain(..).enumerate() {
            desk.mute(self.id, Role::Step(number), descriptor);
            muted.push(descriptor);
        }
        if let Some(descriptor) = self.file.take() {
            desk.mute(self.id, Role::File, descriptor);
            muted.push(descriptor);
        }
        muted
    }
}
