//! An event of the program's own, in an event port.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use wakeful_kernel::event_port::EventPort;

use super::ringing::make_readable;

#[derive(Debug)]
pub(crate) struct Bell(EventPort);

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        Ok(Bell(EventPort::new()?))
    }

    /// # Errors
    ///
    /// It is not readable.
    pub(crate) fn ring(&self) -> io::Result<()> {
        make_readable(self.0.as_fd(), || self.0.send(1, 0).map_err(io::Error::from))
    }

    pub(crate) fn silence(&self) {
        let mut events = Vec::with_capacity(64);
        while let Ok(64) = self.0.get_raw(&mut events, 1, 64, Some(Duration::ZERO)) {
            events.clear();
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
