//! kqueue tells of what happens to files.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use wakeful_kernel::kqueue::filter::{Timer, Vnode, VnodeEvents};
use wakeful_kernel::kqueue::{Change, Happening, Kqueue, Mode, System};

use super::watches::{BATCH, What};

/// The flag of open(2) for a descriptor that is only to be watched.
pub(crate) const OPEN_TO_WATCH: i32 = System::CURRENT.open_to_watch;

#[derive(Debug)]
pub(super) struct Teller(Kqueue);

/// What each of our words is in the kernel's.
const WORDS: [(What, VnodeEvents); 6] = [
    (What::WRITTEN, VnodeEvents::WRITE.union(VnodeEvents::EXTEND).union(VnodeEvents::TRUNCATE)),
    (What::LINKS, VnodeEvents::LINK),
    (What::ATTRIBUTES, VnodeEvents::ATTRIBUTES),
    (What::DELETED, VnodeEvents::DELETE),
    (What::RENAMED, VnodeEvents::RENAME),
    (What::REVOKED, VnodeEvents::REVOKE),
];

impl Teller {
    pub(super) fn new() -> io::Result<Teller> {
        Ok(Teller(Kqueue::new()?))
    }

    /// Tells of an open file from now on, by its place.
    pub(super) fn watch(&self, fd: BorrowedFd<'_>, place: usize, what: What) -> io::Result<()> {
        let wanted = WORDS.iter().filter(|(ours, _)| what.contains(*ours));
        let events = wanted.fold(VnodeEvents::empty(), |events, (_, more)| events | *more);
        let events = events & System::CURRENT.all_vnode_events();
        Ok(self.0.apply([Change::add(Vnode::new(fd, events), Mode::Clear, place)?])?)
    }

    /// Tells of it no more.
    pub(super) fn unwatch(&self, fd: BorrowedFd<'_>, _: usize) {
        if let Ok(change) = Change::delete(Vnode::new(fd, VnodeEvents::empty())) {
            let _ = self.0.apply([change]);
        }
    }

    /// Is readable, though nothing has happened.
    pub(super) fn nudge(&self) {
        let soon = Timer::after(0, Duration::ZERO);
        if let (Ok(delete), Ok(add)) = (Change::delete(soon), Change::add(soon, Mode::Oneshot, 0)) {
            // One that has run out and was not fetched would be no edge.
            let _ = self.0.apply([delete, add]);
        }
    }

    /// What has happened since the last time, if anything.
    pub(super) fn happened(&self) -> io::Result<Option<Vec<(usize, What)>>> {
        let mut events = Vec::with_capacity(BATCH);
        if self.0.wait(&mut events, Some(Duration::ZERO))? == 0 {
            return Ok(None);
        }
        let told = events.iter().filter_map(|event| match event.happening() {
            Happening::Vnode { what, .. } => {
                let found = WORDS.iter().filter(|(_, theirs)| what.intersects(*theirs));
                let what = found.fold(What::empty(), |what, (ours, _)| what | *ours);
                Some((event.user_data(), what))
            }
            _ => None,
        });
        Ok(Some(told.collect()))
    }
}

impl AsFd for Teller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
