//! What an event port takes is everything; what it tells of some is always the same.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use rustix::fs::FileType;
use wakeful_kernel::descriptor::Identity;

/// Devices that are ready without end, whatever happens.
const ALWAYS_READY: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

/// Whether the kernel can tell when this descriptor is ready.
pub(crate) fn can_be_waited_for(fd: BorrowedFd<'_>) -> io::Result<bool> {
    if Identity::of(fd.as_raw_fd())?.is_regular_file_or_directory() {
        return Ok(false);
    }
    let status = rustix::fs::fstat(fd)?;
    let is_device = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
    let is_it = |path: &&str| {
        std::fs::metadata(path).is_ok_and(|device| device.rdev() == status.st_rdev as u64)
    };
    Ok(!(is_device && ALWAYS_READY.iter().any(is_it)))
}
