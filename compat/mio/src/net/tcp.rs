use std::io;
use std::net::{self, Shutdown, SocketAddr};

use wakeful::net as wakeful;

use crate::io_source::{IoSource, delegate, io_type, reads, try_io, writes};

/// A TCP socket that accepts connections.
pub struct TcpListener {
    inner: IoSource<wakeful::TcpListener>,
}

io_type!(TcpListener, wakeful::TcpListener);

impl TcpListener {
    /// Listens on an address, with `SO_REUSEADDR`. Port 0 has the kernel choose.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `EMFILE`.
    pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        wakeful::TcpListener::bind(addr).map(TcpListener::from_wakeful)
    }

    /// Takes over a listener of std's, which must be non-blocking.
    pub fn from_std(listener: net::TcpListener) -> TcpListener {
        TcpListener::from_wakeful(wakeful::TcpListener::from_std(listener))
    }

    /// Accepts one connection, non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): none waits. Others are those of accept(2).
    #[inline]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, address) = self.inner.get().accept()?;
        Ok((TcpStream::from_wakeful(stream), address))
    }

    delegate! {
        /// This end's address.
        fn local_addr(&self) -> io::Result<SocketAddr>;
        /// `IP_TTL`: sets the time to live of its packets.
        fn set_ttl(&self, ttl: u32) -> io::Result<()>;
        /// `IP_TTL`: the time to live of its packets.
        fn ttl(&self) -> io::Result<u32>;
        /// `SO_ERROR`: takes the pending error.
        fn take_error(&self) -> io::Result<Option<io::Error>>;
    }
}

impl From<TcpListener> for net::TcpListener {
    fn from(listener: TcpListener) -> net::TcpListener {
        listener.inner.into_inner().into()
    }
}

/// A TCP connection.
pub struct TcpStream {
    inner: IoSource<wakeful::TcpStream>,
}

io_type!(TcpStream, wakeful::TcpStream);
reads!(TcpStream, &TcpStream);
writes!(TcpStream, &TcpStream);

impl TcpStream {
    /// Begins to connect. A writable event tells that it is decided: then
    /// [`take_error`](TcpStream::take_error) tells a refusal, and
    /// [`peer_addr`](TcpStream::peer_addr) succeeds once connected.
    ///
    /// # Errors
    ///
    /// Whatever is known at once: `EMFILE`, `EADDRNOTAVAIL`, `ENETUNREACH`.
    pub fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        wakeful::TcpStream::connect(addr).map(TcpStream::from_wakeful)
    }

    /// Takes over a stream of std's, which must be non-blocking.
    pub fn from_std(stream: net::TcpStream) -> TcpStream {
        TcpStream::from_wakeful(wakeful::TcpStream::from_std(stream))
    }

    delegate! {
        /// The other end's address.
        fn peer_addr(&self) -> io::Result<SocketAddr>;
        /// This end's address.
        fn local_addr(&self) -> io::Result<SocketAddr>;
        /// Ends one direction or both.
        fn shutdown(&self, how: Shutdown) -> io::Result<()>;
        /// `TCP_NODELAY`: sends small segments at once, or gathers them.
        fn set_nodelay(&self, nodelay: bool) -> io::Result<()>;
        /// `TCP_NODELAY`: whether small segments are sent at once.
        fn nodelay(&self) -> io::Result<bool>;
        /// `IP_TTL`: sets the time to live of its packets.
        fn set_ttl(&self, ttl: u32) -> io::Result<()>;
        /// `IP_TTL`: the time to live of its packets.
        fn ttl(&self) -> io::Result<u32>;
        /// `SO_ERROR`: takes the pending error.
        fn take_error(&self) -> io::Result<Option<io::Error>>;
        /// Reads without taking.
        fn peek(&self, buf: &mut [u8]) -> io::Result<usize>;
    }
    try_io!();
}

impl From<TcpStream> for net::TcpStream {
    fn from(stream: TcpStream) -> net::TcpStream {
        stream.inner.into_inner().into()
    }
}
