//! fork(2): the child has the locks as they were, and descriptors that its parent's queues hide.
//!
//! So no lock of the process's is held while it forks, and the child has no queue: illumos' and FreeBSD's are not
//! inherited either.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mutex that is free in a forked child.
#[derive(Debug)]
pub(crate) struct ForkMutex<T: 'static> {
    mutex: Mutex<T>,
    /// Held by the thread that forks, from before to after.
    held: UnsafeCell<Option<MutexGuard<'static, T>>>,
}

// SAFETY: `held` is used by a thread that forks only, while it holds the mutex; the rest is a mutex.
unsafe impl<T: Send> Sync for ForkMutex<T> {}

impl<T> ForkMutex<T> {
    pub(crate) const fn new(value: T) -> ForkMutex<T> {
        ForkMutex { mutex: Mutex::new(value), held: UnsafeCell::new(None) }
    }

    /// A panic elsewhere leaves nothing half done.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        watch();
        self.mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&'static self) {
        let guard = self.mutex.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: this thread holds the mutex now, so no other one is here.
        unsafe { *self.held.get() = Some(guard) };
    }

    /// Lets go of it, after a change.
    fn let_go(&'static self, change: impl FnOnce(&mut T)) {
        // SAFETY: this thread, or the child's copy of it, holds the mutex, so no other one is here.
        let guard = unsafe { (*self.held.get()).take() };
        if let Some(mut guard) = guard {
            change(&mut guard);
        }
    }
}

/// Has the functions below called. No `Once`: a child that is forked in the middle of one waits for it for ever.
fn watch() {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    if !IS_WATCHED.load(Ordering::Relaxed) && !IS_WATCHED.swap(true, Ordering::Relaxed) {
        // SAFETY: the functions take locks that nobody holds while waiting for another of them, and stay. Without memory
        // for them, a child must not use what it inherits.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    }
}

extern "C" fn before() {
    crate::kqueue::QUEUES.all().hold();
    crate::event_port::PORTS.all().hold();
    crate::event_port::TIMERS.hold();
    crate::aio::ENDINGS.hold();
}

extern "C" fn in_parent() {
    crate::aio::ENDINGS.let_go(|_| ());
    crate::event_port::TIMERS.let_go(|_| ());
    crate::event_port::PORTS.all().let_go(|_| ());
    crate::kqueue::QUEUES.all().let_go(|_| ());
}

extern "C" fn in_child() {
    // Of what is forgotten, another thread may have been changing something: it is not even freed.
    crate::aio::ENDINGS.let_go(|endings| std::mem::forget(std::mem::take(endings)));
    crate::event_port::TIMERS.let_go(|timers| std::mem::forget(std::mem::take(timers)));
    crate::event_port::PORTS.all().let_go(crate::instances::abandon);
    crate::kqueue::QUEUES.all().let_go(crate::instances::abandon);
}
