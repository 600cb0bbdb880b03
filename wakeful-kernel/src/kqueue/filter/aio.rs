use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_AIO`—A POSIX asynchronous operation has ended.
///
/// It is not added by a change but by the operation, whose `sigevent` says `SIGEV_KEVENT` and names the kqueue; it
/// can be deleted, and is told of by [`Happening::Aio`](crate::kqueue::Happening::Aio).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aio {
    control_block: usize,
}

impl Aio {
    /// Of the operation whose control block is at this address.
    pub fn new(control_block: usize) -> Aio {
        Aio { control_block }
    }
}

impl Subject for Aio {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        Description::new(system, Filter::Aio, self.control_block)
    }
}
