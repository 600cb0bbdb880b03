//! `EMFILE`: nothing is lost and nothing spins. In a process of its own, since the limit is the process's, and
//! one test at a time.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use common::{Loop, QUIET};
use wakeful::net::{TcpListener, UnixStream};
use wakeful::{Backend, EdgeRule, Interest, Token, Trigger};

static ALONE: Mutex<()> = Mutex::new(());

/// Takes all descriptors that are left.
fn ballast() -> Vec<File> {
    let limit = libc::rlimit { rlim_cur: 128, rlim_max: 128 };
    // SAFETY: the struct is only read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// The token of which epoll's waker has to make room takes a descriptor.
#[test]
fn a_new_token_that_is_refused_leaves_the_change_of_interest() {
    const TAKEN: Token = Token(0xfd57_a3e1_9c44_b2d3_u64 as usize);
    if !Backend::available().contains(&Backend::Epoll) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut events = Loop::new(Backend::Epoll).after_a_change();
    let (stream, _peer) = UnixStream::pair().unwrap();
    let level = |interest: Interest| interest.with_trigger(Trigger::Level);
    let (readable, writable) = (level(Interest::READABLE), level(Interest::WRITABLE));
    let mut stream = events.registry().register_owned(stream, Token(0), readable).unwrap();
    events.expect_silence();
    stream.set_interest(writable).unwrap();
    let ballast = ballast();
    let error = stream.set_token(TAKEN).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    assert_eq!((stream.token(), stream.interest()), (Token(0), writable));
    drop(ballast);
    events.expect_writable(Token(0));
    stream.set_token(TAKEN).unwrap();
    events.expect_writable(TAKEN);
}

#[test]
fn a_full_descriptor_table_loses_no_connection_and_does_not_spin() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for &backend in Backend::available() {
        let mut events = Loop::new(backend);
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let mut listener =
            events.registry().register_owned(listener, Token(0), Interest::READABLE).unwrap();
        let clients: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
        // All but five.
        let mut ballast = ballast();
        ballast.truncate(ballast.len() - 5);

        events.expect_readable(Token(0));
        let mut accepted = Vec::new();
        let mut error = None;
        for connection in listener.accept_all() {
            match connection {
                Ok((stream, _)) => accepted.push(stream),
                Err(failed) => error = Some(failed),
            }
        }
        // The iterator has ended with the error, though connections wait.
        assert_eq!(error.and_then(|error| error.raw_os_error()), Some(libc::EMFILE));
        assert_eq!(accepted.len(), 5);

        // Edge-triggered, the poller stays silent about them: no spin.
        let mut reports = 0;
        for _ in 0..5 {
            reports += events.poll(QUIET / 5).len();
        }
        assert_eq!(reports, 0, "{backend}");

        // After something was closed, they are all there.
        drop(ballast);
        listener.rearm(Interest::READABLE).unwrap();
        events.expect_readable(Token(0));
        accepted.extend(listener.accept_all().map(|connection| connection.unwrap().0));
        assert_eq!(accepted.len(), clients.len(), "{backend}");
    }
}

/// Nothing tells of a connection behind one that waits already, so the listener is reported now and then.
#[test]
fn after_a_full_descriptor_table_the_next_connection_is_reported() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for &backend in Backend::available() {
        let mut events = Loop::new(backend);
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let listener =
            events.registry().register_owned(listener, Token(0), Interest::READABLE).unwrap();
        let first = TcpStream::connect(address).unwrap();
        events.expect_readable(Token(0));
        let mut ballast = ballast();
        let error = listener.accept().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{backend}");
        // Without one that is free it fails again, which is no reason to spin.
        ballast.pop();
        let second = TcpStream::connect(address).unwrap();
        for _ in 0..3 {
            events.expect_readable(Token(0));
            let error = listener.accept().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{backend}");
            if events.poll.capabilities().edge_rule == EdgeRule::EveryChange {
                break;
            }
        }
        let start = Instant::now();
        let mut reports = 0;
        while start.elapsed() < QUIET * 20 {
            reports += events.poll(QUIET).len();
        }
        assert!(reports <= 8, "{backend}: {reports} reports");
        drop(ballast);
        let third = TcpStream::connect(address).unwrap();
        events.expect_readable(Token(0));
        assert_eq!(listener.accept_all().filter(Result::is_ok).count(), 3, "{backend}");
        drop((first, second, third));
        events.poll(QUIET);
    }
}
