//! What kqueue(2) of FreeBSD says, sentence by sentence as far as there are filters.

#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use common::{DEADLINE, Kqueue, QUIET, event};
use wakeful_emulation::kqueue::*;
use wakeful_testing::Isolated;

const MS: Duration = Duration::from_millis(1);

fn pair() -> (UnixStream, UnixStream, usize) {
    let (left, right) = UnixStream::pair().unwrap();
    let number = left.as_raw_fd() as usize;
    (left, right, number)
}

/// "EVFILT_READ … sockets … data contains the number of bytes": reported as long as there are some.
#[test]
fn read_is_level_triggered() {
    let queue = Kqueue::new();
    let (mut left, mut right, fd) = pair();
    queue.change(kevent { udata: 42 as *mut _, ..event(fd, EVFILT_READ, EV_ADD) });
    queue.nothing();
    right.write_all(b"12345").unwrap();
    for _ in 0..2 {
        let found = queue.one();
        assert_eq!((found.ident, found.filter, found.data), (fd, EVFILT_READ, 5));
        assert_eq!((found.udata as usize, found.flags & (EV_EOF | EV_ERROR)), (42, 0));
    }
    left.read_exact(&mut [0; 5]).unwrap();
    queue.nothing();
}

/// "EV_CLEAR … after the event is retrieved by the user, its state is reset."
#[test]
fn clear_reports_what_is_new() {
    let queue = Kqueue::new();
    let (_left, mut right, fd) = pair();
    queue.change(event(fd, EVFILT_READ, EV_ADD | EV_CLEAR));
    for bytes in [1, 2] {
        right.write_all(b"x").unwrap();
        assert_eq!(queue.one().data, bytes);
        queue.nothing();
    }
    // Changing it looks at it anew.
    queue.change(event(fd, EVFILT_READ, EV_ADD | EV_CLEAR));
    assert_eq!(queue.one().data, 2);
    queue.nothing();
}

/// "EV_ONESHOT … return only the first occurrence … deleted." "EV_DISPATCH: disable the event source
/// immediately after delivery."
#[test]
fn oneshot_and_dispatch() {
    let queue = Kqueue::new();
    let (_left, mut right, fd) = pair();
    right.write_all(b"x").unwrap();
    queue.change(event(fd, EVFILT_READ, EV_ADD | EV_ONESHOT));
    queue.one();
    queue.nothing();
    assert_eq!(queue.refused(event(fd, EVFILT_READ, EV_DELETE)), libc::ENOENT);

    queue.change(event(fd, EVFILT_READ, EV_ADD | EV_DISPATCH));
    for _ in 0..2 {
        queue.one();
        queue.nothing();
        queue.change(event(fd, EVFILT_READ, EV_ENABLE));
    }
    queue.one();
    queue.change(event(fd, EVFILT_READ, EV_DELETE));
}

/// "EV_DISABLE: … the filter itself is not disabled." "EV_ENABLE: permit kevent() to return the event."
#[test]
fn disabled_and_enabled() {
    let queue = Kqueue::new();
    let (_left, mut right, fd) = pair();
    right.write_all(b"x").unwrap();
    queue.change(event(fd, EVFILT_READ, EV_ADD | EV_DISABLE));
    queue.nothing();
    queue.change(event(fd, EVFILT_READ, EV_ENABLE));
    queue.one();
    queue.change(event(fd, EVFILT_READ, EV_DISABLE));
    queue.nothing();
    // "Adding an event automatically enables it, unless overridden by EV_DISABLE."
    queue.change(event(fd, EVFILT_READ, EV_ADD));
    queue.one();
    assert_eq!(queue.refused(event(fd, EVFILT_READ, EV_ENABLE | EV_DISABLE)), libc::EINVAL);
}

/// The two filters of one descriptor are two events, each with flags of its own.
#[test]
fn reading_and_writing_are_independent() {
    let queue = Kqueue::new();
    let (_left, mut right, fd) = pair();
    queue.change(event(fd, EVFILT_READ, EV_ADD));
    queue.change(event(fd, EVFILT_WRITE, EV_ADD | EV_CLEAR));
    let found = queue.one();
    assert_eq!(found.filter, EVFILT_WRITE);
    assert!(found.data > 1000, "{found:?}");
    queue.nothing();
    right.write_all(b"x").unwrap();
    for _ in 0..2 {
        assert!(queue.wait().iter().any(|it| it.filter == EVFILT_READ));
    }
    queue.change(event(fd, EVFILT_READ, EV_DELETE));
    queue.within(QUIET);
    queue.nothing();
}

/// "EV_EOF … if the read direction of the socket has shutdown", with what can still be read in data.
#[test]
fn the_end_of_a_stream() {
    let queue = Kqueue::new();
    let (_left, mut right, fd) = pair();
    queue.change(event(fd, EVFILT_READ, EV_ADD));
    right.write_all(b"last").unwrap();
    drop(right);
    let found = queue.one();
    assert_eq!((found.flags & EV_EOF, found.data), (EV_EOF, 4));
    queue.change(event(fd, EVFILT_READ, EV_DELETE));
    queue.change(event(fd, EVFILT_WRITE, EV_ADD));
    assert_eq!(queue.one().flags & EV_EOF, EV_EOF);
}

/// FreeBSD refuses to wait for room in what nobody reads any more, unless it has a name.
#[test]
fn a_pipe_without_a_reader() {
    let queue = Kqueue::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let fd = writer.as_raw_fd() as usize;
    queue.change(event(fd, EVFILT_WRITE, EV_ADD | EV_CLEAR));
    queue.one();
    drop(reader);
    assert_eq!(queue.one().flags & EV_EOF, EV_EOF);
    // Of what is there already it does not speak.
    queue.change(event(fd, EVFILT_WRITE, EV_ADD));
    queue.change(event(fd, EVFILT_WRITE, EV_DELETE));
    assert_eq!(queue.refused(event(fd, EVFILT_WRITE, EV_ADD)), libc::EPIPE);
}

/// "EVFILT_TIMER … data contains the number of times the timeout has expired."
#[test]
fn timers_in_every_unit() {
    let queue = Kqueue::new();
    let units = [(NOTE_NSECONDS, 2_000_000), (NOTE_USECONDS, 2000), (NOTE_MSECONDS, 2), (0, 2)];
    for (number, (unit, data)) in units.into_iter().enumerate() {
        let start = Instant::now();
        let change = event(number, EVFILT_TIMER, EV_ADD | EV_ONESHOT);
        queue.change(kevent { fflags: unit, data, ..change });
        let found = queue.one();
        assert_eq!((found.ident, found.data), (number, 1));
        assert!(start.elapsed() >= 2 * MS);
        queue.nothing();
        assert_eq!(queue.refused(event(number, EVFILT_TIMER, EV_DELETE)), libc::ENOENT);
    }
    let change = event(9, EVFILT_TIMER, EV_ADD);
    for (fflags, data) in [(NOTE_SECONDS | NOTE_MSECONDS, 1), (NOTE_MSECONDS, -1)] {
        assert_eq!(queue.refused(kevent { fflags, data, ..change }), libc::EINVAL);
    }
}

/// "The timer will be periodic unless EV_ONESHOT is specified." "This filter automatically sets EV_CLEAR."
#[test]
fn periods_are_counted() {
    let queue = Kqueue::new();
    queue.change(kevent { data: 2, ..event(1, EVFILT_TIMER, EV_ADD) });
    thread::sleep(9 * MS);
    let found = queue.one();
    assert!(found.data >= 4, "{found:?}");
    assert_eq!(found.flags & EV_CLEAR, EV_CLEAR);
    // Set anew, it forgets.
    thread::sleep(5 * MS);
    queue.change(kevent { data: 60_000, ..event(1, EVFILT_TIMER, EV_ADD) });
    queue.nothing();
}

/// "NOTE_ABSTIME: data is an absolute expiration time": such a timer does not set `EV_CLEAR`, so
/// that it is reported until it is deleted or set again.
#[test]
fn a_time_of_day_stays_over() {
    let queue = Kqueue::new();
    let soon = SystemTime::now() + 5 * MS;
    let micros = soon.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as i64;
    let change = |flags| {
        let timer = event(1, EVFILT_TIMER, EV_ADD | flags);
        kevent { fflags: NOTE_ABSTIME | NOTE_USECONDS, data: micros, ..timer }
    };
    queue.change(change(0));
    for _ in 0..3 {
        let found = queue.one();
        assert_eq!((found.data, found.flags), (1, 0));
        assert!(SystemTime::now() >= soon - MS);
    }
    // Set again, it forgets; in the past, it is over at once.
    let later = kevent { data: micros + 60_000_000, ..change(0) };
    queue.change(later);
    queue.nothing();
    queue.change(change(0));
    assert_eq!(queue.one().data, 1);
    queue.change(event(1, EVFILT_TIMER, EV_DELETE));
    queue.nothing();
    for flags in [EV_CLEAR, EV_ONESHOT] {
        queue.change(change(flags));
        assert_eq!((queue.one().flags, queue.within(QUIET).len()), (flags, 0));
        queue.kevent(&[event(1, EVFILT_TIMER, EV_DELETE)], &mut [], None).ok();
    }
}

/// "EVFILT_PROC … NOTE_EXIT: the process has exited. The exit status will be stored in data."
#[test]
fn the_end_of_a_process() {
    use std::process::{Command, Stdio};
    let queue = Kqueue::new();
    let change = |child: &std::process::Child| kevent {
        fflags: NOTE_EXIT,
        ..event(child.id() as usize, EVFILT_PROC, EV_ADD)
    };
    let mut shell = Command::new("sh");
    shell.args(["-c", "read line; exit 7"]).stdin(Stdio::piped());
    let mut child = shell.start();
    queue.change(change(&child));
    queue.nothing();
    drop(child.stdin.take());
    let found = queue.one();
    assert_eq!((found.ident, found.fflags), (child.id() as usize, NOTE_EXIT));
    assert_eq!((found.flags & EV_EOF, found.data), (EV_EOF, 7 << 8));
    queue.nothing();
    // It was only looked at. It has ended when it is added, and is told of all the same.
    queue.change(change(&child));
    assert_eq!(queue.one().data, 7 << 8);
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert_eq!(queue.refused(change(&child)), libc::ESRCH);

    let mut child = shell.start();
    queue.change(change(&child));
    child.kill().unwrap();
    assert_eq!(queue.one().data, i64::from(libc::SIGKILL));
    child.wait().unwrap();
    let fork = kevent { fflags: NOTE_FORK, ..event(1, EVFILT_PROC, EV_ADD) };
    assert_eq!(queue.refused(fork), libc::EOPNOTSUPP);
}

/// "EVFILT_USER … the lower 24 bits of fflags may be used for user defined flags", and how to change them.
#[test]
fn user_events() {
    let queue = Kqueue::new();
    queue.change(kevent { fflags: 0b0110, ..event(7, EVFILT_USER, EV_ADD | EV_CLEAR) });
    queue.nothing();
    let trigger = |fflags| kevent { fflags, ..event(7, EVFILT_USER, 0) };
    for (fflags, expected) in [
        (NOTE_FFNOP | 0b1000, 0b0110),
        (NOTE_FFOR | 0b1000, 0b1110),
        (NOTE_FFAND | 0b1010, 0b1010),
        (NOTE_FFCOPY | 0b0001, 0b0001),
    ] {
        queue.change(trigger(fflags));
        queue.nothing();
        queue.change(trigger(NOTE_TRIGGER));
        assert_eq!(queue.one().fflags, expected);
        queue.nothing();
    }
    // Without EV_CLEAR it stays.
    queue.change(kevent { data: 5, ..event(8, EVFILT_USER, EV_ADD) });
    queue.change(kevent { data: 6, fflags: NOTE_TRIGGER, ..event(8, EVFILT_USER, 0) });
    for _ in 0..3 {
        assert_eq!(queue.one().data, 6);
    }
    assert_eq!(queue.refused(event(99, EVFILT_USER, 0)), libc::ENOENT);
}

/// "changelist … all changes … are applied before any pending events are read." Errors per change.
#[test]
fn changes_and_their_errors() {
    let queue = Kqueue::new();
    let (_left, mut right, fd) = pair();
    right.write_all(b"x").unwrap();
    let mut events = [event(0, 0, 0); 4];
    // Both lists in one call.
    let add = event(fd, EVFILT_READ, EV_ADD);
    assert_eq!(queue.kevent(&[add], &mut events, Some(DEADLINE)), Ok(1));
    assert_eq!(events[0].data, 1);
    // An error in the midst: it is reported, the rest is made, and nothing is waited for.
    let wrong = event(12345, EVFILT_READ, EV_ADD);
    let delete = event(fd, EVFILT_READ, EV_DELETE);
    assert_eq!(queue.kevent(&[wrong, delete], &mut events, None), Ok(1));
    assert_eq!((events[0].flags, events[0].data), (EV_ERROR, i64::from(libc::EBADF)));
    assert_eq!(queue.refused(delete), libc::ENOENT, "it was made");
    // Without room the call fails, and the rest is not made.
    assert_eq!(queue.kevent(&[wrong, add], &mut [], None), Err(libc::EBADF));
    assert_eq!(queue.refused(delete), libc::ENOENT);
    // "EV_RECEIPT … will return with EV_ERROR … data is 0 on success", and drains nothing.
    let receipt = event(fd, EVFILT_READ, EV_ADD | EV_RECEIPT);
    assert_eq!(queue.kevent(&[receipt, receipt], &mut events, None), Ok(2));
    assert!(events[..2].iter().all(|it| it.flags == EV_ERROR && it.data == 0));
    queue.one();

    assert_eq!(queue.refused(event(fd, 99, EV_ADD)), libc::EINVAL);
    assert_eq!(queue.kevent(&[], &mut [], None), Ok(0), "no room: at once");
    let (null, no_time) = (std::ptr::null_mut(), std::ptr::null());
    // SAFETY: null lists are refused before they are used; the others are valid.
    unsafe {
        assert_eq!(kevent(queue.0, null, 1, null, 0, no_time), -1);
        assert_eq!(kevent(queue.0, null, -1, null, 0, no_time), -1);
        let wrong = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000_000 };
        assert_eq!(kevent(queue.0, null, 0, events.as_mut_ptr(), 1, &wrong), -1);
        assert_eq!(kevent(-1, null, 0, null, 0, no_time), -1);
    }
}

/// EV_FORCEONESHOT, and EV_KEEPUDATA.
#[test]
fn forced_and_kept() {
    let queue = Kqueue::new();
    let (_left, _right, fd) = pair();
    let add = event(fd, EVFILT_READ, EV_ADD);
    queue.change(kevent { udata: 7 as *mut _, ..add });
    queue.change(event(fd, EVFILT_READ, EV_KEEPUDATA | EV_FORCEONESHOT));
    assert_eq!(queue.one().udata as usize, 7);
    assert_eq!(queue.refused(event(fd, EVFILT_READ, EV_DELETE)), libc::ENOENT);
}

/// "Calling close() on a file descriptor will remove any kevents that reference the descriptor."
#[test]
fn a_closed_descriptor() {
    let queue = Kqueue::new();
    let (left, mut right, fd) = pair();
    right.write_all(b"x").unwrap();
    queue.change(event(fd, EVFILT_READ, EV_ADD));
    drop(left);
    queue.nothing();
    // Or, if another test has a descriptor of that number by now, ENOENT.
    let errno = queue.refused(event(fd, EVFILT_READ, EV_DELETE));
    assert!([libc::EBADF, libc::ENOENT].contains(&errno));

    // With a duplicate open, the file is still there, and the number means something else.
    let (left, mut right, fd) = pair();
    let _duplicate = left.try_clone().unwrap();
    queue.change(event(fd, EVFILT_READ, EV_ADD));
    drop(left);
    right.write_all(b"x").unwrap();
    queue.nothing();
    let mut entry = libc::pollfd { fd: queue.0, events: libc::POLLIN, revents: 0 };
    // SAFETY: the entry is valid for one struct.
    assert_eq!(unsafe { libc::poll(&mut entry, 1, 0) }, 0, "nor does it say that there is");
    let (_other, mut beside, number) = pair();
    queue.change(event(number, EVFILT_READ, EV_ADD));
    beside.write_all(b"xy").unwrap();
    for _ in 0..2 {
        assert_eq!(queue.one().data, 2);
    }
}

/// It can be polled, and be in another.
#[test]
fn it_is_a_descriptor() {
    let (outer, inner) = (Kqueue::new(), Kqueue::new());
    outer.change(event(inner.0 as usize, EVFILT_READ, EV_ADD));
    outer.nothing();
    let (_left, mut right, fd) = pair();
    inner.change(event(fd, EVFILT_READ, EV_ADD | EV_CLEAR));
    inner.change(event(1, EVFILT_USER, EV_ADD | EV_CLEAR));
    inner.within(Duration::ZERO);
    outer.within(QUIET);
    right.write_all(b"x").unwrap();
    assert_eq!(outer.one().ident, inner.0 as usize);
    inner.one();
    outer.nothing();
    inner.change(kevent { fflags: NOTE_TRIGGER, ..event(1, EVFILT_USER, 0) });
    outer.one();
    inner.one();
    outer.nothing();
}

/// Changes of other threads are seen by who waits.
#[test]
fn one_waits_while_others_change() {
    let queue = &Kqueue::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(10 * MS);
            queue.change(event(1, EVFILT_USER, EV_ADD | EV_CLEAR));
            queue.change(kevent { fflags: NOTE_TRIGGER, ..event(1, EVFILT_USER, 0) });
        });
        assert_eq!(queue.one().ident, 1);
        let (_left, mut right, fd) = pair();
        right.write_all(b"x").unwrap();
        scope.spawn(move || {
            thread::sleep(10 * MS);
            queue.change(event(fd, EVFILT_READ, EV_ADD | EV_ONESHOT));
        });
        assert_eq!(queue.one().ident, fd);
    });
}

/// More is ready than there is room for: nothing is lost, and each has its turn.
#[test]
fn little_room() {
    let queue = Kqueue::new();
    let pairs: Vec<_> = (0..20).map(|_| pair()).collect();
    for (_, right, fd) in &pairs {
        queue.change(event(*fd, EVFILT_READ, EV_ADD | EV_CLEAR));
        (&*right).write_all(b"x").unwrap();
    }
    let mut seen = Vec::new();
    let mut events = [event(0, 0, 0); 3];
    while seen.len() < pairs.len() {
        let count = queue.kevent(&[], &mut events, Some(DEADLINE)).unwrap();
        assert!(count > 0, "{} of {}", seen.len(), pairs.len());
        seen.extend(events[..count].iter().map(|it| it.ident));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), pairs.len());
    queue.nothing();

    for number in 0..20 {
        queue.change(event(number, EVFILT_USER, EV_ADD | EV_CLEAR));
        queue.change(kevent { fflags: NOTE_TRIGGER, ..event(number, EVFILT_USER, 0) });
    }
    let mut seen = 0;
    while seen < 20 {
        let count = queue.kevent(&[], &mut events, Some(DEADLINE)).unwrap();
        assert!(count > 0, "{seen} of 20");
        seen += count;
    }
    queue.nothing();
}

/// Many come and go, closed in either way, and leave nothing behind.
#[test]
fn many_come_and_go() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    for number in 0..100_000 {
        let fd = kqueue();
        assert!(fd >= 0, "{number}");
        if number % 1000 == 0 {
            let queue = std::mem::ManuallyDrop::new(Kqueue(fd));
            queue.change(kevent { data: 1000, ..event(1, EVFILT_TIMER, EV_ADD) });
        }
        if number % 2 == 0 {
            // SAFETY: it was created here.
            assert_eq!(unsafe { close(fd) }, 0);
        } else {
            // SAFETY: nobody else knows of it.
            assert_eq!(unsafe { libc::close(fd) }, 0);
        }
    }
    // Other tests of this process have theirs meanwhile.
    assert!(open() < before + 200, "{before} before, {} after", open());
    // SAFETY: it is nobody's.
    assert_eq!(unsafe { close(-1) }, -1);
    assert_eq!(kqueue1(libc::O_NONBLOCK), -1);
}
