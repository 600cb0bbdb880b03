use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Names a watch of one [`Watcher`](super::Watcher).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(u64);

impl WatchId {
    /// One that no watcher has had, so that none takes another's for its own.
    // Where files can be watched.
    #[allow(dead_code)]
    pub(crate) fn next() -> WatchId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        WatchId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

bitflags::bitflags! {
    /// Which changes of entries and files to report. [`Kind::Gone`](super::Kind::Gone) and those after it
    /// always are.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Kinds: u8 {
        /// [`Kind::Created`](super::Kind::Created).
        const CREATED = 1;
        /// [`Kind::Modified`](super::Kind::Modified).
        const MODIFIED = 2;
        /// [`Kind::Attributes`](super::Kind::Attributes).
        const ATTRIBUTES = 4;
        /// [`Kind::Removed`](super::Kind::Removed).
        const REMOVED = 8;
        /// [`Kind::RenamedFrom`](super::Kind::RenamedFrom) and [`Kind::RenamedTo`](super::Kind::RenamedTo).
        const RENAMED = 16;
    }
}

/// How far a recursive watch has come, while it is added.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress<'watch> {
    /// How many directories are watched by now.
    pub directories: usize,
    /// The one that was added last.
    pub path: &'watch Path,
}

pub(crate) type Filter = Box<dyn Fn(&Path, bool) -> bool + Send>;
pub(crate) type Listener = Box<dyn FnMut(Progress<'_>) -> ControlFlow<()> + Send>;

/// What a [progress](Watch::progress) callback may return: nothing, or whether to go on.
pub trait Answer: sealed::Sealed {
    #[doc(hidden)]
    fn flow(self) -> ControlFlow<()>;
}

impl Answer for () {
    fn flow(self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Answer for ControlFlow<()> {
    fn flow(self) -> ControlFlow<()> {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for std::ops::ControlFlow<()> {}
}

/// How much of a tree one pass of [`Watcher::changes`](super::Watcher::changes) lists, in units.
pub(crate) const STEP: usize = 2048;

/// What listing a directory takes of a [`STEP`], for itself and for each of its entries.
// Where files can be watched.
#[allow(dead_code)]
pub(crate) const DIRECTORY: usize = 16;

/// What to watch, and how. A path is one: `watcher.add("Cargo.toml")`.
///
/// ```
/// use wakeful::watch::{Kinds, Watch};
///
/// let everything = Watch::new("src");
/// let tree = Watch::new("src")
///     .recursive(true)
///     .kinds(Kinds::all() - Kinds::ATTRIBUTES)
///     .filter(|path, is_directory| !(is_directory && path.ends_with("target")));
/// ```
#[must_use = "it is watched when it is added to a Watcher"]
pub struct Watch {
    pub(crate) path: PathBuf,
    pub(crate) recursive: bool,
    pub(crate) follow_links: bool,
    pub(crate) allow_missing: bool,
    pub(crate) incremental: bool,
    pub(crate) kinds: Kinds,
    pub(crate) filter: Option<Filter>,
    pub(crate) progress: Option<Listener>,
}

impl Watch {
    /// Watches a file, or a directory and its entries, for everything.
    pub fn new(path: impl Into<PathBuf>) -> Watch {
        Watch {
            path: path.into(),
            recursive: false,
            follow_links: false,
            allow_missing: false,
            incremental: false,
            kinds: Kinds::all(),
            filter: None,
            progress: None,
        }
    }

    /// Whether to watch the directories in the directory too, and those that will be created there.
    pub fn recursive(mut self, recursive: bool) -> Watch {
        self.recursive = recursive;
        self
    }

    /// Whether a recursive watch goes through symbolic links to directories. A directory that can be
    /// reached in several ways, or in a circle, is reported under one of its paths. A link that leads nowhere
    /// when it is found is not tried again.
    pub fn follow_links(mut self, follow: bool) -> Watch {
        self.follow_links = follow;
        self
    }

    /// Whether the path may lead nowhere at first: then it is watched as a file's.
    pub fn allow_missing(mut self, allow: bool) -> Watch {
        self.allow_missing = allow;
        self
    }

    /// Which changes to report.
    pub fn kinds(mut self, kinds: Kinds) -> Watch {
        self.kinds = kinds;
        self
    }

    /// Which entries of directories to see, told by their path and whether they are directories. The
    /// others are neither reported nor, by a recursive watch, entered.
    ///
    /// It is called whenever an entry turns up, and must neither use the watcher nor panic.
    pub fn filter(mut self, sees: impl Fn(&Path, bool) -> bool + Send + 'static) -> Watch {
        self.filter = Some(Box::new(sees));
        self
    }

    /// Calls back for each directory while a recursive watch is added. It must neither use the watcher nor
    /// panic.
    ///
    /// The callback returns nothing, or a [`ControlFlow`]: `Break(())` ends the watch, and
    /// [`add`](super::Watcher::add) returns `ECANCELED`. Of an [incremental](Watch::incremental)
    /// watch that `add` has returned, a [`Kind::Unwatched`](super::Kind::Unwatched) with this error
    /// is the last change.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use wakeful::watch::{Watch, Watcher};
    ///
    /// let folder = tempfile::tempdir()?;
    /// for name in ["a", "b", "c"] {
    ///     std::fs::create_dir(folder.path().join(name))?;
    /// }
    /// let watch = Watch::new(folder.path()).recursive(true).progress(|so_far| {
    ///     if so_far.directories > 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    /// });
    /// let error = Watcher::new()?.add(watch).unwrap_err();
    /// assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn progress<R: Answer>(
        mut self,
        mut progress: impl FnMut(Progress<'_>) -> R + Send + 'static,
    ) -> Watch {
        self.progress = Some(Box::new(move |so_far| progress(so_far).flow()));
        self
    }

    /// Whether [`add`](super::Watcher::add) returns before the directories below are watched. They
    /// are listed in steps then, one at each pass of [`Watcher::changes`](super::Watcher::changes),
    /// and the watcher is readable until all are: so other events come between the steps.
    ///
    /// [`Kind::Listed`](super::Kind::Listed) says that all of them are watched. It comes once for
    /// each incremental watch, also for one that has nothing to list. Changes of what is watched by
    /// then come before; what is in a directory when that is listed is not reported.
    ///
    /// If a step reaches the user's limit of watches, [`Kind::Unwatched`](super::Kind::Unwatched)
    /// has the error, and the watch is over.
    pub fn incremental(mut self, incremental: bool) -> Watch {
        self.incremental = incremental;
        self
    }
}

impl<P: Into<PathBuf>> From<P> for Watch {
    fn from(path: P) -> Watch {
        Watch::new(path)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("path", &self.path)
            .field("recursive", &self.recursive)
            .field("follow_links", &self.follow_links)
            .field("allow_missing", &self.allow_missing)
            .field("incremental", &self.incremental)
            .field("kinds", &self.kinds)
            .finish_non_exhaustive()
    }
}
