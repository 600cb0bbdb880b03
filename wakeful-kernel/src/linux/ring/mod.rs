use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use io_uring::opcode;
use io_uring::squeue::{Entry, Flags};
use slab::Slab;

use crate::file::{Completed, FixedBuffers, Key, Keys, Operation, Reason, Rejected, RejectedChain};
use crate::process::{self, LeakingMutex};

mod entry;
mod leftover;
mod setup;
mod status;
mod uring;

use entry::Extra;
pub use setup::RingError;
use uring::Uring;

/// `io_uring_setup`, `io_uring_enter`—A ring of operations on files, which the kernel carries out while the program
/// goes on.
///
/// Each operation is pushed with a value of the caller's, handed over by [`flush`](Ring::flush) together with all
/// others that were pushed, and comes back whole from [`next`](Ring::next), exactly once. Until then the ring owns its
/// file and its buffers. The descriptor is readable while there is something to take, so that any poller can wait for it.
///
/// It may be used on any thread, but what a thread handed over may be cancelled when that thread ends: it comes back with
/// `ECANCELED`.
///
/// epoll_wait(2) on the thread that handed something over may end with `EINTR` when the kernel has work with that, and
/// once when the ring has been dropped; poll(2) does not. Whether that can be says
/// [`may_be_interrupted`](super::may_be_interrupted). A ring that one thread alone used, and another drops, may
/// interrupt a wait that is under way.
///
/// Dropping the ring cancels what is under way. What cannot be cancelled keeps its buffers until it has ended, on a
/// thread that waits for that. In a child that was forked the ring refuses everything: it is the parent's.
///
/// No thread of the kernel polls for it (`IORING_SETUP_SQPOLL`).
///
/// # References
/// - [io_uring(7)](https://man7.org/linux/man-pages/man7/io_uring.7.html)
/// - [io_uring_setup(2)](https://man7.org/linux/man-pages/man2/io_uring_setup.2.html)
/// - [io_uring_enter(2)](https://man7.org/linux/man-pages/man2/io_uring_enter.2.html)
///
/// ```
/// use wakeful_kernel::file::{Operation, Output};
/// use wakeful_kernel::linux::Ring;
/// use wakeful_kernel::poll::{PollFd, poll};
/// use wakeful_kernel::readiness::Readiness;
///
/// let ring = match Ring::new(8) {
///     Ok(ring) => ring,
///     Err(error) => return Ok(println!("{error}")), // an old kernel, or a sandbox
/// };
/// let file = tempfile::tempfile()?;
/// ring.push(Operation::write(file, b"hello".to_vec(), 0), "greeting").unwrap();
/// ring.flush()?;
/// let done = loop {
///     if let Some(done) = ring.next() {
///         break done;
///     }
///     let mut fds = [PollFd::new(&ring, Readiness::IN)];
///     poll(&mut fds, None)?;
/// };
/// assert_eq!((done.user, done.result?.count()), ("greeting", 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "io_uring")]
pub struct Ring<U> {
    fd: RawFd,
    depth: usize,
    /// In a forked child it is the parent's, with a lock that nobody may ever open.
    forks: u32,
    /// Taken out when it is dropped, and only then.
    core: ManuallyDrop<LeakingMutex<Core<U>>>,
}

/// What outlives the ring while something is under way.
struct Core<U> {
    uring: Uring,
    depth: usize,
    slots: Slab<Slot<U>>,
    keys: Keys,
    /// How many entries have been pushed, cancellations included.
    pushed: u64,
    fixed: Option<FixedBuffers>,
    forks: u32,
    /// Something was to be cancelled, so there may be completions without an operation.
    cancels: bool,
    /// The kernel takes nothing any more, for this reason.
    broken: Option<i32>,
    /// What it did not take.
    refused: VecDeque<Completed<U>>,
}

struct Slot<U> {
    operation: Operation,
    /// What else the kernel uses until it has ended.
    extra: Extra,
    key: Key,
    /// How many entries were pushed before.
    sequence: u64,
    user: U,
}

// SAFETY: the raw pointers in the slots are to what the very slot owns, on the heap.
unsafe impl<U: Send> Send for Core<U> {}

/// Of the completions of cancellations, which nobody is told of.
const CANCELLATION: u64 = u64::MAX;

/// How often the kernel is asked again that says it has no room or time right now.
const ATTEMPTS: u32 = 30;

impl<U> Ring<U> {
    /// `io_uring_setup(entries, &params)`—A ring for so many operations at a time, which have been pushed and not taken.
    ///
    /// # Errors
    ///
    /// `ENOSYS`: the kernel has none. `EPERM`: a sandbox or the system's settings forbid it. `ENOMEM`; `EMFILE`,
    /// `ENFILE`. [`Unsupported`](io::ErrorKind::Unsupported): the kernel lacks an operation (before Linux 5.15).
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): a depth that is not from 1 to 32,768.
    #[doc(alias = "io_uring_setup")]
    pub fn new(depth: usize) -> Result<Ring<U>, RingError> {
        let uring = setup::set_up(depth).map_err(|source| RingError { depth, source })?;
        let core = Core {
            uring,
            depth,
            slots: Slab::new(),
            keys: Keys::default(),
            pushed: 0,
            fixed: None,
            forks: process::forks(),
            cancels: false,
            broken: None,
            refused: VecDeque::new(),
        };
        Ok(Ring {
            fd: core.uring.as_raw_fd(),
            depth,
            forks: core.forks,
            core: ManuallyDrop::new(LeakingMutex::new(core)),
        })
    }

    /// Buffers that the kernel is told of now, so that operations with them are cheaper: it need not look up
    /// their pages each time. Once per ring.
    ///
    /// They serve elsewhere too, at the ordinary price; so they do if the kernel refuses them.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: more than may be locked (`RLIMIT_MEMLOCK`). `EBUSY`: this ring has some.
    /// `EOPNOTSUPP`, `EINVAL`: not of this kernel.
    #[doc(alias = "io_uring_register")]
    pub fn register_buffers(&self, buffers: &FixedBuffers) -> io::Result<()> {
        let mut core = self.core()?;
        core.check()?;
        if core.fixed.is_some() {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        let vectors: Vec<_> = buffers
            .slices()
            .map(|(start, length)| libc::iovec { iov_base: start.cast(), iov_len: length })
            .collect();
        // SAFETY: the memory is the arena's, of which the ring keeps a share as long as it has a descriptor.
        unsafe { core.uring.submitter().register_buffers(&vectors) }?;
        core.fixed = Some(buffers.clone());
        Ok(())
    }

    /// Takes an operation over. The kernel gets it by the next [`flush`](Ring::flush).
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the operation in it: so many are under way that there is no room, or the ring is broken.
    pub fn push(&self, operation: Operation, user: U) -> Result<Key, Rejected<U>> {
        let room = self.core().map_err(Reason::Failed).and_then(|core| core.room(1).map(|()| core));
        match room {
            Ok(mut core) => Ok(core.push(operation, user, Flags::empty())),
            Err(reason) => Err(Rejected { operation, user, reason }),
        }
    }

    /// [`push`](Ring::push) and [`flush`](Ring::flush).
    ///
    /// # Errors
    ///
    /// [`Rejected`], as `push`; also if the kernel does not take it.
    pub fn submit(&self, operation: Operation, user: U) -> Result<Key, Rejected<U>> {
        let room = self.core().map_err(Reason::Failed).and_then(|core| core.room(1).map(|()| core));
        let mut core = match room {
            Ok(core) => core,
            Err(reason) => return Err(Rejected { operation, user, reason }),
        };
        let key = core.push(operation, user, Flags::empty());
        let Err(error) = core.flush() else {
            return Ok(key);
        };
        match core.take_back(&[key]).pop() {
            Some((operation, user)) => {
                Err(Rejected { operation, user, reason: Reason::Failed(error) })
            }
            None => Ok(key),
        }
    }

    /// [`push_chain`](Ring::push_chain) and [`flush`](Ring::flush).
    ///
    /// # Errors
    ///
    /// [`RejectedChain`], as `push_chain`; also if the kernel does not take it.
    pub fn submit_chain(&self, chain: Vec<(Operation, U)>) -> Result<Vec<Key>, RejectedChain<U>> {
        let mut core = match self.core() {
            Ok(core) => core,
            Err(error) => return Err(RejectedChain { chain, reason: Reason::Failed(error) }),
        };
        let keys = core.push_chain(chain)?;
        match core.flush() {
            Err(error) => match core.take_back(&keys) {
                // The kernel has got it.
                chain if chain.is_empty() => Ok(keys),
                chain => Err(RejectedChain { chain, reason: Reason::Failed(error) }),
            },
            Ok(()) => Ok(keys),
        }
    }

    /// `IOSQE_IO_LINK`—Takes operations over of which each begins only when the one before has ended well. After one that
    /// failed, or moved fewer bytes than it was to, the others end with `ECANCELED`.
    ///
    /// # Errors
    ///
    /// [`RejectedChain`], with all of them in it.
    #[doc(alias = "IOSQE_IO_LINK")]
    pub fn push_chain(&self, chain: Vec<(Operation, U)>) -> Result<Vec<Key>, RejectedChain<U>> {
        match self.core() {
            Ok(mut core) => core.push_chain(chain),
            Err(error) => Err(RejectedChain { chain, reason: Reason::Failed(error) }),
        }
    }

    /// `io_uring_enter(fd, count, 0, 0)`—Hands over all that was pushed, by one system call; none if there is nothing.
    ///
    /// # Errors
    ///
    /// The kernel takes no more, for good: the ring is broken. What it did not take comes back from
    /// [`next`](Ring::next), with this error. `EAGAIN`, `EBUSY` and `EINTR` are that only if they last.
    #[doc(alias = "io_uring_enter")]
    pub fn flush(&self) -> io::Result<()> {
        self.core()?.flush()
    }

    /// An operation that has ended, if there is one.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&self) -> Option<Completed<U>> {
        self.core().ok()?.next()
    }

    /// `IORING_OP_ASYNC_CANCEL`—Asks for an operation to be given up, which ends with `ECANCELED` if it is not too late,
    /// and else as it would have. Nothing happens if it has ended.
    ///
    /// # Errors
    ///
    /// As [`flush`](Ring::flush).
    #[doc(alias = "IORING_OP_ASYNC_CANCEL")]
    pub fn cancel(&self, key: Key) -> io::Result<()> {
        self.core()?.cancel(key)
    }

    /// How many operations are under way or wait to be taken.
    pub fn len(&self) -> usize {
        // In a forked child nothing is.
        self.core().map_or(0, |core| core.slots.len() + core.refused.len())
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there can be.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// # Errors
    ///
    /// It is another process's.
    #[inline]
    fn core(&self) -> io::Result<MutexGuard<'_, Core<U>>> {
        if self.forks != process::forks() {
            let message = "this ring belongs to the process that this one was forked from: create another here";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(self.core.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<U> Core<U> {
    /// Whether the kernel would take something.
    #[inline]
    fn check(&self) -> io::Result<()> {
        self.broken.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
    }

    #[inline]
    fn room(&self, count: usize) -> Result<(), Reason> {
        self.check().map_err(Reason::Failed)?;
        match self.slots.len() + self.refused.len() + count > self.depth {
            true => Err(Reason::Full),
            false => Ok(()),
        }
    }

    /// Makes room for so many entries in a row.
    fn room_in_queue(&mut self, count: usize) -> io::Result<()> {
        let queue = self.uring.submission();
        let room = queue.capacity() - queue.len();
        drop(queue);
        if room < count { self.flush() } else { Ok(()) }
    }

    fn push(&mut self, operation: Operation, user: U, flags: Flags) -> Key {
        let slot = self.slots.vacant_entry();
        let key = self.keys.key(slot.key() as u32);
        let slot =
            slot.insert(Slot { operation, extra: Extra::None, key, sequence: self.pushed, user });
        let entry = entry::of(&mut slot.operation, &mut slot.extra, self.fixed.as_ref())
            .flags(flags)
            .user_data(key.bits());
        self.push_entry(&entry);
        key
    }

    fn push_chain(&mut self, chain: Vec<(Operation, U)>) -> Result<Vec<Key>, RejectedChain<U>> {
        // A chain ends where a flush does.
        let reason = match self.room(chain.len()) {
            Ok(()) => self.room_in_queue(chain.len()).err().map(Reason::Failed),
            Err(reason) => Some(reason),
        };
        if let Some(reason) = reason {
            return Err(RejectedChain { chain, reason });
        }
        let last = chain.len().saturating_sub(1);
        let keys = chain.into_iter().enumerate().map(|(number, (operation, user))| {
            let flags = if number < last { Flags::IO_LINK } else { Flags::empty() };
            self.push(operation, user, flags)
        });
        Ok(keys.collect())
    }

    /// What the kernel did not take of these.
    fn take_back(&mut self, keys: &[Key]) -> Vec<(Operation, U)> {
        let (own, others) =
            self.refused.drain(..).partition::<VecDeque<_>, _>(|it| keys.contains(&it.key));
        self.refused = others;
        own.into_iter().map(|Completed { operation, user, .. }| (operation, user)).collect()
    }

    fn push_entry(&mut self, entry: &Entry) {
        // SAFETY: what the entry points to is the slot's, on the heap, and stays until the kernel has answered.
        if unsafe { self.uring.submission().push(entry) }.is_err() {
            // Full, of cancellations too. If it stays so, the ring is broken and the entry in vain.
            if self.flush().is_ok() {
                // SAFETY: likewise.
                let _ = unsafe { self.uring.submission().push(entry) };
            }
        }
        self.pushed += 1;
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check()?;
        if self.uring.submission().is_empty() {
            return Ok(());
        }
        let result = self.hand_over();
        let is_under_way = self.cancels || self.uring.completion().len() < self.slots.len();
        self.uring.used(is_under_way);
        result
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let mut attempts = 0;
        while !self.uring.submission().is_empty() {
            let error = match self.uring.submit() {
                Ok(0) => io::Error::from_raw_os_error(libc::EAGAIN),
                Ok(_) => continue,
                Err(error) => error,
            };
            attempts += 1;
            let passes = matches!(
                error.raw_os_error(),
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ENOMEM)
            );
            if !passes || attempts > ATTEMPTS {
                self.give_up(&error);
                return Err(error);
            }
            // Something that is under way gives its room back meanwhile.
            thread::sleep(Duration::from_micros(10 << attempts.min(10)));
        }
        Ok(())
    }

    /// The kernel takes nothing more: what it has not got comes back.
    fn give_up(&mut self, error: &io::Error) {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        self.broken = Some(errno);
        let taken = self.pushed - self.uring.submission().len() as u64;
        let mut refused: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.sequence >= taken)
            .map(|(index, slot)| (slot.sequence, index))
            .collect();
        refused.sort_unstable();
        for (_, index) in refused {
            let Slot { operation, user, key, .. } = self.slots.remove(index);
            let result = Err(io::Error::from_raw_os_error(errno));
            self.refused.push_back(Completed::new(key, user, operation, result));
        }
    }

    fn next(&mut self) -> Option<Completed<U>> {
        let mut has_looked = false;
        loop {
            let Some(completion) = self.uring.completion().next() else {
                let queue = self.uring.submission();
                let is_behind = queue.taskrun() || queue.cq_overflow();
                drop(queue);
                if has_looked || !is_behind {
                    return self.refused.pop_front();
                }
                has_looked = true;
                let look = io_uring::EnterFlags::GETEVENTS.bits();
                // SAFETY: no argument is handed over.
                let _ = unsafe { self.uring.submitter().enter::<()>(0, 0, look, None) };
                continue;
            };
            let (bits, answer) = (completion.user_data(), completion.result());
            if bits == CANCELLATION {
                continue;
            }
            let key = Key::from_bits(bits);
            let slot = self.slots.try_remove(key.index() as usize)?;
            let Slot { mut operation, extra, user, .. } = slot;
            let result = entry::output(&mut operation, extra, answer);
            return Some(Completed::new(key, user, operation, result));
        }
    }

    fn cancel(&mut self, key: Key) -> io::Result<()> {
        let slot = self.slots.get(key.index() as usize);
        if slot.is_none_or(|slot| slot.key != key) {
            return Ok(());
        }
        self.check()?;
        self.push_cancellation(key);
        self.flush()
    }

    fn push_cancellation(&mut self, key: Key) {
        let flags = match self.uring.params().is_feature_skip_cqe_on_success() {
            true => Flags::SKIP_SUCCESS,
            false => Flags::empty(),
        };
        self.cancels = true;
        let entry = opcode::AsyncCancel::new(key.bits()).build();
        self.push_entry(&entry.flags(flags).user_data(CANCELLATION));
    }
}

impl<U> Drop for Ring<U> {
    fn drop(&mut self) {
        // In a forked child another thread of the parent may have been at work on it.
        if !self.core.is_intact() {
            return;
        }
        // SAFETY: the ring is gone after this, so nobody uses it again.
        let core = unsafe { ManuallyDrop::take(&mut self.core) };
        leftover::wait_for(core.into_inner().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<U> AsFd for Ring<U> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it is open as long as the ring.
        unsafe { BorrowedFd::borrow_raw(self.as_raw_fd()) }
    }
}

impl<U> AsRawFd for Ring<U> {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

impl<U> fmt::Debug for Ring<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("fd", &self.as_raw_fd())
            .field("len", &self.len())
            .field("depth", &self.depth())
            .finish_non_exhaustive()
    }
}
