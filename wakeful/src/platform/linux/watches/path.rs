//! A watched path: the file it leads to, and each name on the way that could lead elsewhere.
//!
//! Those are the last name, and every symbolic link. If the path leads nowhere, the first name that is
//! missing takes the place of the last. The directories in which they are names are listened to.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use wakeful_kernel::linux::{self, WatchDescriptor, WatchFlags};

use super::{Desk, Fate, Role, has_vanished};
use crate::watch::{Change, Kind, Kinds, Watch, WatchId};

const STEP: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// As many as the kernel follows.
const LINKS: usize = 40;

/// How often the way may change while it is being watched, before what was found is taken for good: later
/// changes are reported in any case, but for those of a directory that nobody listened to.
const ATTEMPTS: usize = 16;

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

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    directory: PathBuf,
    name: OsString,
    /// It is the last of its path, or of the last link's: what happens to it is told as such.
    is_last: bool,
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
        if record.name() != Some(&step.name) || !flags.intersects(STEP) {
            return Fate::Lives;
        }
        if !step.is_last {
            self.follow_and_tell(desk);
            return Fate::Lives;
        }
        let kind = match flags {
            _ if flags.contains(WatchFlags::CREATE) => Kind::Created,
            _ if flags.contains(WatchFlags::DELETE) => Kind::Removed,
            _ if flags.contains(WatchFlags::MOVED_FROM) => Kind::RenamedFrom(record.cookie()),
            _ => Kind::RenamedTo(record.cookie()),
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
            Some(_) => self.tell(Kind::Created, false, desk),
            None => self.tell(Kind::Removed, false, desk),
        }
    }

    fn follow_or_say_why(&mut self, desk: &mut Desk<'_>) {
        if let Err(error) = self.follow(desk) {
            desk.changes.push_back(Change::unwatched(self.id, self.path.clone(), error));
        }
    }

    /// Listens wherever the path leads through now, and to the file.
    fn follow(&mut self, desk: &mut Desk<'_>) -> io::Result<()> {
        let earlier = self.mute(desk);
        let result = self.listen(desk);
        for descriptor in earlier {
            desk.sweep(descriptor);
        }
        result
    }

    fn listen(&mut self, desk: &mut Desk<'_>) -> io::Result<()> {
        let (mut steps, mut exists) = resolve(&self.absolute)?;
        for _ in 0..ATTEMPTS {
            for descriptor in self.mute(desk) {
                desk.sweep(descriptor);
            }
            for (number, step) in steps.iter().enumerate() {
                match desk.listen(self.id, Role::Step(number), &step.directory, STEP) {
                    Ok(descriptor) => self.steps.push((step.clone(), descriptor)),
                    // The next attempt finds out.
                    Err(error) if has_vanished(&error) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            if exists {
                let flags = WatchFlags::MODIFY | WatchFlags::ATTRIB;
                match desk.listen(self.id, Role::File, &self.absolute, flags) {
                    Ok(descriptor) => self.file = Some(descriptor),
                    Err(error) if has_vanished(&error) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            // What changed before all of it was listened to.
            let now = resolve(&self.absolute)?;
            let all = self.steps.len() == steps.len() && self.file.is_some() == exists;
            if all && now == (steps.clone(), exists) {
                break;
            }
            (steps, exists) = now;
        }
        Ok(())
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

/// Walks a path as the kernel does. The steps, and whether it leads somewhere.
fn resolve(path: &Path) -> io::Result<(Vec<Step>, bool)> {
    let names = |path: &Path| -> Vec<OsString> {
        path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
    };
    let mut steps = Vec::new();
    let mut links = 0;
    let mut here = PathBuf::from("/");
    let mut left = names(path);
    while let Some(name) = left.pop() {
        if name == "." {
            continue;
        }
        if name == ".." {
            // No link is left in it.
            here.pop();
            continue;
        }
        // A name that is the root replaces what it is joined to.
        let next = here.join(&name);
        let is_last = left.is_empty();
        let target = match fs::symlink_metadata(&next) {
            Ok(metadata) if metadata.is_symlink() => fs::read_link(&next).map(Some),
            Ok(metadata) if is_last || metadata.is_dir() => Ok(None),
            Ok(_) => Err(ErrorKind::NotADirectory.into()),
            Err(error) => Err(error),
        };
        let step = |directory| Step { directory, name, is_last };
        match target {
            Ok(Some(target)) => {
                links += 1;
                if links > LINKS {
                    return Err(io::Error::from_raw_os_error(libc::ELOOP));
                }
                steps.push(step(here.clone()));
                left.extend(names(&target));
            }
            Ok(None) => {
                if is_last {
                    steps.push(step(here));
                }
                here = next;
            }
            Err(error) => match error.kind() {
                // It was a link, and is something else by now.
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput => {
                    steps.push(step(here));
                    return Ok((steps, false));
                }
                _ => return Err(error),
            },
        }
    }
    Ok((steps, true))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn steps(path: &Path) -> (Vec<(PathBuf, String)>, bool) {
        let (steps, exists) = resolve(path).unwrap();
        let steps = steps
            .into_iter()
            .map(|step| (step.directory, step.name.into_string().unwrap()))
            .collect();
        (steps, exists)
    }

    #[test]
    fn every_name_that_could_lead_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "").unwrap();
        symlink("a/b", root.join("relative")).unwrap();
        symlink(root.join("relative"), root.join("absolute")).unwrap();
        symlink("../absolute/file", root.join("a/link")).unwrap();

        let step = |directory: &str, name: &str| (root.join(directory), name.to_owned());
        assert_eq!(steps(&root.join("a/b/file")), (vec![step("a/b", "file")], true));
        assert_eq!(
            steps(&root.join("a/./b/../link")),
            (
                vec![
                    step("a", "link"),
                    step("", "absolute"),
                    step("", "relative"),
                    step("a/b", "file")
                ],
                true
            )
        );
        assert_eq!(steps(&root.join("a/no/such/file")), (vec![step("a", "no")], false));
        assert_eq!(steps(&root.join("a/b/file/x")), (vec![step("a/b", "file")], false));
        symlink("circle", root.join("circle")).unwrap();
        assert_eq!(resolve(&root.join("circle")).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}
