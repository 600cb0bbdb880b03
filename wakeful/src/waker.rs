use std::fmt;
use std::io;
use std::sync::Arc;

use crate::backend::Adapter;
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
/// what sleeps, so from then on every wake-up calls the kernel.
///
/// A waker that is dropped right after it woke is still reported. A waker keeps the kernel's objects of
/// its `Poll` open.
///
/// In a forked child [`wake`](Waker::wake) is an error and wakes nobody, and dropping the waker does nothing.
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
    /// Its place among those that are reported.
    key: Option<WakerKey>,
}

impl Waker {
    /// A waker whose events carry `token`.
    ///
    /// # Errors
    ///
    /// The first of a `Poll` creates the kernel's object: `EMFILE`, `ENFILE`, `ENOMEM`.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): a forked child uses its parent's registry.
    pub fn new(registry: &Registry, token: Token) -> io::Result<Waker> {
        let shared = Arc::clone(registry.shared());
        shared.check()?;
        shared.adapter.prepare_wake()?;
        let key = Some(shared.wake.add(token));
        Ok(Waker { shared, key })
    }

    /// A waker that ends a wait and is not reported: the poll under way, or else the next one, returns
    /// with what there is, perhaps nothing.
    ///
    /// # Errors
    ///
    /// As [`new`](Waker::new).
    ///
    /// ```
    /// use wakeful::{Events, Poll, Waker};
    ///
    /// let mut poll = Poll::new()?;
    /// let waker = Waker::without_event(poll.registry())?;
    /// waker.wake()?;
    /// let mut events = Events::with_capacity(8);
    /// poll.poll(&mut events, None)?;
    /// assert!(events.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn without_event(registry: &Registry) -> io::Result<Waker> {
        let shared = Arc::clone(registry.shared());
        shared.check()?;
        shared.adapter.prepare_wake()?;
        shared.wake.start();
        Ok(Waker { shared, key: None })
    }

    /// Wakes the poller, or keeps it from its next sleep.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): a forked child uses its parent's waker. None else in practice:
    /// those of write(2) on the kernel's object.
    #[inline]
    pub fn wake(&self) -> io::Result<()> {
        let Shared { adapter, wake, .. } = &*self.shared;
        self.shared.check()?;
        match &self.key {
            Some(key) => wake.wake(key, || adapter.wake()),
            None => wake.end(|| adapter.wake()),
        }
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        let is_ours = self.shared.is_ours();
        if let Some(key) = self.key.as_ref().filter(|_| is_ours) {
            self.shared.wake.remove(key);
        }
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").finish_non_exhaustive()
    }
}
