//! Non-blocking and close-on-exec by fcntl(2), right after birth.

use std::io;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

pub(crate) fn new_socket(domain: Domain, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

pub(crate) fn accept(listener: &SockRef<'_>) -> io::Result<(Socket, SockAddr)> {
    let (socket, address) = listener.accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}
