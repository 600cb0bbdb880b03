use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_MACHPORT`—A message has arrived at a Mach port, or one of a set. macOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachPort {
    port: u32,
}

impl MachPort {
    /// Of a port, or of a set of ports, by its name.
    pub fn new(port: u32) -> MachPort {
        MachPort { port }
    }
}

impl Subject for MachPort {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        Description::new(system, Filter::MachPort, self.port as usize)
    }
}
