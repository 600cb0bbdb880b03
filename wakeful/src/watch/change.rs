use std::fmt;
use std::io;
use std::path::PathBuf;

use super::WatchId;

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// There is a new entry in a directory; or the path of a watched file leads to another one, because a
    /// symbolic link on its way does.
    Created,
    /// A file was written to or truncated.
    Modified,
    /// Mode, owner, times, links or extended attributes changed.
    Attributes,
    /// An entry is no longer in its directory, or the path of a watched file leads nowhere.
    Removed,
    /// An entry was renamed, and had this path. The other half has the same number, which is not that of
    /// any other rename at that time; it is missing if the entry left what is watched.
    RenamedFrom(u32),
    /// An entry was renamed, and has this path now; what may have had it before is gone. The other half
    /// has the same number; it is missing if the entry comes from where nothing is watched.
    RenamedTo(u32),
    /// The watched directory itself is gone, and nobody has it open any more. The watch is over.
    Gone,
    /// The watched directory itself was renamed. The watch stays with it, and the paths of later changes
    /// begin as before.
    Moved,
    /// The file system was unmounted. If it was the watched directory's, the watch is over; the path of a
    /// file is watched further.
    Unmounted,
    /// Changes of any of the watches were lost, because they were not taken in time: look at everything
    /// anew. It belongs to no watch. So it is where the kernel answers with an error instead of
    /// changes, which is [`Change::error`] then; they may come later.
    Overflow,
    /// A directory of a watched tree, or the file that a watched path leads to now, or where each file is watched
    /// one by one such a file, could not be watched:
    /// changes there are lost. [`Change::error`] says why. If an [incremental](super::Watch::incremental)
    /// watch cannot go on, it is over, and this has the path of the watch.
    Unwatched,
    /// All directories of an [incremental](super::Watch::incremental) watch are watched.
    Listed,
}

/// One change.
#[derive(Debug)]
#[non_exhaustive]
pub struct Change {
    /// What happened.
    pub kind: Kind,
    /// Which watch it belongs to; `None` for [`Kind::Overflow`].
    pub watch: Option<WatchId>,
    /// To what. It begins with the path of the watch as it was given. Empty for [`Kind::Overflow`].
    pub path: PathBuf,
    /// Whether that is a directory.
    pub is_directory: bool,
    error: Option<Box<io::Error>>,
}

impl Change {
    // Not every system can watch yet.
    #[allow(dead_code)]
    pub(crate) fn new(kind: Kind, watch: WatchId, path: PathBuf, is_directory: bool) -> Change {
        Change { kind, watch: Some(watch), path, is_directory, error: None }
    }

    #[allow(dead_code)]
    pub(crate) fn overflow() -> Change {
        let kind = Kind::Overflow;
        Change { kind, watch: None, path: PathBuf::new(), is_directory: false, error: None }
    }

    /// Changes may be lost, because they could not be taken.
    #[allow(dead_code)]
    pub(crate) fn overflow_by(error: io::Error) -> Change {
        Change { error: Some(Box::new(error)), ..Change::overflow() }
    }

    #[allow(dead_code)]
    pub(crate) fn unwatched(
        watch: WatchId,
        path: PathBuf,
        is_directory: bool,
        error: io::Error,
    ) -> Change {
        let error = Some(Box::new(error));
        Change { error, ..Change::new(Kind::Unwatched, watch, path, is_directory) }
    }

    /// Why something could not be watched, with [`Kind::Unwatched`]; with [`Kind::Overflow`] the
    /// error that kept the changes from being taken, if it was one.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_deref()
    }
}

/// One word, such as `created` or `renamed-from`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Created => "created",
            Kind::Modified => "modified",
            Kind::Attributes => "attributes",
            Kind::Removed => "removed",
            Kind::RenamedFrom(_) => "renamed-from",
            Kind::RenamedTo(_) => "renamed-to",
            Kind::Gone => "gone",
            Kind::Moved => "moved",
            Kind::Unmounted => "unmounted",
            Kind::Overflow => "overflow",
            Kind::Unwatched => "unwatched",
            Kind::Listed => "listed",
        })
    }
}

/// The kind and the path, as a line of a log wants it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if self.kind != Kind::Overflow {
            write!(f, " {}", self.path.display())?;
        }
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}
