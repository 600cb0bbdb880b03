//! The threads that carry operations out, for all queues of the process.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wakeful_kernel::file::Key;
use wakeful_kernel::process;

use super::carried::Chain;
use super::pool::Desk;

/// A thread that had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(1);

/// Disks do better with several at a time, whatever the number of processors.
const PER_PROCESSOR: usize = 4;

/// How many processes deep a child has been forked from one that used threads. It gets its own.
const GENERATIONS: usize = 32;

pub(super) struct Job {
    pub(super) desk: Arc<Desk>,
    pub(super) chain: Chain,
}

#[derive(Default)]
struct Workers {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Of these, how many wait.
    idle: usize,
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

    fn most() -> usize {
        static MOST: OnceLock<usize> = OnceLock::new();
        *MOST.get_or_init(|| {
            thread::available_parallelism().map_or(1, usize::from).saturating_mul(PER_PROCESSOR)
        })
    }

    /// What a thread does.
    fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some(Job { desk, chain }) = state.jobs.pop_front() {
                drop(state);
                desk.work(chain);
                drop(desk);
                state = self.state();
                continue;
            }
            let until = Instant::now() + IDLE;
            while state.jobs.is_empty() {
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
}

/// Has chains of operations carried out. If there is no thread for them, they are left.
pub(super) fn begin(desk: &Arc<Desk>, chains: &mut Vec<Chain>) -> io::Result<()> {
    let workers = Workers::ours()?;
    let mut state = workers.state();
    let wanted = (state.jobs.len() + chains.len()).saturating_sub(state.idle);
    for _ in 0..wanted.min(Workers::most().saturating_sub(state.threads)) {
        let thread = thread::Builder::new().name("wakeful-file".to_owned());
        match thread.spawn(|| workers.work()) {
            Ok(_) => state.threads += 1,
            // Those that there are do it.
            Err(_) if state.threads > 0 => break,
            Err(error) => return Err(error),
        }
    }
    let idle = state.idle;
    let count = chains.len();
    state.jobs.extend(chains.drain(..).map(|chain| Job { desk: Arc::clone(desk), chain }));
    drop(state);
    for _ in 0..count.min(idle) {
        workers.work.notify_one();
    }
    Ok(())
}

/// Has the chain of one that was cancelled carried out before all others, so that its end is told.
pub(super) fn hurry(desk: &Arc<Desk>, key: Key) {
    let Ok(workers) = Workers::ours() else { return };
    let mut state = workers.state();
    let is_it = |job: &Job| job.is_of(desk) && job.chain.front().is_some_and(|(it, _)| *it == key);
    let position = state.jobs.iter().position(is_it);
    let job = position.and_then(|position| state.jobs.remove(position));
    drop(state);
    if let Some(Job { desk, chain }) = job {
        // Nothing of it is carried out, so it holds nobody up.
        desk.work(chain);
    }
}

/// Gives up what has not begun.
pub(super) fn withdraw(desk: &Arc<Desk>) {
    let Ok(workers) = Workers::ours() else { return };
    let mut state = workers.state();
    let (withdrawn, jobs) = state.jobs.drain(..).partition::<Vec<_>, _>(|job| job.is_of(desk));
    state.jobs.extend(jobs);
    // Files may be closed with it: not under the lock.
    drop(state);
    drop(withdrawn);
}
