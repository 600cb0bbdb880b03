use std::os::fd::AsRawFd;

use super::{Event, Happening, Kqueue};
use crate::aio::{Operations, telling_kqueue};
use crate::file::{Completed, Operation, Rejected};

impl Kqueue {
    /// Whether this system's kqueues are told of asynchronous operations: FreeBSD's are, by the emulation too. Others have
    /// the filter by name.
    pub fn can_submit() -> bool {
        crate::aio::IS_THERE
    }

    /// `aio_read`, `aio_write` or `aio_fsync` with `SIGEV_KEVENT`—Begins a [read](Operation::read), a
    /// [write](Operation::write) or a [sync](Operation::sync_all), whose file and buffer the kqueue owns until it has
    /// ended. That is told by [`Happening::Aio`], with `user` as its user data; [`completion`](Kqueue::completion)
    /// answers with what came of it, and until it was asked the event is reported again.
    ///
    /// # Errors
    ///
    /// With the operation: `EAGAIN`, too many are under way; `EINVAL`, no such offset;
    /// [`Unsupported`](std::io::ErrorKind::Unsupported), another operation than these, or another system than FreeBSD.
    #[doc(alias = "aio_read")]
    #[doc(alias = "aio_write")]
    #[doc(alias = "aio_fsync")]
    pub fn submit(&self, operation: Operation, user: usize) -> Result<(), Rejected<usize>> {
        let operations = self.operations.get_or_init(|| Box::new(Operations::new()));
        operations.begin(operation, user, telling_kqueue(self.as_raw_fd(), user))
    }

    /// `aio_error`, `aio_return`—What came of an operation, if the event is about one that was
    /// [submitted](Kqueue::submit) here; once.
    #[doc(alias = "aio_return")]
    pub fn completion(&self, event: &Event) -> Option<Completed<usize>> {
        match event.happening() {
            Happening::Aio { control_block } => self.operations.get()?.finish(control_block),
            _ => None,
        }
    }

    /// `aio_cancel`—Asks for the operations of this user value to be given up. They end in any case: with `ECANCELED`,
    /// if it was not too late.
    #[doc(alias = "aio_cancel")]
    pub fn cancel(&self, user: usize) {
        if let Some(operations) = self.operations.get() {
            operations.cancel(user);
        }
    }
}
