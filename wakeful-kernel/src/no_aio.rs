//! No asynchronous I/O that a kqueue is told of.

use crate::file::{Completed, Operation, Reason, Rejected};

#[derive(Debug)]
pub(crate) struct Operations;

impl Operations {
    pub(crate) fn new() -> Operations {
        Operations
    }

    pub(crate) fn begin(
        &self,
        operation: Operation,
        user: usize,
        _: Nobody,
    ) -> Result<(), Rejected<usize>> {
        let reason = Reason::Failed(std::io::ErrorKind::Unsupported.into());
        Err(Rejected { operation, user, reason })
    }

    pub(crate) fn finish(&self, _: usize) -> Option<Completed<usize>> {
        None
    }

    pub(crate) fn cancel(&self, _: usize) {}
}

/// Is told.
pub(crate) struct Nobody;

pub(crate) fn telling_kqueue(_: libc::c_int, _: usize) -> Nobody {
    Nobody
}

/// Whether a kqueue can be told.
pub(crate) const IS_THERE: bool = false;
