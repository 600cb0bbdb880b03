//! A pipe.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use wakeful_kernel::{descriptor, pipe};

use super::ringing::make_readable;

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

    /// # Errors
    ///
    /// It is not readable.
    pub(crate) fn ring(&self) -> io::Result<()> {
        let write = || descriptor::write(&self.writer, &[1]).map(drop);
        make_readable(self.reader.as_fd(), write)
    }

    /// After an error it stays readable.
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
