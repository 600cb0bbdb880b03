//! Non-blocking and close-on-exec from birth: SOCK_NONBLOCK, SOCK_CLOEXEC, accept4(2).

use std::io;

use libc::{SOCK_CLOEXEC, SOCK_NONBLOCK};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

pub(crate) fn new_socket(domain: Domain, kind: Type) -> io::Result<Socket> {
    Socket::new_raw(domain, kind.nonblocking().cloexec(), None)
}

pub(crate) fn accept(listener: &SockRef<'_>) -> io::Result<(Socket, SockAddr)> {
    listener.accept4(SOCK_CLOEXEC | SOCK_NONBLOCK)
}
