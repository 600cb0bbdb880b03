use std::io;
use std::net::{self, Shutdown, SocketAddr};

use socket2::{Domain, Type};

use super::begin_connect;
use crate::Interest;
use crate::io_source::{IoSource, descriptor_owner, reads, writes};
use crate::platform;
use crate::rearm::Direction;

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

    /// `getpeername`—The other end's address.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` while connecting.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().peer_addr()
    }

    /// `getsockname`—This end's address.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().local_addr()
    }

    /// `shutdown`—Ends one direction or both.
    ///
    /// # Errors
    ///
    /// `ENOTCONN`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.get().shutdown(how)
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

    /// `IP_TTL`—Sets the time to live of its packets.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.get().set_ttl(ttl)
    }

    /// `IP_TTL`—The time to live of its packets.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.get().ttl()
    }

    /// `SO_ERROR`—Takes the pending error.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.take_error(net::TcpStream::take_error)
    }

    /// `recv(MSG_PEEK)`—Reads without taking.
    ///
    /// # Errors
    ///
    /// Those of recv(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.run(Direction::Read, |inner| inner.peek(buffer))
    }

    /// Runs an I/O operation of another library's on this socket.
    ///
    /// The operation must be tried on this very socket and must answer with `WouldBlock` when that
    /// would block, so that the poller hears of it.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    ///
    /// ```
    /// use socket2::SockRef;
    /// # use wakeful::net::{TcpListener, TcpStream};
    ///
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
    /// # let stream = TcpStream::connect(listener.local_addr()?)?;
    /// let mut buffer = [std::mem::MaybeUninit::uninit(); 16];
    /// let urgent = stream.try_io(|| SockRef::from(&stream).recv_out_of_band(&mut buffer));
    /// # assert!(urgent.is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_io<F, T>(&self, operation: F) -> io::Result<T>
    where
        F: FnOnce() -> io::Result<T>,
    {
        self.inner.run(Direction::Any, |_| operation())
    }

    /// As [`try_io`](TcpStream::try_io), saying what the operation waits for: reading or writing.
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

impl From<TcpStream> for net::TcpStream {
    fn from(stream: TcpStream) -> net::TcpStream {
        stream.inner.into_inner()
    }
}
