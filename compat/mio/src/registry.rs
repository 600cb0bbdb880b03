use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::debug::Identity;
use crate::event::Source;
use crate::{Interest, Token};

/// Registers sources with a [`Poll`](crate::Poll), from any thread.
pub struct Registry {
    pub(crate) inner: wakeful::Registry,
    pub(crate) identity: Identity,
}

/// mio's trace of a registration, if there is a logger.
macro_rules! trace {
    ($($message:tt)+) => {
        #[cfg(feature = "log")]
        log::trace!($($message)+);
    };
}

impl Registry {
    pub(crate) fn new(inner: wakeful::Registry) -> Registry {
        Registry { inner, identity: Identity::new() }
    }

    /// Starts to report `source` under `token`, edge-triggered: at least one event after every change
    /// from not ready to ready.
    ///
    /// A source is registered once; see [`reregister`](Registry::reregister).
    ///
    /// # Errors
    ///
    /// Those of the operating system; in debug builds
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) for a socket or pipe registered already.
    ///
    /// ```
    /// # #[cfg(feature = "net")] {
    /// use mio::{Interest, Poll, Token, net::UdpSocket};
    ///
    /// let poll = Poll::new()?;
    /// let mut socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
    /// poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
    /// poll.registry().reregister(&mut socket, Token(1), Interest::WRITABLE)?;
    /// poll.registry().deregister(&mut socket)?;
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn register<S>(&self, source: &mut S, token: Token, interests: Interest) -> io::Result<()>
    where
        S: Source + ?Sized,
    {
        trace!("register an event source: token={token:?}, interests={interests:?}");
        source.register(self, token, interests)
    }

    /// Replaces the token and the interest of `source`, and reports it if it is ready.
    ///
    /// # Errors
    ///
    /// Those of the operating system; in debug builds [`NotFound`](io::ErrorKind::NotFound) for a
    /// socket or pipe that is not registered.
    pub fn reregister<S>(&self, source: &mut S, token: Token, interests: Interest) -> io::Result<()>
    where
        S: Source + ?Sized,
    {
        trace!("reregister an event source: token={token:?}, interests={interests:?}");
        source.reregister(self, token, interests)
    }

    /// Ends the registration of `source`: no poll that begins after this returns reports it.
    ///
    /// # Errors
    ///
    /// As [`reregister`](Registry::reregister).
    pub fn deregister<S>(&self, source: &mut S) -> io::Result<()>
    where
        S: Source + ?Sized,
    {
        trace!("deregister an event source");
        source.deregister(self)
    }

    /// Another handle to the same poller.
    ///
    /// # Errors
    ///
    /// None.
    pub fn try_clone(&self) -> io::Result<Registry> {
        Ok(Registry { inner: self.inner.try_clone()?, identity: self.identity.clone() })
    }
}

impl AsFd for Registry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl AsRawFd for Registry {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish()
    }
}
