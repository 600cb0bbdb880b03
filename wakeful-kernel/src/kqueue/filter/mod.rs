//! What can be waited for: one file per filter.

mod aio;
mod empty;
mod except;
mod fs;
mod machport;
mod procdesc;
mod process;
mod read;
mod signal;
mod timer;
mod user;
mod vnode;
mod write;

use std::os::fd::RawFd;

pub use aio::Aio;
pub use empty::Empty;
pub use except::Except;
pub use fs::FileSystem;
pub use machport::MachPort;
pub use procdesc::ProcessDescriptor;
pub use process::{Process, ProcessEvents};
pub use read::Read;
pub use signal::Signal;
pub use timer::Timer;
pub use user::User;
pub use vnode::{Vnode, VnodeEvents};
pub use write::Write;

use super::{BuildError, System};

/// `EVFILT_*`—When an event is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Filter {
    /// `EVFILT_READ`—[`Read`].
    Read,
    /// `EVFILT_WRITE`—[`Write`].
    Write,
    /// `EVFILT_AIO`—[`Aio`].
    Aio,
    /// `EVFILT_LIO`—A list of POSIX asynchronous operations, FreeBSD's.
    AioList,
    /// `EVFILT_VNODE`—[`Vnode`].
    Vnode,
    /// `EVFILT_PROC`—[`Process`].
    Process,
    /// `EVFILT_PROCDESC`—[`ProcessDescriptor`].
    ProcessDescriptor,
    /// `EVFILT_SIGNAL`—[`Signal`].
    Signal,
    /// `EVFILT_TIMER`—[`Timer`].
    Timer,
    /// `EVFILT_USER`—[`User`].
    User,
    /// `EVFILT_FS`—[`FileSystem`].
    FileSystem,
    /// `EVFILT_EXCEPT`—[`Except`].
    Except,
    /// `EVFILT_EMPTY`—[`Empty`].
    Empty,
    /// `EVFILT_MACHPORT`—[`MachPort`].
    MachPort,
}

/// One of the three things that can be waited for of a descriptor's input and output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reading it.
    Read(Read),
    /// Writing it.
    Write(Write),
    /// Out-of-band data.
    Except(Except),
}

impl Direction {
    /// Its filter.
    pub fn filter(&self) -> Filter {
        match self {
            Direction::Read(_) => Filter::Read,
            Direction::Write(_) => Filter::Write,
            Direction::Except(_) => Filter::Except,
        }
    }
}

impl Subject for Direction {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        match self {
            Direction::Read(read) => read.describe(system),
            Direction::Write(write) => write.describe(system),
            Direction::Except(except) => except.describe(system),
        }
    }
}

/// Something that can be waited for. The types of this module are all that there are.
pub trait Subject: sealed::Sealed {
    #[doc(hidden)]
    fn describe(&self, system: &System) -> Result<Description, BuildError>;
}

/// What `struct kevent` is to say of it.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Description {
    pub(super) ident: usize,
    pub(super) filter: i32,
    pub(super) fflags: u32,
    pub(super) data: i64,
    /// It happens once by its nature.
    pub(super) is_once: bool,
}

impl Description {
    fn new(system: &System, filter: Filter, ident: usize) -> Result<Description, BuildError> {
        let number = system.number_of(filter).ok_or(BuildError { filter, missing: None })?;
        Ok(Description { ident, filter: number, fflags: 0, data: 0, is_once: false })
    }

    fn of_descriptor(
        system: &System,
        filter: Filter,
        fd: RawFd,
    ) -> Result<Description, BuildError> {
        // A number that is none is refused by the kernel, as EBADF.
        Description::new(system, filter, fd as usize)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Aio {}
    impl Sealed for super::Direction {}
    impl Sealed for super::Empty {}
    impl Sealed for super::Except {}
    impl Sealed for super::FileSystem {}
    impl Sealed for super::MachPort {}
    impl Sealed for super::Process {}
    impl Sealed for super::ProcessDescriptor {}
    impl Sealed for super::Read {}
    impl Sealed for super::Signal {}
    impl Sealed for super::Timer {}
    impl Sealed for super::User {}
    impl Sealed for super::Vnode {}
    impl Sealed for super::Write {}
}
