use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// What can be added to a [`Poller`](crate::Poller): a descriptor, or a reference to what has one.
pub trait AsRawSource {
    /// The descriptor.
    fn raw(&self) -> RawFd;
}

impl<T: AsRawFd> AsRawSource for &T {
    fn raw(&self) -> RawFd {
        self.as_raw_fd()
    }
}

impl AsRawSource for RawFd {
    fn raw(&self) -> RawFd {
        *self
    }
}

/// What can be modified in and deleted from a [`Poller`](crate::Poller).
pub trait AsSource: AsFd {
    /// The descriptor.
    fn source(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

impl<T: AsFd> AsSource for T {}
