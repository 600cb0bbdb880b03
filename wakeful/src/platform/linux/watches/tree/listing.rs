//! How directories come into a tree: they are listened to, listed, and those in them entered.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind};
use std::mem;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use wakeful_kernel::linux::{AddWatchError, WatchFlags};

use super::super::{Desk, Place, Role, has_vanished};
use super::{Beginning, Node, Tree};
use crate::watch::{Change, DIRECTORY, Kind, Kinds, Progress};

/// Why a directory is listed, and so what becomes of what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// The watch begins, so that it can fail.
    is_first: bool,
    /// Entries are told.
    tells: bool,
    /// So are those in the directories that are new.
    tells_of_new: bool,
    /// The directories that are known are listed too, and those not found dropped.
    pub(super) is_of_known: bool,
}

impl Listing {
    /// The watch begins, with what is there.
    pub(super) const FIRST: Listing =
        Listing { is_first: true, tells: false, tells_of_new: false, is_of_known: false };
    /// It is new: its entries may have come before it was listened to.
    pub(super) const NEW: Listing =
        Listing { is_first: false, tells: true, tells_of_new: true, is_of_known: false };
    /// Changes were lost, and that was told.
    pub(super) const AFTER_LOSS: Listing =
        Listing { is_first: false, tells: false, tells_of_new: false, is_of_known: true };
    /// Directories may not be where they were thought to be.
    pub(super) const ASTRAY: Listing =
        Listing { is_first: false, tells: false, tells_of_new: true, is_of_known: true };

    /// Why to list a directory that was entered from one that is listed for this reason.
    fn of_new(self) -> Listing {
        let is_of_known = self.is_of_known && !self.tells_of_new;
        Listing { tells: self.tells_of_new, is_of_known, ..self }
    }

    /// For both reasons.
    fn and(self, other: Listing) -> Listing {
        Listing {
            is_first: self.is_first && other.is_first,
            tells: self.tells || other.tells,
            tells_of_new: self.tells_of_new || other.tells_of_new,
            is_of_known: self.is_of_known || other.is_of_known,
        }
    }
}

impl Tree {
    /// A directory has come, by creation or from elsewhere, perhaps with something in it.
    pub(super) fn arrive(&mut self, parent: usize, name: &OsStr, desk: &mut Desk<'_>) {
        match self.enter(parent, name, desk) {
            Ok(Some(node)) if self.is_in_place(parent, desk) => {
                self.list_later(node, Listing::NEW);
            }
            Ok(Some(node)) => {
                // Of the same name, in a directory that has the path now.
                self.drop_below(node, desk);
                let error = io::Error::from_raw_os_error(libc::ENOENT);
                self.go_astray(parent, name, error, desk);
            }
            Ok(None) => {}
            Err(error) => self.fail(parent, name, error, desk),
        }
    }

    /// A directory could not be entered.
    fn fail(&mut self, parent: usize, name: &OsStr, error: AddWatchError, desk: &mut Desk<'_>) {
        if has_vanished(&error) {
            if self.is_in_place(parent, desk) {
                // It was renamed or removed itself, which its parent is going to tell.
                return;
            }
            self.go_astray(parent, name, error.into(), desk);
        } else {
            self.tell_of_failure(self.path_of(parent).join(name), error.into(), desk);
        }
    }

    /// A directory was looked for by a path that is not its parent's any more.
    fn go_astray(&mut self, parent: usize, name: &OsStr, error: io::Error, desk: &mut Desk<'_>) {
        if self.is_in_place(self.top, desk) {
            self.is_astray = true;
        } else {
            self.tell_of_move(desk);
            self.tell_of_failure(self.path_of(parent).join(name), error, desk);
        }
    }

    /// A directory is not watched.
    pub(super) fn tell_of_failure(&self, path: PathBuf, error: io::Error, desk: &mut Desk<'_>) {
        desk.changes.push_back(Change::unwatched(self.id, path, true, error));
    }

    /// The path of the top leads elsewhere, or nowhere.
    pub(super) fn tell_of_move(&mut self, desk: &mut Desk<'_>) {
        if !mem::replace(&mut self.is_moved, true) {
            desk.changes.push_back(Change::new(Kind::Moved, self.id, self.path.clone(), true));
        }
    }

    /// Has a directory listed, for this reason too, before all others that are to be.
    pub(super) fn list_later(&mut self, node: usize, listing: Listing) {
        if let Some(found) = self.nodes.get_mut(node) {
            found.listing = Some(found.listing.map_or(listing, |earlier| earlier.and(listing)));
            self.pending.push(node);
        }
    }

    /// Lists directories, and enters those in them, as far as the budget goes.
    ///
    /// # Errors
    ///
    /// The watch, which begins, is to be given up.
    pub(super) fn list_pending(&mut self, desk: &mut Desk<'_>) -> io::Result<()> {
        while desk.budget > 0 {
            let Some(node) = self.pending.pop() else {
                break;
            };
            // If it is gone, another may have its number, and a listing of its own.
            if let Some(listing) = self.nodes.get_mut(node).and_then(|node| node.listing.take()) {
                self.list(node, listing, desk)?;
            }
        }
        if self.pending.is_empty() {
            let ended = self.beginning.take();
            if ended.is_some_and(|beginning| beginning.has_returned) {
                let change = Change::new(Kind::Listed, self.id, self.path.clone(), true);
                desk.changes.push_back(change);
            }
        }
        Ok(())
    }

    /// Lists a directory, and enters those in it.
    fn list(&mut self, node: usize, listing: Listing, desk: &mut Desk<'_>) -> io::Result<()> {
        let entries = match self.entries(node) {
            Ok(entries) => entries,
            Err(error) => {
                self.fail_to_list(node, error, desk);
                return Ok(());
            }
        };
        desk.budget = desk.budget.saturating_sub(DIRECTORY + entries.len());
        let shown = self.path_of(node);
        let mut found = HashSet::new();
        for (name, is_directory, enters) in entries {
            let path = shown.join(&name);
            if !self.sees(&path, is_directory) {
                continue;
            }
            if listing.tells && self.kinds.contains(Kinds::CREATED) {
                let change = Change::new(Kind::Created, self.id, path.clone(), is_directory);
                desk.changes.push_back(change);
            }
            if !enters {
                continue;
            }
            match self.enter(node, &name, desk) {
                Ok(Some(child)) => {
                    self.list_later(child, listing.of_new());
                    if listing.is_first {
                        self.note_progress(&path)?;
                    }
                }
                Ok(None) if listing.is_of_known => {
                    if let Some(child) = self.child(node, &name) {
                        self.list_later(child, listing);
                    }
                }
                Ok(None) => {}
                Err(error) if listing.is_first && is_limit(&error) => return Err(error.into()),
                Err(error) => self.fail(node, &name, error, desk),
            }
            if listing.is_of_known {
                found.insert(name);
            }
        }
        if !self.is_in_place(node, desk) {
            // Perhaps it was another's entries that were found.
            self.is_astray = true;
        } else if listing.is_of_known {
            self.drop_all_but(node, &found, desk);
        }
        Ok(())
    }

    fn note_progress(&mut self, path: &Path) -> io::Result<()> {
        let Some(Beginning { progress, count, .. }) = &mut self.beginning else {
            return Ok(());
        };
        *count += 1;
        let so_far = Progress { directories: *count, path };
        match progress.as_mut().map(|progress| progress(so_far)) {
            Some(ControlFlow::Break(())) => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
            _ => Ok(()),
        }
    }

    /// The names in a directory; whether each is a directory, and one to enter.
    fn entries(&self, node: usize) -> io::Result<Vec<(OsString, bool, bool)>> {
        let entries = fs::read_dir(self.real_path_of(node))?;
        let described = entries.map(|entry| {
            let entry = entry?;
            let (is_directory, enters) = self.is_directory(&entry);
            Ok((entry.file_name(), is_directory, enters))
        });
        described.collect()
    }

    fn fail_to_list(&mut self, node: usize, error: io::Error, desk: &mut Desk<'_>) {
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
            if self.is_in_place(self.top, desk) {
                // It has gone, or has another path by now.
                self.unlisted.push(node);
                return;
            }
            self.tell_of_move(desk);
        }
        self.tell_of_failure(self.path_of(node), error, desk);
    }

    fn drop_all_but(&mut self, node: usize, found: &HashSet<OsString>, desk: &mut Desk<'_>) {
        let children = self.nodes.get(node).into_iter().flat_map(|node| &node.children);
        let gone = children.filter(|(name, _)| !found.contains(*name));
        for child in gone.map(|(_, &child)| child).collect::<Vec<_>>() {
            self.drop_below(child, desk);
        }
    }

    /// Whether the path by which a directory is known leads to it.
    pub(super) fn is_in_place(&self, node: usize, desk: &mut Desk<'_>) -> bool {
        let Some(descriptor) = self.nodes.get(node).map(|node| node.descriptor) else {
            return false;
        };
        // A number that none of its nodes has.
        let role = Role::Directory(usize::MAX);
        let Ok(found) = desk.listen(self.id, role, &self.real_path_of(node), self.flags) else {
            return false;
        };
        desk.mute(self.id, role, found);
        desk.sweep(found);
        found == descriptor
    }

    /// Listens to a directory. Its node, if it is new.
    fn enter(
        &mut self,
        parent: usize,
        name: &OsStr,
        desk: &mut Desk<'_>,
    ) -> Result<Option<usize>, AddWatchError> {
        if !self.nodes.contains(parent) {
            return Ok(None);
        }
        let path = self.real_path_of(parent).join(name);
        let link = if self.follow_links { WatchFlags::empty() } else { WatchFlags::DONT_FOLLOW };
        let key = self.nodes.vacant_key();
        let role = Role::Directory(key);
        let descriptor = desk.listen(self.id, role, &path, self.flags | link)?;
        let known =
            desk.places.get(&descriptor).into_iter().flatten().find_map(|place| match place {
                Place { watch, role: Role::Directory(node) }
                    if *watch == self.id && *node != key =>
                {
                    Some(*node)
                }
                _ => None,
            });
        if let Some(known) = known {
            desk.mute(self.id, role, descriptor);
            let is_here = self.child(parent, name) == Some(known);
            // A record may have said that this name was renamed when another had it.
            let is_leaving = self.leaving.iter().any(|&(_, leaving)| leaving == known);
            if !is_here && known != self.top && (is_leaving || !self.is_also_at(known, &path)) {
                if self.is_in_place(parent, desk) {
                    // It was moved, which nobody may be told of: where it is now was not watched then.
                    self.leaving.retain(|&(_, leaving)| leaving != known);
                    self.move_to(known, parent, name, desk);
                }
                // Where it was, there may be another of that name.
                self.is_astray = true;
            }
            return Ok(None);
        }
        let (owned, children) = (name.to_owned(), HashMap::new());
        let node = Node { parent: Some(parent), name: owned, descriptor, children, listing: None };
        let node = self.nodes.insert(node);
        self.adopt(parent, name, node, desk);
        Ok(Some(node))
    }

    /// Whether a directory that is met on this path is still where it was known to be as well.
    fn is_also_at(&self, node: usize, other: &Path) -> bool {
        let path = self.real_path_of(node);
        let identity = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
        // The same path by way of other directories: those have been renamed.
        path != other && identity(&path).is_some_and(|it| identity(other) == Some(it))
    }

    /// Whether an entry is a directory, and whether it is one to enter.
    fn is_directory(&self, entry: &DirEntry) -> (bool, bool) {
        let Ok(file_type) = entry.file_type() else {
            return (false, false);
        };
        let linked = || self.follow_links && fs::metadata(entry.path()).is_ok_and(|it| it.is_dir());
        (file_type.is_dir(), file_type.is_dir() || (file_type.is_symlink() && linked()))
    }
}

fn is_limit(error: &AddWatchError) -> bool {
    matches!(error.io_error().raw_os_error(), Some(libc::ENOSPC | libc::ENOMEM))
}
