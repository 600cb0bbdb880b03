//! Wake-ups in user space: the kernel is called only when the poller sleeps.
//!
//! Two parts: [`Sleep`] says whether the poller sleeps, so that a waker knows whether to call the
//! kernel; [`Wakers`] says which wakers woke, so that the poller knows what to report. A waker first
//! writes the second, then looks at the first. The poller does it the other way round.

#[cfg(all(test, loom))]
mod model;
mod sleep;
mod wakers;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use sleep::Sleep;
pub(crate) use wakers::{WakerKey, Wakers};

use crate::Token;
use crate::event::{Event, Readiness};

/// All that the wakers of one poller share with it.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    pub(crate) sleep: Sleep,
    wakers: Mutex<Wakers>,
}

impl Wake {
    fn wakers(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new waker. The kernel's wake-up object must exist.
    pub(crate) fn add(&self, token: Token) -> WakerKey {
        let key = self.wakers().add(token);
        self.sleep.start();
        key
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
        if !key.set() || !self.sleep.wake() {
            return Ok(());
        }
        kernel().inspect_err(|_| {
            // Nobody was roused, so let the next wake-up try again.
            key.clear();
            self.sleep.wake_failed();
        })
    }

    /// Reports wakers that woke, `room` at most. Whether some are left over.
    pub(crate) fn report(&self, events: &mut Vec<Event>, room: usize) -> bool {
        self.wakers().take(room, |token| events.push(Event::new(Readiness::IN, token)))
    }
}
