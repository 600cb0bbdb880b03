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
    /// The offset at which such a file was looked at last.
    offset: i64,
    /// It listened for connections when it was added.
    is_listener: bool,
    /// An end of a pipe that is not open for this direction, of which there is no event.
    is_other_end: bool,
    /// poll(2) says something of it that is no event here: epoll is asked for edges, because it
    /// would tell of that without end.
    is_quiet: bool,
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
        let is_kqueue = nested(fd, &identity)?.is_some();
        if is_file && direction == Direction::Except || is_kqueue && direction != Direction::Read {
            return Err(Errno(libc::EINVAL));
        }
        if direction == Direction::Write && linux::is_pipe_without_reader(fd, &identity) {
            return Err(Errno(libc::EPIPE));
        }
        let is_stream = identity.kind == libc::S_IFSOCK
            && linux::socket_option(fd, libc::SO_TYPE) == Ok(libc::SOCK_STREAM);
        let is_listener = is_stream && linux::socket_option(fd, libc::SO_ACCEPTCONN) == Ok(1);
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
            offset: if is_file { linux::offset(fd)? } else { 0 },
            is_listener,
            is_other_end: identity.kind == libc::S_IFIFO && !is_open_for(fd, direction),
            is_quiet: false,
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
            // It is looked at again.
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
    pub(in crate::kqueue) fn is_same(&self) -> Result<bool> {
        linux::is_still(self.fd, &self.identity)
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
        let is_edge = is_edge || self.low_water.is_some() || self.is_quiet;
        Some((self.fd, if is_edge { events | libc::EPOLLET } else { events }))
    }

    /// What inotify is to be told of, if it is what tells that there is more to read.
    pub(in crate::kqueue) fn listens(&self) -> Option<(RawFd, u32)> {
        (self.is_file && self.direction == Direction::Read).then_some((self.fd, libc::IN_MODIFY))
    }

    /// Whether it is looked at by the clock.
    pub(in crate::kqueue) fn has_clock(&self) -> bool {
        self.clock.is_some()
    }

    /// Whether it is to be looked at without epoll's saying so.
    pub(in crate::kqueue) fn is_file(&self) -> bool {
        self.is_file
    }

    /// # Errors
    ///
    /// `EBADF`: it was closed, or is another by now.
    pub(in crate::kqueue) fn look(&mut self) -> Result<Option<Found>> {
        if !self.is_same()? {
            return Err(Errno::BADF);
        }
        if self.is_file {
            self.offset = linux::offset(self.fd)?;
            return self.look_at_file();
        }
        if let Some(kqueue) = nested(self.fd, &self.identity)? {
            return self.look_at_kqueue(&kqueue);
        }
        let events = match self.direction {
            Direction::Read => libc::POLLIN | libc::POLLRDHUP,
            Direction::Write => libc::POLLOUT | libc::POLLRDHUP,
            Direction::Except => libc::POLLPRI,
        };
        if let Some(clock) = &self.clock {
            linux::count(clock)?;
            linux::set_timer(clock, 0, AGAIN, None)?;
        }
        let ready = linux::poll_now(self.fd, events)?;
        let found = self.found(ready);
        match found {
            None => self.was_reported = false,
            Some(_) if self.was_reported => return Ok(None),
            Some(_) => {}
        }
        let always = libc::POLLHUP | libc::POLLERR;
        self.is_quiet |= found.is_none() && ready & always != 0;
        Ok(found)
    }

    /// What poll(2) says, as the filter has it.
    fn found(&self, ready: i16) -> Option<Found> {
        if self.is_other_end {
            return None;
        }
        let is_socket = self.identity.kind == libc::S_IFSOCK;
        let has_error = ready & libc::POLLERR != 0;
        // The end of a socket is that it was shut down, by whichever side, or broken. An error
        // alone is none: it is what the next call returns. One that is not connected yet has hung
        // up, as far as poll(2) is concerned.
        let is_over = match is_socket {
            true => ready & libc::POLLRDHUP != 0,
            false => ready & (libc::POLLHUP | libc::POLLERR | libc::POLLRDHUP) != 0,
        };
        let (data, is_end, is_ready) = match self.direction {
            Direction::Read => {
                let is_cut_off = self.is_listener && ready & libc::POLLHUP != 0;
                (self.readable(), is_over, ready & libc::POLLIN != 0 || is_cut_off)
            }
            // One that listens says that nothing can be sent by it.
            Direction::Write if ready & libc::POLLOUT == 0 && self.is_listening() => return None,
            Direction::Write => {
                // Of a socket whose other side only has shut down there is no hang-up.
                let is_over = is_over && (!is_socket || ready & libc::POLLHUP != 0);
                let is_connecting = ready & libc::POLLHUP != 0 && !is_over;
                // Asking would take an error.
                let is_end = is_over || !has_error && !is_connecting && self.is_shut_down();
                (self.writable(), is_end, ready & libc::POLLOUT != 0 && !is_connecting)
            }
            Direction::Except => {
                let is_urgent = ready & libc::POLLPRI != 0;
                return is_urgent.then_some(Found { fflags: abi::NOTE_OOB, ..Found::default() });
            }
        };
        let is_low = self.low_water.is_some_and(|mark| data < mark);
        if !(is_end || has_error || is_ready && !is_low) {
            return None;
        }
        let fflags = if is_end && is_socket && has_error { libc::EIO as u32 } else { 0 };
        let flags = if is_end { abi::EV_EOF } else { 0 };
        let nothing = is_end && !is_socket && self.direction == Direction::Write;
        Some(Found { data: if nothing { 0 } else { data }, fflags, flags })
    }

    /// Whether a regular file's offset is before where it was when the file was looked at: the
    /// kernels activate the event then.
    pub(in crate::kqueue) fn has_moved_back(&self) -> bool {
        self.is_file && linux::offset(self.fd).is_ok_and(|offset| offset < self.offset)
    }

    /// Whether this side has said that it writes no more, of which poll(2) does not tell. There is no error
    /// pending that asking could take.
    fn is_shut_down(&self) -> bool {
        self.is_stream && linux::is_shut_down(self.fd)
    }

    /// By its offset: not at the end, before or behind it, unless it is ready in any case.
    pub(in crate::kqueue) fn look_at_file(&self) -> Result<Option<Found>> {
        if self.direction == Direction::Write {
            return Ok(Some(Found::default()));
        }
        let data = linux::identity(self.fd)?.size - linux::offset(self.fd)?;
        Ok((data != 0 || self.is_always_ready).then_some(Found { data, ..Found::default() }))
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

    fn is_listening(&self) -> bool {
        self.is_stream && linux::socket_option(self.fd, libc::SO_ACCEPTCONN) == Ok(1)
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

/// Returns the kqueue that a descriptor is, if it is one. An epoll has no type of file.
fn nested(fd: RawFd, identity: &Identity) -> Result<Option<Arc<Queue>>> {
    if identity.kind == 0 { QUEUES.find(fd) } else { Ok(None) }
}

/// `fcntl(fd, F_GETFL)`—Whether a descriptor is open for a direction.
fn is_open_for(fd: RawFd, direction: Direction) -> bool {
    // SAFETY: the call takes integers.
    let mode = linux::check(unsafe { libc::fcntl(fd, libc::F_GETFL) })
        .map_or(libc::O_RDWR, |flags| flags & libc::O_ACCMODE);
    match direction {
        Direction::Read => mode != libc::O_WRONLY,
        Direction::Write => mode != libc::O_RDONLY,
        Direction::Except => true,
    }
}
