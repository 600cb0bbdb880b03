mod builder;

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

pub use self::builder::Builder;
#[cfg(doc)]
use crate::Waker;
use crate::backend::{Adapter, Selected};
use crate::event::source_by_descriptor;
use crate::registry::Shared;
use crate::time::Timers;
use crate::wake::{Duties, Woken};
use crate::{Capabilities, Events, Registry};

/// Waits for events.
///
/// The three steps of every event loop:
///
/// 1. create a `Poll`;
/// 2. register sources with its [`Registry`], each under a [`Token`](crate::Token) and for an
///    [`Interest`](crate::Interest);
/// 3. in a loop, [`poll`](Poll::poll) into [`Events`] and act on each.
///
/// ```no_run
/// use std::io::{self, Read, Write};
/// use wakeful::{Events, Interest, Poll, Token};
/// # #[cfg(feature = "net")] {
/// use wakeful::net::TcpListener;
///
/// let mut poll = Poll::new()?;
/// let mut listener = TcpListener::bind("127.0.0.1:13265".parse().unwrap())?;
/// poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
/// let mut events = Events::with_capacity(128);
/// loop {
///     poll.poll(&mut events, None)?;
///     for event in &events {
///         if event.token() == Token(0) {
///             for connection in listener.accept_all() {
///                 let (stream, address) = connection?;
///                 println!("{address} came and is sent away");
///                 drop(stream);
///             }
///         }
///     }
/// }
/// # }
/// # Ok::<(), io::Error>(())
/// ```
///
/// # A poll of polls
///
/// A `Poll` is a [`Source`](crate::event::Source), and lends out its descriptor: another loop can
/// wait for it. From then on the wake-ups of its [`Waker`](crate::Waker)s always reach the kernel.
/// When the descriptor is readable depends on the backend:
///
/// - **epoll**: while a poll would bring events.
/// - **kqueue**: the same. To an outer kqueue with an edge trigger it becomes readable once, and
///   again after it was polled.
/// - **event ports**: the same, and sometimes for what was drained since: a poll then brings
///   nothing. An edge that only a recheck finds ([`Capabilities::edge_recheck`]) does not make it
///   readable.
/// - **poll(2)**: after a wake-up, and for nothing else ([`Capabilities::nests`] is false).
///
/// It does not tell of [timers](Poll::timers): wait no longer than until their
/// [`next_deadline`](Timers::next_deadline).
///
/// # Fork
///
/// A poller belongs to the process that made it. In a child that was forked with fork(3), a poll, a
/// registration, a change of one and a wakeup are errors that say so
/// ([`InvalidInput`](io::ErrorKind::InvalidInput)), and never reach the parent's registrations. Dropping an inherited
/// `Poll`, [`Registered`](crate::Registered) or [`Waker`] closes the child's descriptors and does nothing else; no lock
/// that another thread of the parent held is waited for. Create a new `Poll` in the child, and register sources there:
/// the child's copies of sockets and pipes serve. What other sources do in a child is told at each.
///
/// A child that is made by clone(2) past the C library is not recognised.
pub struct Poll {
    registry: Registry,
    memory: Memory,
    timers: Timers,
}

/// What a poller remembers from poll to poll.
struct Memory {
    /// Whether in a buffer that is too small for everybody it is their turn to be first.
    wakers_first: bool,
    timers_first: bool,
    /// How many wake-ups at most have been reported before they reached the kernel. Each can end a
    /// later wait that has nothing to report.
    late: u32,
    /// A wait was ended by a wake-up that cannot be: another program has the kernel's object, as a child that was
    /// forked by other means than fork(3).
    has_intruders: bool,
}

impl Poll {
    fn on(adapter: Selected) -> Poll {
        // Asleep, as `Sleep` begins: the first waker may come during the first wait.
        let registry = Registry::new(Shared::new(adapter));
        Poll { registry, memory: Memory::new(), timers: Timers::default() }
    }

    /// A poller on the platform's best backend; where a sandbox refuses that, on the next one.
    ///
    /// With the feature `backend-from-env` and `WAKEFUL_BACKEND` set in the environment, on that one.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`; `InvalidInput` if `WAKEFUL_BACKEND` names no backend.
    pub fn new() -> io::Result<Poll> {
        Poll::builder().build()
    }

    /// For a poller on a backend of the caller's choice.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The registry with which sources are registered.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The deadlines that end its waits and are reported among the events.
    pub fn timers(&mut self) -> &mut Timers {
        &mut self.timers
    }

    /// What the backend can do.
    pub fn capabilities(&self) -> Capabilities {
        self.registry.capabilities()
    }

    /// Waits until something happened, or the timeout passed, and puts it into `events`.
    ///
    /// `None` waits without end, `Some(Duration::ZERO)` not at all. A wait without events is never
    /// shorter than its timeout, unless a signal interrupted it, which is an error, or a
    /// [waker without events](Waker::without_event) ended it. It is as exact as
    /// [`Capabilities::timeout_resolution`] and the kernel's timer slack allow: on Linux a thousandth
    /// of the timeout, and at least 50 µs, which `wakeful_kernel::linux::set_timer_slack` changes for a thread.
    ///
    /// `events` is emptied first. What finds no room comes with the next poll; descriptors, wakers and
    /// timers do not starve one another.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](io::ErrorKind::Interrupted): a signal handler ran. Nothing is lost; poll
    /// again. [`InvalidInput`](io::ErrorKind::InvalidInput): `events` has no capacity, or a forked child uses its parent's
    /// poller.
    pub fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let shared = self.registry.shared();
        let Shared { adapter: Selected::Best(adapter), wake, deferred, .. } = &**shared else {
            return self.poll_with_all(events, timeout);
        };
        let duties = wake.sleep.known_duties();
        let is_simple = self.timers.is_empty() && Duties::CHANGES.contains(duties);
        if !is_simple || events.capacity() == 0 || !shared.is_ours() {
            return self.poll_with_all(events, timeout);
        }
        if !duties.is_empty() {
            deferred.apply(&shared.adapter);
        }
        // Descriptors alone: the kernel does it all.
        events.clear();
        let waited = adapter.wait(&mut events.buffer, timeout);
        let duties = wake.sleep.duties();
        if !Duties::CHANGES.contains(duties) {
            return self.found_duties(duties, events, timeout, waited);
        }
        waited.map(drop)
    }

    /// During a wait for descriptors alone the first waker came into being, and may have ended it, or the poller's own
    /// descriptor was lent out.
    #[cold]
    fn found_duties(
        &mut self,
        duties: Duties,
        events: &mut Events,
        timeout: Option<Duration>,
        waited: io::Result<bool>,
    ) -> io::Result<()> {
        if duties.contains(Duties::WAKERS) {
            let end = self.memory.wake_up(self.registry.shared(), events, waited)?;
            if end == End::InVain {
                self.memory.has_intruders = true;
                return self.poll_with_all(events, timeout);
            }
        } else {
            waited?;
        }
        self.tell_outer_loop(events);
        Ok(())
    }

    /// With timers or [`Duties`], on another backend, or without room.
    #[inline(never)]
    fn poll_with_all(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        self.registry.shared().check()?;
        if events.capacity() == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "these Events have no room for an event: create them with Events::with_capacity(1) \
                 or more",
            ));
        }
        let shared = self.registry.shared();
        if shared.wake.sleep.duties().contains(Duties::CHANGES) {
            shared.deferred.apply(&shared.adapter);
        }
        let result = if self.timers.is_empty() {
            self.memory.wait(shared, events, timeout).map(drop)
        } else {
            self.poll_with_timers(events, timeout)
        };
        self.tell_outer_loop(events);
        result
    }

    /// If one may be asleep on this poller's descriptor: whether this poll has left nothing, or perhaps something.
    fn tell_outer_loop(&self, events: &Events) {
        let shared = self.registry.shared();
        // It may have been lent out during the wait.
        if !shared.wake.sleep.is_lent() {
            return;
        }
        if events.len() < events.capacity() {
            shared.drained();
        } else {
            shared.adapter.rewake();
        }
    }

    /// As [`poll`](Poll::poll), with a deadline instead of a timeout. One that has passed does not wait.
    ///
    /// # Errors
    ///
    /// As [`poll`](Poll::poll).
    pub fn poll_deadline(
        &mut self,
        events: &mut Events,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.poll(events, remaining)
    }

    /// Waits no longer than until the next timer is due, and reports those that are: some before
    /// everything else, so that a full buffer does not keep them out, the others last.
    fn poll_with_timers(
        &mut self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let Poll { registry, memory, timers } = self;
        let capacity = events.capacity();
        let mut now = timers.now();
        let deadline = timeout.map(|timeout| now.after(timeout));
        loop {
            let mut next = timers.next();
            if next.is_some_and(|next| next <= now) {
                let room = share(&mut memory.timers_first, capacity, capacity);
                timers.report(now, room, &mut events.buffer);
                next = timers.next();
            }
            let until = match (deadline, next.map(|next| next.after(timers.slack()))) {
                (Some(deadline), Some(next)) => Some(deadline.min(next)),
                (deadline, next) => deadline.or(next),
            };
            let timeout = match until {
                _ if !events.is_empty() => Some(Duration::ZERO),
                until => until.map(|until| until.since(now)),
            };
            let ended = if events.len() < capacity {
                memory.wait(registry.shared(), events, timeout)
            } else {
                Ok(End::Due)
            };
            // Only a sleep takes time.
            if timeout != Some(Duration::ZERO) {
                now = timers.now();
            }
            timers.report(now, capacity - events.len(), &mut events.buffer);
            let in_time = deadline.is_some_and(|deadline| deadline <= now);
            // An interruption is no reason to withhold what there is to report. With nothing, not even
            // the end of the wait, a timer was cancelled for whose sake it woke.
            if !events.is_empty() {
                return Ok(());
            }
            if ended? == End::Asked || in_time {
                return Ok(());
            }
        }
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With something to report, or in time.
    Due,
    /// By a waker without event.
    Asked,
    /// By a wake-up that has been reported already. It is to be begun again.
    InVain,
}

impl Memory {
    fn new() -> Memory {
        Memory { wakers_first: true, timers_first: true, late: 0, has_intruders: false }
    }

    /// Waits, and goes on waiting if that ended in vain.
    fn wait(
        &mut self,
        shared: &Shared,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<End> {
        // Only then can a sleep end in vain, so only then does it need a clock.
        let in_vain = self.late > 0 || self.has_intruders || shared.wake.may_wake_in_vain();
        let end_of = |timeout: Option<Duration>| match timeout {
            None | Some(Duration::ZERO) => None,
            // What cannot be added to the clock is longer than anyone waits.
            Some(timeout) => Instant::now().checked_add(timeout),
        };
        let mut deadline = if in_vain { end_of(timeout) } else { None };
        let mut remaining = timeout;
        loop {
            let end = self.round(shared, events, remaining)?;
            if end != End::InVain {
                return Ok(end);
            }
            match deadline {
                Some(deadline) => {
                    remaining = Some(deadline.saturating_duration_since(Instant::now()));
                }
                None => {
                    // The first of all such waits may last twice as long as it should.
                    self.has_intruders |= !in_vain;
                    deadline = end_of(timeout);
                }
            }
        }
    }

    /// One wait.
    fn round(
        &mut self,
        shared: &Shared,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<End> {
        let Shared { adapter, wake, .. } = shared;
        let sleep = &wake.sleep;
        if !sleep.is_in_use() {
            let waited = adapter.wait(&mut events.buffer, timeout);
            // Unless the first waker came into being meanwhile, that is all.
            if !sleep.is_in_use() {
                return waited.map(|_| End::Due);
            }
            return self.wake_up(shared, events, waited);
        }
        let sleeps = timeout != Some(Duration::ZERO) && sleep.fall_asleep();
        if sleeps {
            let waited = adapter.wait(&mut events.buffer, timeout);
            return self.wake_up(shared, events, waited);
        }
        let woken = sleep.wake_up();
        let capacity = events.capacity();
        let mut left = woken;
        if woken.is_any() {
            let room = share(&mut self.wakers_first, capacity, capacity - events.len());
            left = wake.report(&mut events.buffer, room, woken, true);
        }
        let waited = if events.len() < capacity {
            adapter.wait(&mut events.buffer, Some(Duration::ZERO))
        } else {
            Ok(false)
        };
        if matches!(waited, Ok(false)) && woken == Woken::FIRST && left.is_empty() {
            // The usual end, reported already.
            return Ok(End::Due);
        }
        self.conclude(shared, events, waited, woken, left, false)
    }

    /// After a wait that a waker may have ended.
    fn wake_up(
        &mut self,
        shared: &Shared,
        events: &mut Events,
        waited: io::Result<bool>,
    ) -> io::Result<End> {
        let woken = shared.wake.sleep.wake_up();
        self.conclude(shared, events, waited, woken, woken, true)
    }

    /// Reports the wakers that woke and have not been reported, after the descriptors. `collects` if this is the
    /// first report of the poll.
    #[inline]
    fn conclude(
        &mut self,
        shared: &Shared,
        events: &mut Events,
        waited: io::Result<bool>,
        woken: Woken,
        left: Woken,
        collects: bool,
    ) -> io::Result<End> {
        let Shared { adapter, wake, .. } = shared;
        let rang = *waited.as_ref().unwrap_or(&false);
        // Who woke a sleeping poller calls the kernel once, perhaps after the poller has found out.
        match (woken.contains(Woken::CALLED), rang) {
            (true, false) => self.late = self.late.saturating_add(1),
            (false, true) => self.late = self.late.saturating_sub(1),
            _ => {}
        }
        let ended = woken.contains(Woken::END);
        let room = events.capacity() - events.len();
        let left = wake.report(&mut events.buffer, room, left, collects);
        if !left.is_empty() && wake.sleep.stay_awake(left) {
            adapter.wake()?;
        }
        match waited {
            // An interruption is no reason to withhold what there is to report.
            Err(error) if events.is_empty() && !ended => Err(error),
            _ if ended => Ok(End::Asked),
            _ if events.is_empty() && (woken.is_any() || rang) => Ok(End::InVain),
            _ => Ok(End::Due),
        }
    }
}

/// How much of a buffer with room for so many they may fill before the descriptors do: a third of it,
/// or, if that is none, one event every second time.
fn share(first: &mut bool, capacity: usize, room: usize) -> usize {
    if capacity > 2 {
        return room.min(capacity / 3);
    }
    if room == 0 {
        return 0;
    }
    mem::replace(first, !*first).into()
}

/// The descriptor of the poller, for an outer loop to wait on; see [`Capabilities::nests`] for what
/// it tells.
impl AsFd for Poll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registry.as_fd()
    }
}

impl AsRawFd for Poll {
    fn as_raw_fd(&self) -> RawFd {
        self.registry.as_raw_fd()
    }
}

source_by_descriptor!([] Poll, AsRawFd::as_raw_fd);

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll").field("registry", &self.registry).finish_non_exhaustive()
    }
}
