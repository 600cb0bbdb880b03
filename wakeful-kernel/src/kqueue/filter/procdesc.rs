use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_PROCDESC`—The process behind a descriptor of pdfork(2) has ended. FreeBSD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessDescriptor {
    fd: RawFd,
}

impl ProcessDescriptor {
    /// Of a descriptor, which must be open when the change is made. Closing it deletes the event.
    pub fn new(fd: impl AsFd) -> ProcessDescriptor {
        ProcessDescriptor::from_raw(fd.as_fd().as_raw_fd())
    }

    /// As [`new`](ProcessDescriptor::new), by number.
    ///
    /// Safe because the kernel ties the event to the open file behind the number.
    pub fn from_raw(fd: RawFd) -> ProcessDescriptor {
        ProcessDescriptor { fd }
    }
}

impl Subject for ProcessDescriptor {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        let description = Description::of_descriptor(system, Filter::ProcessDescriptor, self.fd)?;
        // NOTE_EXIT, the only one there is.
        Ok(Description { fflags: 1 << 31, ..description })
    }
}
