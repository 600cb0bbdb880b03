//! A kqueue in a kqueue, as kernels have it: a knote of the inner one is queued once, and only that it is queued is
//! an edge of the outer one.

#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, Kqueue, QUIET, event};
use wakeful_emulation::kqueue::*;

/// The outer one with an edge for the inner one.
fn nested() -> (Kqueue, Kqueue) {
    let (outer, inner) = (Kqueue::new(), Kqueue::new());
    outer.change(event(inner.0 as usize, EVFILT_READ, EV_ADD | EV_CLEAR));
    outer.nothing();
    (outer, inner)
}

fn pair() -> (UnixStream, UnixStream, usize) {
    let (left, right) = UnixStream::pair().unwrap();
    let number = left.as_raw_fd() as usize;
    (left, right, number)
}

fn trigger(number: usize) -> kevent {
    kevent { fflags: NOTE_TRIGGER, ..event(number, EVFILT_USER, 0) }
}

fn timer(number: usize) -> kevent {
    kevent { fflags: NOTE_NSECONDS, data: 1, ..event(number, EVFILT_TIMER, EV_ADD | EV_ONESHOT) }
}

/// Until the descriptor of a kqueue is as readable as that.
#[track_caller]
fn until_readable(queue: &Kqueue, expected: bool) {
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        let mut entry = libc::pollfd { fd: queue.0, events: libc::POLLIN, revents: 0 };
        // SAFETY: one struct, valid for reads and writes.
        let count = unsafe { libc::poll(&mut entry, 1, 0) };
        if (count == 1) == expected {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("readable: not {expected}");
}

#[test]
fn a_knote_that_is_queued_is_no_second_edge() {
    let (outer, inner) = nested();
    inner.change(event(1, EVFILT_USER, EV_ADD | EV_CLEAR));
    for _ in 0..3 {
        inner.change(trigger(1));
        assert_eq!(outer.one().data, 1);
        for _ in 0..3 {
            inner.change(trigger(1));
            outer.nothing();
        }
        inner.one();
        inner.nothing();
        outer.nothing();
    }
    let (_left, mut right, fd) = pair();
    inner.change(event(fd, EVFILT_READ, EV_ADD | EV_CLEAR));
    right.write_all(b"x").unwrap();
    outer.one();
    right.write_all(b"x").unwrap();
    outer.nothing();
    assert_eq!(inner.one().data, 2);
    right.write_all(b"x").unwrap();
    outer.one();
}

#[test]
fn another_knote_is_an_edge() {
    let (outer, inner) = nested();
    for number in 1..4 {
        inner.change(event(number, EVFILT_USER, EV_ADD | EV_CLEAR));
        inner.change(trigger(number));
        assert_eq!(outer.one().data, number as i64);
        outer.nothing();
    }
    // One that found no room stays queued.
    assert_eq!(inner.kevent(&[], &mut [event(0, 0, 0)], Some(DEADLINE)), Ok(1));
    inner.change(trigger(2));
    outer.nothing();
    inner.change(trigger(1));
    assert_eq!(outer.one().data, 3);
}

/// It goes to the end of the queue when it is reported, and leaves it when it is found to be true no more.
#[test]
fn a_level_is_queued_until_it_is_asked_in_vain() {
    let (outer, inner) = nested();
    let (mut left, mut right, fd) = pair();
    inner.change(event(fd, EVFILT_READ, EV_ADD));
    right.write_all(b"x").unwrap();
    outer.one();
    inner.one();
    left.read_exact(&mut [0]).unwrap();
    right.write_all(b"x").unwrap();
    outer.nothing();
    inner.one();
    left.read_exact(&mut [0]).unwrap();
    until_readable(&inner, true);
    inner.nothing();
    until_readable(&inner, false);
    right.write_all(b"x").unwrap();
    outer.one();
}

#[test]
fn what_is_added_anew_is_an_edge_only_if_it_was_deleted() {
    let (outer, inner) = nested();
    let before = Instant::now();
    inner.change(timer(1));
    outer.one();
    inner.change(timer(1));
    outer.nothing();
    inner.change(event(1, EVFILT_TIMER, EV_DELETE));
    inner.change(timer(1));
    outer.one();
    inner.one();
    inner.change(timer(1));
    outer.one();
    assert!(before.elapsed() < DEADLINE);

    let (_left, mut right, fd) = pair();
    right.write_all(b"x").unwrap();
    inner.change(event(fd, EVFILT_READ, EV_ADD));
    outer.one();
    inner.change(event(fd, EVFILT_READ, EV_ADD));
    outer.nothing();
    inner.change(event(fd, EVFILT_READ, EV_DELETE));
    inner.change(event(fd, EVFILT_READ, EV_ADD));
    outer.one();
    inner.change(event(fd, EVFILT_READ, EV_DELETE));
    inner.within(QUIET);
    until_readable(&inner, false);
}

#[test]
fn it_is_looked_at_anew_when_it_is_changed() {
    let (outer, inner) = nested();
    inner.change(event(1, EVFILT_USER, EV_ADD | EV_CLEAR));
    inner.change(trigger(1));
    for flags in [EV_ADD | EV_CLEAR, EV_ENABLE, EV_ADD | EV_CLEAR] {
        outer.one();
        outer.nothing();
        outer.change(event(inner.0 as usize, EVFILT_READ, flags));
    }
    outer.one();
    inner.change(event(1, EVFILT_USER, EV_DELETE));
    outer.change(event(inner.0 as usize, EVFILT_READ, EV_ADD | EV_CLEAR));
    outer.nothing();
    until_readable(&inner, false);
}

#[test]
fn a_level_of_it_is_reported_while_something_is_queued() {
    let (outer, inner) = (Kqueue::new(), Kqueue::new());
    outer.change(event(inner.0 as usize, EVFILT_READ, EV_ADD));
    for number in [1, 2] {
        inner.change(event(number, EVFILT_USER, EV_ADD | EV_CLEAR));
        inner.change(trigger(number));
    }
    for _ in 0..2 {
        assert_eq!(outer.one().data, 2);
    }
    assert_eq!(inner.wait().len(), 2);
    outer.nothing();
}

#[test]
fn it_can_only_be_read() {
    let (outer, inner) = nested();
    for filter in [EVFILT_WRITE, EVFILT_EXCEPT] {
        assert_eq!(outer.refused(event(inner.0 as usize, filter, EV_ADD)), libc::EINVAL);
    }
}
