//! The threads that wait at a port, and in which order they are served.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::state::Event;
use crate::linux::{self, Result};

/// Those who wait at one port.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    all: Vec<Waiter>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    /// How many events it waits for.
    wanted: usize,
    /// None, if there was no descriptor left for it.
    wake: Option<Arc<OwnedFd>>,
    /// What it is to return with, whatever is queued.
    alert: Option<Event>,
}

/// One that waits, known to it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) id: u64,
    wake: Option<Arc<OwnedFd>>,
}

thread_local! {
    /// This thread's bell, and the process that made it: a forked child has one of its own.
    static BELL: std::cell::RefCell<Option<(u32, Arc<OwnedFd>)>> =
        const { std::cell::RefCell::new(None) };
}

impl Waiters {
    /// Joins them.
    pub(super) fn join(&mut self, wanted: usize) -> Place {
        let wake = bell().ok();
        let place = Place { id: self.next, wake: wake.clone() };
        // Left from an earlier wait.
        place.settle();
        let id = self.next;
        self.next += 1;
        self.all.push(Waiter { id, wanted, wake, alert: None });
        place
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.all.retain(|waiter| waiter.id != id);
    }

    /// Whoever wants least comes first, and of those who want as much, who came first.
    fn first(&self) -> Option<&Waiter> {
        self.all.iter().min_by_key(|waiter| (waiter.wanted, waiter.id))
    }

    pub(super) fn is_first(&self, id: u64) -> bool {
        self.first().is_some_and(|first| first.id == id)
    }

    /// Wakes the first, if there is as much as it wants.
    pub(super) fn tell(&self, available: usize) {
        if let Some(first) = self.first().filter(|first| first.wanted <= available) {
            first.ring();
        }
    }

    /// Wakes all: to return with an alert, or because the port was closed.
    pub(super) fn wake_all(&mut self, alert: Option<Event>) {
        for waiter in &mut self.all {
            waiter.alert = waiter.alert.or(alert);
            waiter.ring();
        }
    }

    pub(super) fn alert_of(&self, id: u64) -> Option<Event> {
        self.all.iter().find(|waiter| waiter.id == id)?.alert
    }
}

impl Place {
    pub(super) fn raw_fd(&self) -> Option<RawFd> {
        self.wake.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// It was woken, and looks.
    pub(super) fn settle(&self) {
        if let Some(wake) = &self.wake {
            linux::count(wake);
        }
    }
}

impl Waiter {
    fn ring(&self) {
        if let Some(wake) = &self.wake {
            linux::ring(wake);
        }
    }
}

fn bell() -> Result<Arc<OwnedFd>> {
    let kept = BELL.try_with(|bell| {
        let mut bell = bell.try_borrow_mut().ok()?;
        let process = std::process::id();
        match &*bell {
            Some((owner, bell)) if *owner == process => Some(Ok(bell.clone())),
            _ => {
                let new = linux::eventfd().map(Arc::new);
                *bell = new.as_ref().ok().map(|new| (process, new.clone()));
                Some(new)
            }
        }
    });
    // A thread that is ending, or a handler in between, has one for this wait.
    kept.ok().flatten().unwrap_or_else(|| linux::eventfd().map(Arc::new))
}
