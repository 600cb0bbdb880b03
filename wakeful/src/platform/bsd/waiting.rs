//! What kqueue takes, but for files, which it takes to be ready for other reasons.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use wakeful_kernel::descriptor::Identity;
use wakeful_kernel::kqueue::filter::Read;
use wakeful_kernel::kqueue::{Change, Kqueue, Mode};

/// Whether the kernel can tell when this descriptor is ready.
pub(crate) fn can_be_waited_for(fd: BorrowedFd<'_>) -> io::Result<bool> {
    if Identity::of(fd.as_raw_fd())?.is_regular_file_or_directory() {
        return Ok(false);
    }
    let added = Kqueue::new()?.apply([Change::add(Read::new(fd), Mode::Level, 0)?]);
    match added.map_err(io::Error::from) {
        Ok(()) => Ok(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINVAL | libc::ENODEV | libc::EOPNOTSUPP | libc::EPERM) => Ok(false),
            _ => Err(error),
        },
    }
}
