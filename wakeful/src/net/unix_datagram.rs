use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use super::methods::{of_connections, of_data_sockets, of_every_socket};
use crate::io_source::{IoSource, descriptor_owner};
use crate::rearm::Direction;

/// A Unix domain socket for datagrams.
pub struct UnixDatagram {
    inner: IoSource<net::UnixDatagram>,
}

descriptor_owner!(UnixDatagram, net::UnixDatagram);

impl UnixDatagram {
    /// `socket`, `bind`—A socket with a path, at which it can be sent to.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`: the path exists. `ENAMETOOLONG`, `EACCES`, `ENOENT`, `EMFILE`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        UnixDatagram::nonblocking(net::UnixDatagram::bind(path)?)
    }

    /// As [`bind`](UnixDatagram::bind), at an address that may be abstract (Linux).
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixDatagram::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        UnixDatagram::nonblocking(net::UnixDatagram::bind_addr(address)?)
    }

    /// `socket`—A socket without an address.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    pub fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::nonblocking(net::UnixDatagram::unbound()?)
    }

    /// `socketpair`—Two sockets connected to one another.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (left, right) = net::UnixDatagram::pair()?;
        Ok((UnixDatagram::nonblocking(left)?, UnixDatagram::nonblocking(right)?))
    }

    fn nonblocking(socket: net::UnixDatagram) -> io::Result<UnixDatagram> {
        socket.set_nonblocking(true)?;
        Ok(UnixDatagram::from_std(socket))
    }

    /// Takes over a socket of std's, which must be [non-blocking](net::UnixDatagram::set_nonblocking).
    pub fn from_std(socket: net::UnixDatagram) -> UnixDatagram {
        UnixDatagram { inner: IoSource::new(socket) }
    }

    /// `connect`—Sends to this path, and receives from it alone.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `ECONNREFUSED`.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.inner.get().connect(path)
    }

    /// As [`connect`](UnixDatagram::connect), to an address that may be abstract (Linux).
    ///
    /// # Errors
    ///
    /// As [`connect`](UnixDatagram::connect).
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.inner.get().connect_addr(address)
    }

    /// `recvfrom`—Takes a datagram, cut off at the size of the buffer; says how long and from where.
    ///
    /// # Errors
    ///
    /// Those of recvfrom(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.inner.run(Direction::Read, |inner| inner.recv_from(buffer))
    }

    /// `recv`—Takes a datagram, cut off at the size of the buffer.
    ///
    /// # Errors
    ///
    /// Those of recv(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.run(Direction::Read, |inner| inner.recv(buffer))
    }

    /// `sendto`—Sends a datagram to a path.
    ///
    /// # Errors
    ///
    /// Those of sendto(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them. On the BSDs and macOS a receiver without
    /// room is `ENOBUFS` instead, and the socket stays writable: no event tells of room, so try again later.
    pub fn send_to<P: AsRef<Path>>(&self, datagram: &[u8], path: P) -> io::Result<usize> {
        self.inner.run(Direction::Write, |inner| inner.send_to(datagram, path))
    }

    /// As [`send_to`](UnixDatagram::send_to), to an address that may be abstract (Linux).
    ///
    /// # Errors
    ///
    /// As [`send_to`](UnixDatagram::send_to).
    pub fn send_to_addr(&self, datagram: &[u8], address: &SocketAddr) -> io::Result<usize> {
        self.inner.run(Direction::Write, |inner| inner.send_to_addr(datagram, address))
    }

    /// `send`—Sends a datagram to where it is connected.
    ///
    /// # Errors
    ///
    /// Those of send(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them. On the BSDs and macOS a receiver without
    /// room is `ENOBUFS` instead, and the socket stays writable: no event tells of room, so try again later.
    pub fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.inner.run(Direction::Write, |inner| inner.send(datagram))
    }

    of_every_socket!(net::UnixDatagram, SocketAddr);
    of_data_sockets!(SocketAddr);
    of_connections!();
}

impl From<UnixDatagram> for net::UnixDatagram {
    fn from(socket: UnixDatagram) -> net::UnixDatagram {
        socket.inner.into_inner()
    }
}
