//! A watched directory, and with a recursive watch every directory below it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use slab::Slab;
use wakeful_kernel::kqueue::filter::VnodeEvents;

use super::directory::{self, Entry, Identity};
use super::{Desk, ENTRIES, Fate, OF_FILE, Role, WRITTEN, Watched, cookie};
use crate::platform::way::is_missing;
use crate::watch::{Change, Filter, Kind, Kinds, Progress, Watch, WatchId};

/// What is to be heard of a directory, but for the top: that it goes is told by the one that it is in.
const OF_DIRECTORY: VnodeEvents = OF_FILE.difference(VnodeEvents::DELETE);

/// How often to look at what turns out to be different while it is looked at, before the rest is left for the next
/// time.
const ATTEMPTS: usize = 16;

pub(super) struct Tree {
    id: WatchId,
    /// As it was given.
    path: PathBuf,
    recursive: bool,
    follow_links: bool,
    kinds: Kinds,
    filter: Option<Filter>,
    nodes: Slab<Node>,
    top: usize,
    /// The directories that are entered.
    entered: HashMap<Identity, usize>,
    /// Those whose entries are to be looked at.
    changed: BTreeSet<usize>,
    /// Those that could not be listed.
    unlisted: BTreeSet<usize>,
}

/// Something in the tree.
struct Node {
    parent: Option<usize>,
    name: OsString,
    entry: Entry,
    /// Its entries are watched, too.
    is_entered: bool,
    children: BTreeMap<OsString, usize>,
    /// Links and devices are not.
    watched: Option<Watched>,
    /// It was, as the kernel says, since its directory was looked at.
    was_renamed: bool,
}

/// What is no longer where it was, and may be somewhere else: nothing is its parent for now.
struct Gone {
    node: usize,
    /// Where it was, to be told.
    path: PathBuf,
}

/// What is where nothing was, or something else.
struct Come {
    directory: usize,
    name: OsString,
    entry: Entry,
}

impl Tree {
    pub(super) fn new(
        id: WatchId,
        watch: Watch,
        absolute: &Path,
        desk: &mut Desk<'_>,
    ) -> io::Result<Tree> {
        let Watch { path, recursive, follow_links, kinds, filter, mut progress, .. } = watch;
        let mut new = Tree {
            id,
            path,
            recursive,
            follow_links,
            kinds,
            filter,
            nodes: Slab::new(),
            top: 0,
            entered: HashMap::new(),
            changed: BTreeSet::new(),
            unlisted: BTreeSet::new(),
        };
        let result = new.begin(absolute, desk, &mut |directories, path| {
            if let Some(progress) = &mut progress {
                progress(Progress { directories, path });
            }
        });
        if let Err(error) = result {
            new.drop_below(new.top, desk);
            return Err(error);
        }
        Ok(new)
    }

    fn begin(
        &mut self,
        absolute: &Path,
        desk: &mut Desk<'_>,
        entered: &mut dyn FnMut(usize, &Path),
    ) -> io::Result<()> {
        let fd = directory::open_path(absolute)?;
        let entry = directory::look(&fd)?;
        self.top = self.nodes.insert(Node::new(None, OsString::new(), entry));
        let watched = desk.watch(self.id, Role::Node(self.top), fd, OF_FILE)?;
        self.take_in(self.top, watched, true);
        let mut left = vec![self.top];
        while let Some(node) = left.pop() {
            let entries = match self.entries(node) {
                Ok(entries) => entries,
                Err(error) if node == self.top || is_limit(&error) => return Err(error),
                Err(error) => {
                    self.tell_of_loss(node, error, desk);
                    continue;
                }
            };
            for (name, entry) in entries {
                let child = match self.enter(node, &name, entry, desk) {
                    Ok(child) => child,
                    Err(error) if is_limit(&error) => return Err(error),
                    Err(error) => {
                        self.tell_of_failure(node, &name, entry, error, desk);
                        continue;
                    }
                };
                if self.nodes.get(child).is_some_and(|child| child.is_entered) {
                    entered(self.entered.len(), &self.path_of(child));
                    left.push(child);
                }
            }
        }
        Ok(())
    }

    pub(super) fn notice(&mut self, events: &[(Role, VnodeEvents)], desk: &mut Desk<'_>) -> Fate {
        let mut changed = BTreeSet::new();
        let mut of_top = VnodeEvents::empty();
        for &(role, what) in events {
            let Role::Node(number) = role else {
                continue;
            };
            let Some(node) = self.nodes.get_mut(number) else {
                continue;
            };
            node.was_renamed |= what.contains(VnodeEvents::RENAME);
            if node.is_entered && what.intersects(ENTRIES) {
                changed.insert(number);
            }
            if number == self.top {
                of_top |= what;
                continue;
            }
            let is_file = !node.entry.is_directory();
            if is_file && what.intersects(WRITTEN) {
                self.tell(Kind::Modified, number, self.path_of(number), desk);
            }
            // The links of a directory are its entries.
            let attributes = VnodeEvents::ATTRIBUTES
                | if is_file { VnodeEvents::LINK } else { VnodeEvents::empty() };
            if what.intersects(attributes) {
                self.tell(Kind::Attributes, number, self.path_of(number), desk);
            }
        }
        self.compare(changed, desk);
        self.notice_top(of_top, desk)
    }

    fn notice_top(&mut self, what: VnodeEvents, desk: &mut Desk<'_>) -> Fate {
        if what.contains(VnodeEvents::RENAME) {
            desk.changes.push_back(Change::new(Kind::Moved, self.id, self.path.clone(), true));
        }
        for (event, kind) in
            [(VnodeEvents::DELETE, Kind::Gone), (VnodeEvents::REVOKE, Kind::Unmounted)]
        {
            if what.contains(event) {
                desk.changes.push_back(Change::new(kind, self.id, self.path.clone(), true));
                return Fate::Over;
            }
        }
        Fate::Lives
    }

    /// Lists directories that have changed, and tells what is different.
    fn compare(&mut self, changed: BTreeSet<usize>, desk: &mut Desk<'_>) {
        self.changed.extend(changed);
        for _ in 0..ATTEMPTS {
            let changed = std::mem::take(&mut self.changed);
            if changed.is_empty() {
                break;
            }
            self.compare_once(changed, desk);
        }
        if !self.changed.is_empty() {
            desk.nudge();
        }
        // With the next event, if there are descriptors again by then.
        self.changed.append(&mut self.unlisted);
    }

    fn compare_once(&mut self, changed: BTreeSet<usize>, desk: &mut Desk<'_>) {
        let (mut gone, mut come) = self.differences(changed, desk);
        let first = desk.changes.len();
        // What has come into a directory of which nobody knows where it is, or which is known to be in it, has to
        // wait until that is cleared up.
        let mut in_a_row = 0;
        while let Some(arrival) = come.pop_front() {
            let is_below = self.is_below(arrival.directory, arrival.entry.identity, &gone);
            if !is_below && self.is_in_tree(arrival.directory) {
                in_a_row = 0;
                self.arrive(arrival, &mut gone, desk);
            } else if in_a_row <= come.len() {
                in_a_row += 1;
                come.push_back(arrival);
            } else if is_below {
                // What it is known to be in was not looked at.
                self.forget(arrival.entry.identity, &mut gone, desk);
            }
        }
        let arrivals = desk.changes.len().saturating_sub(first);
        for Gone { node, path } in gone {
            let was_renamed = self.nodes.get(node).is_some_and(|node| {
                let is_somewhere = |it: &Watched| directory::has_name(&it.fd);
                node.was_renamed && node.watched.as_ref().is_some_and(is_somewhere)
            });
            let kind = if was_renamed { Kind::RenamedFrom(cookie()) } else { Kind::Removed };
            self.tell(kind, node, path, desk);
            self.drop_below(node, desk);
        }
        // What has gone is told before what has come, perhaps by the same name.
        if let Some(told) = desk.changes.make_contiguous().get_mut(first..) {
            told.rotate_left(arrivals.min(told.len()));
        }
    }

    fn differences(
        &mut self,
        changed: BTreeSet<usize>,
        desk: &mut Desk<'_>,
    ) -> (Vec<Gone>, VecDeque<Come>) {
        let (mut gone, mut come) = (Vec::new(), VecDeque::new());
        for directory in changed {
            let now = match self.entries(directory) {
                Ok(now) => now,
                Err(error) => {
                    self.tell_of_loss(directory, error, desk);
                    continue;
                }
            };
            let Some(node) = self.nodes.get(directory) else {
                continue;
            };
            let is_known = |name: &OsStr, entry: &Entry| {
                let child = node.children.get(name).and_then(|&child| self.nodes.get(child));
                child.is_some_and(|child| child.is(entry))
            };
            let not_there = node
                .children
                .iter()
                .filter(|&(name, _)| !now.get(name).is_some_and(|entry| is_known(name, entry)));
            gone.extend(not_there.map(|(_, &node)| Gone { node, path: self.path_of(node) }));
            let new = now.iter().filter(|&(name, entry)| !is_known(name, entry));
            come.extend(new.map(|(name, &entry)| Come { directory, name: name.clone(), entry }));
        }
        for &Gone { node, .. } in &gone {
            self.detach(node);
        }
        (gone, come)
    }

    /// Takes a node from its parent.
    fn detach(&mut self, node: usize) {
        let Some(child) = self.nodes.get_mut(node) else {
            return;
        };
        let (parent, name) = (child.parent.take(), child.name.clone());
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            if parent.children.get(&name) == Some(&node) {
                parent.children.remove(&name);
            }
        }
    }

    fn rename(&mut self, from: Gone, directory: usize, name: OsString, desk: &mut Desk<'_>) {
        let Gone { node, path } = from;
        let cookie = cookie();
        self.tell(Kind::RenamedFrom(cookie), node, path, desk);
        if let Some(node) = self.nodes.get_mut(node) {
            (node.parent, node.name, node.was_renamed) = (Some(directory), name.clone(), false);
        }
        if let Some(directory) = self.nodes.get_mut(directory) {
            directory.children.insert(name, node);
        }
        self.tell(Kind::RenamedTo(cookie), node, self.path_of(node), desk);
        if self.filter.is_some() {
            // By their new paths, other entries may be in sight.
            self.changed.extend(self.entered_below(node));
        }
    }

    fn entered_below(&self, node: usize) -> Vec<usize> {
        let mut found = vec![node];
        let mut next = 0;
        while let Some(&node) = found.get(next) {
            found.extend(self.nodes.get(node).into_iter().flat_map(|node| node.children.values()));
            next += 1;
        }
        found.retain(|&node| self.nodes.get(node).is_some_and(|node| node.is_entered));
        found
    }

    /// There is a new entry, perhaps a directory with something in it; or it was somewhere else before.
    fn arrive(&mut self, arrival: Come, gone: &mut Vec<Gone>, desk: &mut Desk<'_>) {
        let mut left = vec![arrival];
        while let Some(Come { directory, name, entry }) = left.pop() {
            if self.is_below(directory, entry.identity, gone) {
                self.forget(entry.identity, gone, desk);
            }
            if !self.nodes.contains(directory) {
                continue;
            }
            if let Some(from) = self.take_moved(entry, gone) {
                self.rename(from, directory, name, desk);
                continue;
            }
            if self.kinds.contains(Kinds::CREATED) {
                let path = self.path_of(directory).join(&name);
                let change = Change::new(Kind::Created, self.id, path, entry.is_directory());
                desk.changes.push_back(change);
            }
            match self.enter(directory, &name, entry, desk) {
                Ok(node) if self.nodes.get(node).is_some_and(|node| node.is_entered) => {
                    let entries = self.entries(node).unwrap_or_else(|error| {
                        self.tell_of_loss(node, error, desk);
                        BTreeMap::new()
                    });
                    let come = |(name, entry)| Come { directory: node, name, entry };
                    left.extend(entries.into_iter().rev().map(come));
                }
                Ok(_) => {}
                Err(error) => self.tell_of_failure(directory, &name, entry, error, desk),
            }
        }
    }

    fn is_in_tree(&self, node: usize) -> bool {
        self.is_above(self.top, node)
    }

    /// Whether a directory is known to be in what has come into it.
    fn is_below(&self, directory: usize, identity: Identity, gone: &[Gone]) -> bool {
        self.known(identity, gone).is_some_and(|node| self.is_above(node, directory))
    }

    fn is_above(&self, above: usize, node: usize) -> bool {
        let mut next = Some(node);
        while let Some(node) = next {
            if node == above {
                return true;
            }
            next = self.nodes.get(node).and_then(|node| node.parent);
        }
        false
    }

    /// The node of a directory, or of whatever has gone, by what it is.
    fn known(&self, identity: Identity, gone: &[Gone]) -> Option<usize> {
        let is_it = |&&Gone { node, .. }: &&Gone| {
            self.nodes.get(node).is_some_and(|node| node.entry.identity == identity)
        };
        let gone = gone.iter().find(is_it).map(|gone| gone.node);
        gone.or_else(|| self.entered.get(&identity).copied())
    }

    /// Drops a directory that is somewhere else than it was known to be, and has all be looked at to find it.
    fn forget(&mut self, identity: Identity, gone: &mut Vec<Gone>, desk: &mut Desk<'_>) {
        let known = self.known(identity, gone).filter(|&node| node != self.top);
        if let Some(node) = known {
            gone.retain(|gone| gone.node != node);
            self.detach(node);
            self.drop_below(node, desk);
            self.changed.extend(self.entered.values());
        }
    }

    /// What has come, if it has gone from where it was, or is a directory, which is in one place only.
    fn take_moved(&mut self, entry: Entry, gone: &mut Vec<Gone>) -> Option<Gone> {
        // Of what nobody holds open, another may have the number by now.
        let is_it = |gone: &Gone| {
            self.nodes.get(gone.node).is_some_and(|node| node.watched.is_some() && node.is(&entry))
        };
        if let Some(at) = gone.iter().position(is_it) {
            return Some(gone.swap_remove(at));
        }
        let node = *self.entered.get(&entry.identity).filter(|&&node| node != self.top)?;
        // Entered through a link it may be in the tree besides.
        let is_it = self.nodes.get(node).is_some_and(|node| node.entry.identity == entry.identity);
        if !is_it {
            return None;
        }
        let path = self.path_of(node);
        self.detach(node);
        Some(Gone { node, path })
    }

    /// Watches an entry as far as it can be. Its node, which is there in any case.
    ///
    /// # Errors
    ///
    /// It is there, and cannot be watched.
    fn enter(
        &mut self,
        directory: usize,
        name: &OsStr,
        entry: Entry,
        desk: &mut Desk<'_>,
    ) -> io::Result<usize> {
        let number = self.nodes.insert(Node::new(Some(directory), name.to_owned(), entry));
        let parent = self.nodes.get_mut(directory).and_then(|parent| {
            parent.children.insert(name.to_owned(), number);
            parent.watched.as_ref()
        });
        let Some(parent) = parent else {
            return Ok(number);
        };
        let is_link = entry.kind == FileType::Symlink;
        let follows = is_link && self.recursive && self.follow_links;
        let target = match follows {
            true => directory::look_at(&parent.fd, name, true).ok().filter(Entry::is_directory),
            false => Some(entry).filter(|_| !is_link),
        };
        let is_to_enter = target.is_some_and(|it| it.is_directory()) && self.recursive;
        let is_known = target.is_some_and(|it| self.entered.contains_key(&it.identity));
        let is_file = target.is_some_and(|it| it.kind == FileType::RegularFile);
        let wants_files =
            self.kinds.intersects(Kinds::MODIFIED | Kinds::ATTRIBUTES | Kinds::RENAMED);
        let is_plain_directory = target.is_some_and(|it| it.is_directory()) && !is_to_enter;
        if !(is_to_enter && !is_known || (is_file || is_plain_directory) && wants_files) {
            return Ok(number);
        }
        let events = if is_file { OF_FILE } else { OF_DIRECTORY };
        let opened = directory::open(&parent.fd, name, is_link);
        let watched = opened.and_then(|fd| desk.watch(self.id, Role::Node(number), fd, events));
        match watched {
            Ok(watched) => {
                self.take_in(number, watched, is_to_enter);
                Ok(number)
            }
            // Its directory is going to say so.
            Err(error) if is_missing(&error) || error.raw_os_error() == Some(libc::ELOOP) => {
                Ok(number)
            }
            Err(error) => Err(error),
        }
    }

    fn take_in(&mut self, number: usize, watched: Watched, is_entered: bool) {
        let identity = directory::look(&watched.fd).map(|entry| entry.identity);
        if let Some(node) = self.nodes.get_mut(number) {
            (node.watched, node.is_entered) = (Some(watched), is_entered);
        }
        if let (true, Ok(identity)) = (is_entered, identity) {
            self.entered.insert(identity, number);
        }
    }

    /// What is in a directory, as far as the filter sees it.
    fn entries(&self, node: usize) -> io::Result<BTreeMap<OsString, Entry>> {
        let Some(watched) = self.nodes.get(node).and_then(|node| node.watched.as_ref()) else {
            return Ok(BTreeMap::new());
        };
        let mut entries = directory::list(&watched.fd)?;
        if let Some(sees) = &self.filter {
            let path = self.path_of(node);
            entries.retain(|name, entry| sees(&path.join(name), entry.is_directory()));
        }
        Ok(entries)
    }

    pub(super) fn release(mut self, desk: &mut Desk<'_>) {
        self.drop_below(self.top, desk);
    }

    /// Forgets a node, and all that is in it.
    fn drop_below(&mut self, node: usize, desk: &mut Desk<'_>) {
        let mut left = vec![node];
        while let Some(number) = left.pop() {
            let Some(node) = self.nodes.try_remove(number) else {
                continue;
            };
            left.extend(node.children.values());
            if node.is_entered {
                self.entered.retain(|_, &mut entered| entered != number);
            }
            if let Some(watched) = node.watched {
                desk.unwatch(watched);
            }
        }
    }

    fn tell(&self, kind: Kind, node: usize, path: PathBuf, desk: &mut Desk<'_>) {
        let wanted = match kind {
            Kind::Modified => Kinds::MODIFIED,
            Kind::Attributes => Kinds::ATTRIBUTES,
            Kind::Removed => Kinds::REMOVED,
            _ => Kinds::RENAMED,
        };
        let is_directory = self.nodes.get(node).is_some_and(|node| node.entry.is_directory());
        // A renamed directory may have moved it out of sight.
        let is_seen = self.filter.as_ref().is_none_or(|sees| sees(&path, is_directory));
        if is_seen && self.kinds.contains(wanted) {
            desk.changes.push_back(Change::new(kind, self.id, path, is_directory));
        }
    }

    fn tell_of_failure(
        &self,
        directory: usize,
        name: &OsStr,
        entry: Entry,
        error: io::Error,
        desk: &mut Desk<'_>,
    ) {
        let path = self.path_of(directory).join(name);
        desk.changes.push_back(Change::unwatched(self.id, path, entry.is_directory(), error));
    }

    /// A directory cannot be listed now: that is told, and tried again.
    fn tell_of_loss(&mut self, node: usize, error: io::Error, desk: &mut Desk<'_>) {
        if !is_missing(&error) && self.unlisted.insert(node) {
            desk.changes.push_back(Change::unwatched(self.id, self.path_of(node), true, error));
        }
    }

    fn path_of(&self, node: usize) -> PathBuf {
        let mut names = Vec::new();
        let mut next = Some(node);
        while let Some(node) = next.and_then(|node| self.nodes.get(node)) {
            names.push(&node.name);
            next = node.parent;
        }
        let mut path = self.path.clone();
        // The last is the top, which has none.
        path.extend(names.iter().rev().skip(1));
        path
    }
}

impl Node {
    /// Whether this is what was found.
    fn is(&self, found: &Entry) -> bool {
        found.is(&self.entry, self.watched.is_some())
    }

    fn new(parent: Option<usize>, name: OsString, entry: Entry) -> Node {
        Node {
            parent,
            name,
            entry,
            is_entered: false,
            children: BTreeMap::new(),
            watched: None,
            was_renamed: false,
        }
    }
}

/// Whether it was for want of something, so that the rest would fail as well.
fn is_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOSPC))
}
