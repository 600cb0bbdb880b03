//! Changes of interest that wait for the next poll, so that one that is taken back before costs no
//! system call, and of several only the last does.
//!
//! A change may wait only while nobody waits for what it asks for. So it is put off on the thread that
//! polled last and nowhere else: what that thread does now, it does between two waits. And it is put off
//! only as long as the poller's descriptor has not been lent out, for an outer loop to sleep on.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::backend::{Adapter, Selected};
use crate::{Interest, Token};

/// No descriptor: the change was withdrawn.
const NONE: RawFd = -1;

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
    changes: Mutex<Vec<Change>>,
}

#[derive(Debug)]
struct Change {
    fd: RawFd,
    token: Token,
    /// What the kernel knows.
    applied: Interest,
    wanted: Interest,
}

/// Where the change of a registration was put off to. It finds it there as long as there is one. Two bytes,
/// which a registration has to spare.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place(u16);

impl Deferred {
    fn changes(&self) -> MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a change off, if that is allowed here and now. The descriptor must be open, and not
    /// registered anew by others, until the change has been applied or withdrawn.
    pub(crate) fn put_off(
        &self,
        place: &mut Place,
        fd: RawFd,
        token: Token,
        before: Interest,
        wanted: Interest,
    ) -> bool {
        if self.poller.load(Ordering::Relaxed) != here() {
            return false;
        }
        let mut changes = self.changes();
        if self.poller.load(Ordering::Relaxed) != here() || self.lent.load(Ordering::Relaxed) {
            return false;
        }
        match changes.get_mut(usize::from(place.0)).filter(|change| change.fd == fd) {
            Some(change) => change.wanted = wanted,
            None => {
                let Ok(last) = u16::try_from(changes.len()) else {
                    return false;
                };
                *place = Place(last);
                changes.push(Change { fd, token, applied: before, wanted });
            }
        }
        while changes.last().is_some_and(Change::is_void) {
            changes.pop();
        }
        self.pending.store(!changes.is_empty(), Ordering::Relaxed);
        true
    }

    /// The registration is about to be replaced or to end: a change of it is void.
    #[inline]
    pub(crate) fn withdraw(&self, fd: RawFd) {
        if self.pending.load(Ordering::Relaxed) {
            for change in self.changes().iter_mut().filter(|change| change.fd == fd) {
                change.fd = NONE;
            }
        }
    }

    /// Before a poll: applies what was put off.
    ///
    /// # Errors
    ///
    /// Those of the operating system. What could not be applied waits for the next poll.
    #[inline]
    pub(crate) fn apply(&self, adapter: &Selected) -> io::Result<()> {
        if self.poller.load(Ordering::Relaxed) == here() && !self.pending.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.take_over(adapter)
    }

    #[cold]
    fn take_over(&self, adapter: &Selected) -> io::Result<()> {
        let mut changes = self.changes();
        self.poller.store(here(), Ordering::Relaxed);
        self.apply_all(&mut changes, adapter)
    }

    /// The poller's descriptor is about to be lent out: applies what was put off, and lets nobody put off
    /// anything again.
    pub(crate) fn lend(&self, adapter: &Selected) {
        if !self.lent.load(Ordering::Acquire) {
            let mut changes = self.changes();
            // A failure comes again with the next poll, which can tell it.
            let _ = self.apply_all(&mut changes, adapter);
            self.lent.store(true, Ordering::Release);
        }
    }

    fn apply_all(&self, changes: &mut Vec<Change>, adapter: &Selected) -> io::Result<()> {
        for change in changes.iter_mut().filter(|change| !change.is_void()) {
            match adapter.reregister(change.fd, change.token, change.wanted) {
                Err(error) if !is_gone(&error) => return Err(error),
                _ => change.applied = change.wanted,
            }
        }
        changes.clear();
        self.pending.store(false, Ordering::Relaxed);
        Ok(())
    }
}

impl Change {
    fn is_void(&self) -> bool {
        self.fd == NONE || self.wanted == self.applied
    }
}

/// Whether there is no registration any more, and so nobody to wait for anything.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EBADF))
}

/// A number that no other living thread has; not zero. A thread that has ended may have had it: that one
/// does not poll any more.
#[inline]
fn here() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}
