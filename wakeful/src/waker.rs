use std::fmt;
use std::io;
use std::sync::Arc;

use crate::registry::Shared;
use crate::wake::WakerKey;
use crate::{Registry, Token};

/// Wakes a [`Poll`](crate::Poll) from any thread.
///
/// After [`wake`](Waker::wake) the poller reports at least one readable event with the waker's
/// token, and what the waking thread wrote before is visible to the polling thread then. Wake-ups
/// before the report coalesce into one event.
///
/// Any number of wakers can be had; they share one object of the kernel, which is called only when
/// the poller sleeps: waking an awake or an already woken poller makes no system call. Once a
/// `Poll` has lent out its descriptor ([`AsFd`](std::os::fd::AsFd), nesting), an outer loop may be
/// what sleeps, so from then on the first wake-up after each report calls the kernel.
///
/// A waker that is dropped right after it woke is still reported.
///
/// ```
/// use std::thread;
/// use wakeful::{Events, Poll, Token, Waker};
///
/// let mut poll = Poll::new()?;
/// let waker = Waker::new(poll.registry(), Token(10))?;
/// let thread = thread::spawn(move || waker.wake());
///
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// let event = events.iter().next().expect("a wake-up ends the wait with its event");
/// assert!(event.token() == Token(10) && event.is_readable());
/// # thread.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Waker {
    shared: Arc<Shared>,
    key: WakerKey,
}

impl Waker {
    /// A waker whose events carry `token`.
    ///
    /// # Errors
    ///
    /// The first of a `Poll` creates the kernel's object: `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Waker> {
        let shared = Arc::clone(registry.shared());
        shared.adapter.prepare_wake()?;
        let key = shared.wake.add(token);
        Ok(Waker { shared, key })
    }

    /// Wakes the poller, or keeps it from its next sleep.
    ///
    /// # Errors
    ///
    /// None in practice: those of write(2) on the kernel's object.
    #[inline]
    pub fn wake(&self) -> io::Result<()> {
        self.shared.wake.wake(&self.key, || self.shared.adapter.wake())
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.shared.wake.remove(&self.key);
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("key", &self.key).finish_non_exhaustive()
    }
}
