//! Operations that somebody else than the kernel's ring carries out: who came with which, and how many there are.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{MutexGuard, PoisonError};

use slab::Slab;
use wakeful_kernel::file::{
    Completed, Key, Keys, Operation, Output, Reason, Rejected, RejectedChain,
};
use wakeful_kernel::process::{self, LeakingMutex};

/// Operations of which each begins when the one before has ended well.
pub(crate) type Chain = VecDeque<(Key, Operation)>;

/// An operation that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) key: Key,
    pub(crate) operation: Operation,
    pub(crate) result: io::Result<Output>,
    /// A thread still carries it out, and has its buffers.
    pub(crate) is_detached: bool,
}

impl Ended {
    pub(crate) fn cancelled((key, operation): (Key, Operation)) -> Ended {
        let result = Err(io::Error::from_raw_os_error(libc::ECANCELED));
        Ended { key, operation, result, is_detached: false }
    }
}

/// Carries operations out, and has a descriptor that is readable when some have ended.
pub(crate) trait Carrier: AsFd {
    /// Begins them, in any order. What cannot be begun is left, with the reason.
    fn begin(&self, chains: &mut Vec<Chain>) -> io::Result<()>;

    /// Lets one end that was not begun.
    ///
    /// # Errors
    ///
    /// It has ended, and the descriptor is not readable.
    fn end(&self, ended: Ended) -> io::Result<()>;

    /// One that has ended.
    fn next(&self) -> Option<Ended>;

    /// Gives one up, if it is not too late.
    ///
    /// # Errors
    ///
    /// It has ended, and the descriptor is not readable.
    fn cancel(&self, key: Key) -> io::Result<()>;
}

#[derive(Debug)]
pub(crate) struct Carried<T, C> {
    carrier: C,
    depth: usize,
    forks: u32,
    table: LeakingMutex<Table<T>>,
}

#[derive(Debug)]
struct Table<T> {
    users: Slab<(Key, T)>,
    keys: Keys,
    /// Pushed, and not begun.
    held: Vec<Chain>,
}

impl<T, C: Carrier> Carried<T, C> {
    pub(crate) fn new(depth: usize, carrier: C) -> Carried<T, C> {
        let table = Table { users: Slab::new(), keys: Keys::default(), held: Vec::new() };
        Carried { carrier, depth, forks: process::forks(), table: LeakingMutex::new(table) }
    }

    /// # Errors
    ///
    /// It is another process's, with locks that nobody may ever open.
    fn check_process(&self) -> io::Result<()> {
        if self.forks != process::forks() {
            let message = "this queue belongs to the process that this one was forked from: create another here";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(())
    }

    fn table(&self) -> io::Result<MutexGuard<'_, Table<T>>> {
        self.check_process()?;
        Ok(self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The table, if there is room for so many.
    fn room(&self, count: usize) -> Result<MutexGuard<'_, Table<T>>, Reason> {
        let table = self.table().map_err(Reason::Failed)?;
        if table.users.len() + count > self.depth { Err(Reason::Full) } else { Ok(table) }
    }

    pub(crate) fn push(&self, operation: Operation, user: T) -> Result<Key, Rejected<T>> {
        let mut table = match self.room(1) {
            Ok(table) => table,
            Err(reason) => return Err(Rejected { operation, user, reason }),
        };
        let key = table.insert(user);
        table.held.push(Chain::from([(key, operation)]));
        Ok(key)
    }

    pub(crate) fn push_chain(
        &self,
        chain: Vec<(Operation, T)>,
    ) -> Result<Vec<Key>, RejectedChain<T>> {
        let mut table = match self.room(chain.len()) {
            Ok(table) => table,
            Err(reason) => return Err(RejectedChain { chain, reason }),
        };
        let chain: Chain =
            chain.into_iter().map(|(operation, user)| (table.insert(user), operation)).collect();
        let keys = chain.iter().map(|(key, _)| *key).collect();
        table.held.push(chain);
        Ok(keys)
    }

    pub(crate) fn submit(&self, operation: Operation, user: T) -> Result<Key, Rejected<T>> {
        let key = self.push(operation, user)?;
        match self.begin_but(&[key]) {
            Err((reason, mut own)) => match own.pop() {
                Some((operation, user)) => {
                    Err(Rejected { operation, user, reason: Reason::Failed(reason) })
                }
                None => Ok(key),
            },
            Ok(()) => Ok(key),
        }
    }

    pub(crate) fn submit_chain(
        &self,
        chain: Vec<(Operation, T)>,
    ) -> Result<Vec<Key>, RejectedChain<T>> {
        let keys = self.push_chain(chain)?;
        match self.begin_but(&keys) {
            Err((reason, chain)) if !chain.is_empty() => {
                Err(RejectedChain { chain, reason: Reason::Failed(reason) })
            }
            _ => Ok(keys),
        }
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        self.begin_but(&[]).map_err(|(error, _)| error)
    }

    /// Begins what is held. What cannot be begun ends with the reason, but for these, which are given back.
    #[allow(clippy::type_complexity)]
    fn begin_but(&self, keys: &[Key]) -> Result<(), (io::Error, Vec<(Operation, T)>)> {
        let mut held = match self.table() {
            Ok(mut table) => std::mem::take(&mut table.held),
            Err(error) => return Err((error, Vec::new())),
        };
        if held.is_empty() {
            return Ok(());
        }
        let Err(error) = self.carrier.begin(&mut held) else {
            return Ok(());
        };
        let mut own = Vec::new();
        for (key, operation) in held.into_iter().flatten() {
            if keys.contains(&key) {
                let user =
                    self.table().ok().and_then(|mut it| it.users.try_remove(key.index() as usize));
                own.extend(user.map(|(_, user)| (operation, user)));
                continue;
            }
            let error = match error.raw_os_error() {
                Some(errno) => io::Error::from_raw_os_error(errno),
                None => error.kind().into(),
            };
            // The caller takes the completions after an error, as `flush` says.
            let ended = Ended { key, operation, result: Err(error), is_detached: false };
            let _ = self.carrier.end(ended);
        }
        Err((error, own))
    }

    pub(crate) fn next(&self) -> Option<Completed<T>> {
        // The carrier's lock may be as dead as the table's.
        self.check_process().ok()?;
        let Ended { key, operation, result, is_detached } = self.carrier.next()?;
        let (key, user) = self.table().ok()?.users.try_remove(key.index() as usize)?;
        let completed = Completed::new(key, user, operation, result);
        Some(if is_detached { completed.detached() } else { completed })
    }

    pub(crate) fn cancel(&self, key: Key) -> io::Result<()> {
        let mut table = self.table()?;
        if table.users.get(key.index() as usize).is_none_or(|(it, _)| *it != key) {
            return Ok(());
        }
        let cut = table.held.iter_mut().find_map(|chain| {
            let position = chain.iter().position(|(member, _)| *member == key)?;
            Some(chain.split_off(position))
        });
        table.held.retain(|chain| !chain.is_empty());
        drop(table);
        match cut {
            Some(cut) => {
                cut.into_iter().map(Ended::cancelled).try_for_each(|ended| self.carrier.end(ended))
            }
            None => self.carrier.cancel(key),
        }
    }

    /// In a forked child nothing is under way.
    pub(crate) fn len(&self) -> usize {
        self.table().map_or(0, |table| table.users.len())
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }
}

impl<T> Table<T> {
    fn insert(&mut self, user: T) -> Key {
        let entry = self.users.vacant_entry();
        // At most as many as the depth of a queue.
        let key = self.keys.key(entry.key() as u32);
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

            pub(crate) fn submit_chain(
                &self,
                chain: Vec<(Operation, T)>,
            ) -> Result<Vec<Key>, RejectedChain<T>> {
                match self {
                    $($name::$kind($it) => $it.submit_chain(chain),)+
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
