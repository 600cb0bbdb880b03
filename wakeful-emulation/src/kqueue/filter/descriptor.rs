//! `EVFILT_READ`, `EVFILT_WRITE` and `EVFILT_EXCEPT`: what poll(2) says of a descriptor, and how many bytes there are.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use crate::kqueue::abi::{self, kevent};
use crate::kqueue::knote::Found;
use crate::kqueue::{QUEUES, Queue};
use crate::linux::{self, Errno, Identity, Result};

#[derive(Debug)]
pub(in crate::kqueue) struct Descriptor {
    fd: RawFd,
    direction: Direction,
    is_stream: bool,
    /// Linux does not tell of room in what was not full: with a mark for writing, this is when it is looked at.
    clock: Option<OwnedFd>,
    /// That there is enough room was reported, as far as `EV_CLEAR` is concerned.
    was_reported: bool,
    /// Report from so many bytes on.
    low_water: Option<i64>,
    /// A file is ready wherever its offset is.
    is_always_ready: bool,
    identity: Identity,
    /// A regular file or directory, of which epoll knows nothing.
    is_file: bool,
    /// Of a kqueue: how often a knote had been queued in it when it was looked at last, and when it was reported
    /// last, as far as `EV_CLEAR` is concerned.
    activations: u64,
    reported: Option<u64>,
}

/// How long to wait before looking again whether there is room enough.
const AGAIN: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
    Except,
}

impl Descriptor {
    pub(in crate::kqueue) fn new(change: &kevent) -> Result<Descriptor> {
        let fd = RawFd::try_from(change.ident).map_err(|_| Errno::BADF)?;
        let identity = linux::identity(fd)?;
        let is_file = matches!(identity.kind, libc::S_IFREG | libc::S_IFDIR);
        let direction = match change.filter {
            abi::EVFILT_READ => Direction::Read,
            abi::EVFILT_WRITE => Direction::Write,
            _ => Direction::Except,
        };
        let is_kqueue = nested(fd, &identity).is_some();
        if is_file && direction == Direction::Except || is_kqueue && direction != Direction::Read {
            return Err(Errno(libc::EINVAL));
        }
        if direction == Direction::Write && linux::is_pipe_without_reader(fd, &identity) {
            return Err(Errno(libc::EPIPE));
        }
        let is_stream = identity.kind == libc::S_IFSOCK
            && linux::socket_option(fd, libc::SO_TYPE) == Ok(libc::SOCK_STREAM);
        let mut new = Descriptor {
            fd,
            direction,
            is_stream,
            clock: None,
            was_reported: false,
            low_water: None,
            is_always_ready: false,
            identity,
            is_file,
            activations: 0,
            reported: None,
        };
        new.change(change);
        if new.low_water.is_some() && direction == Direction::Write {
            let clock = linux::timerfd(libc::CLOCK_MONOTONIC)?;
            linux::set_timer(&clock, 0, AGAIN, None)?;
            new.clock = Some(clock);
        }
        Ok(new)
    }

    pub(in crate::kqueue) fn change(&mut self, change: &kevent) {
        if change.flags & (abi::EV_ADD | abi::EV_ENABLE) != 0 {
            // It is looked at anew.
            self.reported = None;
        }
        if change.flags & abi::EV_ADD != 0 || change.fflags != 0 {
            self.low_water = (change.fflags & abi::NOTE_LOWAT != 0).then_some(change.data);
            self.is_always_ready = match self.direction {
                Direction::Read => change.fflags & abi::NOTE_FILE_POLL != 0,
                Direction::Write => true,
                Direction::Except => false,
            };
        }
    }

    /// Whether a change makes it something that epoll is told of otherwise.
    pub(in crate::kqueue) fn changes_mark(&self, change: &kevent) -> bool {
        let has_mark = change.fflags & abi::NOTE_LOWAT != 0;
        self.direction == Direction::Write && has_mark != self.clock.is_some()
    }

    /// Whether the number still means what it meant.
    pub(in crate::kqueue) fn is_same(&self) -> bool {
        linux::identity(self.fd).is_ok_and(|now| self.identity.is(&now))
    }

    /// What epoll is to be told of, and of what: `None` if it need not be told.
    pub(in crate::kqueue) fn watched(&self, is_edge: bool) -> Option<(RawFd, i32)> {
        if self.is_file {
            return None;
        }
        if let Some(clock) = &self.clock {
            return Some((clock.as_raw_fd(), libc::EPOLLIN));
        }
        let events = match self.direction {
            Direction::Read => libc::EPOLLIN | libc::EPOLLRDHUP,
            Direction::Write => libc::EPOLLOUT,
            Direction::Except => libc::EPOLLPRI,
        };
        // Below the mark it would be told without end.
        let is_edge = is_edge || self.low_water.is_some();
        Some((self.fd, if is_edge { events | libc::EPOLLET } else { events }))
    }

    /// What inotify is to be told of, if it is what tells that there is more to read.
    pub(in crate::kqueue) fn listens(&self) -> Option<(RawFd, u32)> {
        (self.is_file && self.direction == Direction::Read).then_some((self.fd, libc::IN_MODIFY))
    }

    /// Whether it is to be looked at without epoll's saying so.
    pub(in crate::kqueue) fn is_file(&self) -> bool {
        self.is_file
    }

    /// Whether it is looked at by the clock.
    pub(in crate::kqueue) fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// # Errors
    ///
    /// `EBADF`: it was closed, or is another by now.
    pub(in crate::kqueue) fn look(&mut self) -> Result<Option<Found>> {
        if !self.is_same() {
            return Err(Errno::BADF);
        }
        if self.is_file {
            return Ok(self.look_at_file());
        }
        if let Some(kqueue) = nested(self.fd, &self.identity) {
            return self.look_at_kqueue(&kqueue);
        }
        let events = match self.direction {
            Direction::Read => libc::POLLIN | libc::POLLRDHUP,
            Direction::Write => libc::POLLOUT,
            Direction::Except => libc::POLLPRI,
        };
        if let Some(clock) = &self.clock {
            linux::count(clock);
            linux::set_timer(clock, 0, AGAIN, None)?;
        }
        let ready = linux::poll_now(self.fd, events)?;
        if ready == 0 {
            self.was_reported = false;
            return Ok(None);
        }
        let closed = libc::POLLHUP | libc::POLLERR;
        let (data, is_end) = match self.direction {
            Direction::Read => (self.readable(), ready & (closed | libc::POLLRDHUP) != 0),
            Direction::Write => (self.writable(), ready & closed != 0 || self.is_shut_down()),
            Direction::Except if ready & libc::POLLPRI != 0 => {
                return Ok(Some(Found { fflags: abi::NOTE_OOB, ..Found::default() }));
            }
            Direction::Except => return Ok(None),
        };
        let is_low = self.low_water.is_some_and(|mark| data < mark);
        if is_low && !is_end {
            self.was_reported = false;
            return Ok(None);
        }
        if self.was_reported {
            return Ok(None);
        }
        let is_error = ready & libc::POLLERR != 0 && self.identity.kind == libc::S_IFSOCK;
        let fflags = if is_error { libc::EIO as u32 } else { 0 };
        Ok(Some(Found { data, fflags, flags: if is_end { abi::EV_EOF } else { 0 } }))
    }

    /// Whether this side has said that it writes no more, of which poll(2) does not tell. There is no error
    /// pending that asking could take.
    fn is_shut_down(&self) -> bool {
        self.is_stream && linux::is_shut_down(self.fd)
    }

    /// By its offset: not at the end, before or behind it, unless it is ready in any case.
    pub(in crate::kqueue) fn look_at_file(&self) -> Option<Found> {
        if self.direction == Direction::Write {
            return Some(Found::default());
        }
        let size = linux::identity(self.fd).map_or(0, |now| now.size);
        let data = size - linux::offset(self.fd);
        (data != 0 || self.is_always_ready).then_some(Found { data, ..Found::default() })
    }

    /// It is ready while knotes are queued in it, whether they still are true or not: that is found out by asking it.
    /// With `EV_CLEAR` it is reported when one more is queued.
    fn look_at_kqueue(&mut self, kqueue: &Queue) -> Result<Option<Found>> {
        let (activations, count) = kqueue.queued()?;
        self.activations = activations;
        let is_new = self.reported != Some(activations);
        let data = i64::try_from(count).unwrap_or(i64::MAX);
        Ok((data > 0 && is_new).then_some(Found { data, ..Found::default() }))
    }

    /// It was reported.
    pub(in crate::kqueue) fn clear(&mut self) {
        self.was_reported = self.clock.is_some();
        self.reported = Some(self.activations);
    }

    fn readable(&self) -> i64 {
        if linux::socket_option(self.fd, libc::SO_ACCEPTCONN) == Ok(1) {
            return self.backlog();
        }
        linux::ioctl_int(self.fd, libc::FIONREAD).map_or(0, i64::from)
    }

    /// How many connections wait to be accepted; at least the one that is told of.
    fn backlog(&self) -> i64 {
        let mut info = std::mem::MaybeUninit::<libc::tcp_info>::zeroed();
        let mut size = size_of::<libc::tcp_info>() as libc::socklen_t;
        // SAFETY: `info` is valid for the write of `size` bytes, all zeros being a value of it.
        let result = linux::check(unsafe {
            libc::getsockopt(
                self.fd,
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                info.as_mut_ptr().cast(),
                &mut size,
            )
        });
        // SAFETY: it consists of integers, zeroed and perhaps filled.
        let info = unsafe { info.assume_init() };
        // Of a listening socket, this field is the length of its queue.
        result.map_or(1, |_| i64::from(info.tcpi_unacked).max(1))
    }

    fn writable(&self) -> i64 {
        let space = match self.identity.kind {
            libc::S_IFSOCK => linux::socket_option(self.fd, libc::SO_SNDBUF)
                .and_then(|size| Ok(size - linux::ioctl_int(self.fd, libc::TIOCOUTQ)?)),
            libc::S_IFIFO => {
                // SAFETY: the call takes integers.
                linux::check(unsafe { libc::fcntl(self.fd, libc::F_GETPIPE_SZ) })
                    .and_then(|size| Ok(size - linux::ioctl_int(self.fd, libc::FIONREAD)?))
            }
            _ => Ok(1),
        };
        space.map_or(1, |space| i64::from(space.max(0)))
    }
}

/// The kqueue that a descriptor is, if it is one. An epoll has no type of file.
fn nested(fd: RawFd, identity: &Identity) -> Option<Arc<Queue>> {
    if identity.kind == 0 { QUEUES.find(fd) } else { None }
}
