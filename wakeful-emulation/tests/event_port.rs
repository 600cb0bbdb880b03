//! What port_create(3C) and its kin say, and what the kernel of illumos does.

#![cfg(target_os = "linux")]

#[path = "common/port.rs"]
mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, NOTHING, Port, QUIET, errno, timespec};
use libc::{POLLERR, POLLHUP, POLLIN, POLLOUT};
use wakeful_emulation::event_port::*;

const MS: Duration = Duration::from_millis(1);

/// Rust 1.85 has none.
fn pipe() -> (File, File) {
    let mut fds = [0; 2];
    // SAFETY: there is room for the two, which are nobody else's.
    unsafe {
        assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1]))
    }
}

/// port_create(3C): a descriptor like any other, which stays open at exec.
#[test]
fn a_port_is_a_descriptor() {
    let port = Port::new();
    // SAFETY: the call takes integers.
    assert_eq!(unsafe { libc::fcntl(port.0, libc::F_GETFD) }, 0);
    assert!(!port.is_readable());
    port.send(1, 2).unwrap();
    assert!(port.is_readable());
    port.one();
    assert!(!port.is_readable());
    // Nested: "a port descriptor can be associated with another".
    let outer = Port::new();
    outer.associate(&port.0, POLLIN, 7);
    outer.nothing();
    port.send(3, 4).unwrap();
    assert_eq!(outer.one().portev_user as usize, 7);
    assert_eq!(port.one().portev_events, 3);
    assert_eq!(port.try_associate(port.0, POLLIN.into(), 0), Err(libc::EINVAL), "in itself");
    // What is ready, but was not looked at.
    let (left, mut right) = UnixStream::pair().unwrap();
    port.associate(&left, POLLIN, 0);
    assert!(!port.is_readable());
    right.write_all(b"x").unwrap();
    assert!(port.is_readable());
    port.one();
    assert!(!port.is_readable());
}

/// Errors: EBADF, EBADFD, EINVAL.
#[test]
fn what_is_no_port() {
    let (left, _right) = UnixStream::pair().unwrap();
    for (fd, expected) in [(-1, libc::EBADF), (left.as_raw_fd(), libc::EBADFD)] {
        let wrong = std::mem::ManuallyDrop::new(Port(fd));
        assert_eq!(wrong.send(1, 1), Err(expected));
        assert_eq!(wrong.get(Some(Duration::ZERO)).map(drop), Err(expected));
        assert_eq!(wrong.try_associate(0, 0, 0), Err(expected));
        assert_eq!(wrong.dissociate(&0), Err(expected));
        // SAFETY: nobody uses it again.
        assert_eq!(unsafe { close(fd) }, -1);
    }
    let port = Port::new();
    // SAFETY: what is no source is refused before the object is looked at.
    assert_eq!(unsafe { port_associate(port.0, 99, 0, 0, std::ptr::null_mut()) }, -1);
    assert_eq!(errno(), libc::EINVAL);
    assert_eq!(port_dissociate(port.0, PORT_SOURCE_USER, 0), -1);
    assert_eq!(errno(), libc::EINVAL);
    assert_eq!(port.try_associate(12345, POLLIN.into(), 0), Err(libc::EBADFD));
    assert_eq!(port.try_associate(-1, POLLIN.into(), 0), Err(libc::EBADFD));
}

/// PORT_SOURCE_FD: polled when it is associated; told of once, until it is associated again.
#[test]
fn one_event_per_association() {
    let port = Port::new();
    let (mut left, mut right) = UnixStream::pair().unwrap();
    port.associate(&left, POLLIN, 23);
    port.nothing();
    right.write_all(b"x").unwrap();
    let event = port.one();
    assert_eq!(i32::from(event.portev_source), PORT_SOURCE_FD);
    assert_eq!(event.portev_object, left.as_raw_fd() as usize);
    assert_eq!((event.portev_events, event.portev_user as usize), (POLLIN.into(), 23));
    port.nothing();
    right.write_all(b"y").unwrap();
    port.nothing();
    // It is ready already: at once.
    port.associate(&left, POLLIN, 24);
    assert_eq!(port.one().portev_user as usize, 24);
    left.read_exact(&mut [0; 2]).unwrap();
    port.associate(&left, POLLIN, 25);
    port.nothing();
}

/// Only what was asked for, and HUP and ERR, which cannot be left out. What is queued may be stale.
#[test]
fn which_events_are_told() {
    let port = Port::new();
    let (mut left, mut right) = UnixStream::pair().unwrap();
    port.associate(&left, POLLOUT, 0);
    assert_eq!(port.one().portev_events, POLLOUT.into());
    port.associate(&left, POLLIN | POLLOUT, 0);
    assert_eq!(port.one().portev_events, POLLOUT.into());
    port.associate(&left, 0, 0);
    port.nothing();
    drop(right);
    assert_eq!(port.one().portev_events, POLLHUP.into());
    let (reader, writer) = pipe();
    port.associate(&writer, 0, 0);
    drop(reader);
    assert_eq!(port.one().portev_events, POLLERR.into());
    // Not looked at again when it is retrieved.
    (left, right) = UnixStream::pair().unwrap();
    right.write_all(b"x").unwrap();
    port.associate(&left, POLLIN, 0);
    assert_eq!(port.count(), 1);
    left.read_exact(&mut [0]).unwrap();
    assert_eq!(port.one().portev_events, POLLIN.into());
    // Bits beyond poll(2)'s are none of its business.
    assert_eq!(port.try_associate(left.as_raw_fd(), libc::EPOLLET, 0), Ok(0));
}

/// Regular files, and others that never block, are always ready.
#[test]
fn a_regular_file_is_ready() {
    let port = Port::new();
    let file = tempfile::tempfile().unwrap();
    for fd in [file.as_raw_fd(), File::open("/dev/null").unwrap().as_raw_fd()] {
        let _ = port.try_associate(fd, (POLLIN | POLLOUT).into(), 1);
    }
    assert_eq!(port.one().portev_events, (POLLIN | POLLOUT).into());
    port.associate(&file, POLLIN, 2);
    assert_eq!(port.dissociate(&file), Ok(0));
    port.nothing();
    port.associate(&file, POLLIN, 2);
    port.associate(&file, POLLOUT, 3);
    let event = port.one();
    assert_eq!((event.portev_events, event.portev_user as usize), (POLLOUT.into(), 3));
    port.nothing();
}

/// Associating again drops an event that was not retrieved, replaces the events and the user, and polls again.
#[test]
fn associated_again() {
    let port = Port::new();
    let (mut left, mut right) = UnixStream::pair().unwrap();
    right.write_all(b"x").unwrap();
    port.associate(&left, POLLIN, 1);
    assert_eq!(port.count(), 1);
    port.associate(&left, POLLOUT, 2);
    let event = port.one();
    assert_eq!((event.portev_events, event.portev_user as usize), (POLLOUT.into(), 2));
    port.associate(&left, POLLIN, 3);
    assert_eq!(port.count(), 1);
    left.read_exact(&mut [0]).unwrap();
    port.associate(&left, POLLIN, 4);
    port.nothing();
    right.write_all(b"y").unwrap();
    assert_eq!(port.one().portev_user as usize, 4);
}

/// port_dissociate(3C): what is queued is cancelled; ENOENT when nothing is active, also after the event.
#[test]
fn dissociated() {
    let port = Port::new();
    let (left, mut right) = UnixStream::pair().unwrap();
    assert_eq!(port.dissociate(&left), Err(libc::ENOENT));
    port.associate(&left, POLLIN, 1);
    assert_eq!(port.dissociate(&left), Ok(0));
    right.write_all(b"x").unwrap();
    port.nothing();
    port.associate(&left, POLLIN, 1);
    assert_eq!(port.dissociate(&left), Ok(0), "it was queued");
    port.nothing();
    port.associate(&left, POLLIN, 1);
    port.one();
    assert_eq!(port.dissociate(&left), Err(libc::ENOENT), "it was retrieved");
    port.associate(&left, POLLIN, 1);
    assert_eq!(port.dissociate(&12345), Err(libc::EBADFD));
    assert_eq!(port.dissociate(&-1), Err(libc::EBADFD));
}

/// By number and open file: duplicates are others; closing one ends its association, even if others are open.
#[test]
fn duplicates_and_closing() {
    let port = Port::new();
    let (left, mut right) = UnixStream::pair().unwrap();
    let duplicate = left.try_clone().unwrap();
    port.associate(&left, POLLIN, 1);
    port.associate(&duplicate, POLLIN, 2);
    right.write_all(b"x").unwrap();
    let mut users = [port.one().portev_user as usize, port.one().portev_user as usize];
    users.sort_unstable();
    assert_eq!(users, [1, 2]);
    port.nothing();
    // It is queued, and closed.
    port.associate(&left, POLLIN, 3);
    assert_eq!(port.count(), 1);
    drop(left);
    port.nothing();
    // It is waited for, and closed, and another has its number.
    let watched = duplicate.try_clone().unwrap();
    let number = watched.as_raw_fd();
    duplicate.set_nonblocking(true).unwrap();
    while (&duplicate).read(&mut [0]).is_ok() {}
    port.associate(&watched, POLLIN, 4);
    drop(watched);
    let (other, mut beside) = UnixStream::pair().unwrap();
    right.write_all(b"x").unwrap();
    port.nothing();
    if other.as_raw_fd() == number {
        assert_eq!(port.dissociate(&other), Err(libc::ENOENT));
    }
    port.associate(&other, POLLIN, 5);
    beside.write_all(b"x").unwrap();
    assert_eq!(port.one().portev_user as usize, 5);
    port.nothing();
}

/// PORT_SOURCE_USER: no object, in their order, never blocking.
#[test]
fn user_events() {
    let port = Port::new();
    for number in 0..3 {
        port.send(10 + number, number as usize).unwrap();
    }
    for number in 0..3 {
        let event = port.one();
        assert_eq!(i32::from(event.portev_source), PORT_SOURCE_USER);
        assert_eq!((event.portev_object, event.portev_events), (0, 10 + number));
        assert_eq!(event.portev_user as usize, number as usize);
    }
    port.nothing();
}

/// process.max-port-events: a slot for each association, even one that is over, and for each event that was sent.
#[test]
fn slots() {
    let port = Port::new();
    let (left, _right) = UnixStream::pair().unwrap();
    port.associate(&left, POLLOUT, 0);
    port.one();
    for _ in 0..65_535 {
        port.send(1, 1).unwrap();
    }
    assert_eq!(port.send(1, 1), Err(libc::EAGAIN));
    let file = tempfile::tempfile().unwrap();
    assert_eq!(port.try_associate(file.as_raw_fd(), POLLIN.into(), 0), Err(libc::EAGAIN));
    port.associate(&left, POLLOUT, 0);
    port.one();
    port.send(1, 1).unwrap();
    // One that was closed has none.
    drop(left);
    port.send(1, 1).unwrap();
    assert_eq!(port.count(), 65_536);
}

/// port_sendn(3C): into how many; the errors of the others; EINVAL for none.
#[test]
fn sent_to_several() {
    let (one, other) = (Port::new(), Port::new());
    let mut errors = [99; 3];
    let send = |ports: &[i32], errors: &mut [i32]| {
        let count = ports.len() as u32;
        // SAFETY: both lists are as long.
        unsafe { port_sendn(ports.as_ptr(), errors.as_mut_ptr(), count, 4, 5 as *mut _) }
    };
    assert_eq!(send(&[one.0, other.0], &mut errors), 2);
    assert_eq!(errors, [99; 3], "not written to");
    assert_eq!(send(&[one.0, -1, other.0], &mut errors), 2);
    assert_eq!(errors, [0, libc::EBADF, 0]);
    assert_eq!((one.count(), other.count()), (2, 2));
    assert_eq!(one.one().portev_user as usize, 5);
    assert_eq!(send(&[], &mut errors), -1);
    assert_eq!(errno(), libc::EINVAL);
}

/// port_alert(3C): every wait ends with it, again and again; others queue up meanwhile.
#[test]
fn alert_mode() {
    let port = Port::new();
    let alert = |flags, events, user: usize| port_alert(port.0, flags, events, user as *mut _);
    assert_eq!(alert(PORT_ALERT_SET | PORT_ALERT_UPDATE, 1, 0), -1);
    assert_eq!(errno(), libc::EINVAL);
    assert_eq!(alert(PORT_ALERT_UPDATE, 8, 9), 0);
    assert_eq!(alert(PORT_ALERT_UPDATE, 8, 9), -1);
    assert_eq!(errno(), libc::EBUSY);
    port.send(1, 1).unwrap();
    let mut room = [NOTHING; 4];
    for _ in 0..2 {
        let event = port.one();
        assert_eq!(i32::from(event.portev_source), PORT_SOURCE_ALERT);
        assert_eq!((event.portev_events, event.portev_user as usize), (8, 9));
        assert_eq!(port.getn(&mut room, 3, None), (Ok(0), 1), "alone");
    }
    assert_eq!(alert(PORT_ALERT_SET, 10, 11), 0);
    assert_eq!(port.one().portev_events, 10);
    assert_eq!(alert(PORT_ALERT_SET, 0, 0), 0);
    assert_eq!(i32::from(port.one().portev_source), PORT_SOURCE_USER);
    port.nothing();
    // Those who wait already, all of them, though it is over at once.
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| port.one().portev_events)).collect();
        thread::sleep(50 * MS);
        assert_eq!(alert(PORT_ALERT_SET, 12, 0), 0);
        assert_eq!(alert(PORT_ALERT_SET, 0, 0), 0);
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), 12);
        }
    });
}

/// port_get(3C): ETIME; a timeout of zero on an empty port answers 0, and writes nothing; EINVAL, EFAULT.
#[test]
fn waiting_for_one() {
    let port = Port::new();
    let start = Instant::now();
    assert_eq!(port.get(Some(20 * MS)).map(drop), Err(libc::ETIME));
    assert!(start.elapsed() >= 20 * MS);
    let mut event = port_event { portev_events: 77, ..NOTHING };
    let zero = timespec(Duration::ZERO);
    let wrong = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000_000 };
    let negative = libc::timespec { tv_sec: -1, tv_nsec: 0 };
    // SAFETY: the event and the timeouts are valid, or null.
    unsafe {
        assert_eq!(port_get(port.0, &mut event, &zero), 0);
        assert_eq!(event.portev_events, 77);
        for timeout in [&wrong, &negative] {
            assert_eq!(port_get(port.0, &mut event, timeout), -1);
            assert_eq!(errno(), libc::EINVAL);
        }
        assert_eq!(port_get(port.0, std::ptr::null_mut(), &zero), -1);
        assert_eq!(errno(), libc::EFAULT);
        // It is looked at only if there is to be a wait.
        port.send(1, 1).unwrap();
        assert_eq!(port_get(port.0, &mut event, &wrong), 0);
    }
}

/// port_getn(3C): waits for `nget`, answers with up to `max`; with ETIME and what there is; how many there are.
#[test]
fn waiting_for_several() {
    let port = Port::new();
    let mut room = [NOTHING; 4];
    for number in 0..6 {
        port.send(number, 0).unwrap();
    }
    assert_eq!(port.count(), 6);
    assert_eq!(port.getn(&mut room, 1, None), (Ok(0), 4), "more than were waited for");
    assert_eq!(room.map(|event| event.portev_events), [0, 1, 2, 3]);
    assert_eq!(port.getn(&mut room, 3, Some(QUIET)), (Err(libc::ETIME), 2), "fewer");
    assert_eq!(room[1].portev_events, 5);
    assert_eq!(port.getn(&mut room, 1, Some(Duration::ZERO)), (Ok(0), 0));
    port.send(9, 0).unwrap();
    assert_eq!(port.getn(&mut room, 2, Some(Duration::ZERO)), (Ok(0), 1));
    assert_eq!(port.getn(&mut room, 5, None).0, Err(libc::EINVAL), "more than there is room for");
    port.send(9, 0).unwrap();
    assert_eq!(port.getn(&mut room, 0, None), (Ok(0), 0), "none are wanted");
    assert_eq!(port.count(), 1);
    let mut count = 1;
    // SAFETY: a null list is refused.
    let result =
        unsafe { port_getn(port.0, std::ptr::null_mut(), 1, &mut count, std::ptr::null()) };
    assert_eq!((result, errno()), (-1, libc::EFAULT));
}

/// Who wants least comes first, and an event goes to one thread.
#[test]
fn in_which_order_they_are_served() {
    let port = Port::new();
    thread::scope(|scope| {
        let greedy = scope.spawn(|| {
            let mut room = [NOTHING; 8];
            port.getn(&mut room, 3, Some(DEADLINE))
        });
        thread::sleep(20 * MS);
        let modest = scope.spawn(|| port.one().portev_events);
        thread::sleep(20 * MS);
        port.send(1, 0).unwrap();
        assert_eq!(modest.join().unwrap(), 1);
        assert!(!greedy.is_finished());
        for number in 2..5 {
            port.send(number, 0).unwrap();
        }
        assert_eq!(greedy.join().unwrap(), (Ok(0), 3));
    });
    assert_eq!(port.count(), 0);
    // Many wait, many events come from others: each is got once.
    let (left, mut right) = UnixStream::pair().unwrap();
    port.associate(&left, POLLIN, 1000);
    let mut got: Vec<_> = thread::scope(|scope| {
        let one = || port.one().portev_user as usize;
        let waiters: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        right.write_all(b"x").unwrap();
        for user in 0..7 {
            port.send(1, user).unwrap();
        }
        waiters.into_iter().map(|it| it.join().unwrap()).collect()
    });
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3, 4, 5, 6, 1000]);
    port.nothing();
}

/// Closing a port ends the waits of others, with EBADFD.
#[test]
fn closed_while_others_wait() {
    let fd = port_create();
    let port = std::mem::ManuallyDrop::new(Port(fd));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| port.get(Some(DEADLINE)).map(drop));
        thread::sleep(20 * MS);
        let start = Instant::now();
        // SAFETY: nobody uses it again.
        assert_eq!(unsafe { close(fd) }, 0);
        assert_eq!(waiter.join().unwrap(), Err(libc::EBADFD));
        assert!(start.elapsed() < DEADLINE / 2);
    });
    // Where nobody is told of it, it is found out.
    let fd = port_create();
    let port = std::mem::ManuallyDrop::new(Port(fd));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| port.get(Some(DEADLINE)).map(drop));
        thread::sleep(20 * MS);
        // SAFETY: nobody else uses it afterwards, but to find that it is closed.
        assert_eq!(unsafe { libc::close(fd) }, 0);
        assert_eq!(waiter.join().unwrap(), Err(libc::EBADFD));
    });
}

/// Many come and go, closed in either way, and leave nothing behind.
#[test]
fn many_come_and_go() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    for number in 0..100_000 {
        let fd = port_create();
        assert!(fd >= 0, "{number}: {}", errno());
        if number % 1000 == 0 {
            assert_eq!(std::mem::ManuallyDrop::new(Port(fd)).send(1, 1), Ok(0));
        }
        if number % 2 == 0 {
            // SAFETY: nobody uses it again.
            assert_eq!(unsafe { close(fd) }, 0);
        } else {
            // SAFETY: nobody else knows of it.
            assert_eq!(unsafe { libc::close(fd) }, 0);
        }
    }
    // Other tests of this process have theirs meanwhile.
    assert!(open() < before + 200, "{before} before, {} after", open());
}
