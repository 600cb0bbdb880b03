use std::io;
use std::os::fd::BorrowedFd;

use crate::{Interest, Registry, Token};

/// What can be registered with a [`Poll`](crate::Poll).
///
/// Implement it by delegation for a type made of sources; a bare descriptor is registered through
/// [`SourceFd`](crate::unix::SourceFd). Call these methods through [`Registry`], not directly.
///
/// ```
/// use std::io;
/// use wakeful::event::Source;
/// use wakeful::unix::pipe;
/// use wakeful::{Interest, Registry, Token};
///
/// struct Inbox {
///     receiver: pipe::Receiver,
/// }
///
/// impl Source for Inbox {
///     fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
///         self.receiver.register(registry, token, interest)
///     }
///
///     fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
///         self.receiver.reregister(registry, token, interest)
///     }
///
///     fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
///         self.receiver.deregister(registry)
///     }
/// }
/// ```
pub trait Source {
    /// Registers with `registry`; see [`Registry::register`].
    fn register(&mut self, registry: &Registry, token: Token, interest: Interest)
    -> io::Result<()>;

    /// Replaces token and interest; see [`Registry::reregister`].
    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()>;

    /// Ends the registration; see [`Registry::deregister`].
    fn deregister(&mut self, registry: &Registry) -> io::Result<()>;

    /// The descriptor of a source that is just that: it registers this descriptor and no other, passes
    /// token and interest on as they come, and keeps it open for as long as it lives. All others say
    /// `None`, as they do by default.
    ///
    /// It is what [`Registered::set_interest`](crate::Registered::set_interest) needs to save system calls.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

macro_rules! delegate {
    ($($type:ty),+) => {$(
        impl<S: Source + ?Sized> Source for $type {
            fn register(
                &mut self,
                registry: &Registry,
                token: Token,
                interest: Interest,
            ) -> io::Result<()> {
                (**self).register(registry, token, interest)
            }

            fn reregister(
                &mut self,
                registry: &Registry,
                token: Token,
                interest: Interest,
            ) -> io::Result<()> {
                (**self).reregister(registry, token, interest)
            }

            fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
                (**self).deregister(registry)
            }

            fn descriptor(&self) -> Option<BorrowedFd<'_>> {
                (**self).descriptor()
            }
        }
    )+};
}

delegate!(Box<S>, &mut S);

/// Makes a source of a type of this crate's that can tell its descriptor, and with `owned`, after the
/// description, of one that keeps it and lends it as well; with `bare` of one that does not say when it is drained
/// or closed.
macro_rules! source_by_descriptor {
    ([$($generics:tt)*] $type:ty, $descriptor:expr $(, $kind:ident)?) => {
        impl<$($generics)*> $crate::event::Source for $type {
            fn register(
                &mut self,
                registry: &$crate::Registry,
                token: $crate::Token,
                interest: $crate::Interest,
            ) -> std::io::Result<()> {
                let descriptor: fn(&Self) -> std::os::fd::RawFd = $descriptor;
                $crate::event::source_by_descriptor!(
                    @register registry, descriptor(self), token, interest $(, $kind)?
                )
            }

            fn reregister(
                &mut self,
                registry: &$crate::Registry,
                token: $crate::Token,
                interest: $crate::Interest,
            ) -> std::io::Result<()> {
                let descriptor: fn(&Self) -> std::os::fd::RawFd = $descriptor;
                registry.reregister_fd(descriptor(self), token, interest)
            }

            fn deregister(&mut self, registry: &$crate::Registry) -> std::io::Result<()> {
                let descriptor: fn(&Self) -> std::os::fd::RawFd = $descriptor;
                registry.deregister_fd(descriptor(self))
            }

            $($crate::event::source_by_descriptor!(@$kind);)?
        }
    };
    (@register $registry:ident, $fd:expr, $token:ident, $interest:ident, bare) => {
        $registry.register_bare_fd($fd, $token, $interest)
    };
    (@register $registry:ident, $fd:expr, $token:ident, $interest:ident $(, owned)?) => {
        $registry.register_fd($fd, $token, $interest)
    };
    (@bare) => {};
    (@owned) => {
        #[inline]
        fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
            Some(std::os::fd::AsFd::as_fd(self))
        }
    };
}

pub(crate) use source_by_descriptor;
