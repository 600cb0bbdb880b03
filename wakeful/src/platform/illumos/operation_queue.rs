//! An event port that is told of operations, and of what the program says itself.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use wakeful_kernel::event_port::EventPort;
use wakeful_kernel::file::{Completed, Operation, Rejected};

use super::ringing::make_readable;

#[derive(Debug)]
pub(crate) struct OperationQueue(EventPort);

impl OperationQueue {
    pub(crate) fn new() -> io::Result<Option<OperationQueue>> {
        Ok(Some(OperationQueue(EventPort::new()?)))
    }

    pub(crate) fn submit(&self, operation: Operation, user: usize) -> Result<(), Rejected<usize>> {
        self.0.submit(operation, user)
    }

    pub(crate) fn cancel(&self, user: usize) {
        self.0.cancel(user);
    }

    /// Takes what has ended, and what was rung.
    pub(crate) fn take(&self, ended: &mut VecDeque<Completed<usize>>) {
        while let Ok(events) = self.0.get_n(64, Some(Duration::ZERO)) {
            if events.is_empty() {
                return;
            }
            ended.extend(events.iter().filter_map(|event| self.0.completion(event)));
        }
    }

    /// # Errors
    ///
    /// It is not readable.
    pub(crate) fn ring(&self) -> io::Result<()> {
        make_readable(self.0.as_fd(), || self.0.send(1, 0).map_err(io::Error::from))
    }
}

impl AsFd for OperationQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
