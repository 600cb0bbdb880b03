//! Events of the program's own, with something in them.
//!
//! [`Events`] is a bounded queue that any number of threads send to, and a source: it is readable while
//! there is something in it. For events without anything in them a [`Waker`](crate::Waker) is cheaper,
//! of which any number share one descriptor.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wakeful_kernel::process::Generation;

use crate::event::source_by_descriptor;
use crate::io_source::IoSource;
use crate::platform::Bell;
use crate::rearm::Direction;

/// The receiving end of a queue of `T`, and a source.
///
/// Each item that was accepted comes out exactly once, those of one sender in the order in which they
/// were sent. A burst of items costs one system call to send and one to receive. An event may find
/// nothing, if what it tells of has been taken already.
///
/// In a forked child the queue is closed: senders are told so, it is empty, and dropping it leaves the parent's queue
/// alone. What was in the child's copy is dropped with it, unless another thread of the parent was at the queue.
///
/// ```
/// use std::thread;
/// use wakeful::{Interest, Poll, Token, user};
///
/// let mut poll = Poll::new()?;
/// let lines = user::Events::new(100)?;
/// let sender = lines.sender();
/// let lines = poll.registry().register_owned(lines, Token(0), Interest::READABLE)?;
/// let thread = thread::spawn(move || {
///     for number in 0..3 {
///         sender.send(format!("line {number}")).unwrap();
///     }
/// });
///
/// let mut events = wakeful::Events::with_capacity(8);
/// let mut received = Vec::new();
/// while received.len() < 3 {
///     poll.poll(&mut events, None)?;
///     received.extend(lines.drain());
/// }
/// assert_eq!(received, ["line 0", "line 1", "line 2"]);
/// # thread.join().unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Events<T> {
    inner: IoSource<Arc<Bell>>,
    shared: Arc<Shared<T>>,
}

/// Sends to [`Events`], from any thread. Clones send to the same.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    capacity: usize,
    /// A forked child has a copy, perhaps locked by another thread of its parent.
    generation: Generation,
}

struct Queue<T> {
    items: VecDeque<T>,
    /// Somebody has rung, or is about to, since the receiver last began to take.
    rung: bool,
    /// The receiver's, as long as there is one: when it goes its descriptor is closed.
    bell: Option<Arc<Bell>>,
}

impl<T> Shared<T> {
    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Events<T> {
    /// A queue that holds so many items that were not received yet.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): a capacity of zero. `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(capacity: usize) -> io::Result<Events<T>> {
        if capacity == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a queue without room accepts nothing: give it a capacity of 1 or more",
            ));
        }
        let bell = Arc::new(Bell::new()?);
        let queue = Queue { items: VecDeque::new(), rung: false, bell: Some(Arc::clone(&bell)) };
        let generation = Generation::current();
        let shared = Arc::new(Shared { queue: Mutex::new(queue), capacity, generation });
        Ok(Events { inner: IoSource::new(bell), shared })
    }

    /// A sender to this queue.
    pub fn sender(&self) -> Sender<T> {
        Sender { shared: Arc::clone(&self.shared) }
    }

    /// Takes what is in the queue by now, one item after another.
    ///
    /// If something is left when the iterator is dropped, because it was not used to its end or because
    /// more was sent meanwhile, the queue is reported anew.
    pub fn drain(&self) -> Drain<'_, T> {
        if !self.shared.generation.is_current() {
            return Drain { events: self, remaining: 0 };
        }
        // Silent first: whoever sends from here on rings again, or finds that somebody has.
        self.inner.get().silence();
        let mut queue = self.shared.queue();
        queue.rung = false;
        let remaining = queue.items.len();
        drop(queue);
        self.inner.drained(Direction::Read);
        Drain { events: self, remaining }
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        if self.shared.generation.is_current() { self.shared.queue().items.len() } else { 0 }
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// From here on senders are told that nobody receives. What was in the queue is dropped with it.
impl<T> Drop for Events<T> {
    fn drop(&mut self) {
        let mut queue = match self.shared.generation.is_current() {
            true => self.shared.queue(),
            // Locked, it may be in the middle of a change, and for ever.
            false => match self.shared.queue.try_lock() {
                Ok(queue) => queue,
                Err(_) => return,
            },
        };
        queue.bell = None;
        let items = mem::take(&mut queue.items);
        // Outside of the lock: an item may send when it is dropped.
        drop(queue);
        drop(items);
    }
}

impl<T> Sender<T> {
    /// Puts an item into the queue, and lets the poller know if it has not heard yet.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the item in it.
    pub fn send(&self, item: T) -> Result<(), Rejected<T>> {
        if !self.shared.generation.is_current() {
            return Err(Rejected::Closed(item));
        }
        let mut queue = self.shared.queue();
        if queue.bell.is_none() {
            return Err(Rejected::Closed(item));
        }
        if queue.items.len() >= self.shared.capacity {
            return Err(Rejected::Full(item));
        }
        queue.items.push_back(item);
        ring(queue);
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender { shared: Arc::clone(&self.shared) }
    }
}

/// Rings for what is in the queue, unless somebody has: outside of the lock, for which others wait.
fn ring<T>(mut queue: MutexGuard<'_, Queue<T>>) {
    if mem::replace(&mut queue.rung, true) {
        return;
    }
    let bell = queue.bell.clone();
    drop(queue);
    if let Some(bell) = bell {
        bell.ring();
    }
}

/// An item that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected<T> {
    /// The queue is full: wait until the receiver has taken some, or do without.
    Full(T),
    /// The receiver is gone.
    Closed(T),
}

impl<T> Rejected<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            Rejected::Full(item) | Rejected::Closed(item) => item,
        }
    }
}

impl<T> fmt::Display for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rejected::Full(_) => "the queue is full: the receiver has to drain it first",
            Rejected::Closed(_) => "the receiver of this queue is gone",
        })
    }
}

impl<T: fmt::Debug> Error for Rejected<T> {}

/// The items of [`Events::drain`].
#[must_use = "items are received by iterating"]
pub struct Drain<'events, T> {
    events: &'events Events<T>,
    remaining: usize,
}

impl<T> Iterator for Drain<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.remaining = self.remaining.checked_sub(1)?;
        if !self.events.shared.generation.is_current() {
            return None;
        }
        self.events.shared.queue().items.pop_front()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.remaining))
    }
}

impl<T> FusedIterator for Drain<'_, T> {}

impl<T> Drop for Drain<'_, T> {
    fn drop(&mut self) {
        if !self.events.shared.generation.is_current() {
            return;
        }
        let queue = self.events.shared.queue();
        if !queue.items.is_empty() {
            ring(queue);
        }
    }
}

source_by_descriptor!([T] Events<T>, |events| events.inner.raw_fd());

impl<T> AsFd for Events<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<T> AsRawFd for Events<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.raw_fd()
    }
}

impl<T> fmt::Debug for Events<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Drain<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}
