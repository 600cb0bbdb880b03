use std::error::Error;
use std::fmt;
use std::io;

use super::{Operation, Output};

/// Which of the operations that were accepted.
///
/// It is never that of another, before as many as fit into 32 bits have followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

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

impl Key {
    /// Of what is at this place, for the time being, and was the so manieth.
    pub fn new(index: u32, generation: u32) -> Key {
        Key(u64::from(generation) << 32 | u64::from(index))
    }

    /// As a number; never `u64::MAX` as long as there are fewer places than 32 bits count.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// From its number.
    pub fn from_bits(bits: u64) -> Key {
        Key(bits)
    }

    /// The place.
    pub fn index(self) -> u32 {
        self.0 as u32
    }

    /// Which of those that had the place.
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
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
        Completed { key, user, operation, result }
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

    /// Whether it was given up before it was carried out.
    pub fn is_cancelled(&self) -> bool {
        let errno = self.result.as_ref().err().and_then(io::Error::raw_os_error);
        errno == Some(libc::ECANCELED)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}.{})", self.index(), self.generation())
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
