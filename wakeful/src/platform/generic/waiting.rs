//! What poll(2) takes is everything; what it tells of some is always the same.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use wakeful_kernel::descriptor::Identity;

/// Whether the kernel can tell when this descriptor is ready.
pub(crate) fn can_be_waited_for(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(!Identity::of(fd.as_raw_fd())?.is_regular_file_or_directory())
}
