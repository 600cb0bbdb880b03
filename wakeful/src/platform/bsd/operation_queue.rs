//! A kqueue that is told of operations, and of what the program says itself.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use wakeful_kernel::file::{Completed, Operation, Rejected};
use wakeful_kernel::kqueue::filter::User;
use wakeful_kernel::kqueue::{Change, FlagOperation, Kqueue, Mode};

use super::ringing::make_readable;

/// The number of what the program says.
const RING: usize = 0;

#[derive(Debug)]
pub(crate) struct OperationQueue(Kqueue);

impl OperationQueue {
    /// `None` where a kqueue is not told.
    pub(crate) fn new() -> io::Result<Option<OperationQueue>> {
        if !Kqueue::can_submit() {
            return Ok(None);
        }
        let kqueue = Kqueue::new()?;
        kqueue.apply([Change::add(User::new(RING), Mode::Clear, 0)?])?;
        Ok(Some(OperationQueue(kqueue)))
    }

    pub(crate) fn submit(&self, operation: Operation, user: usize) -> Result<(), Rejected<usize>> {
        self.0.submit(operation, user)
    }

    pub(crate) fn cancel(&self, user: usize) {
        self.0.cancel(user);
    }

    /// Takes what has ended, and what was rung.
    pub(crate) fn take(&self, ended: &mut VecDeque<Completed<usize>>) {
        let mut events = Vec::with_capacity(64);
        while self.0.wait(&mut events, Some(Duration::ZERO)).is_ok() && !events.is_empty() {
            ended.extend(events.iter().filter_map(|event| self.0.completion(event)));
            events.clear();
        }
    }

    /// # Errors
    ///
    /// It is not readable.
    pub(crate) fn ring(&self) -> io::Result<()> {
        make_readable(self.0.as_fd(), || {
            Ok(self.0.apply([Change::trigger(RING, FlagOperation::Keep, 0)?])?)
        })
    }
}

impl AsFd for OperationQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
