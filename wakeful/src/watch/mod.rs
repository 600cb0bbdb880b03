//! Changes of files and directories, as events.

mod change;
mod options;

use std::fmt;
use std::io;
use std::iter::FusedIterator;

pub use change::{Change, Kind};
pub use options::{Answer, Kinds, Progress, Watch, WatchId};
// Not every system can watch yet.
#[allow(unused_imports)]
pub(crate) use options::{DIRECTORY, Filter, Listener, STEP};

use wakeful_kernel::process::Generation;

use crate::io_source::{IoSource, lender};
use crate::platform::Watches;
use crate::rearm::Direction;

/// Watches files and directories, and is a source: readable when something happened to them.
///
/// A watched **directory** reports what happens to its entries and to itself. With
/// [`recursive`](Watch::recursive) it reports so of every directory below it, including those that are
/// created or moved there later, whose entries are reported as created if they came before the watch.
///
/// A watched **file** is watched by its path. It reports what happens to the file (through whatever of its
/// names), and what happens to the name: an editor that saves by renaming a new file over the old one is
/// followed, as is whoever replaces a symbolic link on the way to it. If the file or its directory is
/// removed, the watch waits for another. Directories above that, while they exist, are not watched. So
/// that nothing is missed, entries of that directory, and of the one it is in, may be events that find
/// nothing.
///
/// A change is a hint that something is to be looked at, in the order in which the kernel saw it. Equal
/// ones in a row may be merged, and one may be told twice. If too many wait the kernel drops the
/// rest: one [`Kind::Overflow`] says so; what is in a watched tree by then is watched, and to be looked at by
/// the caller. An event may find nothing.
///
/// Network file systems report only what this machine does.
///
/// In a forked child [`add`](Watcher::add) is an error that says so, there are no changes, and dropping the watcher
/// closes the child's descriptors and does nothing else: the parent loses nothing.
///
/// On the BSDs and macOS each file and directory that is watched is open meanwhile, and keeps its file system in use.
/// What comes and goes between two looks at a directory is not told there; an entry that comes from where
/// nothing is watched is created, as is one that replaces another; changes of one kind are told once, perhaps not in
/// their order. What cannot be opened is [`Kind::Unwatched`]; symbolic links and devices are not watched themselves.
/// Nothing is lost there, so that there is no overflow. Other systems cannot watch yet.
///
/// ```
/// use std::fs;
/// use wakeful::watch::{Kind, Watcher};
/// use wakeful::{Events, Interest, Poll, Token};
///
/// let folder = tempfile::tempdir()?;
/// let mut poll = Poll::new()?;
/// let watcher = poll.registry().register_owned(Watcher::new()?, Token(0), Interest::READABLE)?;
/// watcher.add(folder.path())?;
/// fs::create_dir(folder.path().join("new"))?;
///
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// for change in watcher.changes() {
///     assert_eq!(change.kind, Kind::Created);
///     assert!(change.path.ends_with("new") && change.is_directory);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "inotify")]
pub struct Watcher {
    inner: IoSource<Watches>,
    /// A forked child has a copy, perhaps locked by another thread of its parent, whose queue the kernel's is.
    generation: Generation,
}

lender!(Watcher);

impl Watcher {
    /// A watcher that watches nothing yet.
    ///
    /// # Errors
    ///
    /// `EMFILE`, also for a limit of the user's; `ENFILE`, `ENOMEM`.
    /// [`Unsupported`](io::ErrorKind::Unsupported) where files cannot be watched, or a sandbox
    /// refuses it.
    pub fn new() -> io::Result<Watcher> {
        let generation = Generation::current();
        Ok(Watcher { inner: IoSource::new(Watches::new()?), generation })
    }

    /// Watches a path from now on. One can be watched several times, each with its own changes.
    ///
    /// A recursive watch of many directories takes its time, about that of listing them;
    /// [`Watch::incremental`] lists them in steps, and [`Watch::progress`] can end it. Directories
    /// in it that cannot be watched, because their permissions forbid it, are reported as
    /// [`Kind::Unwatched`].
    ///
    /// # Errors
    ///
    /// `ENOENT`, `EACCES`. `ENOSPC`: the user's limit of watches (on Linux
    /// /proc/sys/fs/inotify/max_user_watches) is reached; then nothing is watched.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): an empty path, or one with a NUL byte; or a forked child adds it.
    /// `ECANCELED`: [`Watch::progress`] ended it.
    pub fn add(&self, watch: impl Into<Watch>) -> io::Result<WatchId> {
        self.generation.check("watcher")?;
        self.inner.get().add(watch.into())
    }

    /// Watches it no more: none of its changes is reported from now on. Nothing happens if it is over.
    pub fn remove(&self, watch: WatchId) {
        if self.generation.is_current() {
            self.inner.get().remove(watch);
        }
    }

    /// Takes the changes there are, one after another.
    ///
    /// If something is left when the iterator is dropped, because it was not used to its end, the watcher is
    /// reported anew. So it is if many directories have come at once, by a rename into a watched
    /// tree for example: one pass lists some hundreds of them, and the next ones the rest.
    pub fn changes(&self) -> Changes<'_> {
        Changes { watcher: self, ended: !self.generation.is_current(), budget: STEP }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.generation.is_current() {
            self.inner.fmt(f)
        } else {
            f.debug_struct("Watcher").finish_non_exhaustive()
        }
    }
}

/// The changes of [`Watcher::changes`].
#[derive(Debug)]
#[must_use = "changes are taken by iterating"]
pub struct Changes<'watcher> {
    watcher: &'watcher Watcher,
    ended: bool,
    /// How much may still be listed.
    budget: usize,
}

impl Iterator for Changes<'_> {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        if self.ended || !self.watcher.generation.is_current() {
            self.ended = true;
            return None;
        }
        let change = self.watcher.inner.get().next_change(&mut self.budget);
        if change.is_none() {
            self.ended = true;
            self.watcher.inner.drained(Direction::Read);
        }
        change
    }
}

impl FusedIterator for Changes<'_> {}

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        if !self.ended && self.watcher.generation.is_current() {
            self.watcher.inner.get().remind();
            self.watcher.inner.drained(Direction::Read);
        }
    }
}
