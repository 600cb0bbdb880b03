//! A watched directory, and with a recursive watch every directory below it.

mod compare;
mod node;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use self::node::{Node, Nodes};
use super::directory::{self, Entry, Identity};
use super::{Desk, ENTRIES, Fate, OF_FILE, Role, Watched, What};
use crate::platform::way::is_missing;
use crate::watch::{Change, DIRECTORY, Filter, Kind, Kinds, Listener, Progress, Watch, WatchId};

/// What is to be heard of a directory, but for the top: that it goes is told by the one that it is in.
const OF_DIRECTORY: What = OF_FILE.difference(What::DELETED);

pub(super) struct Tree {
    id: WatchId,
    /// As it was given.
    path: PathBuf,
    recursive: bool,
    follow_links: bool,
    kinds: Kinds,
    filter: Option<Filter>,
    nodes: Nodes,
    top: usize,
    /// The directories that are entered.
    entered: HashMap<Identity, usize>,
    /// Those whose entries are to be looked at.
    changed: BTreeSet<usize>,
    /// More has changed than was looked at the last time.
    is_unfinished: bool,
    /// Those that could not be listed.
    unlisted: BTreeSet<usize>,
    /// Those that are not entered because they are elsewhere in the tree, by another name or through a link.
    elsewhere: BTreeSet<usize>,
    /// One that was entered has gone since these were looked at.
    has_left: bool,
    /// Those that are still to be listed for the first time, since the watch began.
    pending: BTreeSet<usize>,
    progress: Option<Listener>,
    /// `add` has returned before all was listed, so that the end of that is told.
    tells_end: bool,
}

impl Tree {
    pub(super) fn new(
        id: WatchId,
        watch: Watch,
        absolute: &Path,
        desk: &mut Desk<'_>,
    ) -> io::Result<Tree> {
        let Watch { path, recursive, follow_links, kinds, filter, progress, .. } = watch;
        let mut new = Tree {
            id,
            path,
            recursive,
            follow_links,
            kinds,
            filter,
            nodes: Nodes::default(),
            top: 0,
            entered: HashMap::new(),
            changed: BTreeSet::new(),
            is_unfinished: false,
            unlisted: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            has_left: false,
            pending: BTreeSet::new(),
            progress,
            tells_end: false,
        };
        if let Err(error) = new.begin(absolute, desk) {
            new.drop_below(new.top, desk);
            return Err(error);
        }
        new.tells_end = !new.pending.is_empty();
        Ok(new)
    }

    /// Whether something is still to be listed.
    pub(super) fn is_unfinished(&self) -> bool {
        self.is_unfinished || !self.pending.is_empty()
    }

    /// Lists what is still to be, as far as the budget goes.
    pub(super) fn go_on(&mut self, desk: &mut Desk<'_>) -> Fate {
        if let Err(error) = self.list_pending(desk) {
            desk.changes.push_back(Change::unwatched(self.id, self.path.clone(), true, error));
            return Fate::Over;
        }
        if self.is_unfinished && desk.budget > 0 {
            self.compare(BTreeSet::new(), desk);
        }
        Fate::Lives
    }

    fn begin(&mut self, absolute: &Path, desk: &mut Desk<'_>) -> io::Result<()> {
        let fd = directory::open_path(absolute)?;
        let entry = directory::look(&fd)?;
        self.top = self.nodes.insert(Node::new(None, OsString::new(), entry));
        let watched = desk.watch(self.id, Role::Node(self.top), fd, OF_FILE)?;
        self.take_in(self.top, watched, true);
        self.pending.insert(self.top);
        self.list_pending(desk)
    }

    /// Lists what was entered since the watch began, and enters what is in it.
    ///
    /// # Errors
    ///
    /// The watch is to be given up.
    fn list_pending(&mut self, desk: &mut Desk<'_>) -> io::Result<()> {
        while desk.budget > 0 {
            let Some(node) = self.pending.pop_last() else {
                break;
            };
            let entries = match self.entries(node, desk) {
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
                    self.pending.insert(child);
                    let path = self.path_of(child);
                    let so_far = Progress { directories: self.entered.len(), path: &path };
                    let flow = self.progress.as_mut().map(|progress| progress(so_far));
                    if flow.is_some_and(|flow| flow.is_break()) {
                        return Err(io::Error::from_raw_os_error(libc::ECANCELED));
                    }
                }
            }
        }
        if self.pending.is_empty() && std::mem::take(&mut self.tells_end) {
            let change = Change::new(Kind::Listed, self.id, self.path.clone(), true);
            desk.changes.push_back(change);
        }
        Ok(())
    }

    pub(super) fn notice(&mut self, events: &[(Role, What)], desk: &mut Desk<'_>) -> Fate {
        let mut changed = BTreeSet::new();
        let mut of_top = What::empty();
        for &(role, what) in events {
            let Role::Node(number) = role else {
                continue;
            };
            let Some(node) = self.nodes.get_mut(number) else {
                continue;
            };
            node.was_renamed |= what.contains(What::RENAMED);
            if node.is_entered && what.intersects(ENTRIES) {
                changed.insert(number);
            }
            if number == self.top {
                of_top |= what;
                continue;
            }
            let is_file = !node.entry.is_directory();
            if is_file && what.contains(What::WRITTEN) {
                self.tell(Kind::Modified, number, self.path_of(number), desk);
            }
            // The links of a directory are its entries.
            let attributes = What::ATTRIBUTES | if is_file { What::LINKS } else { What::empty() };
            if what.intersects(attributes) {
                self.tell(Kind::Attributes, number, self.path_of(number), desk);
            }
        }
        self.compare(changed, desk);
        self.notice_top(of_top, desk)
    }

    fn notice_top(&mut self, what: What, desk: &mut Desk<'_>) -> Fate {
        if what.contains(What::RENAMED) {
            desk.changes.push_back(Change::new(Kind::Moved, self.id, self.path.clone(), true));
        }
        for (event, kind) in [(What::DELETED, Kind::Gone), (What::REVOKED, Kind::Unmounted)] {
            if what.contains(event) {
                desk.changes.push_back(Change::new(kind, self.id, self.path.clone(), true));
                return Fate::Over;
            }
        }
        Fate::Lives
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
        if let Some(parent) = self.nodes.get_mut(directory) {
            parent.children.insert(name.to_owned(), number);
        }
        self.watch(number, desk)?;
        Ok(number)
    }

    /// Watches what a node stands for, as far as it can be.
    fn watch(&mut self, number: usize, desk: &mut Desk<'_>) -> io::Result<()> {
        let Some(Node { parent, name, entry, .. }) = self.nodes.get(number) else {
            return Ok(());
        };
        let parent = parent.and_then(|parent| self.nodes.get(parent)?.watched.as_ref());
        let Some(parent) = parent else {
            return Ok(());
        };
        let (name, entry) = (name.as_os_str(), *entry);
        let is_link = entry.kind == FileType::Symlink;
        let follows = is_link && self.recursive && self.follow_links;
        let target = match follows {
            true => directory::look_at(&parent.fd, name, true).ok().filter(Entry::is_directory),
            false => Some(entry).filter(|_| !is_link),
        };
        let is_to_enter = target.is_some_and(|it| it.is_directory()) && self.recursive;
        let is_file = target.is_some_and(|it| it.kind == FileType::RegularFile);
        let wants_files =
            self.kinds.intersects(Kinds::MODIFIED | Kinds::ATTRIBUTES | Kinds::RENAMED);
        let is_plain_directory = target.is_some_and(|it| it.is_directory()) && !is_to_enter;
        if !(is_to_enter || (is_file || is_plain_directory) && wants_files) {
            return Ok(());
        }
        let is_known = |entry: &Entry| is_to_enter && self.entered.contains_key(&entry.identity);
        if target.is_some_and(|target| is_known(&target)) {
            self.elsewhere.insert(number);
            return Ok(());
        }
        let opened = directory::open(&parent.fd, name, is_link);
        let opened = opened.and_then(|fd| Ok((directory::look(&fd)?, fd)));
        let fd = match opened {
            // A link may have been made to lead elsewhere, of which nobody hears.
            Ok((found, _)) if is_link && is_known(&found) => {
                self.elsewhere.insert(number);
                return Ok(());
            }
            Ok((found, fd)) if is_link || found.is(&entry, true) => fd,
            // It was there when it was listed, and is not, or is another. So its directory is going to say that it has
            // changed, and then this is to be looked at, even if it is back by then.
            Ok(_) => {
                self.miss(number);
                return Ok(());
            }
            Err(error) if is_missing(&error) || error.raw_os_error() == Some(libc::ELOOP) => {
                self.miss(number);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let events = if is_file { OF_FILE } else { OF_DIRECTORY };
        let watched = desk.watch(self.id, Role::Node(number), fd, events)?;
        self.take_in(number, watched, is_to_enter);
        Ok(())
    }

    fn miss(&mut self, number: usize) {
        if let Some(node) = self.nodes.get_mut(number) {
            node.was_missed = true;
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
    fn entries(&self, node: usize, desk: &mut Desk<'_>) -> io::Result<BTreeMap<OsString, Entry>> {
        let Some(watched) = self.nodes.get(node).and_then(|node| node.watched.as_ref()) else {
            return Ok(BTreeMap::new());
        };
        let mut entries = directory::list(&watched.fd)?;
        desk.budget = desk.budget.saturating_sub(DIRECTORY + entries.len());
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
            let Some(node) = self.nodes.remove(number) else {
                continue;
            };
            left.extend(node.children.values());
            self.elsewhere.remove(&number);
            self.pending.remove(&number);
            if node.is_entered {
                self.entered.retain(|_, &mut entered| entered != number);
                self.has_left = true;
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

/// Whether it was for want of something, so that the rest would fail as well.
fn is_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOSPC))
}
