use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_USER`—The program says so, with [`Change::trigger`](crate::kqueue::Change::trigger).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    id: usize,
}

impl User {
    /// By a number of the caller's.
    pub fn new(id: usize) -> User {
        User { id }
    }
}

impl Subject for User {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        Description::new(system, Filter::User, self.id)
    }
}
