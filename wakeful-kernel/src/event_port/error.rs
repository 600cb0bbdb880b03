use std::ffi::NulError;
use std::fmt;
use std::io;
use std::os::fd::RawFd;

use super::FilePath;

/// What the slots of a port are taken by.
const SLOTS: &str = "all of its slots are taken: retrieve events, dissociate what is not needed, or raise \
                     process.max-port-events";

open_error! {
    /// A port could not be created.
    PortCreateError: "port_create",
    advice: |errno| match errno {
        libc::EMFILE => "this process is at its limit of open files: close some or raise RLIMIT_NOFILE",
        libc::EAGAIN => "there are as many ports as project.max-port-ids allows",
        _ => "",
    }
}

open_error! {
    /// A descriptor could not be associated.
    AssociateFdError: "port_associate(PORT_SOURCE_FD)" {
        /// The descriptor.
        fd: RawFd,
    },
    advice: |errno| match errno {
        libc::EBADFD | libc::EBADF => "it is not open",
        libc::EAGAIN => SLOTS,
        _ => "",
    }
}

open_error! {
    /// A descriptor could not be dissociated.
    DissociateFdError: "port_dissociate(PORT_SOURCE_FD)" {
        /// The descriptor.
        fd: RawFd,
    },
    advice: |errno| match errno {
        libc::EBADFD | libc::EBADF => "it is not open",
        libc::ENOENT => "it is not associated: retrieving its event has ended that",
        libc::EACCES => "another process has associated it",
        _ => "",
    }
}

open_error! {
    /// A file could not be associated.
    AssociateFileError: "port_associate(PORT_SOURCE_FILE)" {
        /// Its path.
        path: FilePath,
    },
    advice: |errno| match errno {
        libc::EINVAL => "ask for ACCESS, MODIFIED, ATTRIB and TRUNC only; the others are always told",
        libc::EAGAIN => SLOTS,
        libc::ENOTSUP => "its file system does not tell what happens to files",
        _ => "",
    }
}

open_error! {
    /// A file could not be dissociated.
    DissociateFileError: "port_dissociate(PORT_SOURCE_FILE)" {
        /// Its path.
        path: FilePath,
    },
    advice: |errno| match errno {
        libc::ENOENT => "it is not associated: retrieving its event has ended that",
        libc::EINVAL => "no file was ever associated with this port",
        _ => "",
    }
}

open_error! {
    /// An event could not be sent.
    SendError: "port_send",
    advice: |errno| if errno == libc::EAGAIN { SLOTS } else { "" }
}

/// An event could not be sent to some of the ports.
#[derive(Debug)]
pub struct SendNError {
    /// To how many it was sent.
    pub sent: usize,
    /// Which failed, by their places in the list, and why; empty if the call failed as a whole.
    pub errors: Vec<(usize, io::Error)>,
    /// The first of them, or why the call failed.
    pub source: io::Error,
}

impl fmt::Display for SendNError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port_sendn, sent {}: {}", self.sent, self.source)
    }
}

impl std::error::Error for SendNError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<SendNError> for io::Error {
    fn from(error: SendNError) -> io::Error {
        error.source
    }
}

open_error! {
    /// Alert mode could not be changed.
    AlertError: "port_alert" {},
    advice: |errno| match errno {
        libc::EBUSY => "it is in alert mode: set_alert replaces what it tells",
        libc::EINVAL => "an alert needs events, since having none is what ends it",
        _ => "",
    }
}

open_error! {
    /// No event came, or a signal interrupted the wait.
    GetError: "port_get",
    advice: |errno| if errno == libc::ETIME { "nothing happened in that time" } else { "" }
}

impl GetError {
    /// Whether nothing happened in the time.
    pub fn is_timeout(&self) -> bool {
        self.0.raw_os_error() == Some(libc::ETIME)
    }
}

open_error! {
    /// The wait failed, or a signal interrupted it.
    GetNError: "port_getn",
    advice: |errno| match errno {
        libc::EINVAL => "there must be room for one event at least, and for as many as are wanted",
        _ => "",
    }
}

/// A file object could not be made of a path.
#[derive(Debug)]
pub enum FileObjError {
    /// The path contains a zero byte, which no C string can.
    InvalidPath {
        /// The path.
        path: FilePath,
        /// Where the zero is.
        source: NulError,
    },
    /// `stat` or `lstat` failed.
    Stat {
        /// The path.
        path: FilePath,
        /// The operating system's error, untouched.
        source: io::Error,
    },
}

impl fmt::Display for FileObjError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileObjError::InvalidPath { path, .. } => {
                write!(f, "path {path:?} contains a zero byte")
            }
            FileObjError::Stat { path, source } => write!(f, "stat, path {path:?}: {source}"),
        }
    }
}

impl std::error::Error for FileObjError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FileObjError::InvalidPath { source, .. } => Some(source),
            FileObjError::Stat { source, .. } => Some(source),
        }
    }
}

impl From<FileObjError> for io::Error {
    fn from(error: FileObjError) -> io::Error {
        match error {
            FileObjError::InvalidPath { .. } => io::Error::new(io::ErrorKind::InvalidInput, error),
            FileObjError::Stat { source, .. } => source,
        }
    }
}

open_error! {
    /// The times of a file could not be looked at again.
    RefreshError: "stat" {
        /// The path.
        path: FilePath,
    }
}

/// A file event carries no [`FileObj`](super::FileObj).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtractFileObjError {
    /// The port holds no file object for the event: the association was made by the raw
    /// `port_associate`, not by [`EventPort::associate_file`](super::EventPort::associate_file).
    /// [`PortEvent::object`](super::PortEvent::object) is the address that the raw call was given.
    NullPointer,
    /// The name of the file object contains a zero byte. No method of this crate returns it: a
    /// [`FileObj`](super::FileObj) is not made of such a path.
    InvalidPath(NulError),
}

impl fmt::Display for ExtractFileObjError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExtractFileObjError::NullPointer => f.write_str(
                "the port holds no file object for this event, which was associated by the raw \
                 port_associate; read PortEvent::object instead",
            ),
            ExtractFileObjError::InvalidPath(source) => {
                write!(f, "the name of the file object contains a zero byte: {source}")
            }
        }
    }
}

impl std::error::Error for ExtractFileObjError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ExtractFileObjError::NullPointer => None,
            ExtractFileObjError::InvalidPath(source) => Some(source),
        }
    }
}

open_error! {
    /// A timer could not be made, or set.
    TimerError: "timer_create, timer_settime" {},
    advice: |errno| match errno {
        libc::EINVAL => "this system has no such clock, or none for timers",
        libc::EAGAIN => SLOTS,
        _ => "",
    }
}
