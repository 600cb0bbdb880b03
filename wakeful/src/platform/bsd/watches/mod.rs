//! kqueue: a descriptor for each file and directory that is watched.
//!
//! The kernel tells that a directory has changed, and not how: it is listed, and compared with what was there
//! before. What happens between two looks is told as their difference.

mod directory;
mod path;
mod tree;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wakeful_kernel::kqueue::filter::{Timer, Vnode, VnodeEvents};
use wakeful_kernel::kqueue::{Change as KqueueChange, Happening, Kqueue, Mode, System};

use self::path::PathWatch;
use self::tree::Tree;
use crate::platform::way::is_missing;
use crate::watch::{Change, Watch, WatchId};

/// How many events are taken at once, and so seen together: what belongs to one rename, for example.
const BATCH: usize = 256;

pub(crate) struct Watches {
    kqueue: Kqueue,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    roots: HashMap<WatchId, Root>,
    places: Places,
    /// What the events taken so far have come to.
    changes: VecDeque<Change>,
}

/// Of all watchers, so that none takes another's for its own.
static NEXT: AtomicU64 = AtomicU64::new(0);

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
    kqueue: &'state Kqueue,
    places: &'state mut Places,
    changes: &'state mut VecDeque<Change>,
}

impl Watches {
    pub(crate) fn new() -> io::Result<Watches> {
        Ok(Watches { kqueue: Kqueue::new()?, state: Mutex::default() })
    }

    pub(crate) fn add(&self, watch: Watch) -> io::Result<WatchId> {
        let absolute = std::path::absolute(&watch.path)?;
        let is_directory = match fs::metadata(&absolute) {
            Ok(metadata) => metadata.is_dir(),
            Err(error) if watch.allow_missing && is_missing(&error) => false,
            Err(error) => return Err(error),
        };
        let mut state = self.state();
        let id = WatchId(NEXT.fetch_add(1, Ordering::Relaxed));
        let (roots, mut desk) = state.desk(&self.kqueue);
        let known = desk.changes.len();
        let root = if is_directory {
            Tree::new(id, watch, &absolute, &mut desk).map(Root::Tree)
        } else {
            PathWatch::new(id, watch, absolute, &mut desk).map(Root::Path)
        };
        // Nobody knows of a watch that failed.
        let root = root.inspect_err(|_| desk.changes.truncate(known))?;
        roots.insert(id, root);
        if desk.changes.len() > known {
            desk.nudge();
        }
        Ok(id)
    }

    pub(crate) fn remove(&self, watch: WatchId) {
        let mut state = self.state();
        state.changes.retain(|change| change.watch != Some(watch));
        state.end(watch, &self.kqueue);
    }

    pub(crate) fn next_change(&self) -> Option<Change> {
        let mut state = self.state();
        loop {
            if let Some(change) = state.changes.pop_front() {
                return Some(change);
            }
            let mut events = Vec::with_capacity(BATCH);
            match self.kqueue.wait(&mut events, Some(Duration::ZERO)) {
                Ok(count) if count > 0 => state.take(&self.kqueue, &events),
                _ => return None,
            }
        }
    }

    /// There may be more to tell: it is readable, and that anew.
    pub(crate) fn remind(&self) {
        self.state().desk(&self.kqueue).1.nudge();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn desk<'state>(
        &'state mut self,
        kqueue: &'state Kqueue,
    ) -> (&'state mut HashMap<WatchId, Root>, Desk<'state>) {
        let desk = Desk { kqueue, places: &mut self.places, changes: &mut self.changes };
        (&mut self.roots, desk)
    }

    /// Hands to each watch what concerns it, all at once.
    fn take(&mut self, kqueue: &Kqueue, events: &[wakeful_kernel::kqueue::Event]) {
        let mut happened: Vec<(WatchId, Vec<(Role, VnodeEvents)>)> = Vec::new();
        for event in events {
            let Happening::Vnode { what, .. } = event.happening() else {
                continue;
            };
            let Some(&(watch, role)) = self.places.roles.get(&event.user_data()) else {
                continue;
            };
            match happened.iter_mut().find(|(it, _)| *it == watch) {
                Some((_, events)) => events.push((role, what)),
                None => happened.push((watch, vec![(role, what)])),
            }
        }
        for (watch, events) in happened {
            let (roots, mut desk) = self.desk(kqueue);
            let fate = match roots.get_mut(&watch) {
                Some(Root::Path(path)) => path.notice(&events, &mut desk),
                Some(Root::Tree(tree)) => tree.notice(&events, &mut desk),
                None => Fate::Lives,
            };
            if fate == Fate::Over {
                self.end(watch, kqueue);
            }
        }
    }

    fn end(&mut self, watch: WatchId, kqueue: &Kqueue) {
        let (roots, mut desk) = self.desk(kqueue);
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
        events: VnodeEvents,
    ) -> io::Result<Watched> {
        let place = self.places.next;
        self.places.next += 1;
        let events = events & System::CURRENT.all_vnode_events();
        let change = KqueueChange::add(Vnode::new(&fd, events), Mode::Clear, place)?;
        self.kqueue.apply([change])?;
        self.places.roles.insert(place, (watch, role));
        Ok(Watched { fd, place })
    }

    /// Closes it, of which the kernel is told first: the emulation is not told of closing.
    fn unwatch(&mut self, watched: Watched) {
        self.places.roles.remove(&watched.place);
        if let Ok(change) = KqueueChange::delete(Vnode::new(&watched.fd, VnodeEvents::empty())) {
            let _ = self.kqueue.apply([change]);
        }
    }

    /// Makes the descriptor readable, for a change that the kernel does not know of.
    fn nudge(&mut self) {
        if let Ok(soon) = KqueueChange::add(Timer::after(0, Duration::ZERO), Mode::Oneshot, 0) {
            let _ = self.kqueue.apply([soon]);
        }
    }
}

/// A number for the two halves of a rename.
fn cookie() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What says that the entries of a directory are not what they were.
const ENTRIES: VnodeEvents = VnodeEvents::WRITE.union(VnodeEvents::EXTEND).union(VnodeEvents::LINK);

const WRITTEN: VnodeEvents =
    VnodeEvents::WRITE.union(VnodeEvents::EXTEND).union(VnodeEvents::TRUNCATE);

/// What is to be heard of a file.
const OF_FILE: VnodeEvents = WRITTEN
    .union(VnodeEvents::ATTRIBUTES)
    .union(VnodeEvents::LINK)
    .union(VnodeEvents::DELETE)
    .union(VnodeEvents::RENAME)
    .union(VnodeEvents::REVOKE);

impl AsFd for Watches {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kqueue.as_fd()
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watches = self.state().roots.len();
        f.debug_struct("Watches").field("watches", &watches).finish_non_exhaustive()
    }
}
