//! Operations that threads carry out.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wakeful_kernel::file::{Key, Operation, Output, perform};
use wakeful_kernel::process::{self, LeakingMutex};

use super::carried::{Carrier, Chain, Ended};
use super::workers;
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
    forks: u32,
}

/// Where the threads put what they have done.
pub(super) struct Desk {
    /// No other has it, nor had it.
    id: u64,
    notifier: Arc<dyn Notify>,
    /// Locked after the lock of the threads, if both are.
    done: LeakingMutex<Done>,
}

#[derive(Default)]
struct Done {
    ended: VecDeque<Ended>,
    /// The descriptor is readable.
    told: bool,
    /// What threads carry out now, and was not given up.
    running: Vec<Running>,
}

/// What a thread has of a chain.
struct Running {
    key: Key,
    /// Completes in the place of the one that the thread has, if that is given up.
    placeholder: Operation,
    /// What follows.
    rest: Chain,
}

/// An operation for a thread.
pub(super) struct Task {
    key: Key,
    operation: Operation,
}

impl Pool {
    pub(crate) fn new() -> io::Result<Pool> {
        Ok(Pool::with(Arc::new(Bell::new()?)))
    }
}

impl<N: Notify> Pool<N> {
    /// That makes another descriptor readable.
    pub(crate) fn with(notifier: Arc<N>) -> Pool<N> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let desk = Desk {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            notifier: Arc::clone(&notifier) as Arc<dyn Notify>,
            done: LeakingMutex::default(),
        };
        Pool { notifier, desk: Arc::new(desk), forks: process::forks() }
    }
}

impl<N: Notify> Carrier for Pool<N> {
    fn begin(&self, chains: &mut Vec<Chain>) -> io::Result<()> {
        workers::begin(&self.desk, chains)
    }

    fn end(&self, ended: Ended) -> io::Result<()> {
        self.desk.put([ended])
    }

    fn next(&self) -> Option<Ended> {
        let mut done = self.desk.done();
        let ended = done.ended.pop_front();
        if ended.is_none() && done.told {
            done.told = false;
            // With the lock, so that nobody tells in between.
            self.desk.notifier.silence();
        } else {
            // An earlier attempt may have failed.
            let _ = done.tell(&*self.desk.notifier);
        }
        ended
    }

    fn cancel(&self, key: Key) -> io::Result<()> {
        self.desk.put(workers::cancel(&self.desk, key))
    }
}

impl<N: Notify> Drop for Pool<N> {
    fn drop(&mut self) {
        // A child that was forked has none of the threads, which may have held the locks.
        if self.forks == process::forks() {
            workers::withdraw(&self.desk);
        }
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
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a thread has a chain. The first of it, for the thread.
    pub(super) fn begin(&self, chain: Chain) -> Option<Task> {
        self.done().begin(chain)
    }

    /// Carries a chain out. Returns whether it was given up.
    pub(super) fn carry_out(&self, task: Task, count: &AtomicU64) -> bool {
        let mut next = Some(task);
        while let Some(Task { key, mut operation }) = next {
            let result = perform(&mut operation);
            count.fetch_add(1, Ordering::Relaxed);
            let mut done = self.done();
            let Some(rest) = done.take_running(key).map(|running| running.rest) else {
                // What it held is dropped without the lock.
                drop(done);
                return true;
            };
            let goes_on = match &result {
                Ok(Output::Count(count)) => Some(*count) == operation.transfer_length(),
                result => result.is_ok(),
            };
            done.ended.push_back(Ended { key, operation, result, is_detached: false });
            next = match goes_on {
                true => done.begin(rest),
                false => {
                    done.ended.extend(rest.into_iter().map(Ended::cancelled));
                    None
                }
            };
            let told = done.tell(&*self.notifier);
            drop(done);
            if told.is_err() {
                self.keep_telling();
            }
        }
        false
    }

    /// Gives up one that has begun, or is in the chain of one that has, and all after it. What ends
    /// by that, and whether a thread carries it out.
    pub(super) fn give_up(&self, key: Key) -> (Vec<Ended>, bool) {
        let mut done = self.done();
        if let Some(Running { key, placeholder, rest }) = done.take_running(key) {
            let first = Ended { is_detached: true, ..Ended::cancelled((key, placeholder)) };
            let rest = rest.into_iter().map(Ended::cancelled);
            return ([first].into_iter().chain(rest).collect(), true);
        }
        let cut = done.running.iter_mut().find_map(|running| {
            let position = running.rest.iter().position(|(member, _)| *member == key)?;
            Some(running.rest.split_off(position))
        });
        (cut.into_iter().flatten().map(Ended::cancelled).collect(), false)
    }

    /// Gives up all that has begun. What follows it, and how many threads have it.
    pub(super) fn give_up_all(&self) -> (impl Sized, usize) {
        let running = mem::take(&mut self.done().running);
        let count = running.len();
        (running, count)
    }

    /// # Errors
    ///
    /// They have ended, and the descriptor is not readable. The next that ends tries again, and
    /// whoever takes one.
    fn put(&self, ended: impl IntoIterator<Item = Ended>) -> io::Result<()> {
        let mut done = self.done();
        done.ended.extend(ended);
        done.tell(&*self.notifier)
    }

    /// Tries for a while to make the descriptor readable.
    #[cold]
    fn keep_telling(&self) {
        let mut pause = Duration::from_millis(1);
        while pause < PATIENCE {
            thread::sleep(pause);
            if self.done().tell(&*self.notifier).is_ok() {
                return;
            }
            pause *= 2;
        }
    }
}

impl Done {
    fn begin(&mut self, mut chain: Chain) -> Option<Task> {
        let (key, operation) = chain.pop_front()?;
        let placeholder = operation.placeholder();
        self.running.push(Running { key, placeholder, rest: chain });
        Some(Task { key, operation })
    }

    fn take_running(&mut self, key: Key) -> Option<Running> {
        let position = self.running.iter().position(|running| running.key == key)?;
        Some(self.running.swap_remove(position))
    }

    /// Makes the descriptor readable if anything has ended.
    ///
    /// With the lock: once it is free, whoever takes finds the descriptor readable, and silences
    /// it.
    #[inline]
    fn tell(&mut self, notifier: &dyn Notify) -> io::Result<()> {
        if !self.told && !self.ended.is_empty() {
            notifier.notify()?;
            self.told = true;
        }
        Ok(())
    }
}
