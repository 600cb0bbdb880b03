use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_FS`—File systems are mounted and unmounted. Not on OpenBSD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem(());

impl FileSystem {
    /// Of all file systems.
    pub fn new() -> FileSystem {
        FileSystem(())
    }
}

impl Default for FileSystem {
    fn default() -> FileSystem {
        FileSystem::new()
    }
}

impl Subject for FileSystem {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        Description::new(system, Filter::FileSystem, 0)
    }
}
