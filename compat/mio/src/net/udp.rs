use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};

use wakeful::net as wakeful;

use crate::io_source::{IoSource, delegate, io_type, try_io};

/// A UDP socket.
pub struct UdpSocket {
    inner: IoSource<wakeful::UdpSocket>,
}

io_type!(UdpSocket, wakeful::UdpSocket);

impl UdpSocket {
    /// A socket on an address. Port 0 has the kernel choose.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `EMFILE`.
    pub fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
        wakeful::UdpSocket::bind(addr).map(UdpSocket::from_wakeful)
    }

    /// Takes over a socket of std's, which must be non-blocking.
    pub fn from_std(socket: net::UdpSocket) -> UdpSocket {
        UdpSocket::from_wakeful(wakeful::UdpSocket::from_std(socket))
    }

    delegate! {
        /// This end's address.
        fn local_addr(&self) -> io::Result<SocketAddr>;
        /// Where it is connected.
        fn peer_addr(&self) -> io::Result<SocketAddr>;
        /// Sends a datagram.
        fn send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize>;
        /// Receives a datagram; what does not fit is cut off.
        fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
        /// Receives a datagram without taking it.
        fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
        /// Sends a datagram to where it is connected.
        fn send(&self, buf: &[u8]) -> io::Result<usize>;
        /// Receives a datagram from where it is connected.
        fn recv(&self, buf: &mut [u8]) -> io::Result<usize>;
        /// Receives a datagram from where it is connected, without taking it.
        fn peek(&self, buf: &mut [u8]) -> io::Result<usize>;
        /// Takes datagrams from this address only, and sends there by default.
        fn connect(&self, addr: SocketAddr) -> io::Result<()>;
        /// `SO_BROADCAST`: allows to send to broadcast addresses.
        fn set_broadcast(&self, on: bool) -> io::Result<()>;
        /// `SO_BROADCAST`.
        fn broadcast(&self) -> io::Result<bool>;
        /// `IP_MULTICAST_LOOP`: whether this host receives what it sends to its groups.
        fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()>;
        /// `IP_MULTICAST_LOOP`.
        fn multicast_loop_v4(&self) -> io::Result<bool>;
        /// `IP_MULTICAST_TTL`: how many routers multicast datagrams pass.
        fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()>;
        /// `IP_MULTICAST_TTL`.
        fn multicast_ttl_v4(&self) -> io::Result<u32>;
        /// `IPV6_MULTICAST_LOOP`: whether this host receives what it sends to its groups.
        fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()>;
        /// `IPV6_MULTICAST_LOOP`.
        fn multicast_loop_v6(&self) -> io::Result<bool>;
        /// `IP_TTL`: sets the time to live of its packets.
        fn set_ttl(&self, ttl: u32) -> io::Result<()>;
        /// `IP_TTL`: the time to live of its packets.
        fn ttl(&self) -> io::Result<u32>;
        /// `IP_ADD_MEMBERSHIP`: joins a group, on the interface with this address.
        fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()>;
        /// `IPV6_ADD_MEMBERSHIP`: joins a group, on the interface with this index.
        fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()>;
        /// `IP_DROP_MEMBERSHIP`: leaves a group.
        fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()>;
        /// `IPV6_DROP_MEMBERSHIP`: leaves a group.
        fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()>;
        /// `IPV6_V6ONLY`: whether an IPv6 socket keeps to IPv6.
        fn only_v6(&self) -> io::Result<bool>;
        /// `SO_ERROR`: takes the pending error.
        fn take_error(&self) -> io::Result<Option<io::Error>>;
    }
    try_io!();
}

impl From<UdpSocket> for net::UdpSocket {
    fn from(socket: UdpSocket) -> net::UdpSocket {
        socket.inner.into_inner().into()
    }
}
