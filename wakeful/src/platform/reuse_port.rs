//! SO_REUSEPORT: several sockets on one address.

use std::io;

use socket2::Socket;

pub(crate) fn set_reuse_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}
