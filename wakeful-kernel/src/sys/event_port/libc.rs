//! Event ports of the systems that have them: what `libc` declares, and what it does not.

use std::ffi::c_char;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use libc::c_int;
pub use libc::{
    PORT_SOURCE_AIO, PORT_SOURCE_ALERT, PORT_SOURCE_FD, PORT_SOURCE_FILE, PORT_SOURCE_MQ,
    PORT_SOURCE_TIMER, PORT_SOURCE_USER, SIGEV_PORT, aio_fsync, aio_read, aio_write, lio_listio,
    port_alert, port_associate, port_create, port_dissociate, port_event, port_get, port_getn,
    port_notify, port_send, port_sendn, timer_create, timer_delete, timer_getoverrun,
    timer_gettime, timer_settime, timer_t,
};

/// `file_obj_t`—A file to watch, and its times as the caller knows them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
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
    ($($(#[$documentation:meta])* $name:ident = $value:expr;)+) => {
        $($(#[$documentation])* pub const $name: c_int = $value;)+
    };
}

constants! {
    /// port_alert: enters alert mode, or changes its event.
    PORT_ALERT_SET = 1;
    /// port_alert: enters alert mode if the port is not in it.
    PORT_ALERT_UPDATE = 2;
    /// The file was read.
    FILE_ACCESS = 1;
    /// The file was written to.
    FILE_MODIFIED = 2;
    /// Its attributes have changed.
    FILE_ATTRIB = 4;
    /// It was deleted. Always told, as are those below.
    FILE_DELETE = 0x10;
    /// Another file was renamed over it.
    FILE_RENAME_TO = 0x20;
    /// It was renamed.
    FILE_RENAME_FROM = 0x40;
    /// It was truncated.
    FILE_TRUNC = 0x10_0000;
    /// Watch a symbolic link itself.
    FILE_NOFOLLOW = 0x1000_0000;
    /// Its file system was unmounted.
    UNMOUNTED = 0x2000_0000;
    /// Something was mounted over it.
    MOUNTEDOVER = 0x4000_0000;
    /// Those that are always told, and after which the file is not associated any more.
    FILE_EXCEPTION = UNMOUNTED | FILE_DELETE | FILE_RENAME_TO | FILE_RENAME_FROM | MOUNTEDOVER;
}

/// What owns the descriptor of a port.
pub(crate) type Owner = OwnedFd;

/// `port_create()` and `fcntl(fd, F_SETFD, FD_CLOEXEC)`
pub(crate) fn create_cloexec() -> io::Result<Owner> {
    // SAFETY: the call takes nothing.
    let fd = crate::error::check(unsafe { port_create() })?;
    // SAFETY: the call succeeded, so it is open, and nothing else owns it.
    let owner = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: the call takes integers.
    crate::error::check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(owner)
}
