//! What owns a descriptor of the emulation's.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::c_int;

/// A descriptor of the emulation's, which is told when it is closed.
#[derive(Debug)]
pub(crate) struct Owner {
    fd: ManuallyDrop<OwnedFd>,
    close: unsafe fn(c_int) -> c_int,
}

impl Owner {
    /// Takes over a descriptor.
    ///
    /// # Safety
    ///
    /// It must be open, nobody else's, and what `close` closes.
    pub(crate) unsafe fn new(fd: c_int, close: unsafe fn(c_int) -> c_int) -> Owner {
        // SAFETY: as the caller promises.
        Owner { fd: ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(fd) }), close }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // SAFETY: it is open, and nobody else's; the owner is not used again.
        if unsafe { (self.close)(self.fd.as_raw_fd()) } == -1 {
            // A forked child's copy, of which the emulation knows nothing.
            // SAFETY: likewise.
            drop(unsafe { ManuallyDrop::take(&mut self.fd) });
        }
    }
}

impl AsFd for Owner {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Owner {
    fn as_raw_fd(&self) -> c_int {
        self.fd.as_raw_fd()
    }
}

/// Given away, it is closed by somebody who does not tell, which the emulation finds out.
impl From<Owner> for OwnedFd {
    fn from(owner: Owner) -> OwnedFd {
        let mut owner = ManuallyDrop::new(owner);
        // SAFETY: the owner is not used again, not even dropped.
        unsafe { ManuallyDrop::take(&mut owner.fd) }
    }
}
