//! Wake-ups in user space: the kernel is called only when the poller sleeps.
//!
//! Two parts: [`Sleep`] says whether the poller sleeps, so that a waker knows whether to call the
//! kernel; [`Wakers`] says which wakers woke, so that the poller knows what to report. A waker first
//! writes the second, then looks at the first. The poller does it the other way round.

#[cfg(all(test, wakeful_loom))]
mod model;
mod sleep;
mod wakers;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use sleep::Sleep;
pub(crate) use wakers::{WakerKey, Wakers};

use crate::Token;
use crate::event::{Event, Readiness};
use crate::sync::{AtomicBool, Ordering};

/// All that the wakers of one poller share with it.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    pub(crate) sleep: Sleep,
    wakers: Mutex<Wakers>,
    /// There is, or has been, more than one waker.
    several: AtomicBool,
    /// A wait is to end, whether there is something to report or not.
    end: AtomicBool,
}

impl Wake {
    fn wakers(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new waker. The kernel's wake-up object must exist.
    pub(crate) fn add(&self, token: Token) -> WakerKey {
        let key = self.wakers().add(token);
        self.start();
        key
    }

    /// A new waker that is not reported.
    pub(crate) fn start(&self) {
        if self.sleep.start() {
            self.several.store(true, Ordering::Release);
        }
    }

    /// Poller: whether a wake-up may end a sleep that has been reported before. One of several wakers
    /// may have been reported together with another, before it looked whether the poller sleeps; and
    /// wake-ups that call the kernel whether it sleeps or not come when they like.
    #[inline]
    pub(crate) fn may_wake_in_vain(&self) -> bool {
        self.several.load(Ordering::Acquire) || self.sleep.is_exported()
    }

    /// The waker is gone; a wake-up of its that is under way is still reported.
    pub(crate) fn remove(&self, key: &WakerKey) {
        self.wakers().remove(key);
    }

    /// Records a wake-up, and calls `kernel` if the poller has to be roused by it.
    #[inline]
    pub(crate) fn wake(
        &self,
        key: &WakerKey,
        kernel: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let roused = key.set() && self.sleep.wake();
        self.call(roused, kernel).inspect_err(|_| key.clear())
    }

    /// Ends a wait, and calls `kernel` if the poller has to be roused by it.
    #[inline]
    pub(crate) fn end(&self, kernel: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let roused = !self.end.swap(true, Ordering::SeqCst) && self.sleep.wake();
        self.call(roused, kernel).inspect_err(|_| self.end.store(false, Ordering::SeqCst))
    }

    #[inline]
    fn call(&self, roused: bool, kernel: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if !roused && !self.sleep.is_exported() {
            return Ok(());
        }
        // If nobody was roused, let the next wake-up try again.
        kernel().inspect_err(|_| self.sleep.wake_failed())
    }

    /// Poller: whether the wait is to end, which it does once.
    pub(crate) fn take_end(&self) -> bool {
        self.end.load(Ordering::SeqCst) && self.end.swap(false, Ordering::SeqCst)
    }

    /// Reports wakers that woke, `room` at most. Whether some are left over.
    pub(crate) fn report(&self, events: &mut Vec<Event>, room: usize) -> bool {
        self.wakers().take(room, |token| events.push(Event::new(Readiness::IN, token)))
    }
}
