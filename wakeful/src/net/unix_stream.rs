use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use socket2::{Domain, Type};

use super::begin_connect;
use crate::Interest;
use crate::io_source::{IoSource, descriptor_owner, reads, writes};
use crate::platform;
use crate::rearm::Direction;

/// A connection between two Unix domain sockets.
pub struct UnixStream {
    inner: IoSource<net::UnixStream>,
}

descriptor_owner!(UnixStream, net::UnixStream);
reads!(UnixStream, &UnixStream);
writes!(UnixStream, &UnixStream);

impl UnixStream {
    /// `socket`, `connect`—Connects to a listener's path.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `ECONNREFUSED`; `InvalidInput`: longer than 107 bytes, or with a NUL byte; [`WouldBlock`](io::ErrorKind::WouldBlock): the listener's queue is full, so
    /// try again later (there is no event for it).
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// As [`connect`](UnixStream::connect), to an address that may be abstract (Linux).
    ///
    /// # Errors
    ///
    /// As [`connect`](UnixStream::connect); `EINVAL` for an unnamed address.
    pub fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let socket = platform::new_socket(Domain::UNIX, Type::STREAM)?;
        begin_connect(&socket, &platform::to_socket2(address)?)?;
        Ok(UnixStream::from_std(socket.into()))
    }

    /// `socketpair`—Two sockets connected to one another.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (left, right) = net::UnixStream::pair()?;
        left.set_nonblocking(true)?;
        right.set_nonblocking(true)?;
        Ok((UnixStream::from_std(left), UnixStream::from_std(right)))
    }

    /// Takes over a stream of std's, which must be [non-blocking](net::UnixStream::set_nonblocking).
    pub fn from_std(stream: net::UnixStream) -> UnixStream {
        UnixStream { inner: IoSource::new(stream) }
    }

    /// `getsockname`—This end's address.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().local_addr()
    }

    /// `getpeername`—The other end's address.
    ///
    /// # Errors
    ///
    /// `ENOTCONN`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().peer_addr()
    }

    /// `SO_ERROR`—Takes the pending error.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error(net::UnixStream::take_error)
    }

    /// `shutdown`—Ends one direction or both.
    ///
    /// # Errors
    ///
    /// `ENOTCONN`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.get().shutdown(how)
    }

    /// Runs an I/O operation of another library's on this socket.
    ///
    /// The operation must be tried on this very socket and must answer with `WouldBlock` when that
    /// would block, so that the poller hears of it.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    pub fn try_io<F, T>(&self, operation: F) -> io::Result<T>
    where
        F: FnOnce() -> io::Result<T>,
    {
        self.inner.run(Direction::Any, |_| operation())
    }

    /// As [`try_io`](UnixStream::try_io), saying what the operation waits for: reading or writing.
    ///
    /// Under [`EdgeRule::AfterWouldBlock`](crate::EdgeRule::AfterWouldBlock) only that direction is
    /// armed again, which spares a spurious event of the other; elsewhere the two are the same.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    pub fn try_io_when<F, T>(&self, interest: Interest, operation: F) -> io::Result<T>
    where
        F: FnOnce() -> io::Result<T>,
    {
        self.inner.run(Direction::of(interest), |_| operation())
    }
}

impl From<UnixStream> for net::UnixStream {
    fn from(stream: UnixStream) -> net::UnixStream {
        stream.inner.into_inner()
    }
}
