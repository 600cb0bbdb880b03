//! What is different in directories that have changed, and what it means: what came, what went, what was renamed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::super::directory::{self, Entry, Identity};
use super::super::{Desk, Watched, cookie};
use super::Tree;
use super::node::Node;
use crate::watch::{Change, Kind, Kinds};

/// How often to look at what turns out to be different while it is looked at, before the rest is left for the next
/// time.
const ATTEMPTS: usize = 16;

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
    /// Lists directories that have changed, and tells what is different.
    pub(super) fn compare(&mut self, changed: BTreeSet<usize>, desk: &mut Desk<'_>) {
        self.changed.extend(changed);
        for _ in 0..ATTEMPTS {
            if self.changed.is_empty() || desk.budget == 0 {
                break;
            }
            let changed = std::mem::take(&mut self.changed);
            self.compare_once(changed, desk);
        }
        self.is_unfinished = !self.changed.is_empty();
        if self.is_unfinished {
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
        self.look_elsewhere(desk);
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
            if !self.nodes.get(directory).is_some_and(|node| node.is_entered) {
                continue;
            }
            if self.pending.contains(&directory) {
                // It is going to be listed, with what is there then.
                continue;
            }
            if desk.budget == 0 {
                self.changed.insert(directory);
                continue;
            }
            let now = match self.entries(directory, desk) {
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
                Ok(node) => left.extend(self.content(node, desk).into_iter().rev()),
                Err(error) => self.tell_of_failure(directory, &name, entry, error, desk),
            }
        }
    }

    /// Enters what was passed over because it was entered elsewhere, where it is no more.
    fn look_elsewhere(&mut self, desk: &mut Desk<'_>) {
        while std::mem::take(&mut self.has_left) {
            for node in std::mem::take(&mut self.elsewhere) {
                let Some(Node { parent: Some(parent), name, entry, .. }) = self.nodes.get(node)
                else {
                    continue;
                };
                let (parent, name, entry) = (*parent, name.clone(), *entry);
                if let Err(error) = self.watch(node, desk) {
                    self.tell_of_failure(parent, &name, entry, error, desk);
                }
                for arrival in self.content(node, desk) {
                    self.arrive(arrival, &mut Vec::new(), desk);
                }
            }
        }
    }

    /// What is in a directory that was entered just now; nothing, if it was not.
    fn content(&mut self, node: usize, desk: &mut Desk<'_>) -> Vec<Come> {
        if !self.nodes.get(node).is_some_and(|node| node.is_entered) {
            return Vec::new();
        }
        if desk.budget == 0 {
            // With the next pass, as a directory in which all is new.
            self.changed.insert(node);
            return Vec::new();
        }
        let entries = self.entries(node, desk).unwrap_or_else(|error| {
            self.tell_of_loss(node, error, desk);
            BTreeMap::new()
        });
        let come = |(name, entry)| Come { directory: node, name, entry };
        entries.into_iter().map(come).collect()
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
}
