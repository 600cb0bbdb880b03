use super::{EventPort, EventSource, PortEvent};
use crate::aio::Operations;
use crate::file::{Completed, Operation, Rejected};
use crate::sys::event_port as port;

impl EventPort {
    /// `aio_read`, `aio_write` or `aio_fsync` with `SIGEV_PORT`—Begins a [read](Operation::read), a
    /// [write](Operation::write) or a [sync](Operation::sync_all), whose file and buffer the port owns until it has ended.
    /// Its event is of the source [`Aio`](EventSource::Aio); [`completion`](EventPort::completion) answers with what
    /// came of it.
    ///
    /// # Errors
    ///
    /// With the operation: `EAGAIN`, too many are under way, or the port has no more slots; `EINVAL`, no such offset;
    /// [`Unsupported`](std::io::ErrorKind::Unsupported), another operation than these.
    #[doc(alias = "aio_read")]
    #[doc(alias = "aio_write")]
    #[doc(alias = "aio_fsync")]
    pub fn submit(&self, operation: Operation, user: usize) -> Result<(), Rejected<usize>> {
        let notify =
            port::port_notify { portnfy_port: self.as_raw_fd(), portnfy_user: user as *mut _ };
        let operations = self.operations.get_or_init(|| Box::new(Operations::new()));
        operations.begin(operation, user, super::telling(&notify))
    }

    /// `aio_error`, `aio_return`—What came of an operation, if the event is about one that was
    /// [submitted](EventPort::submit) here; once.
    #[doc(alias = "aio_return")]
    pub fn completion(&self, event: &PortEvent) -> Option<Completed<usize>> {
        if event.source != EventSource::Aio {
            return None;
        }
        self.operations.get()?.finish(event.object)
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
