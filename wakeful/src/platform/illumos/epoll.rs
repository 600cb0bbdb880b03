//! What the backend epoll does otherwise on illumos, whose C library makes epoll of /dev/poll.
//!
//! Read in illumos' sources, and run nowhere yet.

use std::collections::HashSet;
use std::io;
use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use wakeful_kernel::epoll::{DeleteError, Epoll, Flags, ModifyError};
use wakeful_kernel::linux::EventFd;
use wakeful_kernel::readiness::Readiness;

use crate::event::Event;
use crate::{EdgeRule, Interest, Token, Trigger};

/// Pipes and eventfds report an edge only after they were drained.
pub(crate) const EPOLL_EDGE_RULE: EdgeRule = EdgeRule::AfterWouldBlock;
pub(crate) const EPOLL_FORGETS_CLOSED: bool = false;
pub(crate) const EPOLL_TAKES_REGULAR_FILES: bool = true;

/// Returns whether the wake-up object is told from registrations by this token, which it is not.
pub(crate) fn is_wake_token(_: Token) -> bool {
    false
}

/// `epoll_wait(epoll, events, timeout)`—Waits, and is interrupted by signals.
pub(crate) fn epoll_wait(
    epoll: &Epoll,
    events: &mut Vec<Event>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    epoll.wait(events, timeout)?;
    Ok(())
}

/// What interrupts a wait: an eventfd, level-triggered, which a wait that finds it reads.
///
/// It is registered for `RDNORM` alone, a bit that no registration of a caller asks for, so its event
/// is told from theirs without a token. On Linux an eventfd does not report that bit.
#[derive(Debug, Default)]
pub(crate) struct WakeObject {
    eventfd: OnceLock<EventFd>,
    creation: Mutex<()>,
}

impl WakeObject {
    pub(crate) fn exists(&self) -> bool {
        self.eventfd.get().is_some()
    }

    /// Takes the event of the eventfd out of those that came after the first so many. Returns whether
    /// there was one.
    pub(crate) fn take_event(&self, events: &mut Vec<Event>, before: usize) -> bool {
        let Some(eventfd) = self.eventfd.get() else { return false };
        let is_ours = |event: &Event| event.readiness() == Readiness::RDNORM;
        let Some(index) = events[before..].iter().position(is_ours) else { return false };
        events.swap_remove(before + index);
        // Another thread has read it, if it is empty. A waker that writes before this has set its flag
        // before, and the poller looks at the flags after the wait.
        let _ = eventfd.read();
        true
    }

    pub(crate) fn create(&self, epoll: &Epoll) -> io::Result<()> {
        let _creation = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.exists() {
            let eventfd = EventFd::new(0)?.into_high_number();
            epoll.add(&eventfd, Flags::RDNORM, 0)?;
            let _ = self.eventfd.set(eventfd);
        }
        Ok(())
    }

    /// The caller's token cannot be mistaken for the eventfd's.
    pub(crate) fn switch(&self, _: &Epoll, _: &dyn Fn() -> bool) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn wake(&self, _: &Epoll) -> io::Result<()> {
        match self.eventfd.get() {
            Some(eventfd) => Ok(eventfd.write(1)?),
            None => Ok(()),
        }
    }
}

/// The descriptors that are registered as one-shots. The kernel takes such a descriptor off its list
/// when it reports it, and then answers `ENOENT` to changing it or taking it off.
#[derive(Debug, Default)]
pub(crate) struct Oneshots(Mutex<HashSet<RawFd>>);

impl Oneshots {
    fn descriptors(&self) -> MutexGuard<'_, HashSet<RawFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn registered(&self, fd: RawFd, interest: Interest) {
        if is_oneshot(interest) {
            self.descriptors().insert(fd);
        } else {
            // Of a file that had the number before.
            self.descriptors().remove(&fd);
        }
    }

    /// Returns whether the descriptor has to be added again, since its one-shot has fired.
    pub(crate) fn reregistered(
        &self,
        fd: RawFd,
        interest: Interest,
        result: &Result<(), ModifyError>,
    ) -> bool {
        let is_off_the_list = is_missing(result, ModifyError::io_error);
        if result.is_err() && !is_off_the_list {
            return false;
        }
        let mut descriptors = self.descriptors();
        let was_oneshot = descriptors.remove(&fd);
        if is_oneshot(interest) && (was_oneshot || !is_off_the_list) {
            descriptors.insert(fd);
        }
        was_oneshot && is_off_the_list
    }

    /// Returns whether the descriptor was registered, though the kernel says otherwise, since its
    /// one-shot has fired.
    pub(crate) fn deregistered(&self, fd: RawFd, result: &Result<(), DeleteError>) -> bool {
        self.descriptors().remove(&fd) && is_missing(result, DeleteError::io_error)
    }
}

fn is_oneshot(interest: Interest) -> bool {
    matches!(interest.trigger(), Trigger::Oneshot | Trigger::EdgeOneshot)
}

fn is_missing<E>(result: &Result<(), E>, error: impl Fn(&E) -> &io::Error) -> bool {
    let error = result.as_ref().err().map(error);
    error.and_then(io::Error::raw_os_error) == Some(libc::ENOENT)
}
