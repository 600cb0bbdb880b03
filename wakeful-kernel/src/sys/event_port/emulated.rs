//! Event ports on Linux, by `wakeful-emulation`.

use std::io;

pub use libc::timer_t;
pub use wakeful_emulation::event_port::*;

pub(crate) use crate::sys::emulated::Owner;

/// `port_create()` and `fcntl(fd, F_SETFD, FD_CLOEXEC)`
pub(crate) fn create_cloexec() -> io::Result<Owner> {
    let fd = crate::error::check(port_create())?;
    // SAFETY: the call succeeded, so it is open, and nothing else owns it.
    let owner = unsafe { Owner::new(fd, close) };
    // SAFETY: the call takes integers.
    crate::error::check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(owner)
}
