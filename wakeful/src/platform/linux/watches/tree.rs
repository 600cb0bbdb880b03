//! A watched directory, and, if it is watched recursively, all those below it.
//!
//! A directory is listened to first and listed then, so that what comes between the two is told twice
//! rather than not at all. The kernel's number for a watch is that of the inode, by which a directory that
//! is met again is known: under another name if it was moved, or by another way if links or mounts lead
//! in a circle.
//!
//! The kernel takes paths, and a path may lead elsewhere by the time it is used, because something on it is
//! renamed meanwhile. So whoever has used the path of a directory looks whether it still is that
//! directory's. If not, the records that say so are on their way: when all of them have been taken, the
//! tree is gone through anew, until nothing moves any more.

mod listing;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};

use slab::Slab;
use wakeful_kernel::linux::{self, WatchDescriptor, WatchFlags};

use self::listing::Listing;
use super::{Desk, Fate, Role};
use crate::watch::{Change, Filter, Kind, Kinds, Listener, Watch, WatchId};

pub(super) struct Tree {
    id: WatchId,
    /// As it was given.
    path: PathBuf,
    absolute: PathBuf,
    recursive: bool,
    follow_links: bool,
    kinds: Kinds,
    filter: Option<Filter>,
    flags: WatchFlags,
    nodes: Slab<Node>,
    top: usize,
    /// Directories of which we know that they were renamed, but not to what, by the number of the rename.
    leaving: Vec<(u32, usize)>,
    /// Directories that are to be listed, the last one first; of some that is not so any more.
    pending: Vec<usize>,
    /// The first listing, until it has come to its end.
    beginning: Option<Beginning>,
    /// Directories that are listened to, but could not be listed, because they have another path by now.
    unlisted: Vec<usize>,
    /// Something is not where it was thought to be.
    is_astray: bool,
    /// The path of the top does not lead to it any more, and that was told.
    is_moved: bool,
}

/// The first listing of a tree.
struct Beginning {
    progress: Option<Listener>,
    /// How many directories are watched.
    count: usize,
    /// `add` has returned, so that its end is told.
    has_returned: bool,
}

/// A directory.
#[derive(Debug)]
struct Node {
    /// `None` for the top.
    parent: Option<usize>,
    name: OsString,
    descriptor: WatchDescriptor,
    children: HashMap<OsString, usize>,
    /// It is to be listed, and why.
    listing: Option<Listing>,
}

impl Tree {
    pub(super) fn new(
        id: WatchId,
        watch: Watch,
        absolute: PathBuf,
        desk: &mut Desk<'_>,
    ) -> io::Result<Tree> {
        let Watch { path, recursive, follow_links, kinds, filter, progress, .. } = watch;
        let mut tree = Tree {
            id,
            path,
            absolute,
            recursive,
            follow_links,
            kinds,
            filter,
            flags: flags(kinds, recursive),
            nodes: Slab::new(),
            top: 0,
            leaving: Vec::new(),
            pending: Vec::new(),
            beginning: None,
            unlisted: Vec::new(),
            is_astray: false,
            is_moved: false,
        };
        let entry = tree.nodes.vacant_entry();
        let role = Role::Directory(entry.key());
        // A link to the top is followed in any case.
        let descriptor = desk.listen(id, role, &tree.absolute, tree.flags)?;
        tree.top = entry.key();
        entry.insert(Node {
            parent: None,
            name: OsString::new(),
            descriptor,
            children: HashMap::new(),
            listing: None,
        });
        if recursive {
            tree.beginning = Some(Beginning { progress, count: 1, has_returned: false });
            tree.list_later(tree.top, Listing::FIRST);
            if let Err(error) = tree.list_pending(desk) {
                tree.release(desk);
                return Err(error);
            }
            if let Some(beginning) = &mut tree.beginning {
                beginning.has_returned = true;
            }
        }
        Ok(tree)
    }

    /// Whether directories are still to be listed.
    pub(super) fn is_listing(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Lists as much of what is to be listed as the budget allows.
    fn go_on(&mut self, desk: &mut Desk<'_>) -> Fate {
        match self.list_pending(desk) {
            Ok(()) => Fate::Lives,
            Err(error) => {
                self.tell_of_failure(self.path.clone(), error, desk);
                Fate::Over
            }
        }
    }

    /// Something happened in a directory, or to it.
    pub(super) fn notice(
        &mut self,
        node: usize,
        record: &linux::Change<'_>,
        desk: &mut Desk<'_>,
    ) -> Fate {
        match record.name() {
            Some(name) => {
                self.notice_entry(node, name, record, desk);
                self.go_on(desk)
            }
            None => self.notice_itself(node, record.flags(), desk),
        }
    }

    fn notice_entry(
        &mut self,
        node: usize,
        name: &OsStr,
        record: &linux::Change<'_>,
        desk: &mut Desk<'_>,
    ) {
        let flags = record.flags();
        let path = self.path_of(node).join(name);
        let mut is_directory = flags.contains(WatchFlags::ISDIR);
        let appears = flags.intersects(WatchFlags::CREATE | WatchFlags::MOVED_TO);
        if !self.sees(&path, is_directory) {
            return;
        }
        let (kind, wanted) = match flags {
            _ if flags.contains(WatchFlags::CREATE) => (Kind::Created, Kinds::CREATED),
            _ if flags.contains(WatchFlags::DELETE) => (Kind::Removed, Kinds::REMOVED),
            _ if flags.contains(WatchFlags::MOVED_FROM) => {
                (Kind::RenamedFrom(record.cookie()), Kinds::RENAMED)
            }
            _ if flags.contains(WatchFlags::MOVED_TO) => {
                (Kind::RenamedTo(record.cookie()), Kinds::RENAMED)
            }
            _ if flags.contains(WatchFlags::MODIFY) => (Kind::Modified, Kinds::MODIFIED),
            _ if flags.contains(WatchFlags::ATTRIB) => (Kind::Attributes, Kinds::ATTRIBUTES),
            _ => return,
        };
        if self.kinds.contains(wanted) {
            desk.changes.push_back(Change::new(kind, self.id, path, is_directory));
        }
        if !self.recursive {
            return;
        }
        if appears && self.follow_links && !is_directory {
            is_directory =
                fs::metadata(self.real_path_of(node).join(name)).is_ok_and(|it| it.is_dir());
        }
        match kind {
            Kind::Created if is_directory => self.arrive(node, name, desk),
            Kind::RenamedTo(cookie) => {
                let known = self.leaving.iter().position(|&(leaving, _)| leaving == cookie);
                if let Some((_, mover)) = known.map(|index| self.leaving.swap_remove(index)) {
                    self.move_to(mover, node, name, desk);
                    if self.filter.is_some() {
                        // What is below has other paths, and the filter may see others of them.
                        self.list_later(mover, Listing::ASTRAY);
                    }
                }
                if is_directory {
                    // Even if it is known: a listing may have been ahead of the records.
                    self.arrive(node, name, desk);
                }
            }
            Kind::RenamedFrom(cookie) => {
                if let Some(child) = self.child(node, name) {
                    self.detach(child);
                    self.leaving.push((cookie, child));
                }
            }
            Kind::Removed => {
                if let Some(child) = self.child(node, name) {
                    self.drop_below(child, desk);
                    self.look_for_other_ways();
                }
            }
            _ => {}
        }
    }

    fn notice_itself(&mut self, node: usize, flags: WatchFlags, desk: &mut Desk<'_>) -> Fate {
        let is_top = node == self.top;
        // Of those below, what happens to their entries in their parents is told.
        let kind = match flags {
            _ if flags.contains(WatchFlags::UNMOUNT) => Kind::Unmounted,
            _ if flags.contains(WatchFlags::DELETE_SELF) && is_top => Kind::Gone,
            _ if flags.contains(WatchFlags::MOVE_SELF) && is_top => Kind::Moved,
            _ if flags.contains(WatchFlags::ATTRIB) && is_top => Kind::Attributes,
            _ if flags.contains(WatchFlags::IGNORED) && is_top => return Fate::Over,
            _ if flags.contains(WatchFlags::IGNORED) => {
                self.drop_below(node, desk);
                return Fate::Lives;
            }
            _ => return Fate::Lives,
        };
        if kind != Kind::Attributes || self.kinds.contains(Kinds::ATTRIBUTES) {
            desk.changes.push_back(Change::new(kind, self.id, self.path_of(node), true));
        }
        match kind {
            Kind::Moved => self.is_moved = true,
            Kind::Gone | Kind::Unmounted if is_top => return Fate::Over,
            Kind::Unmounted => self.drop_below(node, desk),
            _ => {}
        }
        Fate::Lives
    }

    /// No more records for now.
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>) -> Fate {
        // Renamed without having arrived: to where nobody listens.
        while let Some((_, node)) = self.leaving.pop() {
            if self.is_in_place(node, desk) {
                // It was another that had its name, and gave it up in exchange.
                self.attach(node, desk);
            } else {
                self.drop_below(node, desk);
                self.look_for_other_ways();
            }
        }
        for node in mem::take(&mut self.unlisted) {
            self.list_later(node, Listing::NEW);
        }
        loop {
            let is_put_off = self.is_astray && self.is_being_gone_through();
            if self.is_astray && !is_put_off {
                self.is_astray = false;
                self.list_later(self.top, Listing::ASTRAY);
            }
            if self.go_on(desk) == Fate::Over {
                return Fate::Over;
            }
            if !(is_put_off && self.pending.is_empty()) {
                return Fate::Lives;
            }
        }
    }

    /// Whether the known directories are listed, too. Where something moves without end, that has
    /// to come to its own end.
    fn is_being_gone_through(&self) -> bool {
        let of_known = |node: &usize| {
            let listing = self.nodes.get(*node).and_then(|node| node.listing);
            listing.is_some_and(|listing| listing.is_of_known)
        };
        self.pending.iter().any(of_known)
    }

    /// A directory that could be reached in several ways may have gone from the one that was taken.
    fn look_for_other_ways(&mut self) {
        self.is_astray |= self.follow_links;
    }

    /// Changes were lost: listens to what is there now, and to nothing else.
    pub(super) fn catch_up(&mut self, desk: &mut Desk<'_>) -> Fate {
        self.is_moved = !self.is_in_place(self.top, desk);
        if self.is_moved {
            // Renamed or gone; its watch knows no path by which to find out.
            let error = io::Error::from_raw_os_error(libc::ENOENT);
            self.tell_of_failure(self.path.clone(), error, desk);
        } else if self.recursive && self.is_being_gone_through() {
            self.is_astray = true;
        } else if self.recursive {
            self.list_later(self.top, Listing::AFTER_LOSS);
            return self.go_on(desk);
        }
        Fate::Lives
    }

    pub(super) fn release(mut self, desk: &mut Desk<'_>) {
        while let Some((node, _)) = self.nodes.iter().next() {
            self.drop_below(node, desk);
        }
    }

    /// A known directory has another place and name.
    fn move_to(&mut self, node: usize, parent: usize, name: &OsStr, desk: &mut Desk<'_>) {
        if self.is_at_or_above(node, parent) {
            // No tree is like that, so what is known of this part of it is not true any more.
            self.drop_below(node, desk);
            self.is_astray = true;
            return;
        }
        self.detach(node);
        if let Some(mover) = self.nodes.get_mut(node) {
            mover.parent = Some(parent);
            mover.name = name.to_owned();
            self.adopt(parent, name, node, desk);
        }
    }

    /// Notes a child under its name. Another that had it is elsewhere: below the top, it will be met again
    /// when the tree is gone through.
    fn adopt(&mut self, parent: usize, name: &OsStr, child: usize, desk: &mut Desk<'_>) {
        let parent = self.nodes.get_mut(parent);
        let earlier = parent.and_then(|parent| parent.children.insert(name.to_owned(), child));
        if let Some(earlier) = earlier.filter(|&earlier| earlier != child) {
            self.drop_below(earlier, desk);
            self.is_astray = true;
        }
    }

    /// Whether the first is the other, or one above it.
    fn is_at_or_above(&self, first: usize, other: usize) -> bool {
        let mut next = Some(other);
        while let Some(node) = next {
            if node == first {
                return true;
            }
            next = self.nodes.get(node).and_then(|node| node.parent);
        }
        false
    }

    /// Puts a directory back into its parent's children.
    fn attach(&mut self, node: usize, desk: &mut Desk<'_>) {
        if let Some((Some(parent), name)) =
            self.nodes.get(node).map(|it| (it.parent, it.name.clone()))
        {
            self.adopt(parent, &name, node, desk);
        }
    }

    /// Takes a directory out of its parent's children.
    fn detach(&mut self, node: usize) {
        let Some((parent, name)) = self.nodes.get(node).map(|it| (it.parent, it.name.clone()))
        else {
            return;
        };
        let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent)) else {
            return;
        };
        if parent.children.get(&name) == Some(&node) {
            parent.children.remove(&name);
        }
    }

    /// Listens no more to a directory and to those below it.
    fn drop_below(&mut self, node: usize, desk: &mut Desk<'_>) {
        self.detach(node);
        let mut left = vec![node];
        while let Some(node) = left.pop() {
            let Some(Node { descriptor, children, .. }) = self.nodes.try_remove(node) else {
                continue;
            };
            desk.mute(self.id, Role::Directory(node), descriptor);
            desk.sweep(descriptor);
            left.extend(children.into_values());
            self.leaving.retain(|&(_, leaving)| leaving != node);
        }
    }

    fn child(&self, parent: usize, name: &OsStr) -> Option<usize> {
        self.nodes.get(parent)?.children.get(name).copied()
    }

    fn sees(&self, path: &Path, is_directory: bool) -> bool {
        self.filter.as_ref().is_none_or(|sees| sees(path, is_directory))
    }

    fn path_of(&self, node: usize) -> PathBuf {
        self.below(&self.path, node)
    }

    fn real_path_of(&self, node: usize) -> PathBuf {
        self.below(&self.absolute, node)
    }

    fn below(&self, top: &Path, node: usize) -> PathBuf {
        let mut names = Vec::new();
        let mut next = Some(node);
        while let Some(node) = next.and_then(|node| self.nodes.get(node)) {
            names.push(&node.name);
            next = node.parent;
        }
        let mut path = top.to_owned();
        // The last is the top, which has none.
        path.extend(names.iter().rev().skip(1));
        path
    }
}

/// What to ask of the kernel.
fn flags(kinds: Kinds, recursive: bool) -> WatchFlags {
    let mut flags = WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR
        // Files that are open but have no name any more have no path to tell.
        | WatchFlags::EXCL_UNLINK;
    let asked = [
        (Kinds::CREATED, WatchFlags::CREATE),
        (Kinds::MODIFIED, WatchFlags::MODIFY),
        (Kinds::ATTRIBUTES, WatchFlags::ATTRIB),
        (Kinds::REMOVED, WatchFlags::DELETE),
        (Kinds::RENAMED, WatchFlags::MOVE),
    ];
    for (kind, flag) in asked {
        if kinds.contains(kind) {
            flags |= flag;
        }
    }
    if recursive {
        flags |= WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
    }
    flags
}
