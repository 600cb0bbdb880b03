//! `EVFILT_SIGNAL`: a handler that counts, before the handler that there was.
//!
//! A signal whose disposition is to end or to stop the process keeps it: nobody would be there to
//! be told. One that the waiting thread has blocked is told of by a signalfd; it is left pending,
//! unless it is ignored, where another kernel would not have kept it. `linux::count_pending` says
//! how it is counted each time all the same.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::kqueue::abi::kevent;
use crate::kqueue::knote::Found;
use crate::linux::{self, Counting, Errno, Result};

#[derive(Debug)]
pub(in crate::kqueue) struct Signal {
    counting: Counting,
    /// So many of what is counted were reported.
    reported: i64,
    pending: OwnedFd,
    /// In which the two descriptors are, and which is in that of the kqueue.
    epoll: OwnedFd,
    /// The edge of `pending` was taken, and what it means is to be found out.
    has_edge: bool,
}

const COUNTED: u64 = 0;
const PENDING: u64 = 1;

impl Signal {
    /// # Errors
    ///
    /// `EINVAL`: there is no such signal.
    pub(in crate::kqueue) fn new(change: &kevent) -> Result<Signal> {
        let number = c_int::try_from(change.ident).map_err(|_| Errno(libc::EINVAL))?;
        let counting = Counting::start(number)?;
        let reported = counting.count();
        let pending = linux::signalfd(number)?;
        let epoll = linux::epoll(libc::EPOLL_CLOEXEC)?;
        for (fd, number) in [(counting.bell(), COUNTED), (pending.as_raw_fd(), PENDING)] {
            let events = libc::EPOLLIN | libc::EPOLLET;
            linux::control(epoll.as_raw_fd(), linux::Control::Add, fd, events, number)?;
        }
        Ok(Signal { counting, reported, pending, epoll, has_edge: false })
    }

    pub(in crate::kqueue) fn raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Takes in what has come, whatever disposition the program has set since. Returns whether
    /// there is something to report.
    ///
    /// # Errors
    ///
    /// What prevents to find out. It is tried again the next time.
    pub(in crate::kqueue) fn keep(&mut self) -> Result<bool> {
        self.counting.keep();
        // Both are edges, which this takes. The second comes with other signals, too.
        let edges = linux::ready(self.epoll.as_raw_fd(), 2)?;
        self.has_edge |= edges.contains(&PENDING);
        if (self.has_edge || self.counting.must_look()) && self.is_pending()? {
            let forget = || drop(linux::ready(self.epoll.as_raw_fd(), 2));
            self.counting.take_in_pending(&self.pending, forget);
        }
        self.has_edge = false;
        Ok(self.look().is_some())
    }

    /// How many there were since the last report.
    pub(in crate::kqueue) fn look(&self) -> Option<Found> {
        let data = self.counting.count() - self.reported;
        (data > 0).then_some(Found { data, ..Found::default() })
    }

    fn is_pending(&self) -> Result<bool> {
        let ready = linux::poll_now(self.pending.as_raw_fd(), libc::POLLIN)?;
        Ok(ready & libc::POLLIN != 0)
    }

    /// So many have been reported.
    pub(in crate::kqueue) fn clear(&mut self, data: i64) {
        self.reported += data;
    }
}
