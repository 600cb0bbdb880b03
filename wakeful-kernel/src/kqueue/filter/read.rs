use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_READ`—Something can be read, a connection accepted, or the end is reached.
///
/// A regular file is readable as long as its offset is not its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    fd: RawFd,
    low_water: Option<usize>,
    is_as_poll: bool,
}

impl Read {
    /// Of a descriptor, which must be open when the change is made. Closing it deletes the event.
    pub fn new(fd: impl AsFd) -> Read {
        Read::from_raw(fd.as_fd().as_raw_fd())
    }

    /// As [`new`](Read::new), by number.
    ///
    /// Safe because the kernel ties the event to the open file behind the number.
    pub fn from_raw(fd: RawFd) -> Read {
        Read { fd, low_water: None, is_as_poll: false }
    }

    /// `NOTE_LOWAT`—Only from so many bytes on. Of sockets and pipes.
    #[doc(alias = "NOTE_LOWAT")]
    pub fn low_water(self, bytes: usize) -> Read {
        Read { low_water: Some(bytes), ..self }
    }

    /// `NOTE_FILE_POLL`—A regular file is readable wherever its offset is, as poll(2) has it. FreeBSD.
    #[doc(alias = "NOTE_FILE_POLL")]
    pub fn as_poll(self) -> Read {
        Read { is_as_poll: true, ..self }
    }
}

impl Subject for Read {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        let mut description = Description::of_descriptor(system, Filter::Read, self.fd)?;
        if let Some(bytes) = self.low_water {
            // The same number on every system.
            description.fflags = 1;
            description.data = i64::try_from(bytes).unwrap_or(i64::MAX);
        }
        if self.is_as_poll {
            let missing = Some("NOTE_FILE_POLL");
            let error = BuildError { filter: Filter::Read, missing };
            description.fflags |= system.file_poll.ok_or(error)?;
        }
        Ok(description)
    }
}
