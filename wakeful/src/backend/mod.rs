//! The kernel behind a `Poll`: one adapter per backend, and the trait that says what each owes.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::{Backend, Capabilities, Interest, Token};

// The selector: which backends this operating system has, best first. build.rs gives the names.
#[cfg(backend = "epoll")]
mod epoll;
#[cfg(backend = "event-ports")]
mod event_port;
#[cfg(backend = "kqueue")]
mod kqueue;
mod nesting;
mod poll;
mod rearming;

pub(crate) const AVAILABLE: &[Backend] = &[
    #[cfg(kernel = "linux")]
    Backend::Epoll,
    #[cfg(kernel = "bsd")]
    Backend::Kqueue,
    #[cfg(kernel = "illumos")]
    Backend::EventPorts,
    #[cfg(all(backend = "epoll", not(kernel = "linux")))]
    Backend::Epoll,
    Backend::Poll,
    // The emulations, which nobody gets without asking.
    #[cfg(all(backend = "kqueue", not(kernel = "bsd")))]
    Backend::Kqueue,
    #[cfg(all(backend = "event-ports", not(kernel = "illumos")))]
    Backend::EventPorts,
];

/// Whether the kernel itself reports edges, also of bare descriptors.
pub(crate) const fn has_kernel_edges(backend: Backend) -> bool {
    matches!(backend, Backend::Epoll | Backend::Kqueue)
}

/// The first of them.
#[cfg(kernel = "linux")]
type Best = epoll::EpollAdapter;
#[cfg(kernel = "bsd")]
type Best = kqueue::KqueueAdapter;
#[cfg(kernel = "illumos")]
type Best = Arc<event_port::EventPortAdapter>;
#[cfg(kernel = "other")]
type Best = Arc<poll::PollAdapter>;

/// The adapter of a poller. The best of this system is known by its type and called directly, which is a hundredth of
/// a registration's cost.
#[derive(Debug)]
pub(crate) enum Selected {
    Best(Best),
    #[cfg_attr(kernel = "other", allow(dead_code))]
    Other(Arc<dyn Adapter>),
}

pub(crate) fn create(backend: Backend) -> io::Result<Selected> {
    match backend {
        #[cfg(kernel = "linux")]
        Backend::Epoll => Ok(Selected::Best(epoll::EpollAdapter::new()?)),
        #[cfg(kernel = "bsd")]
        Backend::Kqueue => Ok(Selected::Best(kqueue::KqueueAdapter::new()?)),
        #[cfg(kernel = "illumos")]
        Backend::EventPorts => Ok(Selected::Best(event_port::EventPortAdapter::new()?)),
        #[cfg(kernel = "other")]
        Backend::Poll => Ok(Selected::Best(poll::PollAdapter::new()?)),
        #[cfg(all(backend = "epoll", not(kernel = "linux")))]
        Backend::Epoll => Ok(Selected::Other(Arc::new(epoll::EpollAdapter::new()?))),
        #[cfg(all(backend = "kqueue", not(kernel = "bsd")))]
        Backend::Kqueue => Ok(Selected::Other(Arc::new(kqueue::KqueueAdapter::new()?))),
        #[cfg(all(backend = "event-ports", not(kernel = "illumos")))]
        Backend::EventPorts => Ok(Selected::Other(event_port::EventPortAdapter::new()?)),
        #[cfg(not(kernel = "other"))]
        Backend::Poll => Ok(Selected::Other(poll::PollAdapter::new()?)),
        #[allow(unreachable_patterns)]
        other => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "the backend {other} is not in this build: use one of {}",
                Backend::available_names()
            ),
        )),
    }
}

/// What a backend owes the poller above it.
///
/// - Errors are the operating system's, untouched: `EEXIST` for a second registration of a
///   descriptor, `ENOENT` for one that is not registered, `EBADF` for one that is not open, `EPERM` for a
///   file that cannot be polled, `EINVAL` for the poller itself, `ELOOP` for one that waits for the poller.
/// - Every trigger works, native or emulated, and errors and hang-ups are always reported.
/// - All methods may be called while another thread waits, and take effect on that wait.
/// - A token comes back as it was given, all its bits.
pub(crate) trait Adapter: Send + Sync + UnwindSafe + RefUnwindSafe + fmt::Debug {
    /// Starts to report a descriptor. If it is ready already, that counts as an edge.
    fn register(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()>;

    /// As [`register`](Adapter::register), of a descriptor that others read, write and close without a word.
    fn register_bare(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.register(fd, token, interest)
    }

    /// Replaces token and interest, and arms anew whatever was silent.
    fn reregister(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()>;

    /// Ends the registration: no wait that begins after this returns reports it, and no wait that is under way
    /// holds the file open.
    fn deregister(&self, fd: RawFd) -> io::Result<()>;

    /// Whether a change of an interest, from one that is no one-shot to another, is worth to be put off: it is a system
    /// call, and fails only if there is no registration.
    fn changes_are_certain(&self) -> bool {
        false
    }

    /// Appends events into the spare room of the buffer, of which there is some. Whether a call of
    /// `wake` was noticed, which is no event, and the only reason to return early with nothing.
    fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<bool>;

    /// Called before the first waker comes into being, any number of times.
    fn prepare_wake(&self) -> io::Result<()>;

    /// Makes the present wait, or else the next one, return.
    fn wake(&self) -> io::Result<()>;

    /// Whether the wake-up object is told from registrations by this token, which one is about to take. Asked of the
    /// best backend only.
    #[inline]
    fn needs_token(&self, _token: Token) -> bool {
        false
    }

    /// Tells the wake-up object from registrations by other means from now on. `has_woken` answers whether a waker
    /// woke that the poller has not taken note of, whose call of `wake` may be undone by this.
    fn release_token(&self, _has_woken: &dyn Fn() -> bool) -> io::Result<()> {
        Ok(())
    }

    /// A wait has perhaps left something: an outer loop that waits for edges of the descriptor is to look again.
    fn rewake(&self) {}

    /// The descriptor that is readable while a wait would return at once; see
    /// [`Capabilities::nests`] for its limits.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// The same in a forked child, where nothing may be locked.
    fn inherited_descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor()
    }

    /// What this backend can do.
    fn capabilities(&self) -> Capabilities;
}

/// Calls a method of whichever it is.
macro_rules! either {
    ($selected:expr, $adapter:ident => $call:expr) => {
        match $selected {
            Selected::Best($adapter) => $call,
            Selected::Other($adapter) => $call,
        }
    };
}

impl Adapter for Selected {
    #[inline]
    fn register(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        either!(self, adapter => adapter.register(fd, token, interest))
    }

    #[inline]
    fn register_bare(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        either!(self, adapter => adapter.register_bare(fd, token, interest))
    }

    #[inline]
    fn reregister(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        either!(self, adapter => adapter.reregister(fd, token, interest))
    }

    #[inline]
    fn deregister(&self, fd: RawFd) -> io::Result<()> {
        either!(self, adapter => adapter.deregister(fd))
    }

    #[inline]
    fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<bool> {
        either!(self, adapter => adapter.wait(events, timeout))
    }

    #[inline]
    fn changes_are_certain(&self) -> bool {
        either!(self, adapter => adapter.changes_are_certain())
    }

    fn prepare_wake(&self) -> io::Result<()> {
        either!(self, adapter => adapter.prepare_wake())
    }

    fn wake(&self) -> io::Result<()> {
        either!(self, adapter => adapter.wake())
    }

    #[inline]
    fn needs_token(&self, token: Token) -> bool {
        match self {
            Selected::Best(adapter) => adapter.needs_token(token),
            // The others tell it by its kind, but for epoll where it is not the best. A call would
            // cost the best one registers.
            Selected::Other(adapter) => {
                cfg!(all(backend = "epoll", not(kernel = "linux"))) && adapter.needs_token(token)
            }
        }
    }

    fn release_token(&self, has_woken: &dyn Fn() -> bool) -> io::Result<()> {
        either!(self, adapter => adapter.release_token(has_woken))
    }

    fn rewake(&self) {
        either!(self, adapter => adapter.rewake());
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        either!(self, adapter => adapter.descriptor())
    }

    fn inherited_descriptor(&self) -> BorrowedFd<'_> {
        either!(self, adapter => adapter.inherited_descriptor())
    }

    fn capabilities(&self) -> Capabilities {
        either!(self, adapter => adapter.capabilities())
    }
}
