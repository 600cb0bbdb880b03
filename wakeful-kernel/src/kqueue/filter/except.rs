use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_EXCEPT`—There is out-of-band data. macOS, OpenBSD and DragonFly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Except {
    fd: RawFd,
}

impl Except {
    /// Of a descriptor, which must be open when the change is made. Closing it deletes the event.
    pub fn new(fd: impl AsFd) -> Except {
        Except::from_raw(fd.as_fd().as_raw_fd())
    }

    /// As [`new`](Except::new), by number.
    ///
    /// Safe because the kernel ties the event to the open file behind the number.
    pub fn from_raw(fd: RawFd) -> Except {
        Except { fd }
    }
}

impl Subject for Except {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        let description = Description::of_descriptor(system, Filter::Except, self.fd)?;
        Ok(Description { fflags: system.out_of_band, ..description })
    }
}
