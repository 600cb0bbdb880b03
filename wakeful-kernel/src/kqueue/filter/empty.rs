use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_EMPTY`—All that was written to a socket has left. FreeBSD and NetBSD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty {
    fd: RawFd,
}

impl Empty {
    /// Of a descriptor, which must be open when the change is made. Closing it deletes the event.
    pub fn new(fd: impl AsFd) -> Empty {
        Empty::from_raw(fd.as_fd().as_raw_fd())
    }

    /// As [`new`](Empty::new), by number.
    ///
    /// Safe because the kernel ties the event to the open file behind the number.
    pub fn from_raw(fd: RawFd) -> Empty {
        Empty { fd }
    }
}

impl Subject for Empty {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        Description::of_descriptor(system, Filter::Empty, self.fd)
    }
}
