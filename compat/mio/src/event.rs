//! Readiness events, the buffer they come in, and what can produce them.

use std::io;

#[doc(inline)]
pub use wakeful::event::{Event, Events, Iter};

use crate::{Interest, Registry, Token};

/// What can be registered with a [`Registry`].
///
/// A type made of sources delegates to them, with the arguments it is given. A type that has a bare
/// descriptor delegates to [`SourceFd`](crate::unix::SourceFd). Neither interprets the interest.
///
/// ```
/// # #[cfg(feature = "net")] {
/// use std::io;
/// use mio::{Interest, Registry, Token, event, net::UdpSocket};
///
/// struct Resolver {
///     socket: UdpSocket,
/// }
///
/// impl event::Source for Resolver {
///     fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
///         self.socket.register(registry, token, interests)
///     }
///
///     fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
///         self.socket.reregister(registry, token, interests)
///     }
///
///     fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
///         self.socket.deregister(registry)
///     }
/// }
/// # }
/// ```
pub trait Source {
    /// Starts to report the source. Call [`Registry::register`] instead.
    ///
    /// # Errors
    ///
    /// Those of the operating system; in debug builds
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) for a socket or pipe registered already.
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()>;

    /// Replaces token and interest. Call [`Registry::reregister`] instead.
    ///
    /// # Errors
    ///
    /// Those of the operating system; in debug builds [`NotFound`](io::ErrorKind::NotFound) for a
    /// socket or pipe that is not registered, [`AlreadyExists`](io::ErrorKind::AlreadyExists) for one
    /// that is with another poller.
    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()>;

    /// Ends the registration. Call [`Registry::deregister`] instead.
    ///
    /// # Errors
    ///
    /// As [`reregister`](Source::reregister).
    fn deregister(&mut self, registry: &Registry) -> io::Result<()>;
}

impl<T> Source for Box<T>
where
    T: Source + ?Sized,
{
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        (**self).register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        (**self).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        (**self).deregister(registry)
    }
}
