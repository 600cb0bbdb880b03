//! epoll: the kernel does it all, and fills the caller's buffer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Duration;

use wakeful_kernel::epoll::{Epoll, Flags};

use super::Adapter;
use crate::event::Event;
use crate::platform::{
    EPOLL_EDGE_RULE, EPOLL_FORGETS_CLOSED, EPOLL_TAKES_REGULAR_FILES, Oneshots, WakeObject,
    epoll_wait, is_wake_token,
};
use crate::{Backend, Capabilities, Interest, Support, Token, Trigger};

#[derive(Debug)]
pub(crate) struct EpollAdapter {
    epoll: Epoll,
    wake: WakeObject,
    oneshots: Oneshots,
}

impl EpollAdapter {
    pub(super) fn new() -> io::Result<EpollAdapter> {
        let (wake, oneshots) = Default::default();
        Ok(EpollAdapter { epoll: Epoll::new()?, wake, oneshots })
    }
}

impl Adapter for EpollAdapter {
    #[inline]
    fn register(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.epoll.add_raw(fd, flags(interest), token)?;
        self.oneshots.registered(fd, interest);
        Ok(())
    }

    #[inline]
    fn reregister(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        let result = self.epoll.modify_raw(fd, flags(interest), token);
        if self.oneshots.reregistered(fd, interest, &result) {
            return Ok(self.epoll.add_raw(fd, flags(interest), token)?);
        }
        Ok(result?)
    }

    #[inline]
    fn deregister(&self, fd: RawFd) -> io::Result<()> {
        let result = self.epoll.delete_raw(fd);
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
        let before = events.len();
        epoll_wait(&self.epoll, events, timeout)?;
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
        is_wake_token(token)
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
            forgets_closed: EPOLL_FORGETS_CLOSED,
            priority: true,
            regular_files: EPOLL_TAKES_REGULAR_FILES,
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
