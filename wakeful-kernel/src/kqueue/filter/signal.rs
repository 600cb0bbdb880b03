use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_SIGNAL`—A signal is sent to the process, whatever its disposition.
///
/// Handlers run as they would. Ignored signals are told of, too, except `SIGCHLD`; one whose default is to end the
/// process ends it. Reported with [`Mode::Clear`](crate::kqueue::Mode::Clear), whichever mode is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    number: std::ffi::c_int,
}

impl Signal {
    /// Of a signal by its number, such as `libc::SIGHUP`.
    pub fn new(number: std::ffi::c_int) -> Signal {
        Signal { number }
    }
}

impl Subject for Signal {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        // A number that is none is refused by the kernel, or never comes.
        Description::new(system, Filter::Signal, self.number as usize)
    }
}
