//! `EVFILT_AIO` and `EVFILT_LIO`: an asynchronous operation, or all of a list, that has ended,
//! until its results are taken.

use crate::kqueue::abi;
use crate::kqueue::knote::Found;

#[derive(Debug)]
pub(in crate::kqueue) struct Operation {
    has_ended: bool,
    is_list: bool,
}

impl Operation {
    pub(in crate::kqueue) fn new(is_list: bool) -> Operation {
        Operation { has_ended: false, is_list }
    }

    pub(in crate::kqueue) fn end(&mut self) {
        self.has_ended = true;
    }

    pub(in crate::kqueue) fn look(&self) -> Option<Found> {
        let flags = if self.is_list { 0 } else { abi::EV_EOF };
        self.has_ended.then_some(Found { flags, ..Found::default() })
    }
}
