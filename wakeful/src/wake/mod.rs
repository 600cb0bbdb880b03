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
use std::sync::{MutexGuard, OnceLock, PoisonError};

use wakeful_kernel::process::LeakingMutex;

pub(crate) use sleep::{Duties, Sleep, Woken};
pub(crate) use wakers::{WakerKey, Wakers};

use crate::Token;
use crate::event::{Event, Readiness};
use crate::sync::{AtomicBool, Ordering};

/// All that the wakers of one poller share with it.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    pub(crate) sleep: Sleep,
    wakers: LeakingMutex<Wakers>,
    /// The token of the first waker.
    first: OnceLock<Token>,
    /// A wake-up may reach the kernel that the poller cannot foresee.
    strays: AtomicBool,
}

impl Wake {
    fn wakers(&self) -> MutexGuard<'_, Wakers> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new waker. The kernel's wake-up object must exist.
    pub(crate) fn add(&self, token: Token) -> WakerKey {
        let key = self.wakers().add(token);
        match key {
            WakerKey::First => {
                let _ = self.first.set(token);
            }
            // It may be reported together with another, before it looks whether the poller sleeps.
            WakerKey::Other(_) => self.expect_strays(),
        }
        self.start();
        key
    }

    /// A new waker that is not reported.
    pub(crate) fn start(&self) {
        self.sleep.add_duty(Duties::WAKERS);
    }

    /// A wake-up may reach the kernel from now on that is not announced to the poller, by [`Woken::CALLED`], before.
    pub(crate) fn expect_strays(&self) {
        self.strays.store(true, Ordering::Release);
    }

    /// Poller: whether a wake-up that is not announced may end a sleep. Once the descriptor is lent out, wake-ups
    /// call the kernel whether the poller sleeps or not.
    #[inline]
    pub(crate) fn may_wake_in_vain(&self) -> bool {
        self.strays.load(Ordering::Acquire) || self.sleep.is_lent()
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
        match key {
            WakerKey::First => self.call(self.sleep.wake(Woken::FIRST), kernel),
            WakerKey::Other(place) if place.set() => {
                // Or the next wake-up would rely on this one.
                self.call(self.sleep.wake(Woken::OTHERS), kernel).inspect_err(|_| place.clear())
            }
            WakerKey::Other(_) => self.call(false, kernel),
        }
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

    /// Reports wakers that woke, at most `room`. Returns who is left over. A poll that reports in two parts
    /// collects with the first.
    #[inline]
    pub(crate) fn report(
        &self,
        events: &mut Vec<Event>,
        room: usize,
        woken: Woken,
        collects: bool,
    ) -> Woken {
        let woken = woken & (Woken::FIRST | Woken::OTHERS);
        if woken == Woken::FIRST && room > 0 {
            if let Some(&token) = self.first.get() {
                events.push(Event::new(Readiness::IN, token));
            }
            return Woken::empty();
        }
        if woken.contains(Woken::OTHERS) {
            self.report_others(events, room, woken, collects)
        } else {
            woken
        }
    }

    /// The first waker takes its turn with the others.
    fn report_others(
        &self,
        events: &mut Vec<Event>,
        room: usize,
        woken: Woken,
        collects: bool,
    ) -> Woken {
        let report = |token| events.push(Event::new(Readiness::IN, token));
        let first_woke = woken.contains(Woken::FIRST);
        let is_left = self.wakers().take(room, first_woke, collects, report);
        if is_left { Woken::OTHERS } else { Woken::empty() }
    }
}
