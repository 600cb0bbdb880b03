//! What every I/O type of wakeful is made of: std's type, and the two things a poller must hear of.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use wakeful_kernel::guard::{Guard, LastWord};

use crate::rearm::{self, Cause, Direction};

/// A descriptor's owner that tells re-arming pollers when it was drained and when it is closed.
///
/// As large as `T`, and free of cost while there is no such poller; see [`rearm`].
pub(crate) struct IoSource<T: AsFd> {
    inner: Guard<Descriptor<T>>,
}

struct Descriptor<T: AsFd>(T);

impl<T: AsFd> LastWord for Descriptor<T> {
    #[inline]
    fn last_word(&mut self) {
        rearm::closing(self.0.as_fd().as_raw_fd());
    }
}

impl<T: AsFd> IoSource<T> {
    pub(crate) fn new(inner: T) -> IoSource<T> {
        IoSource { inner: Guard::new(Descriptor(inner)) }
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        &self.inner.0
    }

    #[inline]
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.get().as_fd().as_raw_fd()
    }

    pub(crate) fn into_inner(self) -> T {
        rearm::given_away(self.raw_fd());
        Guard::into_inner(self.inner).0
    }

    /// Runs an operation. If it would block, the direction is armed again. If it fails otherwise,
    /// the pollers find out what it has left: an accept(2) without a free descriptor leaves the
    /// connection.
    #[inline]
    pub(crate) fn run<R>(
        &self,
        direction: Direction,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let result = operation(self.get());
        if rearm::is_in_use() {
            if let Err(error) = &result {
                self.failed(direction, error);
            }
        }
        result
    }

    /// Runs a read that takes nothing. What it found is still there, and the pollers find out what
    /// comes on top of it.
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn peek<R>(&self, peek: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        let result = peek(self.get());
        if rearm::is_in_use() {
            match &result {
                Ok(_) => rearm::rearm(self.raw_fd(), Direction::Read, Cause::Failed),
                Err(error) => self.failed(Direction::Read, error),
            }
        }
        result
    }

    /// Runs a read or a write of this many bytes.
    ///
    /// One that moves fewer has drained the source as well. Callers may rely on it, as on a kernel
    /// that knows edges, and not try again before the next event: tokio does.
    #[inline]
    pub(crate) fn transfer(
        &self,
        direction: Direction,
        length: impl FnOnce() -> usize,
        operation: impl FnOnce(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let result = operation(self.get());
        if rearm::is_in_use() {
            match &result {
                Ok(moved) if *moved < length() => self.moved_less(direction, *moved),
                Ok(_) => {}
                Err(error) => self.failed(direction, error),
            }
        }
        result
    }

    #[cold]
    fn moved_less(&self, direction: Direction, moved: usize) {
        // Zero is the end. That of a stream stays; a terminal may be written to again.
        let cause = if moved == 0 { Cause::Taken } else { Cause::Drained };
        rearm::rearm(self.raw_fd(), direction, cause);
    }

    #[cold]
    fn failed(&self, direction: Direction, error: &io::Error) {
        let cause = match error.kind() {
            io::ErrorKind::WouldBlock => Cause::Drained,
            _ => Cause::Failed,
        };
        rearm::rearm(self.raw_fd(), direction, cause);
    }

    /// It was found to be drained in another way than by an operation that would block.
    #[inline]
    pub(crate) fn drained(&self, direction: Direction) {
        rearm::rearm(self.raw_fd(), direction, Cause::Drained);
    }

    /// Takes the pending error of a socket, after which it may become ready anew.
    #[cfg(feature = "net")]
    pub(crate) fn take_error(
        &self,
        take: impl FnOnce(&T) -> io::Result<Option<io::Error>>,
    ) -> io::Result<Option<io::Error>> {
        let error = take(self.get())?;
        if error.is_some() {
            rearm::rearm(self.raw_fd(), Direction::Any, Cause::Taken);
        }
        Ok(error)
    }
}

impl<T: AsFd> AsFd for IoSource<T> {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get().as_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for IoSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Makes a source of a type with the field `inner: IoSource<…>`, which lends its descriptor and is
/// printed as what is inside.
macro_rules! source {
    ($name:ident) => {
        crate::io_source::lender!($name);

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.inner.fmt(f)
            }
        }
    };
}

/// Makes a source of a type with the field `inner: IoSource<…>`, which lends its descriptor.
macro_rules! lender {
    ($name:ident) => {
        crate::event::source_by_descriptor!([] $name, |source| source.inner.raw_fd(), owned);

        impl std::os::fd::AsFd for $name {
            #[inline]
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                std::os::fd::AsFd::as_fd(&self.inner)
            }
        }

        impl std::os::fd::AsRawFd for $name {
            #[inline]
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.inner.raw_fd()
            }
        }
    };
}

/// Gives a type with the field `inner: IoSource<$std>` all that a descriptor's owner has: it is a
/// source, lends and gives away its descriptor, and can be made from one.
macro_rules! descriptor_owner {
    ($name:ident, $std:ty) => {
        crate::io_source::source!($name);

        impl std::os::fd::IntoRawFd for $name {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                std::os::fd::IntoRawFd::into_raw_fd(std::os::fd::OwnedFd::from(self))
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
                $name { inner: crate::io_source::IoSource::new(<$std>::from(fd)) }
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
                let length = buffer.len();
                self.inner.transfer(crate::rearm::Direction::Read, || length, |mut inner| {
                    inner.read(buffer)
                })
            }

            #[inline]
            fn read_vectored(
                &mut self,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                let length = buffers.iter().map(|buffer| buffer.len()).fold(0, usize::saturating_add);
                self.inner.transfer(crate::rearm::Direction::Read, || length, |mut inner| {
                    inner.read_vectored(buffers)
                })
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
                let length = || bytes.len();
                self.inner.transfer(crate::rearm::Direction::Write, length, |mut inner| {
                    inner.write(bytes)
                })
            }

            #[inline]
            fn write_vectored(
                &mut self,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                let length = || slices.iter().map(|it| it.len()).fold(0, usize::saturating_add);
                self.inner.transfer(crate::rearm::Direction::Write, length, |mut inner| {
                    inner.write_vectored(slices)
                })
            }

            #[inline]
            fn flush(&mut self) -> std::io::Result<()> {
                self.inner.run(crate::rearm::Direction::Write, |mut inner| inner.flush())
            }
        }
    )+};
}

pub(crate) use {descriptor_owner, lender, reads, source, writes};
