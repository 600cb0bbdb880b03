use std::io;
use std::net::{self, SocketAddr};

use socket2::{Domain, Type};

use super::begin_connect;
use super::methods::{of_connections, of_data_sockets, of_every_socket, of_internet_sockets};
use crate::io_source::{IoSource, descriptor_owner, reads, writes};
use crate::platform;

/// A TCP connection.
///
/// ```
/// use wakeful::net::{TcpListener, TcpStream};
/// use wakeful::{Events, Interest, Poll, Token};
///
/// let mut poll = Poll::new()?;
/// let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// let stream = poll.registry().register_owned(stream, Token(0), Interest::WRITABLE)?;
///
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// if let Some(error) = stream.take_error()? {
///     return Err(error); // the connection was refused
/// }
/// println!("connected to {}", stream.peer_addr()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpStream {
    inner: IoSource<net::TcpStream>,
}

descriptor_owner!(TcpStream, net::TcpStream);
reads!(TcpStream, &TcpStream);
writes!(TcpStream, &TcpStream);

impl TcpStream {
    /// `socket`, `connect`—Begins to connect, and does not wait for the outcome.
    ///
    /// The first writable event tells that it is decided: then [`take_error`](TcpStream::take_error)
    /// tells a refusal, and [`peer_addr`](TcpStream::peer_addr) succeeds once connected.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `EADDRNOTAVAIL` when no local port is left, `ENETUNREACH`, and whatever
    /// else is known at once.
    pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let socket = platform::new_socket(Domain::for_address(address), Type::STREAM)?;
        begin_connect(&socket, &address.into())?;
        Ok(TcpStream::from_std(socket.into()))
    }

    /// Takes over a stream of std's, which must be [non-blocking](net::TcpStream::set_nonblocking).
    pub fn from_std(stream: net::TcpStream) -> TcpStream {
        TcpStream { inner: IoSource::new(stream) }
    }

    /// `TCP_NODELAY`—Sends small segments at once, or gathers them.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.inner.get().set_nodelay(nodelay)
    }

    /// `TCP_NODELAY`—Whether small segments are sent at once.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.inner.get().nodelay()
    }

    /// `recv(MSG_PEEK)`—Reads without taking.
    ///
    /// It drains nothing, so with an edge trigger the socket is reported again only once more has
    /// come. On event ports and poll(2) that is found by rechecking, at most
    /// [`Capabilities::edge_recheck`](crate::Capabilities::edge_recheck) later, and what was only
    /// peeked at is reported several times a second.
    ///
    /// # Errors
    ///
    /// Those of recv(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.peek(|inner| inner.peek(buffer))
    }

    of_every_socket!(net::TcpStream, SocketAddr);
    of_data_sockets!(SocketAddr);
    of_connections!();
    of_internet_sockets!();
}

impl From<TcpStream> for net::TcpStream {
    fn from(stream: TcpStream) -> net::TcpStream {
        stream.inner.into_inner()
    }
}
