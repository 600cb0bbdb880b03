use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use socket2::SockRef;

use super::methods::of_every_socket;
use super::{AcceptAll, UnixStream};
use crate::io_source::{IoSource, descriptor_owner};
use crate::platform;
use crate::rearm::Direction;

/// A Unix domain socket that accepts connections.
///
/// The file at its path is the caller's: it stays when the listener is closed, and binding to a path
/// that exists fails.
pub struct UnixListener {
    pub(super) inner: IoSource<net::UnixListener>,
}

descriptor_owner!(UnixListener, net::UnixListener);

impl UnixListener {
    /// `socket`, `bind`, `listen`—Listens at a path.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`: the path exists. `ENAMETOOLONG` or `InvalidInput`: longer than 107 bytes, or with a
    /// NUL byte. `EACCES`, `ENOENT`, `EMFILE`.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        UnixListener::bind_addr(&SocketAddr::from_pathname(path)?)
    }

    /// As [`bind`](UnixListener::bind), at an address that may be abstract (Linux).
    ///
    /// # Errors
    ///
    /// As [`bind`](UnixListener::bind).
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use std::os::linux::net::SocketAddrExt;
    /// use std::os::unix::net::SocketAddr;
    /// use wakeful::net::{UnixListener, UnixStream};
    ///
    /// let name = format!("wakeful-example-{}", std::process::id());
    /// let address = SocketAddr::from_abstract_name(name)?;
    /// let listener = UnixListener::bind_addr(&address)?;
    /// let client = UnixStream::connect_addr(&address)?;
    /// let (server, _) = listener.accept()?;
    /// # drop((client, server));
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let listener = net::UnixListener::bind_addr(address)?;
        listener.set_nonblocking(true)?;
        Ok(UnixListener::from_std(listener))
    }

    /// Takes over a listener of std's, which must be [non-blocking](net::UnixListener::set_nonblocking).
    pub fn from_std(listener: net::UnixListener) -> UnixListener {
        UnixListener { inner: IoSource::new(listener) }
    }

    /// `accept4`—Accepts one connection, non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): none waits. `EMFILE` and `ENFILE`: the connection stays
    /// in the queue.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.inner.run(Direction::Read, |inner| {
            let (socket, address) = platform::accept(&SockRef::from(inner))?;
            // A peer may have bound itself to a path too long for std's type. That is no reason to
            // lose the connection: its address counts as unnamed.
            let address = match platform::from_socket2(&address) {
                Ok(address) => address,
                Err(_) => SocketAddr::from_pathname("")?,
            };
            Ok((UnixStream::from_std(socket.into()), address))
        })
    }

    /// Accepts every connection that waits; see [`AcceptAll`].
    pub fn accept_all(&self) -> AcceptAll<'_, UnixListener> {
        AcceptAll::new(self)
    }

    of_every_socket!(net::UnixListener, SocketAddr);
}

impl From<UnixListener> for net::UnixListener {
    fn from(listener: UnixListener) -> net::UnixListener {
        listener.inner.into_inner()
    }
}
