//! What several test files need.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use wakeful_kernel::epoll::{Epoll, Event, Flags};

/// No wait in a test lasts longer.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Long enough for an event that is wrongly on its way to arrive.
pub const QUIET: Duration = Duration::from_millis(30);

pub struct Pipe {
    pub reader: File,
    pub writer: File,
}

impl Pipe {
    pub fn new() -> Pipe {
        let (reader, writer) = wakeful_kernel::pipe::pipe().unwrap();
        Pipe { reader: File::from(reader), writer: File::from(writer) }
    }

    pub fn write(&self, count: usize) {
        (&self.writer).write_all(&vec![b'x'; count]).unwrap();
    }

    pub fn read(&self, count: usize) {
        (&self.reader).read_exact(&mut vec![0; count]).unwrap();
    }
}

/// An epoll that watches the reading end of a pipe, with token 23.
pub fn watching(flags: Flags) -> (Epoll, Pipe) {
    let (epoll, pipe) = (Epoll::new().unwrap(), Pipe::new());
    epoll.add(&pipe.reader, flags, 23).unwrap();
    (epoll, pipe)
}

/// One wait; answers with the events.
pub fn wait(epoll: &Epoll, timeout: Duration) -> Vec<Event> {
    let mut events = Vec::with_capacity(16);
    epoll.wait(&mut events, Some(timeout)).unwrap();
    events
}

/// Whether an event comes: waits long for one that has to, briefly for one that must not.
pub fn reports(epoll: &Epoll) -> bool {
    let events = wait(epoll, QUIET);
    assert!(events.iter().all(|event| event.token() == 23), "foreign data: {events:?}");
    !events.is_empty()
}

pub fn is_cloexec(fd: &OwnedFd) -> bool {
    use std::os::fd::AsRawFd;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    u32::from_str_radix(flags, 8).unwrap() & 0o2000000 != 0
}
