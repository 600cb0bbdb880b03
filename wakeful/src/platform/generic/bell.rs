//! A pipe.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use wakeful_kernel::{descriptor, pipe};

#[derive(Debug)]
pub(crate) struct Bell {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        let (reader, writer) = pipe::pipe()?;
        Ok(Bell { reader, writer: descriptor::into_high_number(writer) })
    }

    pub(crate) fn ring(&self) {
        // A full pipe is readable.
        let _ = descriptor::write(&self.writer, &[1]);
    }

    pub(crate) fn silence(&self) {
        let mut buffer = [0; 64];
        while let Ok(64) = descriptor::read(&self.reader, &mut buffer) {}
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
