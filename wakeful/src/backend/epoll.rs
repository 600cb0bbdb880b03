//! epoll: the kernel does it all, and fills the caller's buffer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
#[cfg(not(illumos_epoll))]
use std::os::unix::net::UnixDatagram;
#[cfg(not(illumos_epoll))]
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

#[cfg(not(illumos_epoll))]
use wakeful_kernel::descriptor::into_high_number;
use wakeful_kernel::epoll::{Epoll, Flags};
#[cfg(not(illumos_epoll))]
use wakeful_kernel::linux::EventFd;
use wakeful_kernel::poll::{PollFd, poll};
use wakeful_kernel::readiness::Readiness;

use super::Adapter;
#[cfg(not(illumos_epoll))]
use crate::EdgeRule;
use crate::event::Event;
use crate::interruptions;
#[cfg(illumos_epoll)]
use crate::platform::{EPOLL_EDGE_RULE, Oneshots, WakeObject};
use crate::{Backend, Capabilities, Interest, Support, Token, Trigger};

/// What the waker's eventfd is registered with.
///
/// An eventfd reports `IN` alone, like many a source, so it is told apart by this number. Tokens
/// being the caller's in all their bits, the caller may use the same number; from then on the waker
/// takes its [second form](WakeObject::switch).
const EVENTFD_TOKEN: Token = Token(0xfd57_a3e1_9c44_b2d3_u64 as usize);

#[derive(Debug)]
pub(crate) struct EpollAdapter {
    epoll: Epoll,
    wake: WakeObject,
    #[cfg(illumos_epoll)]
    oneshots: Oneshots,
}

#[cfg(not(illumos_epoll))]
const EPOLL_EDGE_RULE: EdgeRule = EdgeRule::EveryChange;

impl EpollAdapter {
    pub(super) fn new() -> io::Result<EpollAdapter> {
        Ok(EpollAdapter {
            epoll: Epoll::new()?,
            wake: WakeObject::default(),
            #[cfg(illumos_epoll)]
            oneshots: Oneshots::default(),
        })
    }

    /// When a source may interrupt waits.
    #[cold]
    fn wait_interrupted(
        &self,
        events: &mut Vec<Event>,
        timeout: Option<Duration>,
    ) -> io::Result<bool> {
        let before = events.len();
        if timeout == Some(Duration::ZERO) {
            self.epoll.wait(events, timeout)?;
        } else {
            self.wait_for_signals_only(events, timeout)?;
        }
        Ok(self.wake.take_event(events, before))
    }

    /// epoll_wait(2) ends with `EINTR` also when the kernel has work for this thread, as for a ring of its own, and does not
    /// say so. poll(2) does not, unless a signal handler ran.
    fn wait_for_signals_only(
        &self,
        events: &mut Vec<Event>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let before = events.len();
        self.epoll.wait(events, Some(Duration::ZERO))?;
        if events.len() > before {
            return Ok(());
        }
        // What cannot be added to the clock is longer than anyone waits.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut remaining = timeout;
        while events.len() == before && remaining != Some(Duration::ZERO) {
            poll(&mut [PollFd::new(&self.epoll, Readiness::IN)], remaining)?;
            self.epoll.wait(events, Some(Duration::ZERO))?;
            remaining = deadline.map(|it| it.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }
}

impl Adapter for EpollAdapter {
    #[inline]
    fn register(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.epoll.add_raw(fd, flags(interest), token)?;
        #[cfg(illumos_epoll)]
        self.oneshots.registered(fd, interest);
        Ok(())
    }

    #[inline]
    fn reregister(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        let result = self.epoll.modify_raw(fd, flags(interest), token);
        #[cfg(illumos_epoll)]
        if self.oneshots.reregistered(fd, interest, &result) {
            return Ok(self.epoll.add_raw(fd, flags(interest), token)?);
        }
        Ok(result?)
    }

    #[inline]
    fn deregister(&self, fd: RawFd) -> io::Result<()> {
        let result = self.epoll.delete_raw(fd);
        #[cfg(illumos_epoll)]
        if self.oneshots.deregistered(fd, &result) {
            return Ok(());
        }
        Ok(result?)
    }

    /// `EPOLL_CTL_MOD` allocates nothing; and with a token that it has already, nothing else is called.
    #[inline]
    fn changes_are_certain(&self) -> bool {
        true
    }

    // A poll for descriptors alone is to be one function around the system call.
    #[inline(always)]
    fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<bool> {
        if interruptions::are_expected() {
            return self.wait_interrupted(events, timeout);
        }
        let before = events.len();
        self.epoll.wait(events, timeout)?;
        Ok(self.wake.exists() && self.wake.take_event(events, before))
    }

    fn prepare_wake(&self) -> io::Result<()> {
        self.wake.create(&self.epoll)
    }

    fn wake(&self) -> io::Result<()> {
        self.wake.wake(&self.epoll)
    }

    #[inline]
    fn needs_token(&self, token: Token) -> bool {
        !cfg!(illumos_epoll) && token == EVENTFD_TOKEN
    }

    fn release_token(&self, has_woken: &dyn Fn() -> bool) -> io::Result<()> {
        self.wake.switch(&self.epoll, has_woken)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            backend: Backend::Epoll,
            edge: Support::Native,
            level: Support::Native,
            oneshot: Support::Native,
            edge_oneshot: Support::Native,
            edge_rule: EPOLL_EDGE_RULE,
            edge_recheck: None,
            timeout_resolution: wakeful_kernel::epoll::resolution(),
            nests: true,
            scales: true,
            forgets_closed: !cfg!(illumos_epoll),
            priority: true,
            regular_files: cfg!(illumos_epoll),
        }
    }
}

fn flags(interest: Interest) -> Flags {
    let mut flags = match interest.trigger() {
        Trigger::Edge => Flags::EDGE,
        Trigger::Level => Flags::empty(),
        Trigger::Oneshot => Flags::ONESHOT,
        Trigger::EdgeOneshot => Flags::EDGE | Flags::ONESHOT,
    };
    if interest.is_readable() {
        flags |= Flags::IN | Flags::RDHUP;
    }
    if interest.is_writable() {
        flags |= Flags::OUT;
    }
    if interest.is_priority() {
        flags |= Flags::PRI;
    }
    flags
}

/// What interrupts a wait.
///
/// First form: an eventfd, edge-triggered and never read, one write(2) per wake-up. Second form,
/// where there is no eventfd, or once a caller's token equals [`EVENTFD_TOKEN`]: an unbound socket,
/// always writable, that is armed one-shot for `WRNORM`, one epoll_ctl(2) per wake-up. No registration
/// of a caller can ask for that bit, so its event is told from theirs without a token. It is not the
/// first form because its wake-ups take longer: epoll_ctl holds the mutex for which the woken thread
/// waits.
#[cfg(not(illumos_epoll))]
#[derive(Debug, Default)]
struct WakeObject {
    eventfd: OnceLock<EventFd>,
    socket: OnceLock<UnixDatagram>,
    creation: Mutex<()>,
}

#[cfg(not(illumos_epoll))]
impl WakeObject {
    #[inline]
    fn exists(&self) -> bool {
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
    fn take_event(&self, events: &mut Vec<Event>, before: usize) -> bool {
        // The kernel reports a descriptor once per wait, so there is at most one.
        let found = events[before..].iter().position(|event| self.sent(event));
        if let Some(index) = found {
            events.swap_remove(before + index);
        }
        found.is_some()
    }

    fn create(&self, epoll: &Epoll) -> io::Result<()> {
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
    fn switch(&self, epoll: &Epoll, has_woken: &dyn Fn() -> bool) -> io::Result<()> {
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

    fn wake(&self, epoll: &Epoll) -> io::Result<()> {
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
