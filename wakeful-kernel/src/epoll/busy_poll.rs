use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use super::{BusyPollError, Epoll};
use crate::error::check;
use crate::sys;

/// `struct epoll_params`—How a wait polls the network devices itself before it sleeps (Linux 6.9).
///
/// # References
/// - [ioctl_eventpoll(2)](https://man7.org/linux/man-pages/man2/ioctl_eventpoll.2.html)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusyPoll {
    /// How long to poll, to the microsecond; zero turns it off.
    pub duration: Duration,
    /// How many packets to take from a device in one go. Above 64 needs CAP_NET_ADMIN.
    pub budget: u16,
    /// Keep the device's interrupts off while the program waits often enough.
    pub prefer: bool,
}

impl Epoll {
    /// `ioctl(self, EPIOCGPARAMS, &params)`—The busy-polling parameters in force.
    ///
    /// # Errors
    ///
    /// `ENOTTY` before Linux 6.9.
    #[doc(alias = "EPIOCGPARAMS")]
    pub fn busy_poll(&self) -> Result<BusyPoll, BusyPollError> {
        let fd = self.fd.as_raw_fd();
        let mut params = sys::epoll_params::default();
        // SAFETY: EPIOCGPARAMS writes one epoll_params, for which the pointer is valid.
        check(unsafe { libc::ioctl(fd, sys::EPIOCGPARAMS as _, ptr::from_mut(&mut params)) })
            .map_err(|source| BusyPollError { fd, source })?;
        Ok(BusyPoll {
            duration: Duration::from_micros(params.busy_poll_usecs.into()),
            budget: params.busy_poll_budget,
            prefer: params.prefer_busy_poll != 0,
        })
    }

    /// `ioctl(self, EPIOCSPARAMS, &params)`—Sets the busy-polling parameters.
    ///
    /// # Errors
    ///
    /// `ENOTTY` before Linux 6.9, `EPERM` for a budget above 64 without CAP_NET_ADMIN, `EINVAL` for
    /// a duration that does not fit.
    #[doc(alias = "EPIOCSPARAMS")]
    pub fn set_busy_poll(&self, params: BusyPoll) -> Result<(), BusyPollError> {
        let fd = self.fd.as_raw_fd();
        let params = sys::epoll_params {
            // What does not fit is left to the kernel to refuse: it takes less than 2^31.
            busy_poll_usecs: params.duration.as_micros().try_into().unwrap_or(u32::MAX),
            busy_poll_budget: params.budget,
            prefer_busy_poll: params.prefer.into(),
            __pad: 0,
        };
        // SAFETY: EPIOCSPARAMS reads one epoll_params, for which the pointer is valid.
        check(unsafe { libc::ioctl(fd, sys::EPIOCSPARAMS as _, ptr::from_ref(&params)) })
            .map(drop)
            .map_err(|source| BusyPollError { fd, source })
    }
}
