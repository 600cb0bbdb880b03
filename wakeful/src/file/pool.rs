//! Operations that threads carry out.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wakeful_kernel::file::{Key, Operation, Output, perform};

use super::carried::{Carrier, Chain};
use super::workers::{self, Job};
use crate::platform::Bell;

/// How long a thread tries to make a descriptor readable.
const PATIENCE: Duration = Duration::from_millis(512);

/// Makes a descriptor readable, and ends that.
pub(crate) trait Notify: AsFd + Send + Sync {
    /// # Errors
    ///
    /// The descriptor is not readable.
    fn notify(&self) -> io::Result<()>;

    fn silence(&self);
}

impl Notify for Bell {
    fn notify(&self) -> io::Result<()> {
        self.ring()
    }

    fn silence(&self) {
        Bell::silence(self);
    }
}

/// One queue's share of the threads.
pub(crate) struct Pool<N: Notify + 'static = Bell> {
    notifier: Arc<N>,
    desk: Arc<Desk>,
}

/// Where the threads put what they have done.
pub(super) struct Desk {
    notifier: Arc<dyn Notify>,
    done: Mutex<Done>,
    /// What is to be given up when its turn comes.
    cancelled: Mutex<Vec<Key>>,
    is_closed: AtomicBool,
}

#[derive(Default)]
struct Done {
    ended: VecDeque<(Key, Operation, io::Result<Output>)>,
    /// The descriptor is readable.
    told: bool,
}

impl Pool {
    pub(crate) fn new() -> io::Result<Pool> {
        Ok(Pool::with(Arc::new(Bell::new()?)))
    }
}

impl<N: Notify> Pool<N> {
    /// That makes another descriptor readable.
    pub(crate) fn with(notifier: Arc<N>) -> Pool<N> {
        let desk = Desk {
            notifier: Arc::clone(&notifier) as Arc<dyn Notify>,
            done: Mutex::default(),
            cancelled: Mutex::default(),
            is_closed: AtomicBool::new(false),
        };
        Pool { notifier, desk: Arc::new(desk) }
    }
}

impl<N: Notify> Carrier for Pool<N> {
    fn begin(&self, chains: &mut Vec<Chain>) -> io::Result<()> {
        workers::begin(&self.desk, chains)
    }

    fn end(&self, key: Key, operation: Operation, error: io::Error) {
        self.desk.put(key, operation, Err(error));
    }

    fn next(&self) -> Option<(Key, Operation, io::Result<Output>)> {
        let mut done = self.desk.done();
        let ended = done.ended.pop_front();
        if let Some((key, ..)) = &ended {
            // It may have been cancelled after its end.
            self.desk.take_cancelled(*key);
        }
        if ended.is_none() && done.told {
            done.told = false;
            // With the lock, so that nobody tells in between.
            self.desk.notifier.silence();
        } else {
            // An earlier attempt may have failed.
            done.tell(&*self.desk.notifier);
        }
        ended
    }

    fn cancel(&self, key: Key) {
        let mut cancelled = self.desk.cancelled();
        if !cancelled.contains(&key) {
            cancelled.push(key);
        }
        drop(cancelled);
        workers::hurry(&self.desk, key);
    }
}

impl<N: Notify> Drop for Pool<N> {
    fn drop(&mut self) {
        self.desk.is_closed.store(true, Ordering::Relaxed);
        workers::withdraw(&self.desk);
    }
}

impl<N: Notify> AsFd for Pool<N> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifier.as_fd()
    }
}

impl<N: Notify> fmt::Debug for Pool<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Desk {
    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancelled(&self) -> MutexGuard<'_, Vec<Key>> {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a chain out.
    pub(super) fn work(&self, chain: Chain) {
        let mut goes_on = true;
        for (key, mut operation) in chain {
            if self.is_closed.load(Ordering::Relaxed) {
                return;
            }
            let is_cancelled = self.take_cancelled(key);
            let result = match goes_on && !is_cancelled {
                true => perform(&mut operation),
                false => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
            };
            goes_on = match &result {
                Ok(Output::Count(count)) => Some(*count) == operation.transfer_length(),
                result => result.is_ok(),
            };
            self.put(key, operation, result);
        }
    }

    /// Whether one is to be given up; nobody asks again.
    fn take_cancelled(&self, key: Key) -> bool {
        let mut cancelled = self.cancelled();
        match cancelled.iter().position(|it| *it == key) {
            Some(position) => {
                cancelled.swap_remove(position);
                true
            }
            None => false,
        }
    }

    fn put(&self, key: Key, operation: Operation, result: io::Result<Output>) {
        let mut done = self.done();
        done.ended.push_back((key, operation, result));
        let told = done.tell(&*self.notifier);
        drop(done);
        if !told {
            self.keep_telling();
        }
    }

    /// Tries for a second. After that the next completion tries again, or whoever takes one.
    #[cold]
    fn keep_telling(&self) {
        let mut pause = Duration::from_millis(1);
        while pause < PATIENCE {
            thread::sleep(pause);
            if self.done().tell(&*self.notifier) {
                return;
            }
            pause *= 2;
        }
    }
}

impl Done {
    /// Makes the descriptor readable if anything has ended. Returns false if that fails.
    ///
    /// With the lock: once it is free, whoever takes finds the descriptor readable, and silences
    /// it.
    #[inline]
    fn tell(&mut self, notifier: &dyn Notify) -> bool {
        if !self.told && !self.ended.is_empty() {
            self.told = notifier.notify().is_ok();
        }
        self.told || self.ended.is_empty()
    }
}

impl Job {
    pub(super) fn is_of(&self, desk: &Arc<Desk>) -> bool {
        Arc::ptr_eq(&self.desk, desk)
    }
}
