use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_WRITE`—Something can be written, or nobody is left to read it.
///
/// A regular file is always writable on FreeBSD; others report it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    fd: RawFd,
    low_water: Option<usize>,
}

impl Write {
    /// Of a descriptor, which must be open when the change is made. Closing it deletes the event.
    pub fn new(fd: impl AsFd) -> Write {
        Write::from_raw(fd.as_fd().as_raw_fd())
    }

    /// As [`new`](Write::new), by number.
    ///
    /// Safe because the kernel ties the event to the open file behind the number.
    pub fn from_raw(fd: RawFd) -> Write {
        Write { fd, low_water: None }
    }

    /// `NOTE_LOWAT`—Only from so many bytes on. Of sockets and pipes.
    #[doc(alias = "NOTE_LOWAT")]
    pub fn low_water(self, bytes: usize) -> Write {
        Write { low_water: Some(bytes), ..self }
    }
}

impl Subject for Write {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        let mut description = Description::of_descriptor(system, Filter::Write, self.fd)?;
        if let Some(bytes) = self.low_water {
            // The same number on every system.
            description.fflags = 1;
            description.data = i64::try_from(bytes).unwrap_or(i64::MAX);
        }
        Ok(description)
    }
}
