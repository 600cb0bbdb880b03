use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;

/// What the slots of a port are taken by.
const SLOTS: &str = "all of its slots are taken: retrieve events, dissociate what is not needed, or raise \
                     process.max-port-events";

open_error! {
    /// A port could not be created.
    PortCreateError: "port_create" {},
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
        path: PathBuf,
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
        path: PathBuf,
    },
    advice: |errno| match errno {
        libc::ENOENT => "it is not associated: retrieving its event has ended that",
        libc::EINVAL => "no file was ever associated with this port",
        _ => "",
    }
}

open_error! {
    /// An event could not be sent.
    SendError: "port_send" {},
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

impl std::fmt::Display for SendNError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    GetError: "port_get" {},
    advice: |errno| if errno == libc::ETIME { "nothing happened in that time" } else { "" }
}

impl GetError {
    /// Whether nothing happened in the time.
    pub fn is_timeout(&self) -> bool {
        self.source.raw_os_error() == Some(libc::ETIME)
    }
}

open_error! {
    /// The wait failed, or a signal interrupted it.
    GetNError: "port_getn" {
        /// Room for events.
        capacity: usize,
    },
    advice: |errno| match errno {
        libc::EINVAL => "there must be room for one event at least, and for as many as are wanted",
        _ => "",
    }
}

open_error! {
    /// A file object could not be made of this path.
    FileObjError: "stat" {
        /// The path.
        path: PathBuf,
    }
}

open_error! {
    /// The times of a file could not be looked at again.
    RefreshError: "stat" {
        /// The path.
        path: PathBuf,
    }
}

/// The file object of an event is not known to its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtractFileObjError {
    /// Its address.
    pub object: usize,
}

impl std::fmt::Display for ExtractFileObjError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the file object at {:#x} was not associated by EventPort::associate_file: look at PortEvent::object",
            self.object
        )
    }
}

impl std::error::Error for ExtractFileObjError {}

open_error! {
    /// A timer could not be made, or set.
    TimerError: "timer_create, timer_settime" {},
    advice: |errno| match errno {
        libc::EINVAL => "this system has no such clock, or none for timers",
        libc::EAGAIN => SLOTS,
        _ => "",
    }
}
