//! polling's interface and promises, on every backend.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use polling::{Event, Events, PollMode, Poller};
use wakeful_testing::Isolated;

const DEADLINE: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(15);
const KEY: usize = usize::MAX - 1;

/// A source and its peer.
fn pair() -> (UnixStream, UnixStream) {
    let (source, peer) = UnixStream::pair().unwrap();
    source.set_nonblocking(true).unwrap();
    (source, peer)
}

fn add(poller: &Poller, source: &impl AsRawFd, interest: Event, mode: PollMode) -> io::Result<()> {
    // SAFETY: every test's sources outlive its poller, or are deleted from it.
    unsafe { poller.add_with_mode(source, interest, mode) }
}

/// The events of one wait.
fn wait(poller: &Poller, timeout: Duration) -> Vec<Event> {
    let mut events = Events::new();
    let count = poller.wait(&mut events, Some(timeout)).unwrap();
    assert_eq!(count, events.len());
    events.iter().collect()
}

#[track_caller]
fn expect(poller: &Poller, event: Event) {
    let events = wait(poller, DEADLINE);
    let found: Vec<_> = events.iter().map(|event| event.with_no_extra()).collect();
    assert_eq!(found, [event]);
}

#[track_caller]
fn expect_silence(poller: &Poller) {
    assert_eq!(wait(poller, QUIET), []);
}

/// Runs a test whose waits have no end on a thread of its own, so that one that hangs fails.
#[track_caller]
fn bounded(test: fn()) {
    let (done, is_done) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        // Dropped, and so disconnected, when the test ends in whatever way.
        let _done = done;
        test();
    });
    if is_done.recv_timeout(3 * DEADLINE) == Err(RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    thread.join().unwrap();
}

/// Runs the other tests again, on each backend.
#[test]
fn on_every_backend() {
    if let Some(name) = std::env::var_os("WAKEFUL_BACKEND") {
        let poll = wakeful::Poll::new().unwrap();
        assert_eq!(poll.capabilities().backend.name(), name);
        return;
    }
    for backend in wakeful::Backend::available() {
        let tests = std::env::current_exe().unwrap();
        let output =
            Command::new(tests).env("WAKEFUL_BACKEND", backend.name()).isolated().output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "on {backend}:\n{told}");
    }
}

#[test]
fn once_is_the_default() {
    let (source, mut peer) = pair();
    let poller = Poller::new().unwrap();
    // SAFETY: it is deleted below.
    unsafe { poller.add(&source, Event::readable(KEY)).unwrap() };
    expect_silence(&poller);
    peer.write_all(b"x").unwrap();
    expect(&poller, Event::readable(KEY));
    peer.write_all(b"x").unwrap();
    expect_silence(&poller);
    poller.modify(&source, Event::all(KEY)).unwrap();
    expect(&poller, Event::all(KEY));
    poller.modify(&source, Event::writable(7)).unwrap();
    expect(&poller, Event::writable(7));
    poller.modify(&source, Event::none(KEY)).unwrap();
    expect_silence(&poller);
    poller.modify(&source, Event::readable(KEY)).unwrap();
    poller.delete(&source).unwrap();
    expect_silence(&poller);
    for result in [poller.delete(&source), poller.modify(&source, Event::readable(KEY))] {
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

#[test]
fn level() {
    let (mut source, mut peer) = pair();
    let poller = Poller::new().unwrap();
    assert!(poller.supports_level());
    add(&poller, &source, Event::readable(KEY), PollMode::Level).unwrap();
    peer.write_all(b"xy").unwrap();
    expect(&poller, Event::readable(KEY));
    source.read_exact(&mut [0]).unwrap();
    expect(&poller, Event::readable(KEY));
    source.read_exact(&mut [0]).unwrap();
    expect_silence(&poller);
    peer.write_all(b"x").unwrap();
    poller.modify_with_mode(&source, Event::readable(KEY), PollMode::Oneshot).unwrap();
    expect(&poller, Event::readable(KEY));
    expect_silence(&poller);
}

#[test]
fn edge() {
    let (source, mut peer) = pair();
    let poller = Poller::new().unwrap();
    if !poller.supports_edge() {
        for mode in [PollMode::Edge, PollMode::EdgeOneshot] {
            let error = add(&poller, &source, Event::readable(KEY), mode).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        }
        return;
    }
    add(&poller, &source, Event::readable(KEY), PollMode::Edge).unwrap();
    for _ in 0..2 {
        peer.write_all(b"x").unwrap();
        expect(&poller, Event::readable(KEY));
        expect_silence(&poller);
    }
    poller.modify_with_mode(&source, Event::readable(KEY), PollMode::EdgeOneshot).unwrap();
    expect(&poller, Event::readable(KEY));
    peer.write_all(b"x").unwrap();
    expect_silence(&poller);
}

#[test]
fn hang_ups_errors_and_priority_data() {
    let (source, peer) = pair();
    let poller = Poller::new().unwrap();
    add(&poller, &source, Event::none(KEY), PollMode::Oneshot).unwrap();
    drop(peer);
    let events = wait(&poller, DEADLINE);
    assert!(events[0].is_interrupt() && !events[0].is_priority(), "{events:?}");
    // Whatever one was going to do, it will not block.
    assert_eq!(events[0].with_no_extra(), Event::all(KEY));
    assert_ne!(events[0], Event::all(KEY));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    add(&poller, &server, Event::readable(1), PollMode::Oneshot).unwrap();
    if wakeful::Poll::new().unwrap().capabilities().priority {
        socket2::SockRef::from(&client).send_out_of_band(b"!").unwrap();
        let events = wait(&poller, DEADLINE);
        assert!(events[0].key == 1 && events[0].readable && events[0].is_priority(), "{events:?}");
        poller.modify(&server, Event::none(1).with_interrupt().with_priority()).unwrap();
        let _ = wait(&poller, Duration::ZERO);
    }

    // Unread data makes closing a reset.
    (&server).write_all(b"unread").unwrap();
    client.peek(&mut [0]).unwrap();
    poller.modify(&server, Event::none(1)).unwrap();
    drop(client);
    let events = wait(&poller, DEADLINE);
    assert_eq!((events[0].key, events[0].is_err()), (1, Some(true)));
}

#[test]
fn the_key_of_notifications_is_refused() {
    let (source, _peer) = pair();
    let poller = Poller::new().unwrap();
    let interest = Event::readable(usize::MAX);
    let error = add(&poller, &source, interest, PollMode::Oneshot).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    add(&poller, &source, Event::readable(KEY), PollMode::Oneshot).unwrap();
    let error = add(&poller, &source, Event::readable(0), PollMode::Oneshot).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    let error = poller.modify(&source, interest).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_notification_ends_this_wait_or_the_next() {
    bounded(|| {
        let poller = Poller::new().unwrap();
        let mut events = Events::new();
        for _ in 0..3 {
            poller.notify().unwrap();
            poller.notify().unwrap();
            assert_eq!(poller.wait(&mut events, None).unwrap(), 0);
            expect_silence(&poller);
        }
        thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| poller.notify().unwrap());
                assert_eq!(poller.wait(&mut events, None).unwrap(), 0);
            }
        });
        assert!(events.is_empty());
    });
}

/// A notification takes no room, and none is left over.
#[test]
fn a_notification_beside_events() {
    bounded(|| {
        for (capacity, lend) in [(1, false), (1, true), (2, false), (3, true)] {
            let poller = Poller::new().unwrap();
            if lend {
                let _ = poller.as_fd();
            }
            let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
            for (key, (source, peer)) in pairs.iter().enumerate() {
                let mut peer = peer;
                peer.write_all(b"x").unwrap();
                add(&poller, source, Event::readable(key), PollMode::Oneshot).unwrap();
            }
            let mut events = Events::with_capacity(NonZeroUsize::new(capacity).unwrap());
            let mut found = 0;
            for _ in 0..10 {
                poller.notify().unwrap();
                events.clear();
                found += poller.wait(&mut events, None).unwrap();
            }
            assert_eq!(found, 3);
            expect_silence(&poller);
        }
    });
}

/// An event that was reported asks for the same again.
#[test]
fn an_event_is_an_interest() {
    let (source, mut peer) = pair();
    let poller = Poller::new().unwrap();
    add(&poller, &source, Event::readable(KEY), PollMode::Oneshot).unwrap();
    peer.write_all(b"x").unwrap();
    let mut event = wait(&poller, DEADLINE)[0];
    event.readable = false;
    poller.modify(&source, event).unwrap();
    expect(&poller, Event::readable(KEY));
    poller.modify(&source, event.with_no_extra()).unwrap();
    expect_silence(&poller);
}

#[test]
fn one_thread_waits_and_others_change_what_for() {
    bounded(|| {
        let poller = Poller::new().unwrap();
        let (source, mut peer) = pair();
        let (waiting, is_waiting) = mpsc::channel();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                waiting.send(()).unwrap();
                wait(&poller, DEADLINE)
            });
            is_waiting.recv_timeout(DEADLINE).unwrap();
            thread::sleep(QUIET);
            // Another thread that waits gets nothing, at once.
            let mut events = Events::new();
            assert_eq!(poller.wait(&mut events, None).unwrap(), 0);
            assert!(!waiter.is_finished());
            add(&poller, &source, Event::none(0), PollMode::Oneshot).unwrap();
            poller.modify(&source, Event::readable(KEY)).unwrap();
            peer.write_all(b"x").unwrap();
            let events = waiter.join().unwrap();
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].with_no_extra(), Event::readable(KEY));
        });
    });
}

#[test]
fn waits_add_to_events() {
    let poller = Poller::new().unwrap();
    let pairs: Vec<_> = (0..4).map(|_| pair()).collect();
    let mut events = Events::with_capacity(NonZeroUsize::new(2).unwrap());
    assert_eq!(events.capacity().get(), 2);
    for (key, (source, peer)) in pairs.iter().enumerate() {
        let mut peer = peer;
        peer.write_all(b"x").unwrap();
        add(&poller, source, Event::readable(key), PollMode::Oneshot).unwrap();
        // The first alone, then the others, of which one finds room.
        if key == 0 || key == 3 {
            assert_eq!(poller.wait(&mut events, Some(DEADLINE)).unwrap(), 1 + key.min(1));
        }
    }
    let first: Vec<_> = events.iter().map(|event| event.key).collect();
    assert_eq!((first.len(), first[0]), (2, 0));
    let error = poller.wait(&mut events, Some(DEADLINE)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    events.clear();
    assert!(events.is_empty());
    assert_eq!(poller.wait(&mut events, Some(DEADLINE)).unwrap(), 2);
}

#[test]
fn waits_end_in_time() {
    bounded(|| {
        let poller = Poller::new().unwrap();
        let mut events = Events::default();
        for timeout in [0, 100, 3_100].map(Duration::from_micros) {
            let start = Instant::now();
            assert_eq!(poller.wait(&mut events, Some(timeout)).unwrap(), 0);
            assert!(start.elapsed() >= timeout);
            let deadline = Instant::now() + timeout;
            assert_eq!(poller.wait_deadline(&mut events, deadline).unwrap(), 0);
            assert!(Instant::now() >= deadline);
        }
        // Longer than the clock reaches: without end, but for a notification.
        poller.notify().unwrap();
        assert_eq!(poller.wait(&mut events, Some(Duration::MAX)).unwrap(), 0);
    });
}

#[test]
fn a_poller_nests() {
    let poller = Poller::new().unwrap();
    let outer = Poller::new().unwrap();
    assert_eq!(poller.as_fd().as_raw_fd(), poller.as_raw_fd());
    add(&outer, &poller, Event::readable(KEY), PollMode::Level).unwrap();
    expect_silence(&outer);
    poller.notify().unwrap();
    expect(&outer, Event::readable(KEY));
    assert_eq!(wait(&poller, DEADLINE), []);
    expect_silence(&outer);
    outer.delete(&poller).unwrap();
}

#[test]
fn pollers_cross_threads() {
    fn is_send<T: Send + std::panic::UnwindSafe>() {}
    fn is_sync<T: Sync + std::panic::RefUnwindSafe>() {}
    is_send::<Poller>();
    is_sync::<Poller>();
    is_send::<Events>();
    is_sync::<Event>();
}
