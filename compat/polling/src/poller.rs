use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

use wakeful::unix::SourceFd;
use wakeful::{EdgeRule, Poll, Registry, Waker};

use crate::{AsRawSource, AsSource, Event, Events, NOTIFY_KEY, PollMode};

/// Waits for I/O events.
///
/// Sources can be added, modified and deleted from any thread, also during a wait. One thread waits at
/// a time.
pub struct Poller {
    poll: Mutex<Poll>,
    registry: Registry,
    waker: Waker,
}

impl Poller {
    /// A poller on the platform's best backend.
    ///
    /// With the feature `backend-from-env` and `WAKEFUL_BACKEND` set in the environment, on that one.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`; `InvalidInput` if `WAKEFUL_BACKEND` counts and names no backend.
    pub fn new() -> io::Result<Poller> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::without_event(&registry)?;
        Ok(Poller { poll: Mutex::new(poll), registry, waker })
    }

    /// Whether sources can be added in [`PollMode::Level`]: yes.
    pub fn supports_level(&self) -> bool {
        true
    }

    /// Whether sources can be added in [`PollMode::Edge`] and [`PollMode::EdgeOneshot`].
    pub fn supports_edge(&self) -> bool {
        // Where an edge is made by re-arming, a bare descriptor would have to say when it was drained.
        self.registry.capabilities().edge_rule == EdgeRule::EveryChange
    }

    /// Adds a source, which is reported once; see [`modify`](Poller::modify).
    ///
    /// # Safety
    ///
    /// The source must be [deleted](Poller::delete) before it is dropped.
    ///
    /// # Errors
    ///
    /// Those of the operating system: `EEXIST` if it has been added, `EPERM` for a regular file.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): the key is `usize::MAX`.
    #[allow(unsafe_code)]
    pub unsafe fn add(&self, source: impl AsRawSource, interest: Event) -> io::Result<()> {
        self.register(source.raw(), interest, PollMode::Oneshot)
    }

    /// Adds a source that is reported as often as `mode` says.
    ///
    /// # Safety
    ///
    /// The source must be [deleted](Poller::delete) before it is dropped.
    ///
    /// # Errors
    ///
    /// As [`add`](Poller::add); [`Unsupported`](io::ErrorKind::Unsupported): the backend has not got
    /// the mode.
    #[allow(unsafe_code)]
    pub unsafe fn add_with_mode(
        &self,
        source: impl AsRawSource,
        interest: Event,
        mode: PollMode,
    ) -> io::Result<()> {
        self.register(source.raw(), interest, mode)
    }

    fn register(&self, fd: RawFd, interest: Event, mode: PollMode) -> io::Result<()> {
        self.check(interest, mode)?;
        self.registry.register(&mut SourceFd(&fd), interest.token(), interest.interest(mode))
    }

    /// Replaces the interest in a source, which is reported once more.
    ///
    /// # Errors
    ///
    /// As [`add`](Poller::add); `ENOENT` if the source has not been added.
    pub fn modify(&self, source: impl AsSource, interest: Event) -> io::Result<()> {
        self.modify_with_mode(source, interest, PollMode::Oneshot)
    }

    /// Replaces the interest in a source and its mode.
    ///
    /// # Errors
    ///
    /// As [`modify`](Poller::modify); [`Unsupported`](io::ErrorKind::Unsupported): the backend has not
    /// got the mode.
    pub fn modify_with_mode(
        &self,
        source: impl AsSource,
        interest: Event,
        mode: PollMode,
    ) -> io::Result<()> {
        self.check(interest, mode)?;
        let fd = source.source().as_raw_fd();
        self.registry.reregister(&mut SourceFd(&fd), interest.token(), interest.interest(mode))
    }

    fn check(&self, interest: Event, mode: PollMode) -> io::Result<()> {
        if interest.key == NOTIFY_KEY {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the key usize::MAX is the notifications': use another",
            ));
        }
        if mode.is_edge() && !self.supports_edge() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this backend has no edge-triggered mode: use PollMode::Oneshot or PollMode::Level",
            ));
        }
        Ok(())
    }

    /// Takes a source out.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it has not been added.
    pub fn delete(&self, source: impl AsSource) -> io::Result<()> {
        self.registry.deregister(&mut SourceFd(&source.source().as_raw_fd()))
    }

    /// Waits for an event, a [notification](Poller::notify), or the timeout; adds the events to
    /// `events` and answers how many it holds now.
    ///
    /// `None` waits without end. If another thread is waiting, it ends
    /// at once with nothing. A signal handler does not end it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): `events` is full of the events of earlier waits.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        match timeout {
            // It needs no clock.
            Some(Duration::ZERO) => self.wait_until(events, || timeout),
            Some(timeout) => match Instant::now().checked_add(timeout) {
                Some(deadline) => self.wait_deadline(events, deadline),
                // Longer than anyone waits.
                None => self.wait_until(events, || None),
            },
            None => self.wait_until(events, || None),
        }
    }

    /// As [`wait`](Poller::wait), with a deadline.
    ///
    /// # Errors
    ///
    /// As [`wait`](Poller::wait).
    pub fn wait_deadline(&self, events: &mut Events, deadline: Instant) -> io::Result<usize> {
        self.wait_until(events, || Some(deadline.saturating_duration_since(Instant::now())))
    }

    fn wait_until(
        &self,
        events: &mut Events,
        remaining: impl Fn() -> Option<Duration>,
    ) -> io::Result<usize> {
        let mut poll = match self.poll.try_lock() {
            Ok(poll) => poll,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(0),
        };
        let room = events.make_room()?;
        loop {
            match poll.poll(room, remaining()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    result?;
                    return Ok(events.len());
                }
            }
        }
    }

    /// Ends the wait that is under way, or the next.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn notify(&self) -> io::Result<()> {
        self.waker.wake()
    }
}

/// The descriptor of the poller, for an outer loop to wait on. Under poll(2) it tells of notifications
/// alone.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.registry.as_fd()
    }
}

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.registry.as_raw_fd()
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("registry", &self.registry).finish_non_exhaustive()
    }
}
