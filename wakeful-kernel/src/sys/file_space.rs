//! posix_fallocate(3).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

pub(crate) fn extend(file: &File, at: libc::off_t, length: libc::off_t) -> io::Result<()> {
    // SAFETY: the call takes integers and touches no memory; the file is open.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), at, length) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}
