//! `EVFILT_AIO`: an asynchronous operation that has ended, until its result is taken.

use crate::kqueue::abi;
use crate::kqueue::knote::Found;

#[derive(Debug)]
pub(in crate::kqueue) struct Operation {
    has_ended: bool,
}

impl Operation {
    pub(in crate::kqueue) fn new() -> Operation {
        Operation { has_ended: false }
    }

    pub(in crate::kqueue) fn end(&mut self) {
        self.has_ended = true;
    }

    pub(in crate::kqueue) fn look(&self) -> Option<Found> {
        self.has_ended.then_some(Found { data: 0, fflags: 0, flags: abi::EV_EOF })
    }
}
