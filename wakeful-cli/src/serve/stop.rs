//! How a server is told to stop: a signal to one loop, which wakes the others.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use wakeful::signal::{Signal, Signals};
use wakeful::{Registry, Waker};

use super::STOP;

/// ^C and kill(1).
pub(super) fn signals() -> io::Result<Signals> {
    Signals::new([Signal::INTERRUPT, Signal::TERMINATE])
}

/// Shared by the loops.
#[derive(Debug)]
pub(super) struct Stop {
    /// 0: go on; 1: finish; more: end at once.
    requests: AtomicU32,
    wakers: Vec<Waker>,
}

impl Stop {
    pub(super) fn new<'poll>(
        registries: impl Iterator<Item = &'poll Registry>,
    ) -> io::Result<Stop> {
        let wakers =
            registries.map(|registry| Waker::new(registry, STOP)).collect::<Result<_, _>>()?;
        Ok(Stop { requests: AtomicU32::new(0), wakers })
    }

    /// Asks all loops to finish, and when asked again, to end at once.
    pub(super) fn raise(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.wake_all();
    }

    /// Asks all loops to finish, if nobody has yet.
    pub(super) fn finish(&self) {
        self.requests.fetch_max(1, Ordering::Relaxed);
        self.wake_all();
    }

    fn wake_all(&self) {
        for waker in &self.wakers {
            // A loop that cannot be woken has ended.
            let _ = waker.wake();
        }
    }

    pub(super) fn is_raised(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_urgent(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 1
    }
}
