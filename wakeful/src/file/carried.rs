//! Operations that somebody else than the kernel's ring carries out: who came with which, and how many there are.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use slab::Slab;
use wakeful_kernel::file::{Completed, Key, Operation, Output, Reason, Rejected, RejectedChain};
use wakeful_kernel::process;

/// Operations of which each begins when the one before has ended well.
pub(crate) type Chain = VecDeque<(Key, Operation)>;

/// Carries operations out, and has a descriptor that is readable when some have ended.
pub(crate) trait Carrier: AsFd {
    /// Begins them, in any order. What cannot be begun is left, with the reason.
    fn begin(&self, chains: &mut Vec<Chain>) -> io::Result<()>;

    /// One that has ended.
    fn next(&self) -> Option<(Key, Operation, io::Result<Output>)>;

    /// Gives one up, if it is not too late.
    fn cancel(&self, key: Key);
}

#[derive(Debug)]
pub(crate) struct Carried<T, C> {
    carrier: C,
    depth: usize,
    forks: u32,
    table: Mutex<Table<T>>,
}

#[derive(Debug)]
struct Table<T> {
    users: Slab<(Key, T)>,
    /// Counts the operations, to tell one from another that had its place before.
    generation: u32,
    /// Pushed, and not begun.
    held: Vec<Chain>,
    /// What could not be begun.
    refused: VecDeque<(Key, Operation, io::Error)>,
}

impl<T, C: Carrier> Carried<T, C> {
    pub(crate) fn new(depth: usize, carrier: C) -> Carried<T, C> {
        let table =
            Table { users: Slab::new(), generation: 0, held: Vec::new(), refused: VecDeque::new() };
        Carried { carrier, depth, forks: process::forks(), table: Mutex::new(table) }
    }

    fn table(&self) -> MutexGuard<'_, Table<T>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self, table: &Table<T>, count: usize) -> Result<(), Reason> {
        if self.forks != process::forks() {
            let message = "this queue belongs to the process that this one was forked from: create another here";
            return Err(Reason::Failed(io::Error::new(io::ErrorKind::InvalidInput, message)));
        }
        if table.users.len() + count > self.depth { Err(Reason::Full) } else { Ok(()) }
    }

    pub(crate) fn push(&self, operation: Operation, user: T) -> Result<Key, Rejected<T>> {
        let mut table = self.table();
        if let Err(reason) = self.room(&table, 1) {
            return Err(Rejected { operation, user, reason });
        }
        let key = table.insert(user);
        table.held.push(Chain::from([(key, operation)]));
        Ok(key)
    }

    pub(crate) fn push_chain(
        &self,
        chain: Vec<(Operation, T)>,
    ) -> Result<Vec<Key>, RejectedChain<T>> {
        let mut table = self.table();
        if let Err(reason) = self.room(&table, chain.len()) {
            return Err(RejectedChain { chain, reason });
        }
        let chain: Chain =
            chain.into_iter().map(|(operation, user)| (table.insert(user), operation)).collect();
        let keys = chain.iter().map(|(key, _)| *key).collect();
        table.held.push(chain);
        Ok(keys)
    }

    pub(crate) fn submit(&self, operation: Operation, user: T) -> Result<Key, Rejected<T>> {
        let key = self.push(operation, user)?;
        let Err(error) = self.flush() else {
            return Ok(key);
        };
        let mut table = self.table();
        let position = table.refused.iter().position(|(refused, ..)| *refused == key);
        let Some((_, operation, _)) = position.and_then(|it| table.refused.remove(it)) else {
            return Ok(key);
        };
        match table.users.try_remove(key.index() as usize) {
            Some((_, user)) => Err(Rejected { operation, user, reason: Reason::Failed(error) }),
            None => Ok(key),
        }
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut held = std::mem::take(&mut self.table().held);
        if held.is_empty() {
            return Ok(());
        }
        let result = self.carrier.begin(&mut held);
        if let Err(error) = &result {
            let mut table = self.table();
            for (key, operation) in held.into_iter().flatten() {
                let error = match error.raw_os_error() {
                    Some(errno) => io::Error::from_raw_os_error(errno),
                    None => error.kind().into(),
                };
                table.refused.push_back((key, operation, error));
            }
        }
        result
    }

    pub(crate) fn next(&self) -> Option<Completed<T>> {
        if self.forks != process::forks() {
            return None;
        }
        let ended = self.carrier.next();
        let mut table = self.table();
        let (key, operation, result) = match ended {
            Some(ended) => ended,
            None => {
                let (key, operation, error) = table.refused.pop_front()?;
                (key, operation, Err(error))
            }
        };
        let (key, user) = table.users.try_remove(key.index() as usize)?;
        Some(Completed::new(key, user, operation, result))
    }

    pub(crate) fn cancel(&self, key: Key) {
        let table = self.table();
        let is_under_way = table.users.get(key.index() as usize).is_some_and(|(it, _)| *it == key);
        drop(table);
        if is_under_way && self.forks == process::forks() {
            self.carrier.cancel(key);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table().users.len()
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }
}

impl<T> Table<T> {
    fn insert(&mut self, user: T) -> Key {
        self.generation = self.generation.wrapping_add(1);
        let entry = self.users.vacant_entry();
        // At most as many as the depth of a queue.
        let key = Key::new(entry.key() as u32, self.generation);
        entry.insert((key, user));
        key
    }
}

impl<T, C: Carrier> AsFd for Carried<T, C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.carrier.as_fd()
    }
}

/// What a platform's choice of carriers does in the same way, whichever it is.
macro_rules! forward {
    ($name:ident: $($kind:ident($it:ident)),+) => {
        impl<T> $name<T> {
            #[inline]
            pub(crate) fn push(&self, operation: Operation, user: T) -> Result<Key, Rejected<T>> {
                match self {
                    $($name::$kind($it) => $it.push(operation, user),)+
                }
            }

            pub(crate) fn push_chain(
                &self,
                chain: Vec<(Operation, T)>,
            ) -> Result<Vec<Key>, RejectedChain<T>> {
                match self {
                    $($name::$kind($it) => $it.push_chain(chain),)+
                }
            }

            #[inline]
            pub(crate) fn submit(&self, operation: Operation, user: T) -> Result<Key, Rejected<T>> {
                match self {
                    $($name::$kind($it) => $it.submit(operation, user),)+
                }
            }

            #[inline]
            pub(crate) fn flush(&self) -> io::Result<()> {
                match self {
                    $($name::$kind($it) => $it.flush(),)+
                }
            }

            #[inline]
            pub(crate) fn next(&self) -> Option<Completed<T>> {
                match self {
                    $($name::$kind($it) => $it.next(),)+
                }
            }

            pub(crate) fn len(&self) -> usize {
                match self {
                    $($name::$kind($it) => $it.len(),)+
                }
            }

            pub(crate) fn depth(&self) -> usize {
                match self {
                    $($name::$kind($it) => $it.depth(),)+
                }
            }
        }

        impl<T> AsFd for $name<T> {
            #[inline]
            fn as_fd(&self) -> BorrowedFd<'_> {
                match self {
                    $($name::$kind($it) => $it.as_fd(),)+
                }
            }
        }
    };
}

pub(crate) use forward;
