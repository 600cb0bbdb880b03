//! `EVFILT_SIGNAL` and `EVFILT_EMPTY`, sentence by sentence of kqueue(2) of FreeBSD. Each test has a signal
//! of its own: there is one disposition for the whole process.

#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{DEADLINE, Kqueue, event};
use wakeful_emulation::kqueue::*;

fn dispose(signal: i32, handler: libc::sighandler_t) {
    // SAFETY: the handlers that are set here only add to a number.
    assert_ne!(unsafe { libc::signal(signal, handler) }, libc::SIG_ERR);
}

/// To this thread, so that the handler has run, if there is one, when it returns.
fn raise(signal: i32) {
    // SAFETY: the call takes an integer.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// "… even if the signal has been marked as SIG_IGN." "data contains the number of times the signal has been
/// generated since the last call." "This filter automatically sets EV_CLEAR."
#[test]
fn ignored_signals_are_counted() {
    dispose(libc::SIGUSR1, libc::SIG_IGN);
    let queue = Kqueue::new();
    queue.change(kevent {
        udata: 5 as *mut _,
        ..event(libc::SIGUSR1 as usize, EVFILT_SIGNAL, EV_ADD)
    });
    queue.nothing();
    for count in 1..=3 {
        for _ in 0..count {
            raise(libc::SIGUSR1);
        }
        let found = queue.one();
        assert_eq!((found.ident, found.data), (libc::SIGUSR1 as usize, count));
        assert_eq!((found.udata as usize, found.flags & EV_CLEAR), (5, EV_CLEAR));
        queue.nothing();
    }
    // Two queues are told, each for itself.
    let other = Kqueue::new();
    other.change(event(libc::SIGUSR1 as usize, EVFILT_SIGNAL, EV_ADD));
    raise(libc::SIGUSR1);
    assert_eq!((queue.one().data, other.one().data), (1, 1));
    queue.change(event(libc::SIGUSR1 as usize, EVFILT_SIGNAL, EV_DELETE));
    raise(libc::SIGUSR1);
    queue.nothing();
    assert_eq!(other.one().data, 1);
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handler(_: i32) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// "This coexists with the signal() and sigaction() facilities."
#[test]
fn handlers_run_as_before() {
    dispose(libc::SIGUSR2, handler as *const () as libc::sighandler_t);
    let queue = Kqueue::new();
    queue.change(event(libc::SIGUSR2 as usize, EVFILT_SIGNAL, EV_ADD));
    raise(libc::SIGUSR2);
    assert_eq!(queue.one().data, 1);
    assert_eq!(HANDLED.load(Ordering::Relaxed), 1);
    queue.change(event(libc::SIGUSR2 as usize, EVFILT_SIGNAL, EV_DELETE));
    raise(libc::SIGUSR2);
    assert_eq!(HANDLED.load(Ordering::Relaxed), 2);
}

static OTHERS: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
static CHAINED: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// Handlers that call the one that they were put in front of, as libraries do.
extern "C" fn chaining<const AT: usize>(signal: i32) {
    OTHERS[AT].fetch_add(1, Ordering::Relaxed);
    let before = CHAINED[AT].load(Ordering::Relaxed);
    if before != libc::SIG_DFL && before != libc::SIG_IGN {
        // SAFETY: signal(2) has answered with it.
        let before: extern "C" fn(i32) = unsafe { std::mem::transmute(before) };
        before(signal);
    }
}

/// In whichever order: FreeBSD counts where a signal is sent, whatever becomes of it.
#[test]
fn dispositions_are_set_later() {
    let signal = libc::SIGRTMIN() + 3;
    dispose(signal, libc::SIG_DFL);
    let queue = Kqueue::new();
    queue.change(event(signal as usize, EVFILT_SIGNAL, EV_ADD));
    for _ in 0..3 {
        dispose(signal, libc::SIG_IGN);
        queue.nothing();
        raise(signal);
        raise(signal);
        assert_eq!(queue.one().data, 2);
        // Nothing is in between: the next `kevent` sees to it.
        let handlers = [
            chaining::<0> as *const () as libc::sighandler_t,
            chaining::<1> as *const () as libc::sighandler_t,
            chaining::<2> as *const () as libc::sighandler_t,
        ];
        for (at, handler) in handlers.into_iter().enumerate() {
            // SAFETY: the handlers only add to numbers, and call the one before.
            let before = unsafe { libc::signal(signal, handler) };
            CHAINED[at].store(before, Ordering::Relaxed);
            queue.nothing();
            raise(signal);
            let handled: Vec<_> = OTHERS.iter().map(|it| it.swap(0, Ordering::Relaxed)).collect();
            assert_eq!(queue.one().data, 1);
            let expected: Vec<_> = (0..3).map(|other| usize::from(other <= at)).collect();
            assert_eq!(handled, expected);
        }
    }
    queue.change(event(signal as usize, EVFILT_SIGNAL, EV_DELETE));
    dispose(signal, libc::SIG_IGN);
    raise(signal);
    queue.nothing();
}

/// The handler of another thread's signal wakes the one that waits.
#[test]
fn a_wait_is_woken() {
    let queue = Kqueue::new();
    queue.change(event(libc::SIGWINCH as usize, EVFILT_SIGNAL, EV_ADD));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            raise(libc::SIGWINCH);
        });
        assert_eq!(queue.one().data, 1);
    });
    // Interrupted by that very signal, it is told of it, too.
    // SAFETY: the call takes no arguments.
    let this = unsafe { libc::pthread_self() } as usize;
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(20));
            // SAFETY: that thread waits for this one.
            unsafe { libc::pthread_kill(this as libc::pthread_t, libc::SIGWINCH) };
        });
        assert_eq!(queue.one().data, 1);
    });
}

#[test]
fn no_such_signal() {
    let queue = Kqueue::new();
    for ident in [0, 65, 1_000_000, usize::MAX] {
        assert_eq!(queue.refused(event(ident, EVFILT_SIGNAL, EV_ADD)), libc::EINVAL, "{ident}");
    }
}

/// "EVFILT_EMPTY: … returns whenever there is no remaining data in the write buffer."
#[test]
fn all_that_was_written_has_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut reader, _) = listener.accept().unwrap();
    let queue = Kqueue::new();
    let ident = writer.as_raw_fd() as usize;
    queue.change(event(ident, EVFILT_EMPTY, EV_ADD));
    assert_eq!(queue.one().filter, EVFILT_EMPTY);

    // More than the other side takes unread.
    writer.set_nonblocking(true).unwrap();
    let mut written = 0;
    while let Ok(count) = writer.write(&[0; 65536]) {
        written += count;
    }
    queue.nothing();
    reader.set_read_timeout(Some(DEADLINE)).unwrap();
    reader.read_exact(&mut vec![0; written]).unwrap();
    queue.one();
    queue.change(event(ident, EVFILT_EMPTY, EV_ADD | EV_CLEAR));

    let file = tempfile::tempfile().unwrap();
    assert_eq!(queue.refused(event(file.as_raw_fd() as usize, EVFILT_EMPTY, EV_ADD)), libc::EINVAL);
}
