//! Wake-ups in user space: the kernel is called only when the poller sleeps.
//!
//! Two parts: [`Sleep`] says whether the poller sleeps, so that a waker knows whether to call the
//! kernel, and who woke it, as far as a few bits can; [`Wakers`] says which of many wakers woke, so that
//! the poller knows what to report. A waker first writes the second, then the first. The poller looks at
//! them the other way round.

#[cfg(all(test, wakeful_loom))]
mod model;
mod sleep;
mod wakers;

use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

pub(crate) use sleep::{Duties, Sleep, Woken};
pub(crate) use wakers::{WakerKey, Wakers};

use crate::Token;
use crate::event::{Event, Readiness};
use crate::sync::{AtomicBool, Ordering};

/// All that the wakers of one poller share with it.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    pub(crate) sleep: Sleep,
    wakers: Mutex<Wakers>,
    /// The token of the first waker.
    first: OnceLock<Token>,
    /// There is, or has been, more than one waker.
    several: AtomicBool,
}

impl Wake {
    fn wakers(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new waker. The kernel's wake-up object must exist.
    pub(crate) fn add(&self, token: Token) -> WakerKey {
        let key = self.wakers().add(token);
        if let WakerKey::First = key {
            let _ = self.first.set(token);
        }
        self.start();
        key
    }

    /// A new waker that is not reported.
    pub(crate) fn start(&self) {
        if !self.sleep.add_duty(Duties::WAKERS) {
            self.several.store(true, Ordering::Release);
        }
    }

    /// Poller: whether a wake-up may end a sleep that has been reported before. One of several wakers
    /// may have been reported together with another, before it looked whether the poller sleeps; and
    /// wake-ups that call the kernel whether it sleeps or not come when they like.
    #[inline]
    pub(crate) fn may_wake_in_vain(&self) -> bool {
        self.several.load(Ordering::Acquire) || self.sleep.is_lent()
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
        let roused = match key {
            WakerKey::First => self.sleep.wake(Woken::FIRST),
            WakerKey::Other(place) => place.set() && self.sleep.wake(Woken::OTHERS),
        };
        self.call(roused, kernel).inspect_err(|_| key.clear())
    }

    /// Ends a wait, and calls `kernel` if the poller has to be roused by it.
    #[inline]
    pub(crate) fn end(&self, kernel: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.call(self.sleep.wake(Woken::END), kernel)
    }

    #[inline]
    fn call(&self, roused: bool, kernel: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if !roused && !self.sleep.is_lent() {
            return Ok(());
        }
        kernel().inspect_err(|_| self.sleep.wake_failed())
    }

    /// Reports wakers that woke, `room` at most. Who is left over.
    #[inline]
    pub(crate) fn report(&self, events: &mut Vec<Event>, room: usize, woken: Woken) -> Woken {
        let woken = woken & (Woken::FIRST | Woken::OTHERS);
        if woken == Woken::FIRST && room > 0 {
            if let Some(&token) = self.first.get() {
                events.push(Event::new(Readiness::IN, token));
            }
            return Woken::empty();
        }
        if woken.contains(Woken::OTHERS) { self.report_others(events, room, woken) } else { woken }
    }

    /// The first waker takes its turn with the others.
    fn report_others(&self, events: &mut Vec<Event>, room: usize, woken: Woken) -> Woken {
        let report = |token| events.push(Event::new(Readiness::IN, token));
        let is_left = self.wakers().take(room, woken.contains(Woken::FIRST), report);
        if is_left { Woken::OTHERS } else { Woken::empty() }
    }
}
