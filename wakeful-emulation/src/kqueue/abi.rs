//! What sys/event.h says on FreeBSD 14.

use std::ffi::{c_int, c_void};

/// `struct kevent`—A change to make, or an event that happened.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub struct kevent {
    /// What it is about: most often a descriptor.
    pub ident: usize,
    /// Which filter: `EVFILT_*`.
    pub filter: i16,
    /// What to do, or what is the matter: `EV_*`.
    pub flags: u16,
    /// The filter's own flags: `NOTE_*`.
    pub fflags: u32,
    /// The filter's own number.
    pub data: i64,
    /// The caller's.
    pub udata: *mut c_void,
    /// For later, and zero.
    pub ext: [u64; 4],
}

macro_rules! constants {
    ($($(#[$documentation:meta])* $name:ident: $type:ty = $value:expr;)+) => {
        $($(#[$documentation])* pub const $name: $type = $value;)+
    };
}

constants! {
    /// kqueuex: closed at exec.
    KQUEUE_CLOEXEC: u32 = 1;

    /// Something can be read.
    EVFILT_READ: i16 = -1;
    /// Something can be written.
    EVFILT_WRITE: i16 = -2;
    /// An asynchronous operation has ended: added by the operation itself, whose `sigevent` says `SIGEV_KEVENT`.
    EVFILT_AIO: i16 = -3;
    /// Something happens to a file.
    EVFILT_VNODE: i16 = -4;
    /// A process ends.
    EVFILT_PROC: i16 = -5;
    /// A signal arrives.
    EVFILT_SIGNAL: i16 = -6;
    /// A time is over.
    EVFILT_TIMER: i16 = -7;
    /// FreeBSD's process descriptors: refused, Linux has none.
    EVFILT_PROCDESC: i16 = -8;
    /// File systems are mounted and unmounted: refused.
    EVFILT_FS: i16 = -9;
    /// All operations of a list have ended: added by `lio_listio`, whose `sigevent` says
    /// `SIGEV_KEVENT`.
    EVFILT_LIO: i16 = -10;
    /// The program says so.
    EVFILT_USER: i16 = -11;
    /// FreeBSD's own, of sendfile(2): refused.
    EVFILT_SENDFILE: i16 = -12;
    /// All that was written has left.
    EVFILT_EMPTY: i16 = -13;
    /// How many filters FreeBSD has: the others are not among them.
    EVFILT_SYSCOUNT: i16 = 13;
    /// There is out-of-band data. Not FreeBSD's: macOS, OpenBSD and DragonFly have it, by other numbers.
    EVFILT_EXCEPT: i16 = -64;

    /// `sigev_notify`: the kqueue whose descriptor is in `sigev_signo` is told.
    SIGEV_KEVENT: c_int = 3;

    /// Adds the event, or changes it.
    EV_ADD: u16 = 0x1;
    /// Takes it out.
    EV_DELETE: u16 = 0x2;
    /// Lets it be reported.
    EV_ENABLE: u16 = 0x4;
    /// Keeps it from being reported.
    EV_DISABLE: u16 = 0x8;
    /// Reports it once, and takes it out.
    EV_ONESHOT: u16 = 0x10;
    /// Forgets its state when it has been reported.
    EV_CLEAR: u16 = 0x20;
    /// Answers each change with an `EV_ERROR`, 0 for success.
    EV_RECEIPT: u16 = 0x40;
    /// Disables it when it has been reported.
    EV_DISPATCH: u16 = 0x80;
    /// Reports it now, once.
    EV_FORCEONESHOT: u16 = 0x100;
    /// Leaves the caller's pointer as it is.
    EV_KEEPUDATA: u16 = 0x200;
    /// What the system keeps for itself: a change must not have it, but for what it was reported
    /// with.
    EV_SYSFLAGS: u16 = 0xf000;
    /// The system's: it is taken out.
    EV_DROP: u16 = 0x1000;
    /// The system's, by the filter.
    EV_FLAG1: u16 = 0x2000;
    /// The system's, by the filter.
    EV_FLAG2: u16 = 0x4000;
    /// Reported only: the change failed, and `data` says why.
    EV_ERROR: u16 = 0x4000;
    /// Reported only: the end of the file, or the other side is gone.
    EV_EOF: u16 = 0x8000;

    /// `EVFILT_READ`, `EVFILT_WRITE`: only from so many bytes on.
    NOTE_LOWAT: u32 = 1;
    /// `EVFILT_READ`: a regular file is always readable, as poll(2) has it.
    NOTE_FILE_POLL: u32 = 2;
    /// `EVFILT_EXCEPT`: out-of-band data, which is what it is without any.
    NOTE_OOB: u32 = 2;
    /// `EVFILT_VNODE`: unlink(2) was called on it, or another file was renamed over it.
    NOTE_DELETE: u32 = 1;
    /// `EVFILT_VNODE`: it was written to; of a directory, an entry came or went.
    NOTE_WRITE: u32 = 2;
    /// `EVFILT_VNODE`: it has grown; of a directory, an entry was moved in or out.
    NOTE_EXTEND: u32 = 4;
    /// `EVFILT_VNODE`: its attributes have changed.
    NOTE_ATTRIB: u32 = 8;
    /// `EVFILT_VNODE`: its number of links has changed; of a directory, one came into it or left it.
    NOTE_LINK: u32 = 0x10;
    /// `EVFILT_VNODE`: it was renamed.
    NOTE_RENAME: u32 = 0x20;
    /// `EVFILT_VNODE`: its file system was unmounted.
    NOTE_REVOKE: u32 = 0x40;
    /// `EVFILT_VNODE`: it was opened.
    NOTE_OPEN: u32 = 0x80;
    /// `EVFILT_VNODE`: one that could not write to it was closed.
    NOTE_CLOSE: u32 = 0x100;
    /// `EVFILT_VNODE`: one that could write to it was closed.
    NOTE_CLOSE_WRITE: u32 = 0x200;
    /// `EVFILT_VNODE`: it was read.
    NOTE_READ: u32 = 0x400;
    /// `EVFILT_PROC`: it has ended; `data` is its status, as wait(2) has it.
    NOTE_EXIT: u32 = 1 << 31;
    /// `EVFILT_PROC`: it has forked.
    NOTE_FORK: u32 = 1 << 30;
    /// `EVFILT_PROC`: it has executed another program.
    NOTE_EXEC: u32 = 1 << 29;
    /// `EVFILT_PROC`: follow it when it forks.
    NOTE_TRACK: u32 = 1;
    /// `EVFILT_PROC`: it could not be followed.
    NOTE_TRACKERR: u32 = 2;
    /// `EVFILT_PROC`: it is the child of one that is followed.
    NOTE_CHILD: u32 = 4;
    /// `EVFILT_PROC`: which of these are flags.
    NOTE_PCTRLMASK: u32 = 0xf000_0000;
    /// `EVFILT_PROC`: which of these are a process.
    NOTE_PDATAMASK: u32 = 0x000f_ffff;
    /// `EVFILT_TIMER`: seconds.
    NOTE_SECONDS: u32 = 1;
    /// `EVFILT_TIMER`: milliseconds, which is also what it is without any.
    NOTE_MSECONDS: u32 = 2;
    /// `EVFILT_TIMER`: microseconds.
    NOTE_USECONDS: u32 = 4;
    /// `EVFILT_TIMER`: nanoseconds.
    NOTE_NSECONDS: u32 = 8;
    /// `EVFILT_TIMER`: a time of day.
    NOTE_ABSTIME: u32 = 0x10;
    /// `EVFILT_USER`: do nothing to the flags.
    NOTE_FFNOP: u32 = 0;
    /// `EVFILT_USER`: and them.
    NOTE_FFAND: u32 = 1 << 30;
    /// `EVFILT_USER`: or them.
    NOTE_FFOR: u32 = 1 << 31;
    /// `EVFILT_USER`: copy them.
    NOTE_FFCOPY: u32 = 3 << 30;
    /// `EVFILT_USER`: which of these.
    NOTE_FFCTRLMASK: u32 = 3 << 30;
    /// `EVFILT_USER`: the caller's.
    NOTE_FFLAGSMASK: u32 = 0x00ff_ffff;
    /// `EVFILT_USER`: report it.
    NOTE_TRIGGER: u32 = 1 << 24;
}
