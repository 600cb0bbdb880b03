//! A notification that the kernel does not take loses nothing: what was accepted is given back, or
//! reported with the next occasion.

// Other systems have other facilities.
#![cfg(target_os = "linux")]
#![cfg(not(any(wakeful_emulate = "freebsd", wakeful_emulate = "illumos")))]

mod common;

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::thread;
use std::time::Duration;

use common::files::{Desk, temporary};
use common::{Loop, best};
use wakeful::file::{self, Operation};
use wakeful::user::{self, Rejected};
use wakeful::watch::{Kind, Watcher};
use wakeful::{Interest, Token};

/// A descriptor that another one has taken the place of, until this is dropped.
struct Broken {
    fd: RawFd,
    intact: OwnedFd,
    _other_end: OwnedFd,
}

impl Broken {
    /// One that cannot be written to, and is not readable.
    fn new(fd: RawFd) -> Broken {
        let (reader, writer) = wakeful_kernel::pipe::pipe().unwrap();
        Broken::by(fd, &reader, writer)
    }

    /// One that cannot be read from.
    fn to_read(fd: RawFd) -> Broken {
        let (reader, writer) = wakeful_kernel::pipe::pipe().unwrap();
        Broken::by(fd, &writer, reader)
    }

    fn by(fd: RawFd, other: &OwnedFd, other_end: OwnedFd) -> Broken {
        // SAFETY: the descriptors are open; the new one is nobody else's.
        let intact = unsafe { OwnedFd::from_raw_fd(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0)) };
        // SAFETY: as above. Whoever owns the number goes on to own it.
        assert_eq!(unsafe { libc::dup2(other.as_raw_fd(), fd) }, fd);
        Broken { fd, intact, _other_end: other_end }
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        // SAFETY: as in `by`.
        assert_eq!(unsafe { libc::dup2(self.intact.as_raw_fd(), self.fd) }, self.fd);
    }
}

#[test]
fn an_item_comes_back() {
    let mut events = Loop::new(best());
    let items = user::Events::new(8).unwrap();
    let sender = items.sender();
    let items = events.registry().register_owned(items, Token(1), Interest::READABLE).unwrap();
    let broken = Broken::new(items.as_raw_fd());
    for item in ["one", "two"] {
        let rejected = sender.send(item).unwrap_err();
        assert_eq!(rejected, Rejected::Failed(item, libc::EBADF));
        assert!(rejected.to_string().contains("notified"), "{rejected}");
        assert_eq!(rejected.into_inner(), item);
        assert!(items.is_empty());
    }
    drop(broken);
    sender.send("three").unwrap();
    sender.send("four").unwrap();
    events.expect_readable(Token(1));
    assert_eq!(items.drain().collect::<Vec<_>>(), ["three", "four"]);
    // What was taken back has no number any more.
    let broken = Broken::new(items.as_raw_fd());
    sender.send("five").unwrap_err();
    drop(broken);
    sender.send("six").unwrap();
    events.expect_readable(Token(1));
    assert_eq!(items.drain().collect::<Vec<_>>(), ["six"]);
}

#[test]
fn what_is_left_comes_with_the_next_item() {
    let mut events = Loop::new(best());
    let items = user::Events::new(8).unwrap();
    let sender = items.sender();
    let items = events.registry().register_owned(items, Token(1), Interest::READABLE).unwrap();
    for item in 0..3 {
        sender.send(item).unwrap();
    }
    events.expect_readable(Token(1));
    let broken = {
        let mut some = items.drain();
        assert_eq!(some.next(), Some(0));
        let broken = Broken::new(items.as_raw_fd());
        // It cannot notify of the rest.
        drop(some);
        broken
    };
    // Behind others, it is taken back all the same.
    assert_eq!(sender.send(3), Err(Rejected::Failed(3, libc::EBADF)));
    drop(broken);
    sender.send(4).unwrap();
    events.expect_readable(Token(1));
    assert_eq!(items.drain().collect::<Vec<_>>(), [1, 2, 4]);
}

#[test]
fn a_completion_is_reported_later() {
    let mut desk = Desk::new(8, file::Backend::Pool);
    let broken = Broken::new(desk.queue.as_raw_fd());
    let write = Operation::write(temporary(), b"hello".to_vec(), 0);
    desk.queue.submit(write, ()).unwrap();
    // Long enough for the thread to find out.
    thread::sleep(Duration::from_millis(50));
    drop(broken);
    let mut events = wakeful::Events::with_capacity(8);
    desk.poll.poll(&mut events, Some(common::DEADLINE)).unwrap();
    assert!(!events.is_empty(), "it is not reported");
    assert_eq!(desk.wait().count().unwrap(), 5);
}

#[test]
fn changes_that_cannot_be_read() {
    let mut events = Loop::new(best());
    let folder = tempfile::tempdir().unwrap();
    let watcher = Watcher::new().unwrap();
    let watcher = events.registry().register_owned(watcher, Token(1), Interest::READABLE).unwrap();
    watcher.add(folder.path()).unwrap();
    std::fs::create_dir(folder.path().join("new")).unwrap();
    events.expect_readable(Token(1));
    let broken = Broken::to_read(watcher.as_fd().as_raw_fd());
    let changes: Vec<_> = watcher.changes().collect();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].kind, Kind::Overflow);
    assert_eq!(changes[0].error().unwrap().raw_os_error(), Some(libc::EBADF));
    drop(broken);
    assert_eq!(watcher.changes().map(|change| change.kind).collect::<Vec<_>>(), [Kind::Created]);
}
