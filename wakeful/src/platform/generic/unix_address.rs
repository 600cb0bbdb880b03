//! Unix addresses: paths, and none.

use std::io;
use std::os::unix::net::SocketAddr;

use socket2::SockAddr;

pub(crate) fn to_socket2(address: &SocketAddr) -> io::Result<SockAddr> {
    match address.as_pathname() {
        Some(path) => SockAddr::unix(path),
        None => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

pub(crate) fn from_socket2(address: &SockAddr) -> io::Result<SocketAddr> {
    // An empty path is std's way to say: no address.
    SocketAddr::from_pathname(address.as_pathname().unwrap_or("".as_ref()))
}
