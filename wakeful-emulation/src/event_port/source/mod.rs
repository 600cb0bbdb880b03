//! What can be associated with a port.

mod descriptor;
mod file;

use std::ffi::c_int;
use std::os::fd::RawFd;

pub(super) use descriptor::Descriptor;
pub(super) use file::{FileWatch, Wanted};

/// What a number of epoll's or inotify's means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject {
    Descriptor(RawFd),
    File(usize),
    Timer(c_int),
}
