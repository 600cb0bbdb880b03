//! Where a path leads through, and to.
//!
//! What could lead elsewhere are the last name, every symbolic link, and the name of the directory that the last
//! name is in: on Linux it can be removed without a word to those who watch it, as long as somebody has it open.
//! If the path leads nowhere, the first name that is missing takes the place of the last.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::watch::Watch;

/// As many as the kernel follows.
const LINKS: usize = 40;

/// What is to be watched: where it really is, and whether it is a directory.
///
/// # Errors
///
/// It is not there, and has to be.
pub(super) fn target(watch: &Watch) -> io::Result<(PathBuf, bool)> {
    let absolute = std::path::absolute(&watch.path)?;
    match fs::metadata(&absolute) {
        Ok(metadata) => Ok((absolute, metadata.is_dir())),
        Err(error) if watch.allow_missing && is_missing(&error) => Ok((absolute, false)),
        Err(error) => Err(error),
    }
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
    pub(super) kind: StepKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepKind {
    /// The last of its path, or of the last link's: what happens to it is told as such.
    Last,
    /// On the way.
    Link,
    /// The directory of the last name. It is a precaution, without which it goes on too.
    Folder,
}

/// Where a path leads through, and to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    File,
    Nowhere,
    /// It cannot be told, because of this error.
    Error(i32),
}

/// How often the way may change while it is being listened to, before what was found is taken for good.
const ATTEMPTS: usize = 16;

impl Way {
    /// Listens wherever a path leads through, by `listen`, which also says whether it has the file. Anew, if the way was
    /// another by the time that all of it was listened to.
    ///
    /// # Errors
    ///
    /// Why it cannot be told where the path leads, or the last of `listen`'s.
    pub(super) fn follow(
        path: &Path,
        mut listen: impl FnMut(&Way) -> (io::Result<()>, bool),
    ) -> io::Result<()> {
        let mut way = Way::of(path);
        let mut result = Ok(());
        for _ in 0..ATTEMPTS {
            let (listened, has_file) = listen(&way);
            result = listened;
            let now = Way::of(path);
            if now == way && (has_file || result.is_err()) == (way.end == End::File) {
                break;
            }
            way = now;
        }
        match way.end {
            End::Error(errno) => Err(io::Error::from_raw_os_error(errno)),
            _ => result,
        }
    }

    /// Walks a path as the kernel does.
    pub(super) fn of(path: &Path) -> Way {
        let names = |path: &Path| -> Vec<OsString> {
            path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
        };
        let mut way = Way { steps: Vec::new(), end: End::File };
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
            let kind = if is_last { StepKind::Last } else { StepKind::Link };
            let target = match fs::symlink_metadata(&next) {
                Ok(metadata) if metadata.is_symlink() => fs::read_link(&next).map(Some),
                Ok(metadata) if is_last || metadata.is_dir() => Ok(None),
                Ok(_) => Err(ErrorKind::NotADirectory.into()),
                Err(error) => Err(error),
            };
            match target {
                Ok(Some(target)) => {
                    links += 1;
                    way.step(here.clone(), name, kind);
                    if links > LINKS {
                        way.end = End::Error(libc::ELOOP);
                        return way;
                    }
                    left.extend(names(&target));
                }
                Ok(None) => {
                    if is_last {
                        way.last_step(here, name, kind);
                    }
                    here = next;
                }
                Err(error) => {
                    way.last_step(here, name, kind);
                    way.end = match error.kind() {
                        // It was a link, and is something else by now.
                        ErrorKind::InvalidInput => End::Nowhere,
                        _ if is_missing(&error) => End::Nowhere,
                        _ => End::Error(error.raw_os_error().unwrap_or(libc::EIO)),
                    };
                    return way;
                }
            }
        }
        way
    }

    fn last_step(&mut self, directory: PathBuf, name: OsString, kind: StepKind) {
        if let (Some(parent), Some(folder)) = (directory.parent(), directory.file_name()) {
            self.step(parent.to_owned(), folder.to_owned(), StepKind::Folder);
        }
        self.step(directory, name, kind);
    }

    /// Once: links can lead in a circle.
    fn step(&mut self, directory: PathBuf, name: OsString, kind: StepKind) {
        let step = Step { directory, name, kind };
        if !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }
}

/// Whether a path leads nowhere.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn steps(path: &Path) -> (Vec<(PathBuf, String)>, End) {
        let Way { steps, end } = Way::of(path);
        let needed = steps.into_iter().filter(|step| step.kind != StepKind::Folder);
        let named = needed.map(|step| (step.directory, step.name.into_string().unwrap()));
        (named.collect(), end)
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
        assert_eq!(steps(&root.join("a/b/file")), (vec![step("a/b", "file")], End::File));
        assert_eq!(
            steps(&root.join("a/./b/../link")),
            (
                vec![
                    step("a", "link"),
                    step("", "absolute"),
                    step("", "relative"),
                    step("a/b", "file")
                ],
                End::File
            )
        );
        assert_eq!(steps(&root.join("a/no/such/file")), (vec![step("a", "no")], End::Nowhere));
        assert_eq!(steps(&root.join("a/b/file/x")), (vec![step("a/b", "file")], End::Nowhere));
        symlink("circle", root.join("circle")).unwrap();
        let circle = (vec![step("", "circle")], End::Error(libc::ELOOP));
        assert_eq!(steps(&root.join("circle")), circle);
    }
}
