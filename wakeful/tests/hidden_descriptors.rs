//! Descriptors that a program has not asked for do not take the numbers that it uses.

#![cfg(unix)]

mod common;

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::every_backend;
use wakeful::signal::{Signal, Signals};
use wakeful::{Backend, Events, Interest, Poll, Registry, Token, Waker, user};

/// Numbers are the whole process's.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number that the next open(2) returns.
fn lowest() -> RawFd {
    File::open("/dev/null").unwrap().as_raw_fd()
}

#[track_caller]
fn wakes(poll: &mut Poll, waker: &Waker) {
    let mut events = Events::with_capacity(4);
    waker.wake().unwrap();
    poll.poll(&mut events, Some(common::DEADLINE)).unwrap();
    assert_eq!(events.len(), 1);
}

fn with_socket(registry: &Registry) -> wakeful::Registered<wakeful::unix::pipe::Receiver> {
    let (_, receiver) = wakeful::unix::pipe::new().unwrap();
    registry.register_owned(receiver, Token(1), Interest::READABLE).unwrap()
}

every_backend! {
    fn a_poller_is_one_number_and_its_waker_none(backend) {
        let _alone = alone();
        let first = lowest();
        let mut poll = Poll::builder().backend(backend).build().unwrap();
        let next = lowest();
        // That of poll(2) is a pipe between its own threads.
        let own = RawFd::from(backend != Backend::Poll);
        assert_eq!(next - first, own);
        let waker = Waker::new(poll.registry(), Token(7)).unwrap();
        assert_eq!(lowest(), next);
        wakes(&mut poll, &waker);
        let receiver = with_socket(poll.registry());
        assert_eq!(lowest(), next + 1);
        drop(receiver);
        // With the number of the waker's own event, as an application may choose it.
        let (_sender, receiver) = wakeful::unix::pipe::new().unwrap();
        let theirs = Token(0xfd57_a3e1_9c44_b2d3_u64 as usize);
        let registered = poll.registry().register_owned(receiver, theirs, Interest::READABLE);
        let registered = registered.unwrap();
        assert_eq!(lowest(), next + 2);
        wakes(&mut poll, &waker);
        drop(registered);
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    }
}

/// As daemons do it: what the waker needs is closed as well.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn closing_all_unknown_descriptors_is_an_error_and_no_hang() {
    use std::collections::BTreeSet;
    use std::os::fd::{FromRawFd, OwnedFd};

    let open = || -> BTreeSet<RawFd> {
        let names = std::fs::read_dir("/proc/self/fd").unwrap();
        let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
        names.map(|name| name.parse().unwrap()).collect()
    };
    let _alone = alone();
    let before = open();
    let mut poll = Poll::builder().backend(Backend::Poll).build().unwrap();
    let mut hidden = open();
    hidden.retain(|fd| !before.contains(fd));
    assert_eq!(hidden.len(), 2);
    // SAFETY: the poller is not dropped.
    hidden.into_iter().for_each(|fd| drop(unsafe { OwnedFd::from_raw_fd(fd) }));
    let mut events = Events::with_capacity(4);
    let error = poll.poll(&mut events, Some(common::DEADLINE)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    std::mem::forget(poll);
}

#[test]
fn a_source_is_one_number() {
    let _alone = alone();
    let first = lowest();
    let signals = Signals::new([Signal::USER1]).unwrap();
    assert_eq!(signals.as_fd().as_raw_fd(), first);
    assert_eq!(lowest(), first + 1);
    let queue = user::Events::<()>::new(1).unwrap();
    assert_eq!(queue.as_raw_fd(), first + 1);
    assert_eq!(lowest(), first + 2);
}
