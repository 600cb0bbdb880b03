//! `EVFILT_SIGNAL`: a handler that counts, before the handler that there was.
//!
//! A signal whose disposition is to end or to stop the process keeps it: nobody would be there to be told.
//! One that the waiting threads have blocked is told of by a signalfd, which is not read: it stays pending.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use signal_hook_registry::SigId;

use crate::kqueue::abi::kevent;
use crate::kqueue::knote::Found;
use crate::linux::{self, Errno, Result};

#[derive(Debug)]
pub(in crate::kqueue) struct Signal {
    number: c_int,
    /// How many the handler has counted, and nobody was told of.
    count: Arc<AtomicI64>,
    handler: Option<SigId>,
    pending: OwnedFd,
    /// The one that is pending was counted.
    is_pending_counted: bool,
}

impl Signal {
    /// # Errors
    ///
    /// `EINVAL`: there is no such signal.
    pub(in crate::kqueue) fn new(change: &kevent, bell: &Arc<OwnedFd>) -> Result<Signal> {
        let number = c_int::try_from(change.ident).ok().filter(|&number| number > 0);
        let number = number.ok_or(Errno(libc::EINVAL))?;
        let count = Arc::new(AtomicI64::new(0));
        let handler = match linux::disposition(number)? {
            libc::SIG_DFL if ENDS_OR_STOPS.contains(&number) || number > 31 => None,
            // Ignoring this one has a meaning of its own, and the manual excepts it.
            libc::SIG_IGN if number == libc::SIGCHLD => None,
            _ => Some(handle(number, count.clone(), bell.clone())?),
        };
        let pending = linux::signalfd(number)?;
        Ok(Signal { number, count, handler, pending, is_pending_counted: false })
    }

    pub(in crate::kqueue) fn raw_fd(&self) -> RawFd {
        self.pending.as_raw_fd()
    }

    /// How many there were since the last report.
    pub(in crate::kqueue) fn look(&mut self) -> Option<Found> {
        let is_pending = linux::is_blocked(self.number)
            && linux::poll(self.pending.as_raw_fd(), libc::POLLIN, Some(Duration::ZERO))
                == Ok(libc::POLLIN);
        if is_pending && !self.is_pending_counted {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        self.is_pending_counted = is_pending;
        let data = self.count.load(Ordering::Relaxed);
        (data > 0).then_some(Found { data, ..Found::default() })
    }

    /// So many have been reported.
    pub(in crate::kqueue) fn clear(&mut self, reported: i64) {
        self.count.fetch_sub(reported, Ordering::Relaxed);
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        if let Some(handler) = self.handler {
            signal_hook_registry::unregister(handler);
        }
    }
}

/// What signal(7) says of those whose disposition nobody has changed: the others are ignored.
const ENDS_OR_STOPS: [c_int; 27] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGKILL,
    libc::SIGUSR1,
    libc::SIGSEGV,
    libc::SIGUSR2,
    libc::SIGPIPE,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGSTKFLT,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGXCPU,
    libc::SIGXFSZ,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSYS,
];

fn handle(number: c_int, count: Arc<AtomicI64>, bell: Arc<OwnedFd>) -> Result<SigId> {
    let action = move || {
        count.fetch_add(1, Ordering::Relaxed);
        linux::ring(&bell);
    };
    // SAFETY: the action adds to a number and writes to a descriptor, which a handler may do; what it owns is
    // freed when it cannot run any more, by the registry.
    unsafe { signal_hook_registry::register_signal_unchecked(number, action) }
        .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EINVAL)))
}
