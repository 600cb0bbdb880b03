//! What programs for kqueue(2) rely on, or stumble over, beyond single sentences of the manual.

#![cfg(target_os = "linux")]

mod common;

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, Kqueue, event};
use wakeful_emulation::kqueue::*;

/// "… the default is in milliseconds", and a timer that is added again begins anew, its count forgotten. A period
/// of zero is one unit.
#[test]
fn timers_that_are_added_again() {
    let queue = Kqueue::new();
    let timer = |data, fflags| kevent { data, fflags, ..event(1, EVFILT_TIMER, EV_ADD) };
    let start = Instant::now();
    queue.change(timer(20, 0));
    assert_eq!(queue.one().data, 1);
    assert!(start.elapsed() >= Duration::from_millis(20));
    queue.change(timer(1, 0));
    thread::sleep(Duration::from_millis(10));
    queue.change(timer(100_000, 0));
    queue.nothing();
    queue.change(timer(0, NOTE_USECONDS));
    assert!(queue.one().data >= 1);
    // One that was disabled has counted on.
    queue.change(timer(1, 0));
    queue.change(event(1, EVFILT_TIMER, EV_DISABLE));
    thread::sleep(Duration::from_millis(10));
    queue.nothing();
    queue.change(event(1, EVFILT_TIMER, EV_ENABLE));
    assert!(queue.one().data >= 5);
    assert_eq!(queue.refused(timer(-1, 0)), libc::EINVAL);
    queue.change(timer(i64::MAX, NOTE_SECONDS));
    queue.nothing();
}

/// An `EV_RECEIPT` for which there is no room ends the call: the changes after it are not made.
#[test]
fn receipts_without_room() {
    let queue = Kqueue::new();
    let user = |ident| event(ident, EVFILT_USER, EV_ADD | EV_RECEIPT);
    assert_eq!(queue.kevent(&[user(1), user(2)], &mut [], None), Ok(0));
    queue.change(event(1, EVFILT_USER, EV_DELETE));
    assert_eq!(queue.refused(event(2, EVFILT_USER, EV_DELETE)), libc::ENOENT);
    let mut events = [event(0, 0, 0)];
    assert_eq!(queue.kevent(&[user(3), user(4), user(5)], &mut events, None), Ok(0));
    queue.change(event(3, EVFILT_USER, EV_DELETE));
    assert_eq!(queue.refused(event(5, EVFILT_USER, EV_DELETE)), libc::ENOENT);
}

extern "C" fn do_nothing(_: i32) {}

/// "EINTR: A signal was delivered before the timeout expired": the changes have been made by then.
#[test]
fn interrupted_after_the_changes() {
    // SAFETY: the handler does nothing; sigaction(2) without SA_RESTART is what signal(2) is not.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = do_nothing as *const () as libc::sighandler_t;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, ptr::null_mut()), 0);
    }
    let queue = Kqueue::new();
    // SAFETY: the call takes no arguments.
    let this = unsafe { libc::pthread_self() } as usize;
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || {
        while is_done.recv_timeout(Duration::from_millis(5)).is_err() {
            // SAFETY: that thread waits for this one.
            unsafe { libc::pthread_kill(this as libc::pthread_t, libc::SIGUSR1) };
        }
    });
    let mut events = [event(0, 0, 0)];
    let change = event(1, EVFILT_USER, EV_ADD);
    assert_eq!(queue.kevent(&[change], &mut events, Some(DEADLINE)), Err(libc::EINTR));
    done.send(()).unwrap();
    other.join().unwrap();
    queue.change(event(1, EVFILT_USER, EV_DELETE));
}

/// The same number is another thing to another filter.
#[test]
fn numbers_collide_and_do_not_matter() {
    let queue = Kqueue::new();
    let (left, _right) = UnixStream::pair().unwrap();
    let ident = left.as_raw_fd() as usize;
    queue.change(event(ident, EVFILT_READ, EV_ADD));
    queue.change(event(ident, EVFILT_WRITE, EV_ADD));
    queue.change(event(ident, EVFILT_USER, EV_ADD | EV_CLEAR));
    queue.change(kevent { data: 1, ..event(ident, EVFILT_TIMER, EV_ADD | EV_ONESHOT) });
    for filter in [EVFILT_TIMER, EVFILT_USER, EVFILT_READ] {
        queue.change(event(ident, filter, EV_DELETE));
    }
    assert_eq!(queue.one().filter, EVFILT_WRITE);
}

/// Shutting down the writing half is the end for `EVFILT_WRITE`, of this side's own doing.
#[test]
fn shut_down_by_this_side() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let queue = Kqueue::new();
    let ident = stream.as_raw_fd() as usize;
    queue.change(event(ident, EVFILT_WRITE, EV_ADD));
    assert_eq!(queue.one().flags & EV_EOF, 0);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(queue.one().flags & EV_EOF, EV_EOF);
    queue.change(event(ident, EVFILT_WRITE, EV_DELETE));
    // It goes on reading.
    queue.change(event(ident, EVFILT_READ, EV_ADD));
    queue.nothing();
    peer.write_all(b"x").unwrap();
    assert_eq!((queue.one().flags & EV_EOF, queue.one().data), (0, 1));
}

/// A change without a filter is none, and those whose room is short come with the next call.
#[test]
fn nothing_is_lost_for_want_of_room() {
    let queue = Kqueue::new();
    queue.change(event(0, 0, EV_ADD));
    for ident in 0..10 {
        let fflags = NOTE_TRIGGER;
        queue.change(kevent { fflags, ..event(ident, EVFILT_USER, EV_ADD | EV_CLEAR) });
        queue.change(kevent { fflags, ..event(ident, EVFILT_USER, 0) });
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        let mut events = [event(0, 0, 0); 2];
        assert_eq!(queue.kevent(&[], &mut events, Some(DEADLINE)), Ok(2));
        seen.extend(events.map(|event| event.ident));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    queue.nothing();
}
