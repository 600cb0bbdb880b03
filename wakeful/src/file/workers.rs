//! The threads that carry operations out, for all queues of the process.
//!
//! There are [`PER_PROCESSOR`] for each processor, which serve the queues in turn. An operation may
//! block for ever: the opening of a FIFO, or anything on a network file system whose server is gone.
//! So that such operations hold up their own queue only:
//!
//! - One queue has no more operations carried out at a time than there are such threads.
//! - While nothing has ended for [`STALL`] and other queues wait, each gets a further thread. A
//!   monitor, which is there while chains wait, looks for that.
//! - An operation that was given up, by its cancellation or with its queue, does not count, and
//!   neither does its thread.
//! - Of [`MOST`] threads in all, the second half are for queues that have none.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wakeful_kernel::file::Key;
use wakeful_kernel::process;

use super::carried::{Chain, Ended};
use super::pool::{Desk, Task};

/// A thread that had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(1);

/// Disks do better with several at a time, whatever the number of processors.
const PER_PROCESSOR: usize = 4;

/// How many threads the process has, at most, those included that carry out what was given up.
const MOST: usize = 1024;

/// They call std and nothing of the program's.
const STACK: usize = 1 << 18;

/// After so long without an end of any operation, queues that wait get further threads.
const STALL: Duration = Duration::from_millis(150);

/// How often the monitor looks while a stall lasts.
const LOOKS: u32 = 3;

/// How many processes deep a child has been forked from one that used threads. It gets its own.
const GENERATIONS: usize = 32;

#[derive(Default)]
struct Workers {
    state: Mutex<State>,
    work: Condvar,
    /// How many operations have ended.
    ended: AtomicU64,
}

#[derive(Default)]
struct State {
    /// By their desks' numbers.
    queues: BTreeMap<u64, Share>,
    /// The queues of which a chain can begin, each once, in turn.
    turn: VecDeque<u64>,
    threads: usize,
    /// Of the threads, how many wait.
    idle: usize,
    /// Of the threads, how many carry out what was given up.
    detached: usize,
    has_monitor: bool,
}

/// What one queue has of the threads.
struct Share {
    desk: Arc<Desk>,
    /// What has not begun.
    chains: VecDeque<Chain>,
    /// How many threads carry out what was not given up, and what was.
    at_work: usize,
    detached: usize,
    is_in_turn: bool,
}

impl Share {
    /// How many of its chains can begin.
    fn ready(&self) -> usize {
        self.chains.len().min(usual().saturating_sub(self.at_work))
    }

    fn has_no_thread(&self) -> bool {
        self.at_work + self.detached == 0
    }
}

/// How many threads there are if nothing blocks, and for one queue in any case.
fn usual() -> usize {
    static USUAL: OnceLock<usize> = OnceLock::new();
    *USUAL.get_or_init(|| {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        processors.saturating_mul(PER_PROCESSOR).min(MOST / 4)
    })
}

impl State {
    /// Puts a queue in turn, if a chain of it can begin.
    fn enter(&mut self, id: u64) {
        if let Some(share) = self.queues.get_mut(&id) {
            if !share.is_in_turn && share.ready() > 0 {
                share.is_in_turn = true;
                self.turn.push_back(id);
            }
        }
    }

    fn in_turn(&self) -> impl Iterator<Item = &Share> {
        self.turn.iter().filter_map(|id| self.queues.get(id))
    }

    /// Takes the next chain: of the first queue that has no thread, or else of the first.
    fn take(&mut self) -> Option<(u64, Arc<Desk>, Task)> {
        while !self.turn.is_empty() {
            let has_none = |id| self.queues.get(id).is_some_and(Share::has_no_thread);
            let id = self.turn.remove(self.turn.iter().position(has_none).unwrap_or(0))?;
            let Some(share) = self.queues.get_mut(&id) else {
                continue;
            };
            share.is_in_turn = false;
            if share.ready() == 0 {
                continue;
            }
            // Under the lock of the threads, so that whoever cancels finds it here or there.
            let Some(task) = share.chains.pop_front().and_then(|chain| share.desk.begin(chain))
            else {
                continue;
            };
            share.at_work += 1;
            let desk = Arc::clone(&share.desk);
            self.enter(id);
            return Some((id, desk, task));
        }
        None
    }

    /// A thread is back from a chain.
    fn end(&mut self, id: u64, was_given_up: bool) {
        if was_given_up {
            self.detached -= 1;
        }
        if let Some(share) = self.queues.get_mut(&id) {
            let count = if was_given_up { &mut share.detached } else { &mut share.at_work };
            *count = count.saturating_sub(1);
        }
        self.enter(id);
    }

    /// How many chains can begin, and have no thread that waits for them.
    fn wanted(&self) -> usize {
        self.in_turn().map(Share::ready).sum::<usize>().saturating_sub(self.idle)
    }

    /// Whether there may be one more thread.
    fn has_room(&self) -> bool {
        self.threads < MOST / 2 || self.threads < MOST && self.in_turn().any(Share::has_no_thread)
    }

    /// Begins as many threads as are wanted and usual.
    fn grow(&mut self, workers: &'static Workers) -> io::Result<()> {
        for _ in 0..self.wanted() {
            if self.threads - self.detached >= usual() || !self.has_room() {
                workers.begin_monitor(self);
                return Ok(());
            }
            workers.begin_thread(self)?;
        }
        Ok(())
    }
}

impl Workers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of this process: a forked child has none of its parent's threads, and perhaps a lock that nobody opens.
    fn ours() -> io::Result<&'static Workers> {
        static ALL: [OnceLock<Workers>; GENERATIONS] = [const { OnceLock::new() }; GENERATIONS];
        let ours = usize::try_from(process::forks()).ok().and_then(|number| ALL.get(number));
        let ours = ours.ok_or_else(|| {
            let message =
                "forked from a process that was forked from another, and so on, too many times";
            io::Error::new(io::ErrorKind::Unsupported, message)
        })?;
        Ok(ours.get_or_init(Workers::default))
    }

    fn begin_thread(&'static self, state: &mut State) -> io::Result<()> {
        let thread = thread::Builder::new().name("wakeful-file".to_owned()).stack_size(STACK);
        thread.spawn(|| self.work())?;
        state.threads += 1;
        Ok(())
    }

    /// Without one, a stall lasts until something ends.
    fn begin_monitor(&'static self, state: &mut State) {
        if !state.has_monitor {
            let thread = thread::Builder::new().name("wakeful-pool".to_owned()).stack_size(STACK);
            state.has_monitor = thread.spawn(|| self.monitor()).is_ok();
        }
    }

    /// What a thread does.
    fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some((id, desk, task)) = state.take() {
                drop(state);
                let was_given_up = desk.carry_out(task, &self.ended);
                // Perhaps the last that knows of it: not under the lock.
                drop(desk);
                state = self.state();
                state.end(id, was_given_up);
                continue;
            }
            let until = Instant::now() + IDLE;
            while state.turn.is_empty() {
                let remaining = until.saturating_duration_since(Instant::now());
                if remaining.is_zero() {
                    state.threads -= 1;
                    return;
                }
                state.idle += 1;
                let waited = self.work.wait_timeout(state, remaining);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                state.idle -= 1;
            }
        }
    }

    /// What the monitor does: it begins a thread for each queue that waits while nothing ends.
    fn monitor(&'static self) {
        let (mut ended, mut looks, mut idle) = (0, 0, Duration::ZERO);
        loop {
            thread::sleep(STALL / LOOKS);
            let mut state = self.state();
            let before = std::mem::replace(&mut ended, self.ended.load(Ordering::Relaxed));
            if state.wanted() == 0 {
                looks = 0;
                idle += STALL / LOOKS;
                if idle >= IDLE {
                    state.has_monitor = false;
                    return;
                }
                continue;
            }
            idle = Duration::ZERO;
            looks = if ended == before { looks + 1 } else { 0 };
            if looks >= LOOKS {
                for _ in 0..state.wanted().min(state.turn.len()) {
                    // Without one, they wait on.
                    if !state.has_room() || self.begin_thread(&mut state).is_err() {
                        break;
                    }
                }
            }
        }
    }
}

/// Has chains of operations carried out. If there is no thread for them, they are left.
pub(super) fn begin(desk: &Arc<Desk>, chains: &mut Vec<Chain>) -> io::Result<()> {
    let workers = Workers::ours()?;
    let mut state = workers.state();
    let share = state.queues.entry(desk.id()).or_insert_with(|| Share {
        desk: Arc::clone(desk),
        chains: VecDeque::new(),
        at_work: 0,
        detached: 0,
        is_in_turn: false,
    });
    let (known, count) = (share.chains.len(), chains.len());
    share.chains.extend(chains.drain(..));
    state.enter(desk.id());
    let grown = state.grow(workers);
    if state.threads == state.detached {
        if let (Err(error), Some(share)) = (grown, state.queues.get_mut(&desk.id())) {
            chains.extend(share.chains.drain(known..));
            return Err(error);
        }
    }
    let woken = count.min(state.idle);
    drop(state);
    for _ in 0..woken {
        workers.work.notify_one();
    }
    Ok(())
}

/// Gives an operation up, and those after it in its chain: all that ends by that. What a thread has
/// begun goes on there, with its buffers.
pub(super) fn cancel(desk: &Arc<Desk>, key: Key) -> Vec<Ended> {
    let Ok(workers) = Workers::ours() else { return Vec::new() };
    let mut state = workers.state();
    let Some(share) = state.queues.get_mut(&desk.id()) else {
        return Vec::new();
    };
    let found = share.chains.iter().enumerate().find_map(|(number, chain)| {
        Some((number, chain.iter().position(|(member, _)| *member == key)?))
    });
    if let Some((number, member)) = found {
        let cut = share.chains.get_mut(number).map(|chain| chain.split_off(member));
        if member == 0 {
            share.chains.remove(number);
        }
        return cut.into_iter().flatten().map(Ended::cancelled).collect();
    }
    let (ended, is_given_up) = desk.give_up(key);
    if is_given_up {
        share.at_work = share.at_work.saturating_sub(1);
        share.detached += 1;
        state.detached += 1;
        state.enter(desk.id());
        // If there is no thread to be had, the queue waits for another.
        let _ = state.grow(workers);
        workers.work.notify_one();
    }
    ended
}

/// Gives up all of a queue.
pub(super) fn withdraw(desk: &Arc<Desk>) {
    let Ok(workers) = Workers::ours() else { return };
    let mut state = workers.state();
    let share = state.queues.remove(&desk.id());
    let (begun, count) = desk.give_up_all();
    state.detached += count;
    let _ = state.grow(workers);
    // Files may be closed with it: not under the lock.
    drop(state);
    drop((share, begun));
}
