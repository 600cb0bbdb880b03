//! What epoll takes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use wakeful_kernel::descriptor::Identity;
use wakeful_kernel::epoll::{Epoll, Flags};

/// Whether the kernel can tell when this descriptor is ready.
pub(crate) fn can_be_waited_for(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let epoll = match Epoll::new().map_err(io::Error::from) {
        Ok(epoll) => epoll,
        // By a sandbox: pollers wait by poll(2) then.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            return Ok(!Identity::of(fd.as_raw_fd())?.is_regular_file_or_directory());
        }
        Err(error) => return Err(error),
    };
    let added = epoll.add_raw(fd.as_raw_fd(), Flags::IN, 0_u64);
    match added.map_err(io::Error::from) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(false),
        Err(error) => Err(error),
    }
}
