//! Deadlines, among many others that are far away.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::clock::Clock;
use crate::measure::Effort;
use crate::row::Row;

const MOST: usize = 50_000;

pub(super) fn rows(effort: &Effort) -> Vec<Row> {
    let sizes: &[usize] = match (effort.is_full, effort.is_smoke) {
        (true, _) => &[10_000, 100_000, 1_000_000, 10_000_000],
        (_, true) => &[10_000],
        _ => &[10_000, 1_000_000],
    };
    sizes
        .iter()
        .flat_map(|&size| {
            let phases = [Phase::Insert, Phase::Reset, Phase::Cancel, Phase::Expire, Phase::Mixed];
            phases.into_iter().map(move |phase| row(phase, size))
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Insert,
    Reset,
    Cancel,
    Expire,
    /// Inserted, half of them cancelled, the others expired.
    Mixed,
}

impl Phase {
    /// All of them go through it; the others do so among many that are far away.
    fn is_whole(self) -> bool {
        matches!(self, Phase::Expire | Phase::Mixed)
    }
}

fn row(phase: Phase, size: usize) -> Row {
    let name = format!("timers among {size}: {}", format!("{phase:?}").to_lowercase());
    let is_whole = phase.is_whole();
    let row = Row::new(name, "timer").clock(Clock::Wall);
    let mut row = if is_whole { row.exactly(size) } else { row.at_most(MOST) };
    // Half a minute each, with ten million: five rounds, of which the interval is all.
    if is_whole && size > 1_000_000 {
        row = row.rounds(5);
    }
    fn add<S: Store + 'static>(row: Row, name: &'static str, phase: Phase, size: usize) -> Row {
        row.measured(
            name,
            move || {
                let mut store = S::new()?;
                let far = Instant::now() + Duration::from_secs(100_000);
                let others = if phase.is_whole() { 0 } else { size };
                let keys = random(others, 9).map(|part| store.insert(far + spread(part))).collect();
                Ok(Filled { store, keys, resets: 0 })
            },
            move |filled, count| filled.run(phase, count),
        )
    }
    row = match is_whole {
        true => add::<Simulated>(row, "wakeful", phase, size),
        false => add::<Wakeful>(row, "wakeful", phase, size),
    };
    row = add::<Heap>(row, "BinaryHeap", phase, size);
    row = add::<Tree>(row, "BTreeMap", phase, size);
    // tokio's driver lets nothing expire that has passed when it is first polled, calloop's timers are not reset; and
    // ten million of either take gigabytes.
    if size <= 1_000_000 && matches!(phase, Phase::Insert | Phase::Reset | Phase::Cancel) {
        row = add::<Tokio>(row, "tokio::time", phase, size);
    }
    if size <= 100_000 && phase != Phase::Reset {
        row = add::<Calloop>(row, "calloop", phase, size);
    }
    row.goal("BinaryHeap", 0.15)
        .goal("BTreeMap", 0.15)
        .goal("tokio::time", 0.5)
        .goal("calloop", 0.5)
        .remark(match phase {
            Phase::Reset => {
                "to a later time, which tokio and wakeful note in the entry: what is left is one look at memory; the heap \
                 pays when what was reset comes up, see mixed"
            }
            Phase::Insert | Phase::Cancel => {
                "the heap only marks what is cancelled, and pays when it comes up, as it does for inserting what is far away: \
                 see mixed"
            }
            Phase::Expire => {
                "a minute passes at once, by the wheel alone; a BTreeMap has paid when they were inserted: see mixed; and few \
                 are in the processor's cache, where a heap is fast"
            }
            Phase::Mixed => {
                "a minute passes at once, by the wheel alone; few are in the processor's cache, where a heap and a tree are \
                 fast: they cost more the more there are, the wheel does not"
            }
        })
}

fn spread(part: f64) -> Duration {
    Duration::from_secs(60).mul_f64(part)
}

/// Numbers from 0 to 1 (Marsaglia's xorshift).
fn random(count: usize, seed: u64) -> impl Iterator<Item = f64> {
    let mut state = 88_172_645_463_325_252_u64 ^ (seed << 20);
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
}

trait Store: Sized {
    type Key: 'static;
    fn new() -> Result<Self>;
    fn insert(&mut self, deadline: Instant) -> Self::Key;
    fn reset(&mut self, key: Self::Key, deadline: Instant) -> Self::Key;
    fn cancel(&mut self, key: Self::Key);
    /// Lets expire what is due, in order: as many as there are.
    fn expire(&mut self, count: usize) -> Result<()>;
}

struct Filled<S: Store> {
    store: S,
    keys: Vec<S::Key>,
    /// How often all were reset.
    resets: u32,
}

impl<S: Store> Filled<S> {
    /// How long the phase itself took, for so many.
    fn run(&mut self, phase: Phase, count: usize) -> Result<Duration> {
        let Filled { store, keys, resets } = self;
        let now = Instant::now();
        let far = now + Duration::from_secs(200_000);
        let past = now.checked_sub(Duration::from_secs(61)).unwrap_or(now);
        let parts: Vec<_> =
            random(count, now.elapsed().subsec_nanos().into()).map(spread).collect();
        let clock = || Clock::Thread.now();
        let spent = match phase {
            Phase::Insert | Phase::Cancel => {
                let start = clock();
                let new: Vec<_> = parts.iter().map(|&part| store.insert(far + part)).collect();
                let inserted = clock();
                new.into_iter().for_each(|key| store.cancel(key));
                let cancelled = clock();
                if phase == Phase::Insert { inserted - start } else { cancelled - inserted }
            }
            Phase::Reset => {
                let count = count.min(keys.len());
                // Later each time, as timeouts are after a sign of life.
                *resets += 1;
                let far = far + *resets * Duration::from_secs(60);
                let some: Vec<_> = keys.drain(..count).collect();
                let start = clock();
                keys.extend(
                    some.into_iter().zip(&parts).map(|(key, &part)| store.reset(key, far + part)),
                );
                clock() - start
            }
            Phase::Expire => {
                for &part in &parts {
                    store.insert(past + part);
                }
                let start = clock();
                store.expire(count)?;
                clock() - start
            }
            Phase::Mixed => {
                let start = clock();
                let mut new: Vec<_> = parts.iter().map(|&part| store.insert(past + part)).collect();
                new.truncate(count / 2);
                let cancelled = new.len();
                new.into_iter().for_each(|key| store.cancel(key));
                store.expire(count - cancelled)?;
                clock() - start
            }
        };
        Ok(spent.max(Duration::from_nanos(1)))
    }
}

struct Wakeful {
    poll: wakeful::Poll,
    events: wakeful::Events,
}

impl Store for Wakeful {
    type Key = wakeful::time::TimerKey;

    fn new() -> Result<Wakeful> {
        Ok(Wakeful { poll: wakeful::Poll::new()?, events: wakeful::Events::with_capacity(1024) })
    }

    fn insert(&mut self, deadline: Instant) -> Self::Key {
        self.poll.timers().insert(deadline, wakeful::Token(7)).expect("there is memory")
    }

    fn reset(&mut self, key: Self::Key, deadline: Instant) -> Self::Key {
        assert!(self.poll.timers().reset(key, deadline));
        key
    }

    fn cancel(&mut self, key: Self::Key) {
        assert!(self.poll.timers().cancel(key));
    }

    fn expire(&mut self, count: usize) -> Result<()> {
        let mut expired = 0;
        while expired < count {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            expired += self.events.len();
        }
        Ok(())
    }
}

/// The wheel alone, for which a minute can pass in no time.
struct Simulated {
    wheel: wakeful::time::Wheel<usize>,
    start: Instant,
}

impl Store for Simulated {
    type Key = wakeful::time::Key;

    fn new() -> Result<Simulated> {
        let start = Instant::now();
        let start = start.checked_sub(Duration::from_secs(120)).unwrap_or(start);
        Ok(Simulated { wheel: wakeful::time::Wheel::new(), start })
    }

    fn insert(&mut self, deadline: Instant) -> Self::Key {
        let nanoseconds = deadline.duration_since(self.start).as_nanos() as u64;
        self.wheel.insert(nanoseconds, 7).expect("there is memory")
    }

    fn reset(&mut self, key: Self::Key, deadline: Instant) -> Self::Key {
        assert!(self.wheel.reset(key, deadline.duration_since(self.start).as_nanos() as u64));
        key
    }

    fn cancel(&mut self, key: Self::Key) {
        assert!(self.wheel.remove(key).is_some());
    }

    fn expire(&mut self, count: usize) -> Result<()> {
        let now = self.start.elapsed().as_nanos() as u64;
        let mut expired = 0;
        while self.wheel.pop(now).is_some() {
            expired += 1;
        }
        // The next ones are inserted before the time that was.
        *self = Simulated::new()?;
        assert_eq!(expired, count);
        Ok(())
    }
}

/// As programs do it that have nothing better: entries that were cancelled are skipped when they come up.
struct Heap {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    is_cancelled: Vec<bool>,
}

impl Store for Heap {
    type Key = usize;

    fn new() -> Result<Heap> {
        Ok(Heap { heap: BinaryHeap::new(), is_cancelled: Vec::new() })
    }

    fn insert(&mut self, deadline: Instant) -> usize {
        let key = self.is_cancelled.len();
        self.is_cancelled.push(false);
        self.heap.push(Reverse((deadline, key)));
        key
    }

    fn reset(&mut self, key: usize, deadline: Instant) -> usize {
        self.cancel(key);
        self.insert(deadline)
    }

    fn cancel(&mut self, key: usize) {
        self.is_cancelled[key] = true;
    }

    fn expire(&mut self, count: usize) -> Result<()> {
        let now = Instant::now();
        let mut expired = 0;
        while expired < count
            && self.heap.peek().is_some_and(|Reverse((deadline, _))| *deadline <= now)
        {
            if let Some(Reverse((_, key))) = self.heap.pop() {
                expired += usize::from(!self.is_cancelled[key]);
            }
        }
        assert_eq!(expired, count);
        Ok(())
    }
}

struct Tree {
    tree: BTreeMap<(Instant, u64), usize>,
    next: u64,
}

impl Store for Tree {
    type Key = (Instant, u64);

    fn new() -> Result<Tree> {
        Ok(Tree { tree: BTreeMap::new(), next: 0 })
    }

    fn insert(&mut self, deadline: Instant) -> (Instant, u64) {
        self.next += 1;
        self.tree.insert((deadline, self.next), 7);
        (deadline, self.next)
    }

    fn reset(&mut self, key: (Instant, u64), deadline: Instant) -> (Instant, u64) {
        self.cancel(key);
        self.insert(deadline)
    }

    fn cancel(&mut self, key: (Instant, u64)) {
        self.tree.remove(&key);
    }

    fn expire(&mut self, count: usize) -> Result<()> {
        let now = Instant::now();
        let mut expired = 0;
        while self.tree.first_key_value().is_some_and(|((deadline, _), _)| *deadline <= now) {
            self.tree.pop_first();
            expired += 1;
        }
        assert_eq!(expired, count);
        Ok(())
    }
}

struct Tokio {
    runtime: tokio::runtime::Runtime,
}

impl Store for Tokio {
    type Key = Pin<Box<tokio::time::Sleep>>;

    fn new() -> Result<Tokio> {
        Ok(Tokio { runtime: tokio::runtime::Builder::new_current_thread().enable_time().build()? })
    }

    fn insert(&mut self, deadline: Instant) -> Self::Key {
        let _guard = self.runtime.enter();
        let mut sleep = Box::pin(tokio::time::sleep_until(deadline.into()));
        // It is the first poll that inserts it.
        assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        sleep
    }

    fn reset(&mut self, mut key: Self::Key, deadline: Instant) -> Self::Key {
        key.as_mut().reset(deadline.into());
        key
    }

    fn cancel(&mut self, key: Self::Key) {
        drop(key);
    }

    fn expire(&mut self, _: usize) -> Result<()> {
        anyhow::bail!("not measured")
    }
}

struct Calloop {
    events: calloop::EventLoop<'static, usize>,
}

impl Store for Calloop {
    type Key = calloop::RegistrationToken;

    fn new() -> Result<Calloop> {
        Ok(Calloop { events: calloop::EventLoop::try_new()? })
    }

    fn insert(&mut self, deadline: Instant) -> Self::Key {
        let timer = calloop::timer::Timer::from_deadline(deadline);
        let inserted = self.events.handle().insert_source(timer, |_, (), expired| {
            *expired += 1;
            calloop::timer::TimeoutAction::Drop
        });
        inserted.expect("there is memory")
    }

    fn reset(&mut self, key: Self::Key, deadline: Instant) -> Self::Key {
        self.cancel(key);
        self.insert(deadline)
    }

    fn cancel(&mut self, key: Self::Key) {
        self.events.handle().remove(key);
    }

    fn expire(&mut self, count: usize) -> Result<()> {
        let mut expired = 0;
        while expired < count {
            self.events.dispatch(Duration::ZERO, &mut expired)?;
        }
        Ok(())
    }
}
