//! What sys/port.h and port.h say on illumos.
//!
//! Poll bits and error numbers are this system's, as its own headers have them: `POLLWRNORM` is not `POLLOUT`
//! here, and `EBADFD` is 77.

use std::ffi::{c_char, c_int, c_ushort, c_void};

/// `port_event_t`—An event that was retrieved.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub struct port_event {
    /// What happened: by source.
    pub portev_events: c_int,
    /// Who says so: `PORT_SOURCE_*`.
    pub portev_source: c_ushort,
    /// Nothing.
    pub portev_pad: c_ushort,
    /// What it is about: by source.
    pub portev_object: usize,
    /// The caller's.
    pub portev_user: *mut c_void,
}

/// `port_notify_t`—Where a timer or an asynchronous operation reports: the value of a `sigevent` whose notification
/// is [`SIGEV_PORT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub struct port_notify {
    /// The port.
    pub portnfy_port: c_int,
    /// The caller's, for the event.
    pub portnfy_user: *mut c_void,
}

/// `file_obj_t`—A file to watch, and its times as the caller knows them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(non_camel_case_types)]
pub struct file_obj {
    /// When it was read last; nothing is compared if it is zero.
    pub fo_atime: libc::timespec,
    /// When it was written last; likewise.
    pub fo_mtime: libc::timespec,
    /// When its attributes changed last; likewise.
    pub fo_ctime: libc::timespec,
    /// Nothing.
    pub fo_pad: [usize; 3],
    /// Its path, which ends with a zero.
    pub fo_name: *mut c_char,
}

macro_rules! constants {
    ($($(#[$documentation:meta])* $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[$documentation])* pub const $name: $type = $value;)+
    };
}

constants! {
    /// An asynchronous operation ended; the object is its `aiocb`.
    PORT_SOURCE_AIO: c_int = 1;
    /// A timer expired; the object is its number.
    PORT_SOURCE_TIMER: c_int = 2;
    /// The program says so; there is no object.
    PORT_SOURCE_USER: c_int = 3;
    /// A descriptor is ready; it is the object.
    PORT_SOURCE_FD: c_int = 4;
    /// The port is in alert mode; there is no object.
    PORT_SOURCE_ALERT: c_int = 5;
    /// A message queue has a message; it is the object.
    PORT_SOURCE_MQ: c_int = 6;
    /// Something happened to a file; the object is the address of its [`file_obj`].
    PORT_SOURCE_FILE: c_int = 7;

    /// port_alert: enters alert mode, or changes its event.
    PORT_ALERT_SET: c_int = 1;
    /// port_alert: enters alert mode if the port is not in it.
    PORT_ALERT_UPDATE: c_int = 2;

    /// `sigev_notify`: tell a port. 4 on illumos, which Linux uses for something else.
    SIGEV_PORT: c_int = 0x504f;

    /// The file was read.
    FILE_ACCESS: c_int = 1;
    /// The file was written to.
    FILE_MODIFIED: c_int = 2;
    /// Its attributes have changed.
    FILE_ATTRIB: c_int = 4;
    /// It was deleted. Always told, as are those below.
    FILE_DELETE: c_int = 0x10;
    /// Another file was renamed over it.
    FILE_RENAME_TO: c_int = 0x20;
    /// It was renamed.
    FILE_RENAME_FROM: c_int = 0x40;
    /// It was truncated.
    FILE_TRUNC: c_int = 0x10_0000;
    /// Watch a symbolic link itself.
    FILE_NOFOLLOW: c_int = 0x1000_0000;
    /// Its file system was unmounted.
    UNMOUNTED: c_int = 0x2000_0000;
    /// Something was mounted over it.
    MOUNTEDOVER: c_int = 0x4000_0000;
    /// Those that are always told, and after which the file is not associated any more.
    FILE_EXCEPTION: c_int =
        UNMOUNTED | FILE_DELETE | FILE_RENAME_TO | FILE_RENAME_FROM | MOUNTEDOVER;
}

/// Those that can be asked for.
pub(super) const FILE_ASKED: c_int =
    FILE_ACCESS | FILE_MODIFIED | FILE_ATTRIB | FILE_TRUNC | FILE_NOFOLLOW;
