use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use wakeful_kernel::file::perform_at_once;

use super::{Batch, Completed, FixedBuffers, Key, Operation, Output, Rejected, RejectedChain};
use crate::event::source_by_descriptor;
use crate::io_source::IoSource;
use crate::platform::Files;
use crate::rearm::Direction;

/// Who carries the operations of a [`Queue`] out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// The first of the others that there is.
    #[default]
    Auto,
    /// The kernel, by io_uring(7).
    IoUring,
    /// POSIX asynchronous I/O, told by a kqueue or an event port.
    Aio,
    /// Threads.
    Pool,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Backend::Auto => "auto",
            Backend::IoUring => "io_uring",
            Backend::Aio => "aio",
            Backend::Pool => "pool",
        })
    }
}

/// What [`Queue::attempt`] came to.
#[derive(Debug)]
pub enum Attempt<T> {
    /// It is done: the operation, with its buffer, what came with it, and what came of it. There is no completion.
    Done(Operation, T, Output),
    /// It is under way, and completes as any other.
    Submitted(Key),
}

/// What a [`Queue`] stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Who carries the operations out: never `Auto`.
    pub backend: Backend,
    /// If it is not what this system could have: why.
    pub reason: Option<String>,
}

/// Operations on files that are under way, each with a `T` of the caller's, and a source that is readable while some have ended.
///
/// See the [module](super) for what it promises. All methods take `&self`, from any thread.
///
/// An event may find nothing, if what it tells of has been taken already. Many operations are
/// over when `submit` returns: look before you wait, as in the example above.
///
/// epoll_wait(2) on the thread that submitted may end with `EINTR` where the kernel completes something, and once when the
/// queue has been dropped. `Poll` sees to that, at the price of poll(2) before a wait that sleeps: on threads that
/// submitted what had not ended at once, until a moment after their last queue is dropped. On all other threads a wait
/// is one call. Other loops have to go on by themselves, as after a signal; and so has a `Poll` that waits while another
/// thread drops a queue that only the thread that waits submitted to.
pub struct Queue<T> {
    inner: IoSource<Files<T>>,
    capabilities: Capabilities,
}

impl<T> Queue<T> {
    /// A queue for so many operations at a time, which were submitted and not taken yet.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): a depth that is not from 1 to 32,768.
    /// [`Unsupported`](io::ErrorKind::Unsupported), `ENOSYS`, `EPERM`, `ENOMEM`: there is no such backend here, unless it
    /// is `Auto`. `EMFILE`, `ENFILE`.
    pub fn new(depth: usize, backend: Backend) -> io::Result<Queue<T>> {
        if !(1..=32768).contains(&depth) {
            let message = format!("a queue has room for 1 to 32768 operations, not {depth}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let (files, capabilities) = Files::new(depth, backend)?;
        Ok(Queue { inner: IoSource::new(files), capabilities })
    }

    /// Takes an operation over and has it begun: one system call, or none with the pool.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the operation in it: the queue is full, or the operating system takes no more.
    pub fn submit(&self, operation: Operation, user: T) -> Result<Key, Rejected<T>> {
        self.inner.get().submit(operation, user)
    }

    /// Carries a read out at once if the kernel has all of it in memory, without the queue; if not, and for every other
    /// operation, as [`submit`](Queue::submit).
    ///
    /// That is one system call, at the price of pread(2), where most of what is read is in memory. On Linux.
    ///
    /// # Errors
    ///
    /// As `submit`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use wakeful::file::{Attempt, Backend, Operation, Queue};
    ///
    /// let queue = Queue::new(8, Backend::Auto)?;
    /// let file = Arc::new(tempfile::tempfile()?);
    /// match queue.attempt(Operation::read(file, vec![0; 4096], 0), "first")? {
    ///     Attempt::Done(operation, user, output) => println!("{user}: {} bytes", output.count()),
    ///     Attempt::Submitted(key) => println!("it will be told: {key:?}"),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn attempt(&self, mut operation: Operation, user: T) -> Result<Attempt<T>, Rejected<T>> {
        match perform_at_once(&mut operation) {
            Some(output) => Ok(Attempt::Done(operation, user, output)),
            None => self.submit(operation, user).map(Attempt::Submitted),
        }
    }

    /// Takes operations over of which each begins only when the one before has ended well: what is written
    /// first and then synced, say.
    ///
    /// After one that failed, or read or wrote fewer bytes than it was to, the others end with `ECANCELED`. Other
    /// operations do not wait for them.
    ///
    /// # Errors
    ///
    /// [`RejectedChain`], with all of them in it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use wakeful::file::{Backend, Operation, Queue};
    ///
    /// let queue = Queue::new(8, Backend::Auto)?;
    /// let log = Arc::new(tempfile::tempfile()?);
    /// queue.submit_chain([
    ///     (Operation::write(log.clone(), b"a record\n".to_vec(), 0), "written"),
    ///     (Operation::sync_data(log), "durable"),
    /// ])?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn submit_chain(
        &self,
        chain: impl IntoIterator<Item = (Operation, T)>,
    ) -> Result<Vec<Key>, RejectedChain<T>> {
        self.inner.get().submit_chain(chain.into_iter().collect())
    }

    /// Collects operations, to begin all of them by one system call.
    pub fn batch(&self) -> Batch<'_, T> {
        Batch::new(self)
    }

    /// Takes an operation that has ended. Take them until there are none, or no event may tell of the rest.
    #[inline]
    pub fn completion(&self) -> Option<Completed<T>> {
        let completed = self.inner.get().next();
        if completed.is_none() {
            self.inner.drained(Direction::Read);
        }
        completed
    }

    /// Takes the operations that have ended, one after another, until there are none.
    pub fn completions(&self) -> Completions<'_, T> {
        Completions { queue: self }
    }

    /// Asks for an operation to be given up. It completes in any case: with `ECANCELED` if it was
    /// not too late, else as it would have. Nothing happens if it has been taken already, or is
    /// another queue's. A ring cannot find members of a chain that have not begun: cancel the one
    /// that has, which ends them too.
    ///
    /// With threads it completes at once, with `ECANCELED`, and so do those after it in its chain.
    /// If it had begun, a thread goes on with it and has its buffers, so the completion has none,
    /// and the operation may still take effect: [`Completed::is_detached`]. Do not write anew what
    /// such a write was to write before it has surely ended.
    ///
    /// # Errors
    ///
    /// The operating system takes no more requests; or the operation has completed, and the
    /// descriptor could not be made readable: take the [completions](Queue::completions).
    pub fn cancel(&self, key: Key) -> io::Result<()> {
        self.inner.get().cancel(key)
    }

    /// Makes operations with these buffers cheaper, where the kernel can be told of them once. Once per queue; the
    /// buffers serve elsewhere too, at the ordinary price, and so they do if this fails.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: more than may be locked in memory (`RLIMIT_MEMLOCK`). `EBUSY`: the queue has some.
    /// [`Unsupported`](io::ErrorKind::Unsupported): the backend knows nothing of that.
    pub fn register_buffers(&self, buffers: &FixedBuffers) -> io::Result<()> {
        self.inner.get().register_buffers(buffers)
    }

    /// How many operations are under way, or have ended and wait to be taken.
    pub fn len(&self) -> usize {
        self.inner.get().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there can be.
    pub fn depth(&self) -> usize {
        self.inner.get().depth()
    }

    /// Who carries the operations out, and why nobody better.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub(super) fn files(&self) -> &Files<T> {
        self.inner.get()
    }
}

/// The operations of [`Queue::completions`].
#[derive(Debug)]
#[must_use = "completions are taken by iterating"]
pub struct Completions<'queue, T> {
    queue: &'queue Queue<T>,
}

impl<T> Iterator for Completions<'_, T> {
    type Item = Completed<T>;

    #[inline]
    fn next(&mut self) -> Option<Completed<T>> {
        self.queue.completion()
    }
}

source_by_descriptor!([T] Queue<T>, |queue| queue.inner.raw_fd());

impl<T> AsFd for Queue<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<T> AsRawFd for Queue<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.raw_fd()
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("backend", &self.capabilities.backend)
            .field("len", &self.len())
            .field("depth", &self.depth())
            .finish_non_exhaustive()
    }
}
