//! The threads that wait at a port, and in which order they are served.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::state::Event;
use crate::linux::{self, Identity, Result};

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
    wake: Option<Arc<Bell>>,
    /// What it is to return with, whatever is queued.
    alert: Option<Event>,
}

/// One that waits, known to it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) id: u64,
    wake: Option<Arc<Bell>>,
}

thread_local! {
    /// This thread's bell, and the process that made it: a forked child has one of its own.
    static BELL: RefCell<Option<(u32, Arc<Bell>)>> = const { RefCell::new(None) };
}

/// Rings for one thread. Programs that close all descriptors that they do not know close it, too, and may open something
/// else by its number.
#[derive(Debug)]
struct Bell {
    fd: ManuallyDrop<OwnedFd>,
    identity: Identity,
}

impl Bell {
    fn new() -> Result<Bell> {
        let fd = linux::eventfd()?;
        let identity = linux::identity(fd.as_raw_fd())?;
        Ok(Bell { fd: ManuallyDrop::new(fd), identity })
    }

    fn is_ours(&self) -> bool {
        linux::is_still(self.fd.as_raw_fd(), &self.identity) == Ok(true)
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: it is not used again.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
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
        self.wake.as_ref().map(|wake| wake.fd.as_raw_fd())
    }

    /// It was woken, and looks.
    pub(super) fn settle(&self) {
        if let Some(wake) = &self.wake {
            // If it goes on ringing, the next wait looks at once.
            let _ = linux::count(&wake.fd);
        }
    }
}

impl Waiter {
    fn ring(&self) {
        if let Some(wake) = &self.wake {
            linux::ring(&wake.fd);
        }
    }
}

fn bell() -> Result<Arc<Bell>> {
    let kept = BELL.try_with(|bell| {
        let mut bell = bell.try_borrow_mut().ok()?;
        let process = std::process::id();
        match &*bell {
            Some((owner, bell)) if *owner == process && bell.is_ours() => Some(Ok(bell.clone())),
            _ => {
                let new = Bell::new().map(Arc::new);
                *bell = new.as_ref().ok().map(|new| (process, new.clone()));
                Some(new)
            }
        }
    });
    // A thread that is ending, or a handler in between, has one for this wait.
    kept.ok().flatten().unwrap_or_else(|| Bell::new().map(Arc::new))
}
