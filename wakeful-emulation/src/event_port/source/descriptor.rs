//! `PORT_SOURCE_FD`: epoll's one-shot, and what epoll does not take.

use std::ffi::c_int;
use std::os::fd::RawFd;

use super::Subject;
use crate::event_port::port::Port;
use crate::event_port::state::Pending;
use crate::linux::{self, Control, Errno, Identity, Result};

#[derive(Debug)]
pub(in crate::event_port) struct Descriptor {
    /// By which epoll tells of it, and which no other association has.
    pub(in crate::event_port) number: u64,
    pub(in crate::event_port) asked: c_int,
    pub(in crate::event_port) user: usize,
    /// It was associated, and nothing has happened since.
    pub(in crate::event_port) is_active: bool,
    pub(in crate::event_port) found: c_int,
    /// Where its event stands in the queue.
    pub(in crate::event_port) queued: Option<u64>,
    /// A regular file, or another that is always ready, which epoll does not take.
    always_ready: Option<Identity>,
}

/// poll(2)'s bits; epoll has others beyond them, which mean something else.
const POLL_BITS: c_int = 0x3fff;
/// What a regular file is ready for.
const ALWAYS: c_int = (libc::POLLIN
    | libc::POLLOUT
    | libc::POLLRDNORM
    | libc::POLLWRNORM
    | libc::POLLRDBAND
    | libc::POLLWRBAND) as c_int;

impl Descriptor {
    /// Whether the number still means the file that was associated.
    ///
    /// # Errors
    ///
    /// What prevents to find out.
    pub(in crate::event_port) fn is_same(&self, fd: RawFd, epoll: RawFd) -> Result<bool> {
        if let Some(identity) = &self.always_ready {
            return linux::is_still(fd, identity);
        }
        // Nothing can be added that is there already, by the same number and of the same file.
        match linux::control(epoll, Control::Add, fd, libc::EPOLLONESHOT, 0) {
            Err(Errno(libc::EEXIST)) => Ok(true),
            // Another: one that epoll does not take, or an epoll around it.
            Err(Errno(libc::EPERM | libc::ELOOP)) => Ok(false),
            // Nothing can be added at all. What is there can be set to what it is.
            Err(Errno(libc::ENOSPC)) => {
                let asked = if self.is_active { self.asked } else { 0 };
                linux::is_in(epoll, fd, asked | libc::EPOLLONESHOT, self.number)
            }
            Err(error) if error.says_closed() => Ok(false),
            Err(error) => Err(error),
            Ok(()) => {
                let _ = linux::control(epoll, Control::Delete, fd, 0, 0);
                Ok(false)
            }
        }
    }
}

impl Port {
    /// # Errors
    ///
    /// As port_associate(3C).
    pub(in crate::event_port) fn associate_descriptor(
        &self,
        object: usize,
        events: c_int,
        user: usize,
    ) -> Result<()> {
        let fd = number(object)?;
        self.with(|state| {
            // An event that came before is dropped, and looked for again.
            let queued = state.descriptors.get_mut(&fd).and_then(|it| it.queued.take());
            state.drop_event(queued);
            let is_known = state.descriptors.contains_key(&fd);
            if !is_known {
                state.take_slot(self.sources())?;
            }
            let number = state.number();
            let asked = events & POLL_BITS;
            let always_ready = match self.tell_epoll(fd, asked, number, is_known) {
                Ok(()) => None,
                Err(Errno(libc::EPERM)) => Some(linux::identity(fd)?),
                Err(error) => {
                    state.forget_descriptor(fd);
                    return Err(error);
                }
            };
            let found = asked & ALWAYS;
            let is_ready = always_ready.is_some() && found != 0;
            state.forget_descriptor(fd);
            state.subjects.insert(number, Subject::Descriptor(fd));
            let queued = is_ready.then(|| state.queue(Pending::Descriptor(fd)));
            let descriptor = Descriptor {
                number,
                asked,
                user,
                is_active: !is_ready,
                found,
                queued,
                always_ready,
            };
            state.descriptors.insert(fd, descriptor);
            Ok(())
        })
    }

    fn tell_epoll(&self, fd: RawFd, asked: c_int, number: u64, is_known: bool) -> Result<()> {
        let events = asked | libc::EPOLLONESHOT;
        let control = |operation| linux::control(self.sources(), operation, fd, events, number);
        let result = match is_known {
            true => control(Control::Modify),
            false => control(Control::Add),
        };
        match result {
            // Closed meanwhile, and another by now.
            Err(Errno(libc::ENOENT)) => control(Control::Add),
            Err(Errno(libc::EEXIST)) => control(Control::Modify),
            Err(Errno(libc::ENOSPC)) => Err(Errno(libc::EAGAIN)),
            // A port in itself.
            Err(Errno(libc::ELOOP)) => Err(Errno(libc::EINVAL)),
            result => result,
        }
    }

    /// # Errors
    ///
    /// As port_dissociate(3C).
    pub(in crate::event_port) fn dissociate_descriptor(&self, object: usize) -> Result<()> {
        let fd = number(object);
        self.with(|state| {
            if state.descriptors.is_empty() && fd != Err(Errno(libc::EBADFD)) {
                return Err(Errno(libc::ENOENT));
            }
            let fd = fd?;
            // What is ready already is as good as queued.
            state.harvest(self.sources())?;
            let descriptor = state.descriptors.get(&fd).ok_or(Errno(libc::ENOENT))?;
            let is_same = descriptor.is_same(fd, self.sources())?;
            let is_there = is_same && (descriptor.is_active || descriptor.queued.is_some());
            if is_same {
                let _ = linux::control(self.sources(), Control::Delete, fd, 0, 0);
            }
            state.forget_descriptor(fd);
            if is_there { Ok(()) } else { Err(Errno(libc::ENOENT)) }
        })
    }
}

/// # Errors
///
/// `EBADFD`: it is not open.
fn number(object: usize) -> Result<RawFd> {
    let fd = RawFd::try_from(object).ok().filter(|&fd| linux::is_open(fd));
    fd.ok_or(Errno(libc::EBADFD))
}
