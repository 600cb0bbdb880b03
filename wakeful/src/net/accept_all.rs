use std::fmt;
use std::io;
use std::iter::FusedIterator;

use wakeful_kernel::poll::ready_now;
use wakeful_kernel::readiness::Readiness;

use super::{TcpListener, TcpStream, UnixListener, UnixStream};
use crate::io_source::IoSource;
use crate::rearm::Direction;

/// A socket that accepts connections. It is implemented by wakeful's listeners only.
pub trait Listener: sealed::Sealed {
    /// A connection.
    type Stream;
    /// Where it comes from.
    type Address;

    /// Accepts one connection; see [`TcpListener::accept`] and [`UnixListener::accept`].
    ///
    /// # Errors
    ///
    /// Those of accept(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them.
    fn accept(&self) -> io::Result<(Self::Stream, Self::Address)>;
}

mod sealed {
    use std::io;

    use wakeful_kernel::readiness::Readiness;

    pub trait Sealed {
        /// What the listener is ready for right now.
        fn ready_now(&self) -> io::Result<Readiness>;
        /// Nothing more waits to be accepted.
        fn drained(&self);
    }
}

macro_rules! listener {
    ($($name:ident => $stream:ty, $address:ty;)+) => {$(
        impl Listener for $name {
            type Stream = $stream;
            type Address = $address;

            fn accept(&self) -> io::Result<($stream, $address)> {
                self.accept()
            }
        }

        impl sealed::Sealed for $name {
            fn ready_now(&self) -> io::Result<Readiness> {
                Ok(ready_now(self, Readiness::IN)?)
            }

            fn drained(&self) {
                IoSource::drained(&self.inner, Direction::Read);
            }
        }
    )+};
}

listener! {
    TcpListener => TcpStream, std::net::SocketAddr;
    UnixListener => UnixStream, std::os::unix::net::SocketAddr;
}

/// For the first connections it is asked each time whether one more waits, which costs about a tenth
/// of an accept(2) that finds none. A longer queue is better drained without asking.
const ASK_BEFORE: usize = 8;

/// The connections that wait at a listener, accepted one after another: see
/// [`TcpListener::accept_all`] and [`UnixListener::accept_all`].
///
/// It ends when none is left, without paying for an accept(2) that finds none in the common case of
/// few, and keeps the contract of edge-triggered registrations: the next connection is reported.
/// Connections that were given up by their peer before they were accepted are passed over.
///
/// With a level trigger the poller reports what is left, so `accept_all().take(1)` for each event asks nothing at all. That
/// is the least for connections that come one at a time, and a little more for those that come in bursts.
///
/// An error ends it. When the process or the system is out of descriptors or memory
/// (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), the connections stay in the queue, and an edge-triggered
/// poller stays silent about them until the next one comes, or, where the kernel knows no edges, for some
/// [time](crate::Capabilities::edge_recheck): after something was closed, iterate anew, or
/// [`rearm`](crate::Registered::rearm) the listener. Whoever stops before the end does the same.
#[must_use = "connections are accepted by iterating"]
pub struct AcceptAll<'listener, L> {
    listener: &'listener L,
    accepted: usize,
    ended: bool,
}

impl<'listener, L> AcceptAll<'listener, L> {
    pub(super) fn new(listener: &'listener L) -> AcceptAll<'listener, L> {
        AcceptAll { listener, accepted: 0, ended: false }
    }
}

impl<L: Listener> AcceptAll<'_, L> {
    fn accept(&mut self) -> io::Result<Option<(L::Stream, L::Address)>> {
        // If the question fails, a signal having interrupted it, accepting answers it.
        if (1..=ASK_BEFORE).contains(&self.accepted)
            && self.listener.ready_now().is_ok_and(|ready| ready.is_empty())
        {
            // A connection that arrives from here on is a new edge.
            self.listener.drained();
            return Ok(None);
        }
        loop {
            match self.listener.accept() {
                Ok(connection) => return Ok(Some(connection)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Errors that accept(2) passes on from the connection it has just taken off the queue, and an
/// interruption, which takes none.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
    ) || matches!(error.raw_os_error(), Some(libc::EPROTO | libc::ENOPROTOOPT | libc::EHOSTDOWN))
}

impl<L: Listener> Iterator for AcceptAll<'_, L> {
    type Item = io::Result<(L::Stream, L::Address)>;

    fn next(&mut self) -> Option<io::Result<(L::Stream, L::Address)>> {
        if self.ended {
            return None;
        }
        let accepted = self.accept().transpose();
        self.accepted += 1;
        self.ended = !matches!(accepted, Some(Ok(_)));
        accepted
    }
}

impl<L: Listener> FusedIterator for AcceptAll<'_, L> {}

impl<L> fmt::Debug for AcceptAll<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptAll")
            .field("accepted", &self.accepted)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
