//! inotify: many watches of ours on few of the kernel's.
//!
//! The kernel has one watch for an inode, whatever its names and however often it is asked for. So each of
//! the kernel's watches has a list of places: which watches of ours listen there, in which role. What the
//! kernel reports is handed to each of them, and they say what it means.

mod path;
mod tree;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use wakeful_kernel::linux::{self, AddWatchError, Inotify, WatchDescriptor, WatchFlags};
use wakeful_kernel::process::LeakingMutex;

use self::path::PathWatch;
use self::tree::Tree;
use crate::platform::refused::refused;
use crate::platform::way;
use crate::watch::{Change, Kind, STEP, Watch, WatchId};

/// Holds some hundreds of records, and any one of them.
const BUFFER: usize = 1 << 13;

pub(crate) struct Watches {
    inotify: Inotify,
    state: LeakingMutex<State>,
}

#[derive(Default)]
struct State {
    roots: HashMap<WatchId, Root>,
    places: Places,
    /// What the records read so far have come to.
    changes: VecDeque<Change>,
    /// The last attempt to read failed, which was reported.
    has_failed: bool,
}

/// How often reading is tried again after an error.
const ATTEMPTS: usize = 8;

/// A watch of ours.
enum Root {
    Path(PathWatch),
    Tree(Tree),
}

/// Whether a watch goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lives,
    Over,
}

type Places = HashMap<WatchDescriptor, Vec<Place>>;

/// Who listens to a watch of the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    watch: WatchId,
    role: Role,
}

/// What it is to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A directory of a tree, by its number there.
    Directory(usize),
    /// A directory in which one name is a step on a watched path, by the number of the step.
    Step(usize),
    /// The file at the end of a watched path.
    File,
}

/// What the watches work with.
struct Desk<'state> {
    inotify: &'state Inotify,
    places: &'state mut Places,
    changes: &'state mut VecDeque<Change>,
    /// How much may still be listed now.
    budget: usize,
}

impl Watches {
    pub(crate) fn new() -> io::Result<Watches> {
        let advice = "look at the files from time to time";
        let inotify = Inotify::new();
        let inotify = inotify.map_err(|error| refused("inotify_init1(2)", error, advice))?;
        Ok(Watches { inotify, state: LeakingMutex::default() })
    }

    pub(crate) fn add(&self, watch: Watch) -> io::Result<WatchId> {
        let (absolute, is_directory) = way::target(&watch)?;
        let given = watch.path.clone();
        let mut state = self.state();
        let id = WatchId::next();
        let is_incremental = watch.incremental;
        let budget = if is_incremental { STEP } else { usize::MAX };
        let (roots, mut desk) = state.desk(&self.inotify, budget);
        let known = desk.changes.len();
        let root = if is_directory {
            Root::Tree(Tree::new(id, watch, absolute, &mut desk)?)
        } else {
            Root::Path(PathWatch::new(id, watch, absolute, &mut desk)?)
        };
        let is_listing = root.is_listing();
        if is_incremental && !is_listing {
            desk.changes.push_back(Change::new(Kind::Listed, id, given, is_directory));
        }
        let has_news = desk.changes.len() > known || is_listing;
        match if has_news { desk.nudge() } else { Ok(()) } {
            Ok(()) => {
                roots.insert(id, root);
                Ok(id)
            }
            Err(error) => {
                // Nobody would hear of the rest.
                root.release(&mut desk);
                desk.changes.truncate(known);
                Err(error)
            }
        }
    }

    pub(crate) fn remove(&self, watch: WatchId) {
        let mut state = self.state();
        state.changes.retain(|change| change.watch != Some(watch));
        let (roots, mut desk) = state.desk(&self.inotify, 0);
        if let Some(root) = roots.remove(&watch) {
            root.release(&mut desk);
        }
    }

    /// Lists no more than `budget`, from which it takes what it needed.
    pub(crate) fn next_change(&self, budget: &mut usize) -> Option<Change> {
        let mut state = self.state();
        let mut failures = 0;
        loop {
            if let Some(change) = state.changes.pop_front() {
                return Some(change);
            }
            let mut buffer = [0; BUFFER];
            match self.inotify.read(&mut buffer).map_err(io::Error::from) {
                Ok(records) => {
                    failures = 0;
                    state.has_failed = false;
                    for record in records {
                        state.take(&self.inotify, &record, budget);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.has_failed = false;
                    state.settle(&self.inotify, budget);
                    if !state.changes.is_empty() {
                        continue;
                    }
                    if !state.roots.values().any(Root::is_listing) {
                        return None;
                    }
                    if state.desk(&self.inotify, 0).1.nudge().is_ok() {
                        return None;
                    }
                    // It cannot be made readable for the rest, which is listed now.
                    *budget = STEP;
                }
                Err(error) => {
                    failures += 1;
                    if failures == ATTEMPTS {
                        return state.fail(&self.inotify, error);
                    }
                }
            }
        }
    }

    /// There may be more to tell: it is readable, and that anew.
    pub(crate) fn remind(&self) {
        // If it cannot be, it is with the next change.
        let _ = self.state().desk(&self.inotify, 0).1.nudge();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn desk<'state>(
        &'state mut self,
        inotify: &'state Inotify,
        budget: usize,
    ) -> (&'state mut HashMap<WatchId, Root>, Desk<'state>) {
        let desk = Desk { inotify, places: &mut self.places, changes: &mut self.changes, budget };
        (&mut self.roots, desk)
    }

    /// Hands a record to all that listen there.
    fn take(&mut self, inotify: &Inotify, record: &linux::Change<'_>, budget: &mut usize) {
        if record.flags().contains(WatchFlags::Q_OVERFLOW) {
            self.changes.push_back(Change::overflow());
            self.each(inotify, budget, Root::catch_up);
            return;
        }
        let listeners = if record.flags().contains(WatchFlags::IGNORED) {
            // The kernel's watch is gone, and its number with it.
            self.places.remove(&record.watch())
        } else {
            self.places.get(&record.watch()).cloned()
        };
        let (roots, mut desk) = self.desk(inotify, *budget);
        for Place { watch, role } in listeners.unwrap_or_default() {
            let fate = roots.get_mut(&watch).map(|root| root.notice(role, record, &mut desk));
            if fate == Some(Fate::Over) {
                if let Some(root) = roots.remove(&watch) {
                    root.release(&mut desk);
                }
            }
        }
        *budget = desk.budget;
    }

    /// Records could not be read, which is reported once: they may be lost. It is readable, to try
    /// again.
    fn fail(&mut self, inotify: &Inotify, error: io::Error) -> Option<Change> {
        if !mem::replace(&mut self.has_failed, true) {
            return Some(Change::overflow_by(error));
        }
        self.has_failed = false;
        let _ = self.desk(inotify, 0).1.nudge();
        None
    }

    /// There are no more records for now.
    fn settle(&mut self, inotify: &Inotify, budget: &mut usize) {
        self.each(inotify, budget, |root, desk| match root {
            Root::Tree(tree) => tree.settle(desk),
            Root::Path(_) => Fate::Lives,
        });
    }

    fn each(
        &mut self,
        inotify: &Inotify,
        budget: &mut usize,
        act: impl Fn(&mut Root, &mut Desk<'_>) -> Fate,
    ) {
        let (roots, mut desk) = self.desk(inotify, *budget);
        let mut over = Vec::new();
        for (&watch, root) in roots.iter_mut() {
            if act(root, &mut desk) == Fate::Over {
                over.push(watch);
            }
        }
        for watch in over {
            if let Some(root) = roots.remove(&watch) {
                root.release(&mut desk);
            }
        }
        *budget = desk.budget;
    }
}

impl Root {
    /// Whether directories are still to be listed.
    fn is_listing(&self) -> bool {
        match self {
            Root::Tree(tree) => tree.is_listing(),
            Root::Path(_) => false,
        }
    }

    fn notice(&mut self, role: Role, record: &linux::Change<'_>, desk: &mut Desk<'_>) -> Fate {
        match (self, role) {
            (Root::Tree(tree), Role::Directory(node)) => tree.notice(node, record, desk),
            (Root::Path(path), Role::Step(step)) => path.notice_step(step, record, desk),
            (Root::Path(path), Role::File) => path.notice_file(record, desk),
            // A watch takes the places of its own kind only.
            _ => Fate::Lives,
        }
    }

    /// Changes were lost: finds out what is there now.
    fn catch_up(&mut self, desk: &mut Desk<'_>) -> Fate {
        match self {
            Root::Tree(tree) => tree.catch_up(desk),
            Root::Path(path) => path.catch_up(desk),
        }
    }

    /// Gives up all of its places.
    fn release(self, desk: &mut Desk<'_>) {
        match self {
            Root::Tree(tree) => tree.release(desk),
            Root::Path(path) => path.release(desk),
        }
    }
}

impl Desk<'_> {
    /// Listens to what a path leads to. The flags are added to those that others want there.
    fn listen(
        &mut self,
        watch: WatchId,
        role: Role,
        path: &Path,
        flags: WatchFlags,
    ) -> Result<WatchDescriptor, AddWatchError> {
        let descriptor = self.inotify.add_watch(path, flags | WatchFlags::MASK_ADD)?;
        let listeners = self.places.entry(descriptor).or_default();
        let place = Place { watch, role };
        if !listeners.contains(&place) {
            listeners.push(place);
        }
        Ok(descriptor)
    }

    /// Listens there no more; the kernel's watch stays until it is [swept](Desk::sweep).
    fn mute(&mut self, watch: WatchId, role: Role, descriptor: WatchDescriptor) {
        if let Some(listeners) = self.places.get_mut(&descriptor) {
            listeners.retain(|&place| place != Place { watch, role });
        }
    }

    /// Removes the kernel's watch if nobody listens to it any more.
    fn sweep(&mut self, descriptor: WatchDescriptor) {
        if self.places.get(&descriptor).is_some_and(Vec::is_empty) {
            self.places.remove(&descriptor);
            // It may have gone with its file, the record of which is still to come.
            let _ = self.inotify.remove_watch(descriptor);
        }
    }

    /// Makes the descriptor readable, for a change that the kernel does not know of: a watch that goes
    /// leaves a record.
    ///
    /// # Errors
    ///
    /// It is not: `ENOSPC`, for example, as a watch is needed for that.
    fn nudge(&mut self) -> io::Result<()> {
        let mut result = Err(io::Error::from_raw_os_error(libc::EEXIST));
        let flags = WatchFlags::DELETE_SELF | WatchFlags::MASK_CREATE;
        // One of them is watched by nobody, but for the strangest of callers.
        for path in ["/", "/proc", "/dev", "/sys"] {
            match self.inotify.add_watch(path, flags) {
                Ok(descriptor) => return Ok(self.inotify.remove_watch(descriptor)?),
                Err(error) => result = Err(error.into()),
            }
        }
        result
    }
}

/// Whether the path was not there after all, or not what it had been: changes that say so are to come.
fn has_vanished(error: &AddWatchError) -> bool {
    way::is_missing(error.io_error())
}

impl AsFd for Watches {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watches = self.state().roots.len();
        f.debug_struct("Watches").field("watches", &watches).finish_non_exhaustive()
    }
}
