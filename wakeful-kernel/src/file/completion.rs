use std::error::Error;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Operation, Output};

/// Identifies an accepted operation, among those of all queues of the process.
///
/// A key has 64 bits: the slot of the operation in 15, and in 49 a number that every queue draws from
/// one sequence. So a queue accepts neither the key of another queue nor that of an earlier operation
/// in the same slot. The sequence begins again after 2⁴⁹ operations.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

/// Makes the keys of one queue. No two of a process make the same.
#[derive(Debug, Default)]
pub struct Keys {
    next: u64,
    end: u64,
}

/// An operation that has ended, whole, and what came of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completed<U> {
    /// Which it was.
    pub key: Key,
    /// What came with it.
    pub user: U,
    /// The operation, with its file and its buffers.
    pub operation: Operation,
    /// What came of it, or the operating system's error.
    pub result: io::Result<Output>,
    is_detached: bool,
}

/// An operation that was not accepted, whole.
pub struct Rejected<U> {
    /// The operation, with its file and its buffers.
    pub operation: Operation,
    /// What came with it.
    pub user: U,
    /// Why.
    pub reason: Reason,
}

/// Operations that were not accepted, all of them.
pub struct RejectedChain<U> {
    /// What was to be done, one after another.
    pub chain: Vec<(Operation, U)>,
    /// Why not.
    pub reason: Reason,
}

/// Why operations were not accepted.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// As many are under way as there is room for: take some that have ended, or wait for one.
    Full,
    /// The operating system takes no more.
    Failed(io::Error),
}

/// A queue has 32,768 slots at most.
const SLOT_BITS: u32 = 15;
const NUMBER_BITS: u32 = u64::BITS - SLOT_BITS;
/// How many numbers a queue draws at once, so that queues on several threads share no cache line.
const BLOCK: u64 = 1 << 12;

impl Key {
    /// Makes the key of the operation in slot `index` with this number, of which 49 bits count.
    pub fn new(index: u32, number: u64) -> Key {
        Key(number << SLOT_BITS | u64::from(index) & ((1 << SLOT_BITS) - 1))
    }

    /// Returns all of its bits; never `u64::MAX` for a key that [`Keys`] made.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Makes a key of its bits.
    pub fn from_bits(bits: u64) -> Key {
        Key(bits)
    }

    /// Returns the slot.
    pub fn index(self) -> u32 {
        (self.0 & ((1 << SLOT_BITS) - 1)) as u32
    }

    /// Returns the number of the operation.
    pub fn number(self) -> u64 {
        self.0 >> SLOT_BITS
    }
}

impl Keys {
    /// Makes the key of the next operation, which has slot `index`.
    #[inline]
    pub fn key(&mut self, index: u32) -> Key {
        if self.next == self.end {
            self.draw();
        }
        let number = self.next;
        self.next += 1;
        Key::new(index, number)
    }

    #[cold]
    fn draw(&mut self) {
        static BLOCKS: AtomicU64 = AtomicU64::new(0);
        // The last block is left out: with it a key could be `u64::MAX`.
        let blocks = (1 << NUMBER_BITS) / BLOCK - 1;
        self.next = BLOCKS.fetch_add(1, Ordering::Relaxed) % blocks * BLOCK;
        self.end = self.next + BLOCK;
    }
}

impl<U> Completed<U> {
    /// For those who carry operations out.
    pub fn new(
        key: Key,
        user: U,
        operation: Operation,
        result: io::Result<Output>,
    ) -> Completed<U> {
        Completed { key, user, operation, result, is_detached: false }
    }

    /// Marks the operation as one that goes on elsewhere.
    #[must_use]
    pub fn detached(mut self) -> Completed<U> {
        self.is_detached = true;
        self
    }

    /// Returns whether the operation was cancelled while a thread carried it out, which goes on
    /// with it: the thread has the buffers, so those of [`operation`](Completed::operation) are
    /// empty, and the operation may still take effect. What it opens is closed, what it reads is
    /// dropped.
    pub fn is_detached(&self) -> bool {
        self.is_detached
    }

    /// How many bytes were read or written.
    ///
    /// # Errors
    ///
    /// The operation's, by number.
    pub fn count(&self) -> io::Result<usize> {
        match &self.result {
            Ok(output) => Ok(output.count()),
            Err(error) => Err(match error.raw_os_error() {
                Some(errno) => io::Error::from_raw_os_error(errno),
                None => error.kind().into(),
            }),
        }
    }

    /// Whether it was given up, before it was carried out unless it [is
    /// detached](Completed::is_detached).
    pub fn is_cancelled(&self) -> bool {
        let errno = self.result.as_ref().err().and_then(io::Error::raw_os_error);
        errno == Some(libc::ECANCELED)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}.{})", self.index(), self.number())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Full => f.write_str(
                "as many operations are under way as there is room for: take some that have ended, or wait",
            ),
            Reason::Failed(error) => write!(f, "no operations are taken any more: {error}"),
        }
    }
}

impl From<Reason> for io::Error {
    fn from(reason: Reason) -> io::Error {
        match reason {
            Reason::Full => io::Error::new(io::ErrorKind::WouldBlock, Reason::Full.to_string()),
            Reason::Failed(error) => error,
        }
    }
}

macro_rules! rejection {
    ($name:ident) => {
        impl<U> fmt::Display for $name<U> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.reason.fmt(f)
            }
        }

        impl<U> fmt::Debug for $name<U> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("reason", &self.reason)
                    .finish_non_exhaustive()
            }
        }

        impl<U> Error for $name<U> {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                match &self.reason {
                    Reason::Failed(error) => Some(error),
                    Reason::Full => None,
                }
            }
        }

        impl<U> From<$name<U>> for io::Error {
            fn from(rejected: $name<U>) -> io::Error {
                rejected.reason.into()
            }
        }
    };
}

rejection!(Rejected);
rejection!(RejectedChain);
