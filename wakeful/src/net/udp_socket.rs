use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{SockRef, Type};

use super::bound_socket;
use super::methods::{of_data_sockets, of_every_socket, of_internet_sockets};
use crate::io_source::{IoSource, descriptor_owner};
use crate::rearm::Direction;

/// A UDP socket.
///
/// ```
/// use wakeful::net::UdpSocket;
/// use wakeful::{Events, Interest, Poll, Token};
///
/// let mut poll = Poll::new()?;
/// let receiver = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
/// let receiver = poll.registry().register_owned(receiver, Token(0), Interest::READABLE)?;
/// let sender = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
/// sender.send_to(b"hello", receiver.local_addr()?)?;
///
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// let mut buffer = [0; 16];
/// assert_eq!(receiver.recv_from(&mut buffer)?, (5, sender.local_addr()?));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket {
    inner: IoSource<net::UdpSocket>,
}

descriptor_owner!(UdpSocket, net::UdpSocket);

impl UdpSocket {
    /// `socket`, `bind`—A socket on an address. Port 0 has the kernel choose.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `EMFILE`.
    pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
        Ok(UdpSocket::from_std(bound_socket(address, Type::DGRAM, false)?.into()))
    }

    /// As [`bind`](UdpSocket::bind), with `SO_REUSEPORT`: beside other sockets on the same address,
    /// among which the kernel distributes the datagrams. One for each of several loops.
    ///
    /// # Errors
    ///
    /// As [`bind`](UdpSocket::bind); `EADDRINUSE` if another socket lacks the option.
    #[doc(alias = "SO_REUSEPORT")]
    pub fn bind_reuse_port(address: SocketAddr) -> io::Result<UdpSocket> {
        Ok(UdpSocket::from_std(bound_socket(address, Type::DGRAM, true)?.into()))
    }

    /// Takes over a socket of std's, which must be [non-blocking](net::UdpSocket::set_nonblocking).
    pub fn from_std(socket: net::UdpSocket) -> UdpSocket {
        UdpSocket { inner: IoSource::new(socket) }
    }

    /// `connect`—Sends to this address, and receives from it alone.
    ///
    /// # Errors
    ///
    /// Those of connect(2).
    pub fn connect(&self, address: SocketAddr) -> io::Result<()> {
        self.inner.get().connect(address)
    }

    /// `sendto`—Sends a datagram to an address.
    ///
    /// # Errors
    ///
    /// Those of sendto(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them. On the BSDs and macOS a full queue of the
    /// interface is `ENOBUFS` instead: no event tells of room, so try again later.
    pub fn send_to(&self, datagram: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.inner.run(Direction::Write, |inner| inner.send_to(datagram, target))
    }

    /// `recvfrom`—Takes a datagram, cut off at the size of the buffer; says how long and from where.
    ///
    /// # Errors
    ///
    /// Those of recvfrom(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.inner.run(Direction::Read, |inner| inner.recv_from(buffer))
    }

    /// `recvfrom(MSG_PEEK)`—As [`recv_from`](UdpSocket::recv_from), without taking it; see
    /// [`peek`](UdpSocket::peek).
    ///
    /// # Errors
    ///
    /// Those of recvfrom(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them.
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.inner.peek(|inner| inner.peek_from(buffer))
    }

    /// `send`—Sends a datagram to where it is connected.
    ///
    /// # Errors
    ///
    /// Those of send(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them. On the BSDs and macOS a full queue of the
    /// interface is `ENOBUFS` instead: no event tells of room, so try again later.
    pub fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.inner.run(Direction::Write, |inner| inner.send(datagram))
    }

    /// `recv`—Takes a datagram, cut off at the size of the buffer.
    ///
    /// # Errors
    ///
    /// Those of recv(2), [`WouldBlock`](io::ErrorKind::WouldBlock) among them.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.run(Direction::Read, |inner| inner.recv(buffer))
    }

    /// `recv(MSG_PEEK)`—As [`recv`](UdpSocket::recv), without taking it.
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

    /// `IPV6_V6ONLY`—Whether an IPv6 socket leaves IPv4 to others.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2); `ENOPROTOOPT` or `EOPNOTSUPP` for an IPv4 socket.
    pub fn only_v6(&self) -> io::Result<bool> {
        SockRef::from(self.inner.get()).only_v6()
    }

    /// `IP_ADD_MEMBERSHIP`—Joins a multicast group on the interface with this address.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.inner.get().join_multicast_v4(group, interface)
    }

    /// `IPV6_ADD_MEMBERSHIP`—Joins a multicast group on the interface with this index; 0 is any.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner.get().join_multicast_v6(group, interface)
    }

    /// `IP_DROP_MEMBERSHIP`—Leaves a multicast group.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.inner.get().leave_multicast_v4(group, interface)
    }

    /// `IPV6_DROP_MEMBERSHIP`—Leaves a multicast group.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner.get().leave_multicast_v6(group, interface)
    }

    /// `SO_BROADCAST`—Whether it may send to broadcast addresses.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn broadcast(&self) -> io::Result<bool> {
        self.inner.get().broadcast()
    }

    /// `SO_BROADCAST`—Sets it: see [`broadcast`](UdpSocket::broadcast).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.inner.get().set_broadcast(on)
    }

    /// `IP_MULTICAST_LOOP`—Whether its multicast packets come back to this host.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.inner.get().multicast_loop_v4()
    }

    /// `IP_MULTICAST_LOOP`—Sets it: see [`multicast_loop_v4`](UdpSocket::multicast_loop_v4).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.inner.get().set_multicast_loop_v4(on)
    }

    /// `IP_MULTICAST_TTL`—The time to live of its multicast packets.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.inner.get().multicast_ttl_v4()
    }

    /// `IP_MULTICAST_TTL`—Sets it: see [`multicast_ttl_v4`](UdpSocket::multicast_ttl_v4).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.inner.get().set_multicast_ttl_v4(ttl)
    }

    /// `IPV6_MULTICAST_LOOP`—Whether its multicast packets come back to this host.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.inner.get().multicast_loop_v6()
    }

    /// `IPV6_MULTICAST_LOOP`—Sets it: see [`multicast_loop_v6`](UdpSocket::multicast_loop_v6).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.inner.get().set_multicast_loop_v6(on)
    }

    of_every_socket!(net::UdpSocket, SocketAddr);
    of_data_sockets!(SocketAddr);
    of_internet_sockets!();
}

impl From<UdpSocket> for net::UdpSocket {
    fn from(socket: UdpSocket) -> net::UdpSocket {
        socket.inner.into_inner()
    }
}
