//! What mio's sockets and pipes are made of: wakeful's type, and whom it is registered with.

use std::io;

use crate::debug::Association;
use crate::{Interest, Registry, Token, event};

/// As large as `T` in release builds.
pub(crate) struct IoSource<T> {
    inner: T,
    association: Association,
}

impl<T> IoSource<T> {
    pub(crate) fn new(inner: T) -> IoSource<T> {
        IoSource { inner, association: Association::new() }
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        &self.inner
    }

    pub(crate) fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: wakeful::event::Source> event::Source for IoSource<T> {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.association.is_free()?;
        registry.inner.register(&mut self.inner, token, interests)?;
        self.association.begin(&registry.identity);
        Ok(())
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.association.is_with(&registry.identity)?;
        registry.inner.reregister(&mut self.inner, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.association.end(&registry.identity)?;
        registry.inner.deregister(&mut self.inner)
    }
}

/// Gives a type with the field `inner: IoSource<$wakeful>` the traits of mio's I/O types.
macro_rules! io_type {
    ($name:ident, $wakeful:ty) => {
        impl crate::event::Source for $name {
            fn register(
                &mut self,
                registry: &crate::Registry,
                token: crate::Token,
                interests: crate::Interest,
            ) -> std::io::Result<()> {
                self.inner.register(registry, token, interests)
            }

            fn reregister(
                &mut self,
                registry: &crate::Registry,
                token: crate::Token,
                interests: crate::Interest,
            ) -> std::io::Result<()> {
                self.inner.reregister(registry, token, interests)
            }

            fn deregister(&mut self, registry: &crate::Registry) -> std::io::Result<()> {
                self.inner.deregister(registry)
            }
        }

        impl $name {
            pub(crate) fn from_wakeful(inner: $wakeful) -> $name {
                $name { inner: crate::io_source::IoSource::new(inner) }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.inner.get().fmt(f)
            }
        }

        impl std::os::fd::AsFd for $name {
            #[inline]
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.inner.get().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $name {
            #[inline]
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.inner.get().as_raw_fd()
            }
        }

        impl std::os::fd::IntoRawFd for $name {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                self.inner.into_inner().into_raw_fd()
            }
        }

        impl std::os::fd::FromRawFd for $name {
            /// Takes a descriptor over. It is not made non-blocking.
            #[allow(unsafe_code)]
            unsafe fn from_raw_fd(fd: std::os::fd::RawFd) -> $name {
                // SAFETY: the caller promises what this very method of OwnedFd asks for: the
                // descriptor is open, and nothing else owns it.
                $name::from(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) })
            }
        }

        impl From<$name> for std::os::fd::OwnedFd {
            fn from(source: $name) -> std::os::fd::OwnedFd {
                source.inner.into_inner().into()
            }
        }

        impl From<std::os::fd::OwnedFd> for $name {
            /// Takes a descriptor over. It is not made non-blocking.
            fn from(fd: std::os::fd::OwnedFd) -> $name {
                $name::from_wakeful(fd.into())
            }
        }
    };
}

/// Reads through `&self`, into the buffer or the buffers.
macro_rules! reads {
    ($($name:ty),+) => {$(
        impl std::io::Read for $name {
            #[inline]
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.inner.get().read(buffer)
            }

            #[inline]
            fn read_vectored(
                &mut self,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                self.inner.get().read_vectored(buffers)
            }
        }
    )+};
}

/// Writes through `&self`, from the buffer or the buffers.
macro_rules! writes {
    ($($name:ty),+) => {$(
        impl std::io::Write for $name {
            #[inline]
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.inner.get().write(bytes)
            }

            #[inline]
            fn write_vectored(
                &mut self,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.inner.get().write_vectored(slices)
            }

            #[inline]
            fn flush(&mut self) -> std::io::Result<()> {
                self.inner.get().flush()
            }
        }
    )+};
}

/// Methods that are wakeful's own.
macro_rules! delegate {
    ($(
        $(#[$documentation:meta])*
        fn $method:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;
    )+) => {$(
        $(#[$documentation])*
        #[inline]
        pub fn $method(&self $(, $argument: $type)*) -> $result {
            self.inner.get().$method($($argument),*)
        }
    )+};
}

/// `try_io`, of everything but listeners.
macro_rules! try_io {
    () => {
        /// Runs an I/O operation of another library's on this source.
        ///
        /// The operation must be tried on this very source, and answer with
        /// [`WouldBlock`](std::io::ErrorKind::WouldBlock) when that would block, so that the poller
        /// hears of it.
        ///
        /// # Errors
        ///
        /// Those of the operation.
        #[inline]
        pub fn try_io<F, T>(&self, f: F) -> std::io::Result<T>
        where
            F: FnOnce() -> std::io::Result<T>,
        {
            self.inner.get().try_io(f)
        }
    };
}

pub(crate) use {delegate, io_type, reads, try_io, writes};
