//! The queues of one kind that this process has: their descriptors are the caller's, who closes them, of which
//! nobody is told.

use std::collections::BTreeMap;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::linux::{Errno, Result};

/// What a descriptor stands for.
pub(crate) trait Instance {
    /// The process that made it: a forked child must not change its parent's.
    fn process(&self) -> u32;
    /// Whether the number still is that of its descriptor.
    fn is_open(&self) -> bool;
}

/// All that there are, and some that were closed.
#[derive(Debug)]
pub(crate) struct Instances<T> {
    all: Mutex<BTreeMap<RawFd, Arc<T>>>,
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
        Instances { all: Mutex::new(BTreeMap::new()), sweep_at: AtomicUsize::new(MANY) }
    }

    /// Adds a new one.
    pub(crate) fn insert(&self, fd: RawFd, instance: Arc<T>) {
        let mut all = lock(&self.all);
        // The earlier one of that number must have been closed.
        let earlier = all.insert(fd, instance);
        let count = all.len();
        drop(all);
        drop(earlier);
        if count >= self.sweep_at.load(Ordering::Relaxed) {
            self.sweep();
        }
    }

    /// One that is open, and this process's own.
    pub(crate) fn find(&self, fd: RawFd) -> Option<Arc<T>> {
        let found = lock(&self.all).get(&fd).cloned();
        found.filter(|it| it.process() == std::process::id() && it.is_open())
    }

    /// Frees what belongs to one, and closes it.
    pub(crate) fn close(&self, fd: RawFd) -> Result<Arc<T>> {
        let instance = lock(&self.all).remove(&fd).ok_or(Errno::BADF)?;
        if !instance.is_open() {
            return Err(Errno::BADF);
        }
        // SAFETY: it is the descriptor that was made for it, and the caller gives it up.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(instance)
    }

    /// How many there are at most.
    pub(crate) fn count(&self) -> usize {
        lock(&self.all).len()
    }

    /// Frees what belongs to those that were closed. Whether there were any.
    pub(crate) fn sweep(&self) -> bool {
        let mut closed = Vec::new();
        {
            let mut all = lock(&self.all);
            let is_closed = |(_, it): &(&RawFd, &Arc<T>)| !it.is_open();
            let fds: Vec<_> = all.iter().filter(is_closed).map(|(&fd, _)| fd).collect();
            closed.extend(fds.iter().filter_map(|fd| all.remove(fd)));
            self.sweep_at.store(MANY.max(2 * all.len()), Ordering::Relaxed);
        }
        !closed.is_empty()
    }
}
