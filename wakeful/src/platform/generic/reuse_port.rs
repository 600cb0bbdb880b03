//! Where several sockets cannot share an address.

use std::io;

use socket2::Socket;

pub(crate) fn set_reuse_port(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no SO_REUSEPORT: share one listener among the loops instead",
    ))
}
