//! What is in a tree, by numbers that are never used again.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;

use super::super::Watched;
use super::super::directory::Entry;

/// Something in the tree.
pub(super) struct Node {
    pub(super) parent: Option<usize>,
    pub(super) name: OsString,
    pub(super) entry: Entry,
    /// Its entries are watched, too.
    pub(super) is_entered: bool,
    /// It was gone, or another had its name, when it was to be watched: it is looked at again when its directory has
    /// changed.
    pub(super) was_missed: bool,
    pub(super) children: BTreeMap<OsString, usize>,
    /// Links and devices are not.
    pub(super) watched: Option<Watched>,
    /// It was, as the kernel says, since its directory was looked at.
    pub(super) was_renamed: bool,
}

impl Node {
    pub(super) fn new(parent: Option<usize>, name: OsString, entry: Entry) -> Node {
        Node {
            parent,
            name,
            entry,
            is_entered: false,
            was_missed: false,
            children: BTreeMap::new(),
            watched: None,
            was_renamed: false,
        }
    }

    /// Whether this is what was found.
    pub(super) fn is(&self, found: &Entry) -> bool {
        !self.was_missed && found.is(&self.entry, self.watched.is_some())
    }
}

/// The nodes of a tree. A number of one that is gone means nothing, wherever it is still kept.
#[derive(Default)]
pub(super) struct Nodes {
    nodes: HashMap<usize, Node>,
    next: usize,
}

impl Nodes {
    pub(super) fn insert(&mut self, node: Node) -> usize {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        number
    }

    pub(super) fn get(&self, number: usize) -> Option<&Node> {
        self.nodes.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Node> {
        self.nodes.get_mut(&number)
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        self.nodes.contains_key(&number)
    }

    pub(super) fn remove(&mut self, number: usize) -> Option<Node> {
        self.nodes.remove(&number)
    }
}
