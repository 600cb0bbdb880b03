use std::io;
use std::net::{self, SocketAddr};

use socket2::{SockRef, Type};

use super::methods::{of_every_socket, of_internet_sockets};
use super::{AcceptAll, BACKLOG, TcpStream, bound_socket};
use crate::io_source::{IoSource, descriptor_owner};
use crate::platform;
use crate::rearm::Direction;

/// A TCP socket that accepts connections.
///
/// ```
/// use wakeful::net::{TcpListener, TcpStream};
/// use wakeful::{Events, Interest, Poll, Token};
///
/// let mut poll = Poll::new()?;
/// let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
/// let listener = poll.registry().register_owned(listener, Token(0), Interest::READABLE)?;
/// let client = TcpStream::connect(listener.local_addr()?)?;
///
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// for connection in listener.accept_all() {
///     let (stream, address) = connection?;
///     assert_eq!(address, client.local_addr()?);
///     # drop(stream);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpListener {
    pub(super) inner: IoSource<net::TcpListener>,
}

descriptor_owner!(TcpListener, net::TcpListener);

impl TcpListener {
    /// `socket`, `SO_REUSEADDR`, `bind`, `listen`—Listens on an address. Port 0 has the kernel choose.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES` for a privileged port, `EMFILE`, `ENFILE`.
    pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::listen(address, false)
    }

    /// As [`bind`](TcpListener::bind), with `SO_REUSEPORT`: beside other listeners on the same
    /// address, among which the kernel distributes the connections. One for each of several loops.
    ///
    /// # Errors
    ///
    /// As [`bind`](TcpListener::bind); `EADDRINUSE` if another listener lacks the option.
    #[doc(alias = "SO_REUSEPORT")]
    pub fn bind_reuse_port(address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::listen(address, true)
    }

    fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
        let socket = bound_socket(address, Type::STREAM, reuse_port)?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from_std(socket.into()))
    }

    /// Takes over a listener of std's, which must be [non-blocking](net::TcpListener::set_nonblocking).
    pub fn from_std(listener: net::TcpListener) -> TcpListener {
        TcpListener { inner: IoSource::new(listener) }
    }

    /// `accept4`—Accepts one connection, non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): none waits. `EMFILE` and `ENFILE`: the connection stays
    /// in the queue. `ECONNABORTED`: its peer gave it up.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.inner.run(Direction::Read, |inner| {
            let (socket, address) = platform::accept(&SockRef::from(inner))?;
            let address = address.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
            Ok((TcpStream::from_std(socket.into()), address))
        })
    }

    /// Accepts every connection that waits; see [`AcceptAll`].
    pub fn accept_all(&self) -> AcceptAll<'_, TcpListener> {
        AcceptAll::new(self)
    }

    of_every_socket!(net::TcpListener, SocketAddr);
    of_internet_sockets!();
}

impl From<TcpListener> for net::TcpListener {
    fn from(listener: TcpListener) -> net::TcpListener {
        listener.inner.into_inner()
    }
}
