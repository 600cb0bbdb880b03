//! The queues of one kind that this process has: their descriptors are the caller's, who closes them, of which
//! nobody is told.

use std::collections::BTreeMap;
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fork::ForkMutex;
use crate::linux::{Errno, Result};

/// What a descriptor stands for.
pub(crate) trait Instance {
    /// The process that made it: a forked child must not change its parent's.
    fn process(&self) -> u32;
    /// Whether the number still is that of its descriptor.
    ///
    /// # Errors
    ///
    /// What prevents to find out.
    fn is_open(&self) -> Result<bool>;
    /// Whether the descriptors that it hides still are its own: a program may close all that it does not know.
    fn is_whole(&self) -> bool;
    /// Closes those, of which a forked child has copies.
    fn close_hidden(&self);
}

/// Those of one kind, by their descriptors.
pub(crate) type All<T> = BTreeMap<RawFd, Arc<T>>;

/// All that there are, and some that were closed.
#[derive(Debug)]
pub(crate) struct Instances<T: 'static> {
    all: ForkMutex<All<T>>,
    /// When there are so many, those that were closed are looked for.
    sweep_at: AtomicUsize,
}

const MANY: usize = 16;

/// A panic elsewhere leaves nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Instance> Instances<T> {
    pub(crate) const fn new() -> Instances<T> {
        Instances { all: ForkMutex::new(BTreeMap::new()), sweep_at: AtomicUsize::new(MANY) }
    }

    /// Adds a new one.
    pub(crate) fn insert(&self, fd: RawFd, instance: Arc<T>) {
        let mut all = self.all.lock();
        // The earlier one of that number must have been closed.
        let earlier = all.insert(fd, instance);
        let count = all.len();
        drop(all);
        dispose(earlier);
        if count >= self.sweep_at.load(Ordering::Relaxed) {
            self.sweep();
        }
    }

    /// One that is open, and this process's own.
    pub(crate) fn find(&self, fd: RawFd) -> Result<Option<Arc<T>>> {
        let found = self.all.lock().get(&fd).cloned();
        let Some(found) = found.filter(|it| it.process() == std::process::id()) else {
            return Ok(None);
        };
        Ok(found.is_open()?.then_some(found))
    }

    /// Frees what belongs to one, and closes it.
    pub(crate) fn close(&self, fd: RawFd) -> Result<Arc<T>> {
        let instance = self.all.lock().get(&fd).cloned().ok_or(Errno::BADF)?;
        let is_open = instance.is_open()?;
        self.all.lock().remove(&fd);
        if !is_open {
            dispose(instance);
            return Err(Errno::BADF);
        }
        // SAFETY: it is the descriptor that was made for it, and the caller gives it up.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(instance)
    }

    /// How many there are at most.
    pub(crate) fn count(&self) -> usize {
        self.all.lock().len()
    }

    /// Frees what belongs to those that were closed. Whether there were any.
    pub(crate) fn sweep(&self) -> bool {
        let mut closed = Vec::new();
        {
            let mut all = self.all.lock();
            let is_closed = |(_, it): &(&RawFd, &Arc<T>)| it.is_open() == Ok(false);
            let fds: Vec<_> = all.iter().filter(is_closed).map(|(&fd, _)| fd).collect();
            closed.extend(fds.iter().filter_map(|fd| all.remove(fd)));
            self.sweep_at.store(MANY.max(2 * all.len()), Ordering::Relaxed);
        }
        let were_any = !closed.is_empty();
        closed.into_iter().for_each(dispose);
        were_any
    }

    /// All of them, for a fork.
    pub(crate) fn all(&self) -> &ForkMutex<All<T>> {
        &self.all
    }
}

/// Frees what belongs to one that was closed, unless the numbers of its descriptors are others' by now.
fn dispose<T: Instance>(instance: impl Into<Option<Arc<T>>>) {
    match instance.into() {
        Some(instance) if !instance.is_whole() => mem::forget(instance),
        instance => drop(instance),
    }
}

/// In a forked child: they are the parent's.
pub(crate) fn abandon<T: Instance>(all: &mut All<T>) {
    for instance in mem::take(all).into_values() {
        instance.close_hidden();
        mem::forget(instance);
    }
}
