//! Backends by name, and what each can do.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

/// The kernel facility that a [`Poll`](crate::Poll) stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// epoll(7), Linux's own.
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
    /// Limitation: under kqueue, a nested queue of the kernel reports nothing new of the same kind until it was asked. Such
    /// queues are a nested [`Poll`](crate::Poll), which is asked by polling it once, and the sources that the BSDs and
    /// macOS make of a kqueue, which are asked by draining them: [`Timer`](crate::time::Timer),
    /// [`Watcher`](crate::watch::Watcher), [`Exit`](crate::process::Exit) and [`Queue`](crate::file::Queue). Each wake-up
    /// of a nested `Poll` is an edge all the same, and so is whatever a poll of it has left.
    EveryChange,
    /// Only draining: an operation of wakeful's own types that meets `WouldBlock`, or a read or write of
    /// a stream that moves less than it was asked to, arms its direction again; one that fails
    /// otherwise does so too, after an error was reported. Whoever reads a bare
    /// descriptor calls [`Registered::rearm`](crate::Registered::rearm) or `reregister` after
    /// `WouldBlock`. Two things cannot be had: a hang-up that ends again, as when a new writer opens a
    /// named pipe, is not noticed; and `try_io`, which does not say its direction, arms both, so
    /// that a writable socket is reported once more for each (`try_io_when` says it).
    AfterWouldBlock,
}

/// What the backend of a [`Poll`](crate::Poll) can do, and how.
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
    /// The finest timeout; finer ones are rounded up to a multiple of it. Under kqueue, NetBSD, OpenBSD and DragonFly count
    /// ticks of the clock, 10 ms as a rule, and may take one more than it takes.
    pub timeout_resolution: Duration,
    /// Whether the descriptor of the `Poll` tells an outer loop of everything: registrations and
    /// wake-ups. Otherwise it tells of wake-ups alone.
    pub nests: bool,
    /// Whether the cost of a wait does not depend on the number of registrations.
    pub scales: bool,
    /// Whether closing the last descriptor of a file ends its registration. Otherwise wakeful's own
    /// types end it when they are closed; of a bare descriptor the number stays registered until it
    /// is deregistered, or registered anew, or found closed by a wait.
    pub forgets_closed: bool,
    /// Whether [`Interest::PRIORITY`](crate::Interest::PRIORITY) can be waited for. Otherwise it is never reported,
    /// and refused as unsupported if nothing else is asked for.
    pub priority: bool,
    /// Whether regular files and directories can be registered. Otherwise they are refused with `EPERM`; see
    /// [`FdSource`](crate::unix::FdSource) for what to do then. NetBSD before 10 takes them for reading only, and refuses
    /// an interest in writing with `EPERM`.
    pub regular_files: bool,
}
