use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use socket2::{Domain, Type};

use super::begin_connect;
use super::methods::{of_connections, of_data_sockets, of_every_socket};
use crate::io_source::{IoSource, descriptor_owner, reads, writes};
use crate::platform;

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

    of_every_socket!(net::UnixStream, SocketAddr);
    of_data_sockets!(SocketAddr);
    of_connections!();
}

impl From<UnixStream> for net::UnixStream {
    fn from(stream: UnixStream) -> net::UnixStream {
        stream.inner.into_inner()
    }
}
