//! Locks of the whole process and fork(3).

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mutex that is free in a forked child, and guards there what it guarded in the parent: the thread that forks
/// holds it meanwhile.
#[derive(Debug)]
pub(crate) struct ForkMutex<T: 'static> {
    mutex: Mutex<T>,
    /// The guard of the thread that forks, from before to after.
    held: UnsafeCell<Option<MutexGuard<'static, T>>>,
    is_watched: AtomicBool,
}

// SAFETY: `held` is used by a thread that holds the mutex, and by no other; the rest is a mutex and an atomic.
unsafe impl<T: Send> Sync for ForkMutex<T> {}

impl<T> ForkMutex<T> {
    pub(crate) const fn new(value: T) -> ForkMutex<T> {
        ForkMutex {
            mutex: Mutex::new(value),
            held: UnsafeCell::new(None),
            is_watched: AtomicBool::new(false),
        }
    }

    /// Locks it. `hold` and `release` call the methods of this very mutex.
    pub(crate) fn lock(
        &'static self,
        hold: extern "C" fn(),
        release: extern "C" fn(),
    ) -> MutexGuard<'static, T> {
        // No `Once`: a child that is forked in the middle of one waits for it for ever.
        if !self.is_watched.swap(true, Ordering::Relaxed) {
            // SAFETY: the functions take and give back a lock, under which no thread forks, and stay. If there is no
            // memory for them, the lock may be held in a child.
            unsafe {
                libc::pthread_atfork(
                    Some(hold as unsafe extern "C" fn()),
                    Some(release as unsafe extern "C" fn()),
                    Some(release as unsafe extern "C" fn()),
                )
            };
        }
        self.guard()
    }

    /// Before a fork.
    pub(crate) fn hold(&'static self) {
        let guard = self.guard();
        // SAFETY: this thread holds the mutex now, so no other one is here.
        unsafe { *self.held.get() = Some(guard) };
    }

    /// After a fork, in the parent and in the child.
    pub(crate) fn release(&'static self) {
        // SAFETY: this thread, or the child's copy of it, holds the mutex since `hold`, so no other one is here.
        drop(unsafe { (*self.held.get()).take() });
    }

    /// A panic elsewhere leaves nothing half done.
    fn guard(&self) -> MutexGuard<'_, T> {
        self.mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
