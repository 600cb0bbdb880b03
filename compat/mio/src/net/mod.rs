//! TCP, UDP and Unix domain sockets, non-blocking from birth, and in release builds as large as std's.

mod tcp;
mod udp;
mod unix;

pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixStream};
