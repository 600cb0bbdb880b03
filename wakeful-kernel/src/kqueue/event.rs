//! What happened, whole.

use std::ffi::c_int;
use std::fmt;
use std::io;
use std::os::fd::RawFd;

use super::filter::{Filter, ProcessEvents, VnodeEvents};
use super::system::System;
use crate::sys::kqueue as sys;

/// `struct kevent`—One thing that happened.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Event(pub(super) sys::kevent);

/// An event, read as its filter means it. What is not said here is in the event's own fields.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happening {
    /// Something can be read.
    Readable {
        /// The descriptor.
        fd: RawFd,
        /// How many bytes; of a listening socket, how many connections; of a regular file, how far from the
        /// offset to its end.
        amount: i64,
        /// Nothing more will come after that.
        is_end: bool,
        /// The socket's error.
        error: Option<io::Error>,
    },
    /// Something can be written.
    Writable {
        /// The descriptor.
        fd: RawFd,
        /// How many bytes.
        amount: i64,
        /// Nobody will read it.
        is_end: bool,
        /// The socket's error.
        error: Option<io::Error>,
    },
    /// There is out-of-band data, or another exceptional condition.
    Exceptional {
        /// The descriptor.
        fd: RawFd,
    },
    /// All that was written has left.
    Empty {
        /// The descriptor.
        fd: RawFd,
    },
    /// A file has changed.
    Vnode {
        /// The descriptor.
        fd: RawFd,
        /// What has happened to it since the last report.
        what: VnodeEvents,
    },
    /// A process has done something.
    Process {
        /// The process.
        pid: libc::pid_t,
        /// What it has done.
        what: ProcessEvents,
        /// With [`ProcessEvents::EXIT`] its status as waitpid(2) has it; where [`ProcessEvents::EXIT_STATUS`] is a
        /// flag of its own, only with that.
        status: i64,
    },
    /// A process that a descriptor stands for has ended.
    ProcessDescriptor {
        /// The descriptor.
        fd: RawFd,
        /// Its status, as waitpid(2) has it.
        status: i64,
    },
    /// A signal has come.
    Signal {
        /// Which.
        number: c_int,
        /// How often since the last report.
        count: i64,
    },
    /// A timer has expired.
    Timer {
        /// The caller's number of it.
        id: usize,
        /// How often since the last report.
        expirations: u64,
    },
    /// The program has said so.
    User {
        /// The caller's number of it.
        id: usize,
        /// Its flags, 24 bits.
        flags: u32,
        /// The number that came with the trigger.
        data: i64,
    },
    /// A POSIX asynchronous operation has ended.
    Aio {
        /// The address of its control block.
        control_block: usize,
    },
    /// A file system was mounted or unmounted.
    FileSystem {
        /// What has happened: the system's own `VQ_*`.
        what: u32,
    },
    /// A message has arrived at a Mach port, or one of a set.
    MachPort {
        /// The port or the set.
        port: usize,
        /// The port that has it.
        ready: i64,
    },
    /// A change was made, or failed.
    Changed {
        /// Why it failed.
        error: Option<io::Error>,
    },
    /// A filter that this crate has no name for.
    Other,
}

#[allow(clippy::unnecessary_cast)]
impl Event {
    /// `ident`—What it is about.
    pub fn ident(&self) -> usize {
        self.0.ident as usize
    }

    /// `filter`—If this crate has a name for it.
    pub fn filter(&self) -> Option<Filter> {
        System::CURRENT.filter_of(self.raw_filter())
    }

    /// `filter`—The system's number of it.
    pub fn raw_filter(&self) -> i32 {
        self.0.filter as i32
    }

    /// `flags`—`EV_*`.
    pub fn flags(&self) -> u32 {
        self.0.flags as u32
    }

    /// `fflags`—The filter's own flags.
    pub fn filter_flags(&self) -> u32 {
        self.0.fflags as u32
    }

    /// `data`—The filter's own number.
    pub fn data(&self) -> i64 {
        self.0.data as i64
    }

    /// `udata`—The caller's.
    pub fn user_data(&self) -> usize {
        self.0.udata as usize
    }

    /// `EV_EOF`—The other side is gone, or the process.
    pub fn is_end(&self) -> bool {
        self.flags() & sys::EV_EOF != 0
    }

    /// `EV_ERROR`—Whether it speaks of a change; see [`error`](Event::error).
    pub fn is_of_change(&self) -> bool {
        self.flags() & sys::EV_ERROR != 0
    }

    /// `EV_DISPATCH`—Whether it is disabled by now.
    pub fn is_dispatched(&self) -> bool {
        self.flags() & sys::EV_DISPATCH != 0
    }

    /// Why a change failed, if this speaks of a change that did.
    pub fn error(&self) -> Option<io::Error> {
        let errno = i32::try_from(self.data()).ok().filter(|&errno| errno != 0)?;
        self.is_of_change().then(|| io::Error::from_raw_os_error(errno))
    }

    /// The error of the socket that ended, if it has one.
    pub fn socket_error(&self) -> Option<io::Error> {
        let errno = i32::try_from(self.filter_flags()).ok().filter(|&errno| errno != 0)?;
        self.is_end().then(|| io::Error::from_raw_os_error(errno))
    }

    /// What it means.
    pub fn happening(&self) -> Happening {
        if self.is_of_change() {
            return Happening::Changed { error: self.error() };
        }
        let Some(filter) = self.filter() else {
            return Happening::Other;
        };
        let fd = self.ident() as RawFd;
        let (amount, is_end, error) = (self.data(), self.is_end(), self.socket_error());
        match filter {
            Filter::Read => Happening::Readable { fd, amount, is_end, error },
            Filter::Write => Happening::Writable { fd, amount, is_end, error },
            Filter::Except => Happening::Exceptional { fd },
            Filter::Empty => Happening::Empty { fd },
            Filter::Vnode => {
                let what = System::CURRENT.vnode_events(self.filter_flags());
                Happening::Vnode { fd, what }
            }
            Filter::Process => {
                let what = System::CURRENT.process_events(self.filter_flags());
                Happening::Process { pid: self.ident() as libc::pid_t, what, status: self.data() }
            }
            Filter::ProcessDescriptor => Happening::ProcessDescriptor { fd, status: self.data() },
            Filter::Signal => {
                Happening::Signal { number: self.ident() as c_int, count: self.data() }
            }
            Filter::Timer => Happening::Timer {
                id: self.ident(),
                expirations: u64::try_from(self.data()).unwrap_or(0),
            },
            Filter::User => Happening::User {
                id: self.ident(),
                flags: self.filter_flags() & sys::NOTE_FFLAGSMASK,
                data: self.data(),
            },
            Filter::Aio | Filter::AioList => Happening::Aio { control_block: self.ident() },
            Filter::FileSystem => Happening::FileSystem { what: self.filter_flags() },
            Filter::MachPort => Happening::MachPort { port: self.ident(), ready: self.data() },
        }
    }

    pub(super) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct(name);
        shown.field("ident", &self.ident());
        match self.filter() {
            Some(filter) => shown.field("filter", &filter),
            None => shown.field("filter", &self.raw_filter()),
        };
        shown
            .field("flags", &format_args!("{:#x}", self.flags()))
            .field("filter_flags", &format_args!("{:#x}", self.filter_flags()))
            .field("data", &self.data())
            .field("user_data", &self.user_data())
            .finish()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("Event", f)
    }
}

// SAFETY: the pointer inside is a number of the caller's, which nobody follows.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}
