//! Changes of interest that wait for the next poll, so that one that is taken back before costs no
//! system call, and of several only the last does.
//!
//! A change may wait only while nobody waits for what it asks for. So it is put off on the thread that
//! polled last and nowhere else: what that thread does now, it does between two waits. And it is put off
//! only as long as the poller's descriptor has not been lent out, for an outer loop to sleep on.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{MutexGuard, PoisonError};

use wakeful_kernel::process::LeakingMutex;

use crate::backend::{Adapter, Selected};
use crate::{Interest, Token, Trigger};

/// Changes of descriptors with higher numbers are not put off, so that the table of them stays small.
const MOST: usize = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Deferred {
    /// The thread that polled last, by [`here`]. Written under the lock of `changes`, so that a change
    /// is put off either before another thread begins to poll, and then that one applies it, or not at
    /// all.
    poller: AtomicUsize,
    /// There are `changes`. The thread that polled last put them there, so it needs no lock to be sure.
    pending: AtomicBool,
    /// Somebody else may be asleep on the poller's descriptor.
    lent: AtomicBool,
    changes: LeakingMutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    list: Vec<Change>,
    /// For each descriptor one more than where its change is in the list; zero if there is none.
    places: Vec<u32>,
}

/// What is asked for another interest: the registration of a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) fd: RawFd,
    pub(crate) token: Token,
    /// What the kernel knows.
    pub(crate) applied: Interest,
    pub(crate) wanted: Interest,
    /// Something that the kernel tells once, at a change, was not wanted in between. If it is now, it has to be told
    /// anew.
    pub(crate) missed: bool,
}

impl Deferred {
    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a change off, if that is allowed here and now. The descriptor must stay open until the change has
    /// been applied or withdrawn.
    pub(crate) fn put_off(&self, change: Change) -> bool {
        let here = here();
        if here == 0 || self.poller.load(Ordering::Relaxed) != here {
            return false;
        }
        let mut changes = self.changes();
        let is_allowed = self.poller.load(Ordering::Relaxed) == here
            && !self.lent.load(Ordering::Relaxed)
            && usize::try_from(change.fd).is_ok_and(|fd| fd < MOST);
        if is_allowed {
            changes.put(change);
            self.pending.store(!changes.list.is_empty(), Ordering::Relaxed);
        }
        is_allowed
    }

    /// Whether there are changes.
    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// A registration begins or is replaced, by `operation`: if that succeeds, a change from before is void.
    #[cold]
    pub(crate) fn replace(
        &self,
        fd: RawFd,
        operation: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        // Until both is done, so that nobody applies it in between.
        let mut changes = self.changes();
        operation()?;
        changes.take(fd);
        Ok(())
    }

    /// The registration is about to end.
    #[cold]
    pub(crate) fn withdraw(&self, fd: RawFd) {
        self.changes().take(fd);
    }

    /// Before a poll: applies what was put off.
    #[inline]
    pub(crate) fn apply(&self, adapter: &Selected) {
        if self.poller.load(Ordering::Relaxed) != here() || self.is_pending() {
            self.take_over(adapter);
        }
    }

    #[cold]
    fn take_over(&self, adapter: &Selected) {
        let mut changes = self.changes();
        self.poller.store(here(), Ordering::Relaxed);
        self.apply_all(&mut changes, adapter);
    }

    /// The poller's descriptor is about to be lent out: applies what was put off, and lets nobody put off
    /// anything again.
    pub(crate) fn lend(&self, adapter: &Selected) {
        if !self.lent.load(Ordering::Acquire) {
            let mut changes = self.changes();
            self.apply_all(&mut changes, adapter);
            self.lent.store(true, Ordering::Release);
        }
    }

    fn apply_all(&self, changes: &mut Changes, adapter: &Selected) {
        while let Some(change) = changes.list.last().copied() {
            // It fails if somebody took the registration away by hand, and then nobody waits for anything: see
            // `Adapter::changes_are_certain`.
            let _ = adapter.reregister(change.fd, change.token, change.wanted);
            changes.take(change.fd);
        }
        self.pending.store(false, Ordering::Relaxed);
    }
}

impl Changes {
    fn put(&mut self, mut change: Change) {
        if let Some(earlier) = self.take(change.fd) {
            change.applied = earlier.applied;
            change.missed = earlier.missed;
        }
        change.missed |= change.misses();
        if change.is_void() {
            return;
        }
        self.list.push(change);
        *self.place(change.fd) = self.list.len() as u32;
    }

    fn take(&mut self, fd: RawFd) -> Option<Change> {
        let place = std::mem::take(self.places.get_mut(fd as usize)?);
        let index = (place as usize).checked_sub(1)?;
        let change = self.list.swap_remove(index);
        if let Some(moved) = self.list.get(index).map(|change| change.fd) {
            *self.place(moved) = place;
        }
        Some(change)
    }

    /// Of a descriptor below [`MOST`].
    fn place(&mut self, fd: RawFd) -> &mut u32 {
        let fd = fd as usize;
        if fd >= self.places.len() {
            self.places.resize(fd + 1, 0);
        }
        &mut self.places[fd]
    }
}

impl Change {
    fn misses(&self) -> bool {
        let is_whole = self.applied.remove(self.wanted).is_none();
        !(is_whole && self.applied.trigger() == self.wanted.trigger())
    }

    fn is_void(&self) -> bool {
        self.wanted == self.applied && (!self.missed || self.wanted.trigger() == Trigger::Level)
    }
}

/// A number that no other living thread has. A thread that has ended may have had it: that one does not poll any more.
/// Zero, which is nobody's, at the very end of a thread.
#[inline]
fn here() -> usize {
    thread_local! {
        // Where threads have no variables of the linker's, it is not seen to be const.
        #[allow(clippy::missing_const_for_thread_local)]
        static HERE: u8 = const { 0 };
    }
    HERE.try_with(|here| std::ptr::from_ref(here).addr()).unwrap_or(0)
}
