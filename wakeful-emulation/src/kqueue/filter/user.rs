//! `EVFILT_USER`: flags and a trigger, in memory.

use crate::kqueue::abi::{self, kevent};
use crate::kqueue::knote::Found;

#[derive(Debug)]
pub(in crate::kqueue) struct User {
    fflags: u32,
    data: i64,
    is_triggered: bool,
}

impl User {
    pub(in crate::kqueue) fn new(change: &kevent) -> User {
        User {
            fflags: change.fflags & abi::NOTE_FFLAGSMASK,
            data: change.data,
            is_triggered: change.fflags & abi::NOTE_TRIGGER != 0,
        }
    }

    pub(in crate::kqueue) fn change(&mut self, change: &kevent) {
        let flags = change.fflags & abi::NOTE_FFLAGSMASK;
        match change.fflags & abi::NOTE_FFCTRLMASK {
            abi::NOTE_FFAND => self.fflags &= flags,
            abi::NOTE_FFOR => self.fflags |= flags,
            abi::NOTE_FFCOPY => self.fflags = flags,
            _ => {}
        }
        self.data = change.data;
        self.is_triggered |= change.fflags & abi::NOTE_TRIGGER != 0;
        if change.flags & abi::EV_CLEAR != 0 {
            self.clear();
        }
    }

    pub(in crate::kqueue) fn look(&self) -> Option<Found> {
        self.is_triggered.then_some(Found { data: self.data, fflags: self.fflags, flags: 0 })
    }

    pub(in crate::kqueue) fn clear(&mut self) {
        self.is_triggered = false;
    }
}
