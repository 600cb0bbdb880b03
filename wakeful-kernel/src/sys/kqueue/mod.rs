//! kqueue(2): what sys/event.h says, as far as all systems say the same.

#![allow(clippy::unnecessary_cast)]

use std::ffi::c_void;

pub use super::kqueue_calls::kevent;
pub(crate) use super::kqueue_calls::{Owner, create_cloexec, kevent_call, tick};

pub(crate) const EV_ADD: u32 = 0x1;
pub(crate) const EV_DELETE: u32 = 0x2;
pub(crate) const EV_ENABLE: u32 = 0x4;
pub(crate) const EV_DISABLE: u32 = 0x8;
pub(crate) const EV_ONESHOT: u32 = 0x10;
pub(crate) const EV_CLEAR: u32 = 0x20;
pub(crate) const EV_RECEIPT: u32 = 0x40;
pub(crate) const EV_DISPATCH: u32 = 0x80;
pub(crate) const EV_ERROR: u32 = 0x4000;
pub(crate) const EV_EOF: u32 = 0x8000;

pub(crate) const NOTE_FFNOP: u32 = 0;
pub(crate) const NOTE_FFAND: u32 = 1 << 30;
pub(crate) const NOTE_FFOR: u32 = 1 << 31;
pub(crate) const NOTE_FFCOPY: u32 = 3 << 30;
pub(crate) const NOTE_FFLAGSMASK: u32 = 0x00ff_ffff;
pub(crate) const NOTE_TRIGGER: u32 = 1 << 24;

/// All zeros.
// SAFETY: the struct consists of integers and a pointer, for which zero is valid.
pub(crate) const NOTHING: kevent = unsafe { std::mem::zeroed() };

/// A struct of these fields, each as wide as this system has it.
pub(crate) fn event(
    ident: usize,
    filter: i32,
    flags: u32,
    fflags: u32,
    data: i64,
    udata: usize,
) -> kevent {
    let mut event = NOTHING;
    event.ident = ident as _;
    event.filter = filter as _;
    event.flags = flags as _;
    event.fflags = fflags as _;
    event.data = data as _;
    event.udata = udata as *mut c_void as _;
    event
}

/// The struct with more flags.
pub(crate) fn with_flags(mut event: kevent, flags: u32) -> kevent {
    event.flags = (event.flags as u32 | flags) as _;
    event
}
