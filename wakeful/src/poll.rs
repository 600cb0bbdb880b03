use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use crate::event::source_by_descriptor;
use crate::registry::Shared;
use crate::{Backend, Capabilities, Events, Registry, backend};

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
/// A `Poll` is a [`Source`](crate::event::Source), and lends out its descriptor: another loop can wait
/// for it. It is readable while a poll of it would bring events, or, where [`Capabilities::nests`] is
/// false, wake-ups. From then on the wake-ups of its [`Waker`](crate::Waker)s always reach the kernel.
///
/// # Fork
///
/// A child forked without exec shares the kernel's queue with its parent under epoll: what it
/// registers and deregisters, the parent sees. Create a new `Poll` in the child and leave the
/// inherited one alone; dropping that is harmless, while dropping an inherited
/// [`Registered`](crate::Registered) takes the registration away from the parent.
pub struct Poll {
    registry: Registry,
    /// With room for one event only, wakers and descriptors take turns at being first.
    wakers_first: bool,
}

impl Poll {
    /// A poller on the platform's best backend.
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
        Builder { backend: None }
    }

    /// The registry with which sources are registered.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What the backend can do.
    pub fn capabilities(&self) -> Capabilities {
        self.registry.capabilities()
    }

    /// Waits until something happened, or the timeout passed, and puts it into `events`.
    ///
    /// `None` waits without end, `Some(Duration::ZERO)` not at all. A wait without events is never
    /// shorter than its timeout, but for two cases: a signal interrupted it (an error), or a wake-up
    /// that another poll had reported already reached the kernel late (an empty `events`). It is as
    /// exact as [`Capabilities::timeout_resolution`] and the kernel's timer slack (50 µs on Linux)
    /// allow.
    ///
    /// `events` is emptied first. What finds no room comes with the next poll; neither descriptors
    /// nor wakers starve one another.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](io::ErrorKind::Interrupted): a signal handler ran. Nothing is lost; poll
    /// again. [`InvalidInput`](io::ErrorKind::InvalidInput): `events` has no capacity.
    pub fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.clear();
        if events.capacity() == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "these Events have no room for an event: create them with Events::with_capacity(1) \
                 or more",
            ));
        }
        let shared = self.registry.shared();
        if !shared.wake.sleep.is_in_use() {
            let waited = shared.adapter.wait(&mut events.buffer, timeout);
            // Unless the first waker came into being meanwhile, that is all.
            if !shared.wake.sleep.is_in_use() {
                return waited;
            }
            let woken = shared.wake.sleep.wake_up();
            if !conclude(shared, events, waited, woken)? || timeout.is_some() {
                return Ok(());
            }
        }
        // With all the time in the world, a wait that brought nothing is begun again.
        while self.round(events, timeout)? && timeout.is_none() {}
        Ok(())
    }

    /// One wait of a poller that has wakers; answers whether it brought nothing.
    fn round(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<bool> {
        let shared = self.registry.shared();
        let Shared { adapter, wake } = &**shared;
        let sleep = &wake.sleep;
        let sleeps = timeout != Some(Duration::ZERO) && sleep.fall_asleep();
        if sleeps {
            let waited = adapter.wait(&mut events.buffer, timeout);
            let woken = sleep.wake_up();
            return conclude(shared, events, waited, woken);
        }
        let woken = sleep.wake_up();
        let capacity = events.capacity();
        if woken {
            // Half of the room is the wakers', the rest the descriptors'.
            let room = if capacity == 1 { usize::from(self.wakers_first) } else { capacity / 2 };
            self.wakers_first = !self.wakers_first;
            wake.report(&mut events.buffer, room);
        }
        let waited = if events.len() < capacity {
            adapter.wait(&mut events.buffer, Some(Duration::ZERO))
        } else {
            Ok(())
        };
        conclude(shared, events, waited, woken)
    }
}

/// Reports the wakers that woke, after the descriptors; answers whether there is nothing to report.
#[inline]
fn conclude(
    shared: &Shared,
    events: &mut Events,
    waited: io::Result<()>,
    woken: bool,
) -> io::Result<bool> {
    let Shared { adapter, wake } = shared;
    if woken {
        let room = events.capacity() - events.len();
        if wake.report(&mut events.buffer, room) && wake.sleep.stay_awake() {
            adapter.wake()?;
        }
    }
    match waited {
        // An interruption is no reason to withhold what there is to report.
        Err(error) if events.is_empty() => Err(error),
        _ => Ok(events.is_empty()),
    }
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

/// Builds a [`Poll`].
///
/// ```
/// use wakeful::{Backend, Poll};
///
/// let poll = Poll::builder().backend(Backend::Poll).build()?;
/// assert_eq!(poll.capabilities().backend, Backend::Poll);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    backend: Option<Backend>,
}

impl Builder {
    /// Takes this backend, whatever the environment says.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Builder {
        self.backend = Some(backend);
        self
    }

    /// Creates the poller.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`; [`Unsupported`](io::ErrorKind::Unsupported): the backend is not in
    /// this build; `InvalidInput` if `WAKEFUL_BACKEND` counts and names no backend.
    pub fn build(self) -> io::Result<Poll> {
        let backend = match self.backend {
            Some(backend) => backend,
            None => default_backend()?,
        };
        let shared = Shared::new(backend::create(backend)?);
        Ok(Poll { registry: Registry::new(shared), wakers_first: true })
    }
}

#[cfg(any(feature = "backend-from-env", wakeful_backend_from_env))]
fn default_backend() -> io::Result<Backend> {
    match std::env::var_os("WAKEFUL_BACKEND") {
        Some(name) => name.to_string_lossy().parse().map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("WAKEFUL_BACKEND: {error}"))
        }),
        None => Ok(Backend::available()[0]),
    }
}

#[cfg(not(any(feature = "backend-from-env", wakeful_backend_from_env)))]
fn default_backend() -> io::Result<Backend> {
    Ok(Backend::available()[0])
}
