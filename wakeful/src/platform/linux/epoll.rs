//! What the backend epoll does on Linux: its wake-up object, and waits that rings may interrupt.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use wakeful_kernel::descriptor::into_high_number;
use wakeful_kernel::epoll::{DeleteError, Epoll, Flags, ModifyError};
use wakeful_kernel::linux::{EventFd, may_be_interrupted, may_interrupt, wait_for};
use wakeful_kernel::readiness::Readiness;

use crate::event::Event;
use crate::{EdgeRule, Interest, Token};

pub(crate) const EPOLL_EDGE_RULE: EdgeRule = EdgeRule::EveryChange;
/// Closing a file takes it off the list.
pub(crate) const EPOLL_FORGETS_CLOSED: bool = true;
pub(crate) const EPOLL_TAKES_REGULAR_FILES: bool = false;

/// What the waker's eventfd is registered with.
///
/// An eventfd reports `IN` alone, like many a source, so it is told apart by this number. Tokens
/// being the caller's in all their bits, the caller may use the same number; from then on the waker
/// takes its [second form](WakeObject::switch).
const EVENTFD_TOKEN: Token = Token(0xfd57_a3e1_9c44_b2d3_u64 as usize);

/// Returns whether the wake-up object is told from registrations by this token.
#[inline]
pub(crate) fn is_wake_token(token: Token) -> bool {
    token == EVENTFD_TOKEN
}

/// `epoll_wait(epoll, events, timeout)`—Waits, and is interrupted by signals alone.
// A poll for descriptors alone is to be one function around the system call.
#[inline(always)]
pub(crate) fn epoll_wait(
    epoll: &Epoll,
    events: &mut Vec<Event>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    if may_interrupt() {
        return wait_beside_rings(epoll, events, timeout);
    }
    epoll.wait(events, timeout)?;
    Ok(())
}

/// When a ring may interrupt a thread.
#[cold]
fn wait_beside_rings(
    epoll: &Epoll,
    events: &mut Vec<Event>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    if timeout == Some(Duration::ZERO) || !may_be_interrupted() {
        epoll.wait(events, timeout)?;
        return Ok(());
    }
    wait_for_signals_only(epoll, events, timeout)
}

/// epoll_wait(2) ends with `EINTR` also when the kernel has work for this thread, as for a ring of its own, and does not
/// say so. poll(2) does not, unless a signal handler ran. As soon as the rings are gone, it is one call again.
fn wait_for_signals_only(
    epoll: &Epoll,
    events: &mut Vec<Event>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let before = events.len();
    epoll.wait(events, Some(Duration::ZERO))?;
    if events.len() > before {
        return Ok(());
    }
    // What cannot be added to the clock is longer than anyone waits.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut remaining = timeout;
    while events.len() == before && remaining != Some(Duration::ZERO) {
        wait_for(epoll, remaining)?;
        remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if !may_be_interrupted() {
            epoll.wait(events, remaining)?;
            return Ok(());
        }
        epoll.wait(events, Some(Duration::ZERO))?;
    }
    Ok(())
}

/// One-shots stay on the kernel's list, so nothing has to be remembered.
#[derive(Debug, Default)]
pub(crate) struct Oneshots;

impl Oneshots {
    #[inline]
    pub(crate) fn registered(&self, _: i32, _: Interest) {}

    #[inline]
    pub(crate) fn reregistered(&self, _: i32, _: Interest, _: &Result<(), ModifyError>) -> bool {
        false
    }

    #[inline]
    pub(crate) fn deregistered(&self, _: i32, _: &Result<(), DeleteError>) -> bool {
        false
    }
}

/// What interrupts a wait.
///
/// First form: an eventfd, edge-triggered and never read, one write(2) per wake-up. Second form,
/// where there is no eventfd, or once a caller's token equals [`EVENTFD_TOKEN`]: an unbound socket,
/// always writable, that is armed one-shot for `WRNORM`, one epoll_ctl(2) per wake-up. No registration
/// of a caller can ask for that bit, so its event is told from theirs without a token. It is not the
/// first form because its wake-ups take longer: epoll_ctl holds the mutex for which the woken thread
/// waits.
#[derive(Debug, Default)]
pub(crate) struct WakeObject {
    eventfd: OnceLock<EventFd>,
    socket: OnceLock<UnixDatagram>,
    creation: Mutex<()>,
}

impl WakeObject {
    #[inline]
    pub(crate) fn exists(&self) -> bool {
        self.eventfd.get().is_some() || self.socket.get().is_some()
    }

    /// Whether the event comes from this object rather than from a registration.
    #[inline]
    fn sent(&self, event: &Event) -> bool {
        match self.socket.get() {
            Some(_) => event.readiness() == Readiness::WRNORM,
            None => event.token() == EVENTFD_TOKEN,
        }
    }

    /// Takes its event out of those that came after the first so many. Whether there was one.
    // Not every wait has any.
    #[inline(never)]
    pub(crate) fn take_event(&self, events: &mut Vec<Event>, before: usize) -> bool {
        // The kernel reports a descriptor once per wait, so there is at most one.
        let found = events[before..].iter().position(|event| self.sent(event));
        if let Some(index) = found {
            events.swap_remove(before + index);
        }
        found.is_some()
    }

    pub(crate) fn create(&self, epoll: &Epoll) -> io::Result<()> {
        let _creation = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        if self.exists() {
            return Ok(());
        }
        let Ok(eventfd) = EventFd::new(0) else {
            // Some sandboxes have none. If it was for want of descriptors, the socket will say so too.
            return self.create_socket(epoll);
        };
        let eventfd = eventfd.into_high_number();
        epoll.add(&eventfd, Flags::IN | Flags::EDGE, EVENTFD_TOKEN)?;
        let _ = self.eventfd.set(eventfd);
        Ok(())
    }

    fn create_socket(&self, epoll: &Epoll) -> io::Result<()> {
        let socket = UnixDatagram::from(into_high_number(UnixDatagram::unbound()?.into()));
        epoll.add(&socket, Flags::ONESHOT, 0)?;
        let _ = self.socket.set(socket);
        Ok(())
    }

    /// Takes the second form.
    ///
    /// A wake-up by the first form that is under way is not lost: either its waker finds the socket and wakes
    /// again, or it had woken before `has_woken` looked, and then the wake-up made here stands in for it. If
    /// nobody had, no wait is ended.
    pub(crate) fn switch(&self, epoll: &Epoll, has_woken: &dyn Fn() -> bool) -> io::Result<()> {
        let _creation = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        if self.socket.get().is_none() {
            self.create_socket(epoll)?;
            if let Some(eventfd) = self.eventfd.get() {
                epoll.delete(eventfd)?;
                if has_woken() {
                    self.wake_socket(epoll)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn wake(&self, epoll: &Epoll) -> io::Result<()> {
        if self.socket.get().is_none() {
            if let Some(eventfd) = self.eventfd.get() {
                eventfd.write(1)?;
            }
        }
        self.wake_socket(epoll)
    }

    fn wake_socket(&self, epoll: &Epoll) -> io::Result<()> {
        match self.socket.get() {
            Some(socket) => Ok(epoll.modify(socket, Flags::WRNORM | Flags::ONESHOT, 0)?),
            None => Ok(()),
        }
    }
}
