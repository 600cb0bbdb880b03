//! Watching where the kernel tells that a directory has changed, and not how: it is listed, and compared with what was
//! there before. What happens between two looks is told as their difference.
//!
//! There is a descriptor for each file and directory that is watched; a [`Teller`] tells of what happens to it.

mod directory;
mod path;
mod tree;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{MutexGuard, PoisonError};

use self::path::PathWatch;
use self::tree::Tree;
use wakeful_kernel::process::LeakingMutex;

use super::teller::Teller;
use crate::platform::way;
use crate::watch::{Change, Kind, STEP, Watch, WatchId};

/// How many events are taken at once, and so seen together: what belongs to one rename, for example.
pub(super) const BATCH: usize = 256;

bitflags::bitflags! {
    /// What happened to a file or a directory, as far as every kernel tells it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct What: u32 {
        /// It was written to; of a directory, entries came or went.
        const WRITTEN = 1;
        /// Its number of links has changed; of a directory, one came into it or left it.
        const LINKS = 2;
        const ATTRIBUTES = 4;
        const DELETED = 8;
        const RENAMED = 0x10;
        /// It cannot be told of any more: its file system was unmounted.
        const REVOKED = 0x20;
    }
}

pub(crate) struct Watches {
    teller: Teller,
    state: LeakingMutex<State>,
}

#[derive(Default)]
struct State {
    roots: HashMap<WatchId, Root>,
    places: Places,
    /// What the events taken so far have come to.
    changes: VecDeque<Change>,
    /// The last attempt to take events failed, which was reported.
    has_failed: bool,
}

/// How often events are asked for again after an error.
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

/// What the numbers mean that come with the kernel's events. None is used again.
#[derive(Default)]
struct Places {
    next: usize,
    roles: HashMap<usize, (WatchId, Role)>,
}

/// What a descriptor is to its watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Something in a tree, by its number there.
    Node(usize),
    /// A directory on the way to a watched path.
    Step,
    /// The file at the end of a watched path.
    File,
}

/// A descriptor that the kernel watches, until it is closed.
#[derive(Debug)]
struct Watched {
    fd: OwnedFd,
    place: usize,
}

/// What the watches work with.
struct Desk<'state> {
    teller: &'state Teller,
    places: &'state mut Places,
    changes: &'state mut VecDeque<Change>,
    /// How much may still be listed now.
    budget: usize,
}

impl Watches {
    pub(crate) fn new() -> io::Result<Watches> {
        Ok(Watches { teller: Teller::new()?, state: LeakingMutex::default() })
    }

    pub(crate) fn add(&self, watch: Watch) -> io::Result<WatchId> {
        let (absolute, is_directory) = way::target(&watch)?;
        let mut state = self.state();
        let id = WatchId::next();
        let (is_incremental, given) = (watch.incremental, watch.path.clone());
        let budget = if is_incremental { STEP } else { usize::MAX };
        let (roots, mut desk) = state.desk(&self.teller, budget);
        let known = desk.changes.len();
        let root = if is_directory {
            Tree::new(id, watch, &absolute, &mut desk).map(Root::Tree)
        } else {
            PathWatch::new(id, watch, absolute, &mut desk).map(Root::Path)
        };
        // Nobody knows of a watch that failed.
        let root = root.inspect_err(|_| desk.changes.truncate(known))?;
        let is_listing = matches!(&root, Root::Tree(tree) if tree.is_unfinished());
        if is_incremental && !is_listing {
            desk.changes.push_back(Change::new(Kind::Listed, id, given, is_directory));
        }
        roots.insert(id, root);
        if desk.changes.len() > known || is_listing {
            desk.nudge();
        }
        Ok(id)
    }

    pub(crate) fn remove(&self, watch: WatchId) {
        let mut state = self.state();
        state.changes.retain(|change| change.watch != Some(watch));
        state.end(watch, &self.teller);
    }

    /// Lists no more than `budget`, from which it takes what it needed.
    pub(crate) fn next_change(&self, budget: &mut usize) -> Option<Change> {
        let mut state = self.state();
        let mut failures = 0;
        loop {
            if let Some(change) = state.changes.pop_front() {
                return Some(change);
            }
            match self.teller.happened() {
                Ok(Some(events)) => {
                    failures = 0;
                    state.has_failed = false;
                    state.take(&self.teller, &events, budget);
                }
                Ok(None) => {
                    state.has_failed = false;
                    if state.go_on(&self.teller, budget) {
                        state.desk(&self.teller, 0).1.nudge();
                        return state.changes.pop_front();
                    }
                    if state.changes.is_empty() {
                        return None;
                    }
                }
                Err(error) => {
                    failures += 1;
                    if failures == ATTEMPTS {
                        return state.fail(&self.teller, error);
                    }
                }
            }
        }
    }

    /// There may be more to tell: it is readable, and that anew.
    pub(crate) fn remind(&self) {
        self.state().desk(&self.teller, 0).1.nudge();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn desk<'state>(
        &'state mut self,
        teller: &'state Teller,
        budget: usize,
    ) -> (&'state mut HashMap<WatchId, Root>, Desk<'state>) {
        let desk = Desk { teller, places: &mut self.places, changes: &mut self.changes, budget };
        (&mut self.roots, desk)
    }

    /// Hands to each watch what concerns it, all at once.
    fn take(&mut self, teller: &Teller, events: &[(usize, What)], budget: &mut usize) {
        let mut happened: Vec<(WatchId, Vec<(Role, What)>)> = Vec::new();
        for &(place, what) in events {
            let Some(&(watch, role)) = self.places.roles.get(&place) else {
                continue;
            };
            match happened.iter_mut().find(|(it, _)| *it == watch) {
                Some((_, events)) => events.push((role, what)),
                None => happened.push((watch, vec![(role, what)])),
            }
        }
        for (watch, events) in happened {
            let (roots, mut desk) = self.desk(teller, *budget);
            let fate = match roots.get_mut(&watch) {
                Some(Root::Path(path)) => path.notice(&events, &mut desk),
                Some(Root::Tree(tree)) => tree.notice(&events, &mut desk),
                None => Fate::Lives,
            };
            *budget = desk.budget;
            if fate == Fate::Over {
                self.end(watch, teller);
            }
        }
    }

    /// Events could not be taken, which is reported once. It is readable, to try again.
    fn fail(&mut self, teller: &Teller, error: io::Error) -> Option<Change> {
        if !mem::replace(&mut self.has_failed, true) {
            return Some(Change::overflow_by(error));
        }
        self.has_failed = false;
        self.desk(teller, 0).1.nudge();
        None
    }

    /// Lists what is still to be, as far as the budget goes. Returns whether something is left.
    fn go_on(&mut self, teller: &Teller, budget: &mut usize) -> bool {
        let (roots, mut desk) = self.desk(teller, *budget);
        let (mut over, mut is_left) = (Vec::new(), false);
        for (&watch, root) in roots.iter_mut() {
            let Root::Tree(tree) = root else {
                continue;
            };
            match tree.go_on(&mut desk) {
                Fate::Lives => is_left |= tree.is_unfinished(),
                Fate::Over => over.push(watch),
            }
        }
        *budget = desk.budget;
        for watch in over {
            self.end(watch, teller);
        }
        is_left
    }

    fn end(&mut self, watch: WatchId, teller: &Teller) {
        let (roots, mut desk) = self.desk(teller, 0);
        match roots.remove(&watch) {
            Some(Root::Path(path)) => path.release(&mut desk),
            Some(Root::Tree(tree)) => tree.release(&mut desk),
            None => {}
        }
    }
}

impl Desk<'_> {
    /// Watches an open file from now on.
    fn watch(
        &mut self,
        watch: WatchId,
        role: Role,
        fd: OwnedFd,
        what: What,
    ) -> io::Result<Watched> {
        let place = self.places.next;
        self.places.next += 1;
        self.teller.watch(fd.as_fd(), place, what)?;
        self.places.roles.insert(place, (watch, role));
        Ok(Watched { fd, place })
    }

    /// Closes it, of which the kernel is told first: the emulations are not told of closing.
    fn unwatch(&mut self, watched: Watched) {
        self.places.roles.remove(&watched.place);
        self.teller.unwatch(watched.fd.as_fd(), watched.place);
    }

    /// Makes the descriptor readable, for a change that the kernel does not know of.
    fn nudge(&mut self) {
        self.teller.nudge();
    }
}

/// A number for the two halves of a rename.
fn cookie() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What says that the entries of a directory are not what they were.
const ENTRIES: What = What::WRITTEN.union(What::LINKS);

/// What is to be heard of a file.
const OF_FILE: What = What::all();

impl AsFd for Watches {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.teller.as_fd()
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watches = self.state().roots.len();
        f.debug_struct("Watches").field("watches", &watches).finish_non_exhaustive()
    }
}
