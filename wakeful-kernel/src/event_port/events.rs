use std::fmt;
use std::os::fd::RawFd;

use super::{ExtractFileObjError, FileObj};
use crate::sys::event_port as sys;

bitflags::bitflags! {
    /// What a descriptor is ready for: poll(2)'s bits, as this system has them. Unknown ones are kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct PollEvents: i32 {
        /// Something can be read.
        const IN = libc::POLLIN as i32;
        /// Something of high priority can be read.
        const PRI = libc::POLLPRI as i32;
        /// Something of normal priority can be read.
        const RDNORM = libc::POLLRDNORM as i32;
        /// Something of a priority band can be read.
        const RDBAND = libc::POLLRDBAND as i32;
        /// Something can be written.
        const OUT = libc::POLLOUT as i32;
        /// The same: on illumos by the same bit.
        const WRNORM = libc::POLLWRNORM as i32;
        /// Something of a priority band can be written.
        const WRBAND = libc::POLLWRBAND as i32;
        /// An error. Always told.
        const ERR = libc::POLLERR as i32;
        /// The other side is gone. Always told.
        const HUP = libc::POLLHUP as i32;
        /// It is not open.
        const NVAL = libc::POLLNVAL as i32;
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// What happens to a file. Unknown bits are kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct FileEvents: i32 {
        /// It was read.
        const ACCESS = sys::FILE_ACCESS;
        /// It was written to.
        const MODIFIED = sys::FILE_MODIFIED;
        /// Its attributes have changed.
        const ATTRIB = sys::FILE_ATTRIB;
        /// It was truncated.
        const TRUNC = sys::FILE_TRUNC;
        /// To be asked for: watch a symbolic link itself. A [`FileObj`] made by
        /// [`new_nofollow`](FileObj::new_nofollow) asks for it.
        const NOFOLLOW = sys::FILE_NOFOLLOW;
        /// It was deleted. Always told, as are those below, and the end of the association.
        const DELETE = sys::FILE_DELETE;
        /// Another was renamed over it.
        const RENAME_TO = sys::FILE_RENAME_TO;
        /// It was renamed.
        const RENAME_FROM = sys::FILE_RENAME_FROM;
        /// Its file system was unmounted.
        const UNMOUNTED = sys::UNMOUNTED;
        /// Something was mounted over it.
        const MOUNTEDOVER = sys::MOUNTEDOVER;
        const _ = !0;
    }
}

/// `In | Out`, and unknown bits in hexadecimal.
fn write_names(f: &mut fmt::Formatter<'_>, bits: i32, names: &[(i32, &str)]) -> fmt::Result {
    let (mut left, mut separator) = (bits, "");
    for &(bit, name) in names {
        if left & bit != 0 {
            write!(f, "{separator}{name}")?;
            (left, separator) = (left & !bit, " | ");
        }
    }
    match left {
        0 if bits == 0 => f.write_str("(empty)"),
        0 => Ok(()),
        left => write!(f, "{separator}{left:#x}"),
    }
}

impl fmt::Display for PollEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (PollEvents::IN, "In"),
            (PollEvents::PRI, "Pri"),
            (PollEvents::RDNORM, "RdNorm"),
            (PollEvents::RDBAND, "RdBand"),
            (PollEvents::OUT, "Out"),
            (PollEvents::WRNORM, "WrNorm"),
            (PollEvents::WRBAND, "WrBand"),
            (PollEvents::ERR, "Err"),
            (PollEvents::HUP, "Hup"),
            (PollEvents::NVAL, "Nval"),
        ];
        write_names(f, self.bits(), &names.map(|(bit, name)| (bit.bits(), name)))
    }
}

impl fmt::Display for FileEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (FileEvents::ACCESS, "Access"),
            (FileEvents::MODIFIED, "Modified"),
            (FileEvents::ATTRIB, "Attrib"),
            (FileEvents::TRUNC, "Trunc"),
            (FileEvents::NOFOLLOW, "NoFollow"),
            (FileEvents::DELETE, "Delete"),
            (FileEvents::RENAME_TO, "RenameTo"),
            (FileEvents::RENAME_FROM, "RenameFrom"),
            (FileEvents::UNMOUNTED, "Unmounted"),
            (FileEvents::MOUNTEDOVER, "MountedOver"),
        ];
        write_names(f, self.bits(), &names.map(|(bit, name)| (bit.bits(), name)))
    }
}

/// `PORT_SOURCE_*`—Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventSource {
    /// An asynchronous operation ended.
    Aio,
    /// A timer expired.
    Timer,
    /// The program.
    User,
    /// A descriptor is ready.
    Fd,
    /// The port is in alert mode.
    Alert,
    /// A message queue has a message.
    Mq,
    /// Something happened to a file.
    File,
    /// One that this crate does not know.
    Unknown(u16),
}

impl EventSource {
    fn from_raw(source: u16) -> EventSource {
        match source.into() {
            sys::PORT_SOURCE_AIO => EventSource::Aio,
            sys::PORT_SOURCE_TIMER => EventSource::Timer,
            sys::PORT_SOURCE_USER => EventSource::User,
            sys::PORT_SOURCE_FD => EventSource::Fd,
            sys::PORT_SOURCE_ALERT => EventSource::Alert,
            sys::PORT_SOURCE_MQ => EventSource::Mq,
            sys::PORT_SOURCE_FILE => EventSource::File,
            _ => EventSource::Unknown(source),
        }
    }
}

/// `port_event_t`—An event as the kernel has it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct RawEvent(sys::port_event);

// SAFETY: the pointer in it is a number of the caller's, which is not followed here.
unsafe impl Send for RawEvent {}
// SAFETY: likewise.
unsafe impl Sync for RawEvent {}

impl RawEvent {
    /// What happened, by source.
    pub fn events(&self) -> i32 {
        self.0.portev_events
    }

    /// Who says it.
    pub fn source(&self) -> EventSource {
        EventSource::from_raw(self.0.portev_source)
    }

    /// What it is about, by source.
    pub fn object(&self) -> usize {
        self.0.portev_object
    }

    /// The caller's number.
    pub fn user(&self) -> usize {
        self.0.portev_user as usize
    }
}

impl fmt::Debug for RawEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawEvent")
            .field("source", &self.source())
            .field("events", &format_args!("{:#x}", self.events()))
            .field("object", &format_args!("{:#x}", self.object()))
            .field("user", &self.user())
            .finish()
    }
}

/// An event that was retrieved.
#[derive(Clone, Debug)]
pub struct PortEvent {
    /// What happened: of a descriptor [`PollEvents`], of a file [`FileEvents`], of a timer how often it has expired.
    pub events: i32,
    /// Who says it.
    pub source: EventSource,
    /// What it is about: a descriptor, the address of a file object or of an operation, the number of a timer.
    pub object: usize,
    /// The caller's number, from the association.
    pub user: usize,
    pub(super) file: Option<FileObj>,
}

impl PortEvent {
    pub(super) fn new(raw: RawEvent, file: Option<FileObj>) -> PortEvent {
        PortEvent {
            events: raw.events(),
            source: raw.source(),
            object: raw.object(),
            user: raw.user(),
            file,
        }
    }

    /// The descriptor, if it is about one.
    pub fn as_fd(&self) -> Option<RawFd> {
        (self.source == EventSource::Fd).then_some(self.object as RawFd)
    }

    /// What the descriptor is ready for, if it is about one.
    pub fn poll_events(&self) -> Option<PollEvents> {
        (self.source == EventSource::Fd).then_some(PollEvents::from_bits_retain(self.events))
    }

    /// What happened to the file, if it is about one.
    pub fn file_events(&self) -> Option<FileEvents> {
        (self.source == EventSource::File).then_some(FileEvents::from_bits_retain(self.events))
    }

    /// The file object that was associated, if it is about a file: the same, to be refreshed and associated again.
    ///
    /// # Errors
    ///
    /// It was not associated through [`EventPort`](super::EventPort), but by the raw call.
    pub fn as_file_obj(&self) -> Result<Option<FileObj>, ExtractFileObjError> {
        match (self.source, &self.file) {
            (EventSource::File, None) => Err(ExtractFileObjError::NullPointer),
            (_, file) => Ok(file.clone()),
        }
    }
}
