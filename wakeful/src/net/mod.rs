//! TCP, UDP and Unix domain sockets, non-blocking from birth.
//!
//! Each type is a std socket and as large as one. It reads and writes through `&self`, and tells
//! pollers that have no edge of their own when it was drained, so use its methods, or
//! [`try_io`](TcpStream::try_io) for those of other libraries. Options that have no method here are
//! set through the `socket2` crate's `SockRef::from(&socket)`.
//!
//! ```
//! use socket2::SockRef;
//! use wakeful::Interest;
//! use wakeful::net::{TcpListener, TcpStream};
//!
//! let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
//! let stream = TcpStream::connect(listener.local_addr()?)?;
//! SockRef::from(&stream).set_keepalive(true)?;
//! let mut buffer = [std::mem::MaybeUninit::uninit(); 16];
//! let receive = || SockRef::from(&stream).recv(&mut buffer);
//! let error = stream.try_io_when(Interest::READABLE, receive).unwrap_err();
//! assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
//! # Ok::<(), std::io::Error>(())
//! ```

mod accept_all;
mod methods;
mod tcp_listener;
mod tcp_stream;
mod udp_socket;
mod unix_datagram;
mod unix_listener;
mod unix_stream;

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, SockAddr, Socket, Type};

pub use accept_all::{AcceptAll, Listener};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use udp_socket::UdpSocket;
pub use unix_datagram::UnixDatagram;
pub use unix_listener::UnixListener;
pub use unix_stream::UnixStream;

use crate::platform;

/// How many established connections may wait to be accepted; the kernel lowers it to its own limit.
const BACKLOG: i32 = 4096;

/// A socket bound to an address; with `reuse_port`, beside others bound to the same.
fn bound_socket(address: SocketAddr, kind: Type, reuse_port: bool) -> io::Result<Socket> {
    let socket = platform::new_socket(Domain::for_address(address), kind)?;
    if kind == Type::STREAM {
        // So that a server can be restarted while connections of its predecessor linger.
        socket.set_reuse_address(true)?;
    }
    if reuse_port {
        platform::set_reuse_port(&socket)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Begins to connect. That it goes on in the background is no error.
fn begin_connect(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    match socket.connect(address) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(()),
    }
}
