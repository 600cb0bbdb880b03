use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use wakeful::net as wakeful;

use crate::io_source::{IoSource, delegate, io_type, reads, try_io, writes};

/// A Unix domain socket that accepts connections.
pub struct UnixListener {
    inner: IoSource<wakeful::UnixListener>,
}

io_type!(UnixListener, wakeful::UnixListener);

impl UnixListener {
    /// Listens at a path, which must not exist yet.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`: the path exists. `EACCES`, `ENOENT`, `EMFILE`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        wakeful::UnixListener::bind(path).map(UnixListener::from_wakeful)
    }

    /// Listens at an address, which may be abstract (Linux).
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixListener::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        wakeful::UnixListener::bind_addr(address).map(UnixListener::from_wakeful)
    }

    /// Takes over a listener of std's, which must be non-blocking.
    pub fn from_std(listener: net::UnixListener) -> UnixListener {
        UnixListener::from_wakeful(wakeful::UnixListener::from_std(listener))
    }

    /// Accepts one connection, non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): none waits. Others are those of accept(2).
    #[inline]
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, address) = self.inner.get().accept()?;
        Ok((UnixStream::from_wakeful(stream), address))
    }

    delegate! {
        /// This end's address.
        fn local_addr(&self) -> io::Result<SocketAddr>;
        /// `SO_ERROR`: takes the pending error.
        fn take_error(&self) -> io::Result<Option<io::Error>>;
    }
}

impl From<UnixListener> for net::UnixListener {
    fn from(listener: UnixListener) -> net::UnixListener {
        listener.inner.into_inner().into()
    }
}

/// A connection between two Unix domain sockets.
pub struct UnixStream {
    inner: IoSource<wakeful::UnixStream>,
}

io_type!(UnixStream, wakeful::UnixStream);
reads!(UnixStream, &UnixStream);
writes!(UnixStream, &UnixStream);

impl UnixStream {
    /// Connects to a listener's path.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `ECONNREFUSED`; [`WouldBlock`](io::ErrorKind::WouldBlock): the listener's queue is full.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        wakeful::UnixStream::connect(path).map(UnixStream::from_wakeful)
    }

    /// Connects to a listener's address, which may be abstract (Linux).
    ///
    /// # Errors
    ///
    /// As [`connect`](UnixStream::connect).
    pub fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        wakeful::UnixStream::connect_addr(address).map(UnixStream::from_wakeful)
    }

    /// Takes over a stream of std's, which must be non-blocking.
    pub fn from_std(stream: net::UnixStream) -> UnixStream {
        UnixStream::from_wakeful(wakeful::UnixStream::from_std(stream))
    }

    /// Two sockets connected to one another.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (left, right) = wakeful::UnixStream::pair()?;
        Ok((UnixStream::from_wakeful(left), UnixStream::from_wakeful(right)))
    }

    delegate! {
        /// This end's address.
        fn local_addr(&self) -> io::Result<SocketAddr>;
        /// The other end's address.
        fn peer_addr(&self) -> io::Result<SocketAddr>;
        /// `SO_ERROR`: takes the pending error.
        fn take_error(&self) -> io::Result<Option<io::Error>>;
        /// Ends one direction or both.
        fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    }
    try_io!();
}

impl From<UnixStream> for net::UnixStream {
    fn from(stream: UnixStream) -> net::UnixStream {
        stream.inner.into_inner().into()
    }
}

/// A Unix domain socket for datagrams.
pub struct UnixDatagram {
    inner: IoSource<wakeful::UnixDatagram>,
}

io_type!(UnixDatagram, wakeful::UnixDatagram);

impl UnixDatagram {
    /// A socket at a path, which must not exist yet.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`: the path exists. `EACCES`, `ENOENT`, `EMFILE`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        wakeful::UnixDatagram::bind(path).map(UnixDatagram::from_wakeful)
    }

    /// A socket at an address, which may be abstract (Linux).
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixDatagram::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        wakeful::UnixDatagram::bind_addr(address).map(UnixDatagram::from_wakeful)
    }

    /// Takes over a socket of std's, which must be non-blocking.
    pub fn from_std(socket: net::UnixDatagram) -> UnixDatagram {
        UnixDatagram::from_wakeful(wakeful::UnixDatagram::from_std(socket))
    }

    /// Takes datagrams from the socket at this path only, and sends there by default.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `ECONNREFUSED`.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.inner.get().connect(path)
    }

    /// A socket without an address, from which datagrams can be sent.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    pub fn unbound() -> io::Result<UnixDatagram> {
        wakeful::UnixDatagram::unbound().map(UnixDatagram::from_wakeful)
    }

    /// Two sockets connected to one another.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (left, right) = wakeful::UnixDatagram::pair()?;
        Ok((UnixDatagram::from_wakeful(left), UnixDatagram::from_wakeful(right)))
    }

    /// Sends a datagram to the socket at a path.
    ///
    /// # Errors
    ///
    /// Those of sendto(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.inner.get().send_to(buf, path)
    }

    delegate! {
        /// This end's address.
        fn local_addr(&self) -> io::Result<SocketAddr>;
        /// Where it is connected.
        fn peer_addr(&self) -> io::Result<SocketAddr>;
        /// Receives a datagram; what does not fit is cut off.
        fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
        /// Receives a datagram.
        fn recv(&self, buf: &mut [u8]) -> io::Result<usize>;
        /// Sends a datagram to where it is connected.
        fn send(&self, buf: &[u8]) -> io::Result<usize>;
        /// `SO_ERROR`: takes the pending error.
        fn take_error(&self) -> io::Result<Option<io::Error>>;
        /// Ends one direction or both.
        fn shutdown(&self, how: Shutdown) -> io::Result<()>;
    }
    try_io!();
}

impl From<UnixDatagram> for net::UnixDatagram {
    fn from(socket: UnixDatagram) -> net::UnixDatagram {
        socket.inner.into_inner().into()
    }
}
