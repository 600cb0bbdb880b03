//! Pairs of connected sockets, and epoll as bare as it gets: the limit.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use anyhow::{Result, ensure};

/// Which sockets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Unix,
    Tcp,
}

impl Kind {
    pub(super) const ALL: [Kind; 2] = [Kind::Unix, Kind::Tcp];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Unix => "Unix",
            Kind::Tcp => "TCP",
        }
    }

    /// Two ends, which do not block.
    pub(super) fn pair(self) -> Result<(OwnedFd, OwnedFd)> {
        match self {
            Kind::Unix => {
                let (left, right) = UnixStream::pair()?;
                left.set_nonblocking(true)?;
                right.set_nonblocking(true)?;
                Ok((left.into(), right.into()))
            }
            Kind::Tcp => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                let left = TcpStream::connect(listener.local_addr()?)?;
                let (right, _) = listener.accept()?;
                for end in [&left, &right] {
                    end.set_nonblocking(true)?;
                    end.set_nodelay(true)?;
                }
                Ok((left.into(), right.into()))
            }
        }
    }
}

/// A socket by send(2) and recv(2), as std's types use them.
#[derive(Debug)]
pub(super) struct Socket(UnixStream);

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Socket {
        Socket(fd.into())
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    pub(super) fn send(&self, bytes: &[u8]) -> Result<()> {
        Ok((&self.0).write_all(bytes)?)
    }

    pub(super) fn receive(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        (&self.0).read(buffer)
    }
}

/// epoll by libc alone.
pub(super) struct RawEpoll {
    fd: OwnedFd,
    pub(super) events: Vec<libc::epoll_event>,
}

impl RawEpoll {
    pub(super) fn new(capacity: usize) -> Result<RawEpoll> {
        // SAFETY: the call takes an integer.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        ensure!(fd >= 0, std::io::Error::last_os_error());
        // SAFETY: the call succeeded, and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(RawEpoll { fd, events: Vec::with_capacity(capacity) })
    }

    pub(super) fn control(&self, operation: i32, fd: RawFd, events: i32, token: u64) -> Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: the event is valid for the read.
        let result = unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, fd, &mut event) };
        ensure!(result == 0, std::io::Error::last_os_error());
        Ok(())
    }

    pub(super) fn add(&self, fd: RawFd, events: i32, token: u64) -> Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, token)
    }

    pub(super) fn wait(&mut self, timeout: i32) -> Result<usize> {
        let capacity = self.events.capacity() as i32;
        let list = self.events.as_mut_ptr();
        // SAFETY: the list has room for so many.
        let count = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), list, capacity, timeout) };
        ensure!(count >= 0, std::io::Error::last_os_error());
        // SAFETY: the kernel has written so many.
        unsafe { self.events.set_len(count as usize) };
        Ok(count as usize)
    }
}
