//! Backends by name, and what each can do.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

/// The kernel facility that a [`Poll`](crate::Poll) stands on.
///
/// # Differences
///
/// An event says the same on every backend, but for the following, compared with epoll. With an
/// edge trigger, only what was not reported before counts: under epoll an event also repeats all
/// that still holds.
///
#[doc = include_str!("backend/differences.md")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// epoll(7), Linux's own; illumos has it for programs made for Linux.
    Epoll,
    /// kqueue(2), of the BSDs and macOS; on Linux with the feature `emulation`.
    Kqueue,
    /// Event ports, of illumos and Solaris; on Linux with the feature `emulation`.
    EventPorts,
    /// poll(2), found everywhere. Every wait costs time in proportion to the registrations.
    Poll,
}

impl Backend {
    const ALL: &'static [Backend] =
        &[Backend::Epoll, Backend::Kqueue, Backend::EventPorts, Backend::Poll];

    /// The backends of this build, best first; [`Poll::new`](crate::Poll::new) takes the first.
    ///
    /// ```
    /// use wakeful::{Backend, Poll};
    ///
    /// for &backend in Backend::available() {
    ///     let poll = Poll::builder().backend(backend).build()?;
    ///     assert_eq!(poll.capabilities().backend, backend);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn available() -> &'static [Backend] {
        crate::backend::AVAILABLE
    }

    /// The name that [`FromStr`] and `WAKEFUL_BACKEND` take.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Epoll => "epoll",
            Backend::Kqueue => "kqueue",
            Backend::EventPorts => "event-ports",
            Backend::Poll => "poll",
        }
    }

    /// The names of the available backends, for messages.
    pub(crate) fn available_names() -> String {
        let names: Vec<_> = Backend::available().iter().map(|backend| backend.name()).collect();
        names.join(", ")
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Backend {
    type Err = io::Error;

    fn from_str(name: &str) -> io::Result<Backend> {
        Backend::ALL.iter().copied().find(|backend| backend.name() == name).ok_or_else(|| {
            let message =
                format!("no backend is called {name:?}: use one of {}", Backend::available_names());
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    }
}

/// Whether the kernel does something itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Support {
    /// The kernel does it.
    Native,
    /// The backend makes it out of what the kernel does.
    Emulated,
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Support::Native => "native",
            Support::Emulated => "emulated",
        })
    }
}

/// What makes an edge-triggered registration report again while it has stayed ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EdgeRule {
    /// Anything new that happens, drained or not.
    ///
    /// Limitation: under kqueue, a nested queue of the kernel reports nothing new of the same kind
    /// until it was asked. Such queues are a nested [`Poll`](crate::Poll), which is asked by
    /// polling it once, and the sources that the BSDs and macOS make of a kqueue, which are asked
    /// by draining them: [`Timer`](crate::time::Timer), [`Watcher`](crate::watch::Watcher),
    /// [`Exit`](crate::process::Exit) and [`Queue`](crate::file::Queue). Each wake-up of a nested
    /// `Poll` is an edge all the same, and so is whatever a poll of it has left.
    EveryChange,
    /// Only draining: an operation of wakeful's own types that meets `WouldBlock`, or a read or
    /// write of a stream that moves less than it was asked to, arms its direction again.
    ///
    /// What the poller does not see drained is rechecked, and costs a few wake-ups while it lasts:
    /// a bare descriptor (see [`SourceFd`](crate::unix::SourceFd)); a listener that was out of
    /// descriptors; a source after a read that failed; an error or a hang-up that was reported and
    /// may end, such as a queue of errors (`IP_RECVERR`) or a named pipe without a writer. The
    /// interval grows from 62 µs to [`Capabilities::edge_recheck`]; what is still ready by then is
    /// reported again, as a spurious event. A poller whose own descriptor was lent out rechecks
    /// only when it is polled.
    ///
    /// `try_io`, which does not say its direction, arms both, so that a writable socket is reported
    /// once more for each (`try_io_when` says it).
    ///
    /// Under illumos' epoll the kernel sees the draining itself: nothing is rechecked.
    AfterWouldBlock,
}

/// What the backend of a [`Poll`](crate::Poll) can do, and how.
///
/// What its events say otherwise than epoll's is listed at [`Backend`](Backend#differences).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The backend itself.
    pub backend: Backend,
    /// [`Trigger::Edge`](crate::Trigger::Edge).
    pub edge: Support,
    /// [`Trigger::Level`](crate::Trigger::Level).
    pub level: Support,
    /// [`Trigger::Oneshot`](crate::Trigger::Oneshot).
    pub oneshot: Support,
    /// [`Trigger::EdgeOneshot`](crate::Trigger::EdgeOneshot).
    pub edge_oneshot: Support,
    /// What the drain rule of edge-triggered registrations is.
    pub edge_rule: EdgeRule,
    /// The longest interval at which an edge-triggered registration is rechecked that the poller
    /// cannot see drained: see [`EdgeRule::AfterWouldBlock`]. An edge of such a registration is
    /// reported that much later at most. `None`: the kernel knows edges, and reports each at once.
    pub edge_recheck: Option<Duration>,
    /// The finest timeout; finer ones are rounded up to a multiple of it. Under kqueue, NetBSD,
    /// OpenBSD and DragonFly count ticks of the clock, 10 ms as a rule, and may add one.
    pub timeout_resolution: Duration,
    /// Whether the descriptor of the `Poll` tells an outer loop of everything: registrations and
    /// wake-ups. Otherwise it tells of wake-ups alone.
    pub nests: bool,
    /// Whether the cost of a wait does not depend on the number of registrations.
    pub scales: bool,
    /// Whether closing the last descriptor of a file ends its registration. Otherwise wakeful's own
    /// types end it when they are closed; of a bare descriptor the number stays registered until it
    /// is deregistered, or registered anew, or found closed by a wait. Eventfds, timerfds, named
    /// pipes and terminals cannot be distinguished from others of their kind, so a second
    /// registration of such a descriptor, by [`SourceFd`](crate::unix::SourceFd), replaces the
    /// first instead of being refused with `EEXIST`.
    pub forgets_closed: bool,
    /// Whether [`Interest::PRIORITY`](crate::Interest::PRIORITY) can be waited for. Otherwise it is
    /// never reported, and refused as unsupported if nothing else is asked for.
    pub priority: bool,
    /// Whether regular files and directories can be registered. Otherwise they are refused with
    /// `EPERM`; see [`FdSource`](crate::unix::FdSource) for what to do then. NetBSD before 10
    /// takes them for reading only, and refuses an interest in writing with `EPERM`.
    pub regular_files: bool,
}
