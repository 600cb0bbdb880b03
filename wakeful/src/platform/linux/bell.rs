//! An eventfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use wakeful_kernel::linux::EventFd;

#[derive(Debug)]
pub(crate) struct Bell(EventFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        Ok(Bell(EventFd::new(0)?))
    }

    pub(crate) fn ring(&self) {
        // It counts almost without end, and is readable then too.
        let _ = self.0.write(1);
    }

    pub(crate) fn silence(&self) {
        // Silent already, if nobody has rung.
        let _ = self.0.read();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
