//! What is left where a sandbox refuses one of the kernel's facilities: the rest, or an error that
//! says what to do.

// Other systems have other facilities.
#![cfg(target_os = "linux")]
#![cfg(not(any(wakeful_emulate = "freebsd", wakeful_emulate = "illumos")))]

mod common;

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::files::temporary;
use common::{DEADLINE, sandbox};
use wakeful::event::Source;
use wakeful::file::{self, Attempt, Operation, Queue};
use wakeful::process::{Exit, Outcome};
use wakeful::signal::{BlockedSignals, Signal, Signals};
use wakeful::time::Timer;
use wakeful::unix::{Fallback, FdSource};
use wakeful::watch::Watcher;
use wakeful::{Events, Interest, Poll, Token, Trigger, Waker, pipe, user};

/// Names the refused call for the test that runs in the sandbox.
const REFUSED: &str = "WAKEFUL_TEST_REFUSED";

/// What a sandbox may refuse, and what then is an error instead of a fallback.
const CALLS: &[(&str, libc::c_long, Option<Facility>)] = &[
    ("nothing", -1, None),
    ("eventfd", libc::SYS_eventfd2, None),
    ("epoll_create", libc::SYS_epoll_create1, None),
    ("epoll_pwait2", libc::SYS_epoll_pwait2, None),
    ("timerfd_create", libc::SYS_timerfd_create, Some(Facility::Timer)),
    ("signalfd", libc::SYS_signalfd4, Some(Facility::BlockedSignals)),
    ("inotify_init", libc::SYS_inotify_init1, Some(Facility::Watcher)),
    ("pidfd_open", libc::SYS_pidfd_open, Some(Facility::Observing)),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal, None),
    ("waitid", libc::SYS_waitid, None),
    ("io_uring_setup", libc::SYS_io_uring_setup, None),
    ("io_uring_enter", libc::SYS_io_uring_enter, None),
    ("io_uring_register", libc::SYS_io_uring_register, None),
    ("preadv2", libc::SYS_preadv2, None),
    ("statx", libc::SYS_statx, None),
    ("openat2", libc::SYS_openat2, None),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Facility {
    Timer,
    BlockedSignals,
    Watcher,
    Observing,
}

#[test]
fn each_of_them() {
    if env::var_os(REFUSED).is_some() {
        return;
    }
    for &(name, call, _) in CALLS {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "in_the_sandbox", "--nocapture"]).env(REFUSED, name);
            command.env("RUST_BACKTRACE", "0").stdin(Stdio::null());
            sandbox::refuse(&mut command, &[call], errno);
            let output = command.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name} refused with {errno}:\n{text}\n{errors}");
        }
    }
}

/// Runs in the child that [`each_of_them`] starts, and nowhere else.
#[test]
fn in_the_sandbox() {
    let Ok(name) = env::var(REFUSED) else {
        return;
    };
    let &(_, call, refused) = CALLS.iter().find(|(known, ..)| *known == name).unwrap();
    // Before anything has threads.
    blocked_signals(refused == Some(Facility::BlockedSignals));
    let mut poll = Poll::new().unwrap();
    if call == libc::SYS_epoll_create1 {
        assert_eq!(poll.capabilities().backend, wakeful::Backend::Poll);
    }
    wakers(&mut poll);
    channels(&mut poll);
    children(&mut poll);
    observing(&mut poll, refused == Some(Facility::Observing));
    timers(&mut poll, refused == Some(Facility::Timer));
    watchers(&mut poll, refused == Some(Facility::Watcher));
    signals(&mut poll);
    for backend in [file::Backend::Auto, file::Backend::Pool] {
        files(&mut poll, backend);
    }
    descriptors(&mut poll);
}

/// Polls until the source has been reported, and `is_done`.
#[track_caller]
fn until(poll: &mut Poll, mut is_done: impl FnMut() -> bool) {
    let mut events = Events::with_capacity(8);
    let end = Instant::now() + DEADLINE;
    let mut is_reported = false;
    while !(is_reported && is_done()) {
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "it never happens; reported: {is_reported}");
        match poll.poll(&mut events, Some(left)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => result.unwrap(),
        }
        is_reported |= events.iter().any(|event| event.token() == Token(1));
    }
}

fn register<S: Source>(poll: &Poll, source: S) -> wakeful::Registered<S> {
    let interest = Interest::READABLE.with_trigger(Trigger::Level);
    poll.registry().register_owned(source, Token(1), interest).unwrap()
}

/// It says which call was refused, and what to do.
#[track_caller]
fn assert_says<T>(result: io::Result<T>, call: &str, advice: &str) {
    let error = result.err().expect("it is refused");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    let text = error.to_string();
    assert!(text.contains(call) && text.contains(advice), "{text}");
    assert!(text.contains("os error"), "{text}");
    let source = std::error::Error::source(error.get_ref().unwrap()).unwrap();
    let source = source.downcast_ref::<io::Error>().unwrap();
    assert!(matches!(source.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)), "{source}");
}

fn wakers(poll: &mut Poll) {
    let waker = Waker::new(poll.registry(), Token(1)).unwrap();
    let thread = thread::spawn(move || waker.wake().unwrap());
    until(poll, || true);
    thread.join().unwrap();
}

fn channels(poll: &mut Poll) {
    let items = register(poll, user::Events::new(8).unwrap());
    let sender = items.sender();
    let thread = thread::spawn(move || (0..8).for_each(|item| sender.send(item).unwrap()));
    let mut received = Vec::new();
    until(poll, || {
        received.extend(items.drain());
        received.len() == 8
    });
    assert_eq!(received, Vec::from_iter(0..8));
    thread.join().unwrap();
    let mut events = Events::with_capacity(8);
    poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    assert!(events.is_empty());
}

fn children(poll: &mut Poll) {
    // One that ends by itself, one that is asked to, and one that has ended.
    let exit = register(poll, Exit::new(Command::new("true").spawn().unwrap()).unwrap());
    until(poll, || exit.try_wait().unwrap().is_some());
    drop(exit);

    let child = Command::new("sleep").arg("60").spawn().unwrap();
    let exit = register(poll, Exit::new(child).unwrap());
    exit.send_signal(Signal::TERMINATE).unwrap();
    until(poll, || exit.try_wait().unwrap().is_some());
    assert!(matches!(exit.try_wait().unwrap(), Some(Outcome::Status(status)) if !status.success()));
    drop(exit);

    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let exit = register(poll, Exit::new(child).unwrap());
    until(poll, || exit.try_wait().unwrap().is_some());
}

fn observing(poll: &mut Poll, is_refused: bool) {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let exit = Exit::observe(child.id());
    drop(child.stdin.take());
    if is_refused {
        let error = exit.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("Exit::new"), "{error}");
        child.wait().unwrap();
    } else {
        let exit = register(poll, exit.unwrap());
        until(poll, || exit.try_wait().unwrap().is_some());
        child.wait().unwrap();
    }
}

fn timers(poll: &mut Poll, is_refused: bool) {
    poll.timers().insert_after(Duration::from_micros(1500), Token(1)).unwrap();
    until(poll, || true);
    if is_refused {
        return assert_says(Timer::new(), "timerfd_create", "Poll::timers");
    }
    let timer = register(poll, Timer::new().unwrap());
    timer.set_after(Duration::from_millis(1)).unwrap();
    until(poll, || timer.expirations().is_ok_and(|count| count == 1));
}

fn watchers(poll: &mut Poll, is_refused: bool) {
    if is_refused {
        return assert_says(Watcher::new(), "inotify_init1", "from time to time");
    }
    let folder = tempfile::tempdir().unwrap();
    let watcher = register(poll, Watcher::new().unwrap());
    watcher.add(wakeful::watch::Watch::new(folder.path()).recursive(true)).unwrap();
    fs::create_dir(folder.path().join("new")).unwrap();
    until(poll, || watcher.changes().any(|change| change.path.ends_with("new")));
}

fn signals(poll: &mut Poll) {
    let signals = register(poll, Signals::new([Signal::USER2]).unwrap());
    // SAFETY: the signal has a handler.
    unsafe { libc::raise(libc::SIGUSR2) };
    until(poll, || signals.pending().iter().any(|delivery| delivery.count == 1));
}

fn blocked_signals(is_refused: bool) {
    if is_refused {
        return assert_says(BlockedSignals::new([Signal::USER1]), "signalfd", "signal::Signals");
    }
    let signals = BlockedSignals::new([Signal::USER1]).unwrap();
    // SAFETY: the signal is blocked.
    unsafe { libc::raise(libc::SIGUSR1) };
    assert_eq!(signals.receive().unwrap().signal, Signal::USER1);
}

fn files(poll: &mut Poll, backend: file::Backend) {
    let queue = register(poll, Queue::new(8, backend).unwrap());
    let file = temporary();
    queue.submit(Operation::write(Arc::clone(&file), b"hello".to_vec(), 0), ()).unwrap();
    until(poll, || queue.completion().is_some_and(|done| done.count().unwrap() == 5));
    queue.submit(Operation::metadata_of(Arc::clone(&file)), ()).unwrap();
    until(poll, || queue.completion().is_some_and(|done| done.result.is_ok()));
    match queue.attempt(Operation::read(file, vec![0; 5], 0), ()).unwrap() {
        Attempt::Done(_, (), output) => assert_eq!(output.count(), 5),
        Attempt::Submitted(_) => {
            until(poll, || queue.completion().is_some_and(|done| done.count().unwrap() == 5));
        }
    }
}

fn descriptors(poll: &mut Poll) {
    let (sender, receiver) = pipe::new().unwrap();
    io::Write::write_all(&mut &sender, b"x").unwrap();
    let source = FdSource::with_fallback(receiver, Fallback::AlwaysReady).unwrap();
    assert!(source.fallback().is_none());
    let source = register(poll, source);
    until(poll, || true);
    drop(source);
}
