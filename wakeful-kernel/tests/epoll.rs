//! epoll: what each way of being told means, shown on a real pipe, and every refusal explained.

#![cfg(any(target_os = "linux", target_os = "android"))]

mod common;

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, Pipe, QUIET, reports, wait, watching};
use wakeful_kernel::epoll::{BusyPoll, Epoll, Event, Flags, Readiness};
use wakeful_kernel::linux::EventFd;
use wakeful_kernel::signal::SignalSet;

#[test]
fn level_reports_for_as_long_as_there_is_something() {
    let (epoll, pipe) = watching(Flags::IN);
    pipe.write(10);
    assert!(reports(&epoll) && reports(&epoll), "undrained: again and again");
    pipe.read(9);
    assert!(reports(&epoll), "one byte left");
    pipe.read(1);
    assert!(!reports(&epoll), "drained");
}

#[test]
fn edge_reports_what_is_new() {
    let (epoll, pipe) = watching(Flags::IN | Flags::EDGE);
    pipe.write(10);
    assert!(reports(&epoll));
    assert!(!reports(&epoll), "undrained, but nothing new");
    pipe.write(1);
    assert!(reports(&epoll), "a new write, though undrained");
    epoll.modify(&pipe.reader, Flags::IN | Flags::EDGE, 23).unwrap();
    assert!(reports(&epoll), "modify looks anew");
}

#[test]
fn oneshot_is_silent_until_modify() {
    let (epoll, pipe) = watching(Flags::IN | Flags::ONESHOT);
    pipe.write(10);
    assert!(reports(&epoll));
    pipe.write(1);
    assert!(!reports(&epoll), "a new write changes nothing");
    let error = epoll.add(&pipe.reader, Flags::IN | Flags::ONESHOT, 23).unwrap_err();
    assert_eq!(error.io_error().raw_os_error(), Some(libc::EEXIST));
    epoll.modify(&pipe.reader, Flags::IN | Flags::ONESHOT, 23).unwrap();
    assert!(reports(&epoll), "armed anew");
    drop(pipe.writer);
    assert!(!reports(&epoll), "even a hang-up is silent");
    epoll.modify(&pipe.reader, Flags::empty(), 23).unwrap();
    assert!(reports(&epoll), "no interest but the hang-up");
}

/// Two epolls watch one pipe; each has a thread asleep in it. How many wake for one byte?
fn woken_by_one_byte(flags: Flags) -> usize {
    let pipe = Pipe::new();
    let epolls = [Epoll::new().unwrap(), Epoll::new().unwrap()];
    let (asleep, woken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for epoll in &epolls {
            epoll.add(&pipe.reader, flags, 23).unwrap();
            scope.spawn(|| {
                asleep.fetch_add(1, Ordering::SeqCst);
                let events = wait(epoll, Duration::from_millis(500));
                woken.fetch_add(events.len(), Ordering::SeqCst);
            });
        }
        while asleep.load(Ordering::SeqCst) < 2 {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(100));
        pipe.write(1);
    });
    woken.into_inner()
}

#[test]
fn exclusive_wakes_one_of_several_epolls() {
    assert_eq!(woken_by_one_byte(Flags::IN | Flags::EDGE), 2);
    assert_eq!(woken_by_one_byte(Flags::IN | Flags::EDGE | Flags::EXCLUSIVE), 1);
}

#[test]
fn exclusive_rules_are_errors_that_say_what_is_wrong() {
    let (epoll, pipe) = (Epoll::new().unwrap(), Pipe::new());
    let error =
        epoll.add(&pipe.reader, Flags::IN | Flags::EXCLUSIVE | Flags::ONESHOT, 0).unwrap_err();
    assert!(error.to_string().contains("beside EXCLUSIVE only"), "{error}");
    assert_eq!(error.fd(), &pipe.reader.as_raw_fd());

    epoll.add(&pipe.reader, Flags::IN | Flags::EXCLUSIVE, 0).unwrap();
    let error = epoll.modify(&pipe.reader, Flags::IN, 0).unwrap_err();
    assert!(error.to_string().contains("delete it and add it anew"), "{error}");
    let error = epoll.modify(&pipe.reader, Flags::IN | Flags::EXCLUSIVE, 0).unwrap_err();
    assert!(error.to_string().contains("set by add only"), "{error}");

    let inner = Epoll::new().unwrap();
    let error = epoll.add(&inner, Flags::IN | Flags::EXCLUSIVE, 0).unwrap_err();
    assert!(error.to_string().contains("must not be an epoll"), "{error}");
}

#[test]
fn refusals_carry_operation_descriptor_and_source() {
    let epoll = Epoll::new().unwrap();
    let file = tempfile::tempfile().unwrap();
    let error = epoll.add(&file, Flags::IN, 0).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("EPOLL_CTL_ADD") && text.contains("cannot be polled"), "{text}");
    assert!(text.contains(&format!("fd {}", file.as_raw_fd())), "{text}");
    assert_eq!(std::io::Error::from(error).raw_os_error(), Some(libc::EPERM), "untouched");

    let null = File::open("/dev/null").unwrap();
    let errno = |error: &std::io::Error| error.raw_os_error().unwrap();
    assert_eq!(errno(epoll.add(&null, Flags::IN, 0).unwrap_err().io_error()), libc::EPERM);
    assert_eq!(errno(epoll.add(&epoll, Flags::IN, 0).unwrap_err().io_error()), libc::EINVAL);
    assert_eq!(errno(epoll.add_raw(-1, Flags::IN, 0).unwrap_err().io_error()), libc::EBADF);
    let pipe = Pipe::new();
    assert_eq!(
        errno(epoll.modify(&pipe.reader, Flags::IN, 0).unwrap_err().io_error()),
        libc::ENOENT
    );
    assert_eq!(errno(epoll.delete(&pipe.reader).unwrap_err().io_error()), libc::ENOENT);

    let error = epoll.wait(&mut Vec::<Event>::new(), Some(Duration::ZERO)).unwrap_err();
    assert!(error.to_string().contains("no room for an event"), "{error}");
}

#[test]
fn epolls_nest_five_deep_and_not_in_circles() {
    let chain: Vec<Epoll> = (0..6).map(|_| Epoll::new().unwrap()).collect();
    for pair in chain[..5].windows(2) {
        pair[1].add(&pair[0], Flags::IN, 23).unwrap();
    }
    let error = chain[5].add(&chain[4], Flags::IN, 23).unwrap_err();
    assert!(error.to_string().contains("five deep"), "{error}");
    let error = chain[0].add(&chain[2], Flags::IN, 23).unwrap_err();
    assert_eq!(error.io_error().raw_os_error(), Some(libc::ELOOP));

    let counter = EventFd::new(1).unwrap();
    chain[0].add(&counter, Flags::IN, 23).unwrap();
    assert!(reports(&chain[4]), "an event rises through all five");
}

#[test]
fn a_closed_descriptor_with_a_live_duplicate_still_reports() {
    let (epoll, pipe) = watching(Flags::IN);
    let duplicate = pipe.reader.try_clone().unwrap();
    let number = pipe.reader.as_raw_fd();
    pipe.write(1);
    drop(pipe.reader);
    assert!(reports(&epoll));
    let error = epoll.delete_raw(number).unwrap_err();
    // Another test may have been given the number meanwhile; then it is merely not on this list.
    assert!(matches!(error.io_error().raw_os_error(), Some(libc::EBADF | libc::ENOENT)));
    drop(duplicate);
    assert!(!reports(&epoll), "gone with the last duplicate");
}

#[test]
fn waits_last_as_long_as_asked_to_the_nanosecond() {
    let (epoll, _pipe) = watching(Flags::IN);
    let mut events = Vec::<Event>::with_capacity(4);
    for timeout in [Duration::from_micros(300), Duration::from_millis(2), Duration::from_nanos(1)] {
        let start = Instant::now();
        assert_eq!(epoll.wait(&mut events, Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout, "{timeout:?} came early");
    }
    assert_eq!(epoll.wait_ms(&mut events, 1, None).unwrap(), 0);
    assert_eq!(epoll.wait_ns(&mut events, Duration::from_nanos(1), None).unwrap(), 0);
}

#[test]
fn huge_timeouts_wait() {
    for timeout in
        [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_millis(1 << 40)]
    {
        let (epoll, pipe) = watching(Flags::IN);
        let (sender, waited) = mpsc::channel();
        thread::spawn(move || sender.send(wait(&epoll, timeout)));
        let early = waited.recv_timeout(QUIET);
        assert!(early.is_err(), "{timeout:?} was cut to nothing");
        pipe.write(1);
        assert_eq!(waited.recv_timeout(DEADLINE).unwrap().len(), 1);
    }
}

#[test]
fn a_mask_lets_a_signal_through_during_the_wait_only() {
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn handler(_: libc::c_int) {
        HANDLED.fetch_add(1, Ordering::SeqCst);
    }
    let signals = SignalSet::of(&[libc::SIGUSR2]).unwrap();
    let before = signals.block().unwrap();
    // SAFETY: the handler only adds to an atomic, which is async-signal-safe.
    unsafe { libc::signal(libc::SIGUSR2, handler as *const () as libc::sighandler_t) };
    // SAFETY: integers only; the thread is this one, alive, with the signal blocked.
    unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2) };
    assert_eq!(HANDLED.load(Ordering::SeqCst), 0, "blocked");

    let (epoll, _pipe) = watching(Flags::IN);
    let mut events = Vec::<Event>::with_capacity(4);
    let error = epoll.wait_with_mask(&mut events, Some(DEADLINE), Some(&before)).unwrap_err();
    assert_eq!(error.io_error().kind(), std::io::ErrorKind::Interrupted);
    assert_eq!(HANDLED.load(Ordering::SeqCst), 1, "let through by the wait");
    assert!(!before.contains(libc::SIGUSR2) && signals.contains(libc::SIGUSR2));
}

#[test]
fn waits_fill_the_room_and_leave_the_rest_for_later() {
    let epoll = Epoll::new().unwrap();
    let counters: Vec<EventFd> = (0..5).map(|_| EventFd::new(1).unwrap()).collect();
    for (index, counter) in counters.iter().enumerate() {
        epoll.add(counter, Flags::IN | Flags::EDGE, index as u64).unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let mut events = Vec::<Event>::with_capacity(2);
        events.push(Event::new(Readiness::OUT, 99));
        assert_eq!(epoll.wait(&mut events, Some(DEADLINE)).unwrap(), 1, "one place was free");
        assert_eq!(events[0].token(), 99, "what was there stays");
        seen.push(events[1].token());
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

#[test]
fn busy_poll_parameters_come_back_as_set() {
    let epoll = Epoll::new().unwrap();
    let params = BusyPoll { duration: Duration::from_micros(50), budget: 16, prefer: true };
    match epoll.set_busy_poll(params) {
        Ok(()) => {
            assert_eq!(epoll.busy_poll().unwrap(), params);
            let error = epoll
                .set_busy_poll(BusyPoll { duration: Duration::from_secs(1 << 20), ..params })
                .unwrap_err();
            assert!(error.to_string().contains("2^31"), "{error}");
        }
        Err(error) => assert!(error.to_string().contains("Linux 6.9"), "{error}"),
    }
}

#[test]
fn write_end_of_a_pipe_without_reader_is_an_error() {
    let (epoll, pipe) = (Epoll::new().unwrap(), Pipe::new());
    epoll.add(&pipe.writer, Flags::OUT, 0).unwrap();
    drop(pipe.reader);
    let event = wait(&epoll, DEADLINE)[0];
    assert_eq!(event.readiness(), Readiness::OUT | Readiness::ERR);
    assert!(event.is_write_closed() && event.is_error() && !event.is_read_closed());
}

#[test]
fn the_descriptor_is_close_on_exec_and_shareable() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Epoll>();
    shareable::<Event>();
    let epoll = Epoll::new().unwrap();
    let clone = epoll.try_clone().unwrap();
    let counter = EventFd::new(1).unwrap();
    epoll.add(&counter, Flags::IN, 23).unwrap();
    assert!(reports(&clone), "one interest list");
    assert!(common::is_cloexec(&OwnedFd::from(epoll)));
}
