//! An event of the program's own, in an event port.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use wakeful_kernel::event_port::EventPort;

#[derive(Debug)]
pub(crate) struct Bell(EventPort);

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        Ok(Bell(EventPort::new()?))
    }

    pub(crate) fn ring(&self) {
        // A full port is readable.
        let _ = self.0.send(1, 0);
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
