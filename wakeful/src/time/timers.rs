use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Full, Key, Wheel};
use crate::Token;
use crate::event::{Event, Readiness};

/// The deadlines of a [`Poll`](crate::Poll), which reports each when it has passed: see
/// [`Poll::timers`](crate::Poll::timers).
///
/// A timer is reported once, as a readable event with its token, at its deadline or later, never
/// before. Timers that are due together are reported in the order of their deadlines.
///
/// Inserting, resetting and cancelling take constant time and make no system call, so that a million
/// timers, most of which never expire, are no burden. While there is none, a poll costs no more
/// than it would without them.
///
/// ```
/// use std::time::{Duration, Instant};
/// use wakeful::{Events, Poll, Token};
///
/// let mut poll = Poll::new()?;
/// let start = Instant::now();
/// let late = poll.timers().insert_after(Duration::from_secs(60), Token(1))?;
/// poll.timers().insert(start + Duration::from_millis(2), Token(0))?;
/// assert!(poll.timers().cancel(late));
///
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// assert_eq!(events.iter().next().map(|event| event.token()), Some(Token(0)));
/// assert!(start.elapsed() >= Duration::from_millis(2) && poll.timers().is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
pub struct Timers {
    wheel: Wheel<Token>,
    /// When the wheel began. Known with the first timer, so that who has none reads no clock.
    beginning: Option<Instant>,
    /// Which [`Timers`] of the process these are; drawn with the first timer.
    owner: Option<Owner>,
    slack: Duration,
}

/// How long ago deadlines may have passed when the first timer is inserted, to be told apart.
const PAST: Duration = Duration::from_secs(3600);

/// Identifies a timer of one [`Timers`]. All others answer that they do not have it.
///
/// A key is as large as that of a [`Wheel`], and a number of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey {
    key: Key,
    owner: Owner,
}

/// Identifies a [`Timers`] of the process. None is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Owner(NonZeroU64);

impl Owner {
    #[cold]
    fn draw() -> Owner {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Owner(NonZeroU64::new(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap_or(NonZeroU64::MAX))
    }
}

impl Timers {
    /// A timer that is reported under `token` once the deadline has passed.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](io::ErrorKind::OutOfMemory): there are 2³¹ timers.
    pub fn insert(&mut self, deadline: Instant, token: Token) -> io::Result<TimerKey> {
        let beginning = *self.beginning.get_or_insert_with(|| {
            let now = Instant::now();
            // So that those that have passed already keep their order.
            now.checked_sub(PAST).unwrap_or(now)
        });
        let owner = *self.owner.get_or_insert_with(Owner::draw);
        match self.wheel.insert(since(beginning, deadline), token) {
            Ok(key) => Ok(TimerKey { key, owner }),
            Err(full @ Full(_)) => Err(io::Error::new(io::ErrorKind::OutOfMemory, full)),
        }
    }

    /// A timer that is reported under `token` after so long.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): the clock does not reach that far. Otherwise as
    /// [`insert`](Timers::insert).
    pub fn insert_after(&mut self, delay: Duration, token: Token) -> io::Result<TimerKey> {
        match Instant::now().checked_add(delay) {
            Some(deadline) => self.insert(deadline, token),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the clock does not reach as far as this timer: leave it out, or take a delay of \
                 years rather than of aeons",
            )),
        }
    }

    /// Gives a timer another deadline, earlier or later. False if it was reported or cancelled, or is
    /// another poller's.
    pub fn reset(&mut self, key: TimerKey, deadline: Instant) -> bool {
        let beginning = self.beginning.filter(|_| self.is_owner(key));
        beginning.is_some_and(|beginning| self.wheel.reset(key.key, since(beginning, deadline)))
    }

    /// Takes a timer out. True: it will not be reported. False: it was reported or cancelled before,
    /// or is another poller's.
    pub fn cancel(&mut self, key: TimerKey) -> bool {
        self.is_owner(key) && self.wheel.remove(key.key).is_some()
    }

    /// Whether the timer is one of these, and was neither reported nor cancelled.
    pub fn contains(&self, key: TimerKey) -> bool {
        self.is_owner(key) && self.wheel.contains(key.key)
    }

    #[inline]
    fn is_owner(&self, key: TimerKey) -> bool {
        self.owner == Some(key.owner)
    }

    /// How many timers there are, those that are due included.
    pub fn len(&self) -> usize {
        self.wheel.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.wheel.is_empty()
    }

    /// How much later than its deadline a timer may be reported. Zero, unless set.
    ///
    /// Waits then end at the earliest deadline and so much, and report all that is due by then: fewer
    /// wake-ups for timers that need not be exact.
    pub fn set_slack(&mut self, slack: Duration) {
        self.slack = slack;
    }

    /// When a poll has to be under way for the timers' sake, slack included: for an outer loop that
    /// waits for the poller's descriptor, which does not tell of timers.
    ///
    /// After cancellations it may be a while too early.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        let next = Duration::from_nanos(self.wheel.next_deadline()?);
        self.beginning?.checked_add(next)?.checked_add(self.slack)
    }

    /// The present, by the wheel's time. There must be, or have been, a timer.
    #[inline]
    pub(crate) fn now(&self) -> Moment {
        let now = Instant::now();
        Moment(since(self.beginning.unwrap_or(now), now))
    }

    /// The earliest deadline, without slack; nothing is due before.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Moment> {
        self.wheel.next_deadline().map(Moment)
    }

    #[inline]
    pub(crate) fn slack(&self) -> Duration {
        self.slack
    }

    /// Appends what is due, `room` at most.
    #[inline]
    pub(crate) fn report(&mut self, now: Moment, room: usize, events: &mut Vec<Event>) {
        for _ in 0..room {
            let Some(token) = self.wheel.pop(now.0) else {
                return;
            };
            events.push(Event::new(Readiness::IN, token));
        }
    }
}

/// Nanoseconds since the wheel began; more than five hundred years are that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

impl Moment {
    #[inline]
    pub(crate) fn after(self, delay: Duration) -> Moment {
        Moment(self.0.saturating_add(nanoseconds(delay)))
    }

    #[inline]
    pub(crate) fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// An instant before the beginning counts as the beginning.
#[inline]
fn since(beginning: Instant, instant: Instant) -> u64 {
    nanoseconds(instant.saturating_duration_since(beginning))
}

#[inline]
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("len", &self.len()).field("slack", &self.slack).finish()
    }
}
