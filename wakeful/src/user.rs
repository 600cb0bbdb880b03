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
use std::sync::{Arc, MutexGuard, PoisonError};

use wakeful_kernel::process::{Generation, LeakingMutex};

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
    queue: LeakingMutex<Queue<T>>,
    capacity: usize,
    /// A forked child has a copy, perhaps locked by another thread of its parent.
    generation: Generation,
}

struct Queue<T> {
    items: VecDeque<T>,
    /// How many items were taken out, from the beginning on: the number of the first that is left.
    taken: u64,
    /// The numbers of items that were taken out of turn, and are not passed yet, in ascending
    /// order.
    recalled: Vec<u64>,
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
        let queue = Queue {
            items: VecDeque::new(),
            taken: 0,
            recalled: Vec::new(),
            rung: false,
            bell: Some(Arc::clone(&bell)),
        };
        let generation = Generation::current();
        let shared = Arc::new(Shared { queue: LeakingMutex::new(queue), capacity, generation });
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
        let number = queue.push(item);
        ring(queue, &self.shared).or_else(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            // If the receiver has it, it needs no notification.
            match self.shared.queue().recall(number) {
                Some(item) => Err(Rejected::Failed(item, errno)),
                None => Ok(()),
            }
        })
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Queue<T> {
    /// Appends an item, whose number it returns.
    fn push(&mut self, item: T) -> u64 {
        self.items.push_back(item);
        self.taken + (self.items.len() + self.recalled.len()) as u64 - 1
    }

    fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.taken += 1;
        if !self.recalled.is_empty() {
            self.pass_recalled();
        }
        Some(item)
    }

    /// Takes an item out of turn, if it is still there.
    fn recall(&mut self, number: u64) -> Option<T> {
        let before = self.recalled.partition_point(|&recalled| recalled < number);
        let index = number.checked_sub(self.taken)? as usize - before;
        let item = self.items.remove(index)?;
        self.recalled.insert(before, number);
        self.pass_recalled();
        Some(item)
    }

    #[cold]
    fn pass_recalled(&mut self) {
        while self.recalled.first() == Some(&self.taken) {
            self.recalled.remove(0);
            self.taken += 1;
        }
    }
}

/// Rings for what is in the queue, unless somebody has: outside of the lock, for which others wait.
///
/// # Errors
///
/// It did not ring. Whoever comes next does: the items of those who relied on this are there.
fn ring<T>(mut queue: MutexGuard<'_, Queue<T>>, shared: &Shared<T>) -> io::Result<()> {
    if mem::replace(&mut queue.rung, true) {
        return Ok(());
    }
    let bell = queue.bell.clone();
    drop(queue);
    let rung = bell.map_or(Ok(()), |bell| bell.ring());
    rung.inspect_err(|_| shared.queue().rung = false)
}

/// An item that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected<T> {
    /// The queue is full: wait until the receiver has taken some, or do without.
    Full(T),
    /// The receiver is gone.
    Closed(T),
    /// The receiver could not be notified, because of this error of the operating system's, by its
    /// number.
    Failed(T, i32),
}

impl<T> Rejected<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            Rejected::Full(item) | Rejected::Closed(item) | Rejected::Failed(item, _) => item,
        }
    }
}

impl<T> fmt::Display for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejected::Full(_) => {
                f.write_str("the queue is full: the receiver has to drain it first")
            }
            Rejected::Closed(_) => f.write_str("the receiver of this queue is gone"),
            Rejected::Failed(_, errno) => {
                let error = io::Error::from_raw_os_error(*errno);
                write!(
                    f,
                    "the receiver of this queue cannot be notified: {error}; send again later"
                )
            }
        }
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
        self.events.shared.queue().pop()
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
            // After an error the next sender rings.
            let _ = ring(queue, &self.events.shared);
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
