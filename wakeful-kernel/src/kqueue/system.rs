//! What each system has, and by which numbers, as data.
//!
//! Everything is here on every system, so that a program can ask, and a test can look. The numbers are those of
//! each system's sys/event.h.

use std::time::Duration;

use super::filter::{Filter, ProcessEvents, VnodeEvents};
use crate::sys::kqueue as sys;

/// What the kqueue of one system has.
#[derive(Debug)]
pub struct System {
    /// Its name.
    pub name: &'static str,
    pub(super) filters: &'static [(Filter, i32)],
    pub(super) vnode: &'static [(VnodeEvents, u32)],
    pub(super) process: &'static [(ProcessEvents, u32)],
    pub(super) timer: TimerUnits,
    pub(super) out_of_band: u32,
    /// The flag that makes a regular file as readable as poll(2) has it.
    pub(super) file_poll: Option<u32>,
    /// Waits and timers are counted in ticks of the clock.
    pub(super) has_ticks: bool,
    /// The flag of open(2) for a descriptor that is only to be watched, which does not keep a file system
    /// mounted; 0 if there is none.
    pub open_to_watch: i32,
}

/// How a timer's unit is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimerUnits {
    /// The flags for nanoseconds, microseconds, milliseconds and seconds.
    pub(super) nanoseconds: Option<u32>,
    pub(super) microseconds: Option<u32>,
    pub(super) milliseconds: u32,
    pub(super) seconds: Option<u32>,
    /// A time of day instead of a span.
    pub(super) absolute: Option<u32>,
}

const VNODE: &[(VnodeEvents, u32)] = &[
    (VnodeEvents::DELETE, 1),
    (VnodeEvents::WRITE, 2),
    (VnodeEvents::EXTEND, 4),
    (VnodeEvents::ATTRIBUTES, 8),
    (VnodeEvents::LINK, 0x10),
    (VnodeEvents::RENAME, 0x20),
    (VnodeEvents::REVOKE, 0x40),
];

const PROCESS: &[(ProcessEvents, u32)] = &[
    (ProcessEvents::EXIT, 1 << 31),
    (ProcessEvents::FORK, 1 << 30),
    (ProcessEvents::EXEC, 1 << 29),
    (ProcessEvents::TRACK, 1),
    (ProcessEvents::TRACK_FAILED, 2),
    (ProcessEvents::CHILD, 4),
];

/// FreeBSD 14.
pub const FREEBSD: System = System {
    name: "FreeBSD",
    filters: &[
        (Filter::Read, -1),
        (Filter::Write, -2),
        (Filter::Aio, -3),
        (Filter::Vnode, -4),
        (Filter::Process, -5),
        (Filter::Signal, -6),
        (Filter::Timer, -7),
        (Filter::ProcessDescriptor, -8),
        (Filter::FileSystem, -9),
        (Filter::AioList, -10),
        (Filter::User, -11),
        (Filter::Empty, -13),
    ],
    vnode: &[
        VNODE[0],
        VNODE[1],
        VNODE[2],
        VNODE[3],
        VNODE[4],
        VNODE[5],
        VNODE[6],
        (VnodeEvents::OPEN, 0x80),
        (VnodeEvents::CLOSE, 0x100),
        (VnodeEvents::CLOSE_WRITE, 0x200),
        (VnodeEvents::READ, 0x400),
    ],
    process: PROCESS,
    timer: TimerUnits {
        nanoseconds: Some(8),
        microseconds: Some(4),
        milliseconds: 2,
        seconds: Some(1),
        absolute: Some(0x10),
    },
    out_of_band: 0,
    file_poll: Some(2),
    has_ticks: false,
    open_to_watch: 0,
};

/// What [`wakeful-emulation`](https://docs.rs/wakeful-emulation) has on Linux, which is a part of
/// [`FREEBSD`]'s.
pub const EMULATED: System = System {
    name: "FreeBSD, emulated on Linux,",
    filters: &[
        (Filter::Read, -1),
        (Filter::Write, -2),
        (Filter::Aio, -3),
        (Filter::Vnode, -4),
        (Filter::Process, -5),
        (Filter::Signal, -6),
        (Filter::Timer, -7),
        (Filter::User, -11),
        (Filter::Empty, -13),
        // Which FreeBSD has not got; but Linux can tell.
        (Filter::Except, -64),
    ],
    out_of_band: 2,
    process: &[PROCESS[0]],
    ..FREEBSD
};

/// macOS and its kin.
pub const APPLE: System = System {
    name: "macOS",
    filters: &[
        (Filter::Read, -1),
        (Filter::Write, -2),
        (Filter::Aio, -3),
        (Filter::Vnode, -4),
        (Filter::Process, -5),
        (Filter::Signal, -6),
        (Filter::Timer, -7),
        (Filter::MachPort, -8),
        (Filter::FileSystem, -9),
        (Filter::User, -10),
        (Filter::Except, -15),
    ],
    vnode: &[
        VNODE[0],
        VNODE[1],
        VNODE[2],
        VNODE[3],
        VNODE[4],
        VNODE[5],
        VNODE[6],
        (VnodeEvents::UNLOCK, 0x100),
    ],
    process: &[
        PROCESS[0],
        PROCESS[1],
        PROCESS[2],
        (ProcessEvents::SIGNAL, 0x0800_0000),
        (ProcessEvents::EXIT_STATUS, 0x0400_0000),
    ],
    timer: TimerUnits {
        nanoseconds: Some(4),
        microseconds: Some(2),
        milliseconds: 0,
        seconds: Some(1),
        absolute: Some(8),
    },
    out_of_band: 2,
    file_poll: None,
    has_ticks: false,
    open_to_watch: 0x8000,
};

/// NetBSD 10. Earlier ones have no `User`, which the kernel says when such an event is added.
pub const NETBSD: System = System {
    name: "NetBSD",
    filters: &[
        (Filter::Read, 0),
        (Filter::Write, 1),
        (Filter::Aio, 2),
        (Filter::Vnode, 3),
        (Filter::Process, 4),
        (Filter::Signal, 5),
        (Filter::Timer, 6),
        (Filter::FileSystem, 7),
        (Filter::User, 8),
        (Filter::Empty, 9),
    ],
    vnode: VNODE,
    process: PROCESS,
    timer: ENUMERATED,
    out_of_band: 0,
    file_poll: None,
    has_ticks: true,
    open_to_watch: 0,
};

/// OpenBSD 7.7. Earlier ones have no `User`, which the kernel says when such an event is added.
pub const OPENBSD: System = System {
    name: "OpenBSD",
    filters: &[
        (Filter::Read, -1),
        (Filter::Write, -2),
        (Filter::Aio, -3),
        (Filter::Vnode, -4),
        (Filter::Process, -5),
        (Filter::Signal, -6),
        (Filter::Timer, -7),
        (Filter::Except, -9),
        (Filter::User, -10),
    ],
    vnode: &[
        VNODE[0],
        VNODE[1],
        VNODE[2],
        VNODE[3],
        VNODE[4],
        VNODE[5],
        VNODE[6],
        (VnodeEvents::TRUNCATE, 0x80),
    ],
    process: PROCESS,
    timer: ENUMERATED,
    out_of_band: 4,
    file_poll: None,
    has_ticks: true,
    open_to_watch: 0,
};

/// DragonFly.
pub const DRAGONFLY: System = System {
    name: "DragonFly",
    filters: &[
        (Filter::Read, -1),
        (Filter::Write, -2),
        (Filter::Aio, -3),
        (Filter::Vnode, -4),
        (Filter::Process, -5),
        (Filter::Signal, -6),
        (Filter::Timer, -7),
        (Filter::Except, -8),
        (Filter::User, -9),
        (Filter::FileSystem, -10),
    ],
    vnode: VNODE,
    process: PROCESS,
    timer: TimerUnits {
        nanoseconds: None,
        microseconds: None,
        milliseconds: 0,
        seconds: None,
        absolute: None,
    },
    out_of_band: 2,
    file_poll: None,
    has_ticks: true,
    open_to_watch: 0,
};

/// A number, not flags.
const ENUMERATED: TimerUnits = TimerUnits {
    nanoseconds: Some(3),
    microseconds: Some(2),
    milliseconds: 0,
    seconds: Some(1),
    absolute: Some(0x10),
};

impl System {
    /// The one that this program was built for.
    pub const CURRENT: &'static System = &crate::sys::KQUEUE_SYSTEM;

    /// Returns the unit of its timeouts: a finer one is rounded up to a multiple of it, and some systems add one more.
    ///
    /// FreeBSD and macOS count nanoseconds; NetBSD, OpenBSD and DragonFly ticks of the clock, of which there are 100 a second
    /// unless their kernel was built otherwise. The same holds of [`Timer`](super::filter::Timer)s.
    pub fn timeout_resolution(&self) -> Duration {
        if self.has_ticks {
            sys::tick().unwrap_or(Duration::from_millis(10))
        } else {
            Duration::from_nanos(1)
        }
    }

    /// The filters that it has.
    ///
    /// ```
    /// use wakeful_kernel::kqueue::{Filter, System};
    ///
    /// assert!(System::CURRENT.filters().any(|filter| filter == Filter::Timer));
    /// ```
    pub fn filters(&self) -> impl Iterator<Item = Filter> + use<> {
        self.filters.iter().map(|&(filter, _)| filter)
    }

    /// The number of a filter, if it has that.
    pub fn number_of(&self, filter: Filter) -> Option<i32> {
        self.filters.iter().find(|&&(it, _)| it == filter).map(|&(_, number)| number)
    }

    /// The filter of a number.
    pub fn filter_of(&self, number: i32) -> Option<Filter> {
        self.filters.iter().find(|&&(_, it)| it == number).map(|&(filter, _)| filter)
    }

    /// What of files it tells.
    pub fn all_vnode_events(&self) -> VnodeEvents {
        self.vnode.iter().fold(VnodeEvents::empty(), |all, &(event, _)| all | event)
    }

    /// What of processes it tells.
    pub fn all_process_events(&self) -> ProcessEvents {
        self.process.iter().fold(ProcessEvents::empty(), |all, &(event, _)| all | event)
    }

    pub(super) fn vnode_events(&self, raw: u32) -> VnodeEvents {
        let found = self.vnode.iter().filter(|&&(_, bit)| raw & bit != 0);
        found.fold(VnodeEvents::empty(), |all, &(event, _)| all | event)
    }

    pub(super) fn process_events(&self, raw: u32) -> ProcessEvents {
        let found = self.process.iter().filter(|&&(_, bit)| raw & bit != 0);
        found.fold(ProcessEvents::empty(), |all, &(event, _)| all | event)
    }
}
