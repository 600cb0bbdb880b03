//! eventfd, timerfd, signalfd, pidfd, inotify, pipes: their own rules, and all of them in one epoll.

#![cfg(any(target_os = "linux", target_os = "android"))]
// Children are waited for through their pidfd.
#![allow(clippy::zombie_processes)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{DEADLINE, is_cloexec, wait};
use wakeful_kernel::descriptor::{AccessMode, is_nonblocking, set_nonblocking};
use wakeful_kernel::epoll::{Epoll, Flags};
use wakeful_kernel::linux::{
    Clock, EventFd, ExitState, Expiry, Inotify, PidFd, Semantics, SignalFd, TimerFd,
    WatchDescriptor, WatchFlags, set_timer_slack, timer_slack,
};
use wakeful_kernel::pipe::pipe;
use wakeful_kernel::poll::{PollFd, poll};
use wakeful_kernel::readiness::Readiness;
use wakeful_kernel::signal::SignalSet;
use wakeful_testing::Isolated;

#[test]
fn eventfd_counts_and_semaphores_take_one() {
    let counter = EventFd::new(2).unwrap();
    counter.write(40).unwrap();
    assert_eq!(counter.read().unwrap(), 42);
    assert_eq!(counter.read().unwrap_err().io_error().kind(), ErrorKind::WouldBlock);

    let semaphore = EventFd::with_semantics(2, Semantics::Semaphore).unwrap();
    assert_eq!((semaphore.read().unwrap(), semaphore.read().unwrap()), (1, 1));
    assert_eq!(semaphore.read().unwrap_err().io_error().kind(), ErrorKind::WouldBlock);
}

#[test]
fn eventfd_refusals_say_what_to_do() {
    let counter = EventFd::new(1).unwrap();
    let error = counter.write(u64::MAX).unwrap_err();
    assert!(error.to_string().contains("u64::MAX - 1"), "{error}");
    let error = counter.write(u64::MAX - 1).unwrap_err();
    assert!(error.to_string().contains("read it first"), "{error}");
    assert_eq!(counter.read().unwrap(), 1, "a refused write adds nothing");
}

#[test]
fn timer_slack_is_a_threads_own_and_inherited() {
    let (exact, coarse) = (Duration::from_nanos(1), Duration::from_millis(3));
    let of_a_thread = || std::thread::spawn(|| timer_slack().unwrap()).join().unwrap();
    let test = move || {
        let before = timer_slack().unwrap();
        set_timer_slack(Some(Duration::ZERO)).unwrap();
        assert_eq!(timer_slack().unwrap(), exact);
        assert_eq!(of_a_thread(), exact);
        set_timer_slack(Some(coarse)).unwrap();
        assert_eq!(timer_slack().unwrap(), coarse);
        set_timer_slack(None).unwrap();
        assert_eq!(timer_slack().unwrap(), before);
        assert_eq!(of_a_thread(), before);
        set_timer_slack(Some(Duration::MAX)).unwrap();
        assert!(timer_slack().unwrap() > Duration::from_secs(1));
    };
    // On a thread that nobody uses afterwards.
    std::thread::spawn(test).join().unwrap();
}

#[test]
fn timerfd_is_exact_and_counts_what_was_missed() {
    let timer = TimerFd::new(Clock::Monotonic).unwrap();
    assert_eq!(timer.read().unwrap_err().io_error().kind(), ErrorKind::WouldBlock);
    let period = Duration::from_millis(2);
    let start = Instant::now();
    timer.set(Expiry::After(period), Some(period)).unwrap();
    std::thread::sleep(period * 5);
    let count = timer.read().unwrap();
    let elapsed = start.elapsed();
    assert!(count >= 5 && u128::from(count) <= elapsed.as_nanos() / period.as_nanos());

    let state = timer.disarm().unwrap();
    assert_eq!(state.interval, period);
    assert_eq!(timer.state().unwrap().remaining, Duration::ZERO, "disarmed");
}

#[test]
fn timerfd_zero_is_now_and_absolute_times_may_be_past() {
    let timer = TimerFd::new(Clock::Boot).unwrap();
    for expiry in [Expiry::After(Duration::ZERO), Expiry::At(Duration::from_secs(1))] {
        timer.set(expiry, None).unwrap();
        let mut fds = [PollFd::new(&timer, Readiness::IN)];
        assert_eq!(poll(&mut fds, Some(DEADLINE)).unwrap(), 1, "{expiry:?}");
        assert_eq!(timer.read().unwrap(), 1);
    }
    let late = Clock::Boot.now() + Duration::from_secs(3600);
    timer.set(Expiry::At(late), None).unwrap();
    let left = timer.state().unwrap().remaining;
    assert!(left > Duration::from_secs(3590) && left <= Duration::from_secs(3600), "{left:?}");
    let wall = TimerFd::new(Clock::Realtime).unwrap();
    wall.set(Expiry::AtUnlessClockSet(Clock::Realtime.now()), None).unwrap();
    assert_eq!(poll(&mut [PollFd::new(&wall, Readiness::IN)], Some(DEADLINE)).unwrap(), 1);
}

#[test]
fn signalfd_reads_who_sent_what() {
    let signals = SignalSet::of(&[libc::SIGUSR1, libc::SIGRTMIN()]).unwrap();
    signals.block().unwrap();
    let received = SignalFd::new(&signals).unwrap();
    assert_eq!(received.read().unwrap_err().io_error().kind(), ErrorKind::WouldBlock);
    for signal in [libc::SIGUSR1, libc::SIGRTMIN()] {
        for _ in 0..3 {
            // SAFETY: integers only; the thread is this one, with the signal blocked.
            unsafe { libc::pthread_kill(libc::pthread_self(), signal) };
        }
    }
    let mut counts = [0, 0];
    while let Ok(info) = received.read() {
        assert_eq!(info.sender_pid(), std::process::id());
        counts[usize::from(info.signal() == libc::SIGRTMIN())] += 1;
    }
    assert_eq!(counts, [1, 3], "standard signals coalesce, real-time signals queue");
    received.set_signals(&SignalSet::empty()).unwrap();

    let error = SignalSet::of(&[12345]).unwrap_err();
    assert!(error.to_string().contains("12345"), "{error}");
}

#[test]
fn pidfd_reports_the_end_once() {
    let child = Command::new("sh").args(["-c", "exit 7"]).isolated().spawn().unwrap();
    let process = PidFd::open(child.id()).unwrap();
    assert_eq!(poll(&mut [PollFd::new(&process, Readiness::IN)], Some(DEADLINE)).unwrap(), 1);
    assert_eq!(process.try_wait().unwrap(), Some(ExitState::Exited(7)));
    let error = process.try_wait().unwrap_err();
    assert!(error.to_string().contains("once"), "{error}");
    let error = process.send_signal(0).unwrap_err();
    assert!(error.to_string().contains("waited for"), "{error}");

    let mut sleeper = Command::new("sleep");
    let child = sleeper.arg("60").start();
    let process = PidFd::open(child.id()).unwrap();
    assert_eq!(process.try_wait().unwrap(), None);
    process.send_signal(libc::SIGKILL).unwrap();
    assert_eq!(process.wait().unwrap(), ExitState::Killed(libc::SIGKILL));

    for nonsense in [0, u32::MAX] {
        assert!(PidFd::open(nonsense).unwrap_err().to_string().contains("process number"));
    }
}

#[test]
fn inotify_tells_names_cookies_and_lost_watches() {
    let folder = tempfile::tempdir().unwrap();
    let inotify = Inotify::new().unwrap();
    let watch = inotify.add_watch(folder.path(), WatchFlags::ALL_EVENTS).unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new name"));
    fs::write(&old, "text").unwrap();
    fs::rename(&old, &new).unwrap();

    let mut buffer = [0; 4096];
    // It is told as closed once the last copy of its descriptor is, and another test's child may have one for a moment.
    let changes: Vec<_> = inotify
        .read(&mut buffer)
        .unwrap()
        .filter(|change| change.flags() != WatchFlags::CLOSE_WRITE)
        .collect();
    assert!(changes.iter().all(|change| change.watch() == watch));
    let flags: Vec<_> = changes.iter().map(|change| change.flags()).collect();
    let expected = [
        WatchFlags::CREATE,
        WatchFlags::OPEN,
        WatchFlags::MODIFY,
        WatchFlags::MOVED_FROM,
        WatchFlags::MOVED_TO,
    ];
    assert_eq!(flags, expected);
    assert!(changes[3].cookie() != 0 && changes[3].cookie() == changes[4].cookie());
    assert_eq!(changes[4].name(), Some("new name".as_ref()));

    inotify.remove_watch(watch).unwrap();
    let last = inotify.read(&mut buffer).unwrap().last();
    assert_eq!(last.unwrap().flags(), WatchFlags::IGNORED);
    let error = inotify.remove_watch(watch).unwrap_err();
    assert!(error.to_string().contains("no such watch"), "{error}");
}

#[test]
fn inotify_bad_paths_and_buffers_are_errors() {
    let inotify = Inotify::new().unwrap();
    let error = inotify.add_watch("with\0nul", WatchFlags::MODIFY).unwrap_err();
    assert!(error.to_string().contains("NUL byte"), "{error}");
    let error = inotify.add_watch("/nonexistent", WatchFlags::MODIFY).unwrap_err();
    assert!(error.to_string().contains("\"/nonexistent\""), "{error}");

    let folder = tempfile::tempdir().unwrap();
    inotify.add_watch(folder.path(), WatchFlags::CREATE).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = inotify.read(&mut [0; 8]).unwrap_err();
    assert!(error.to_string().contains("too small"), "{error}");
    let mut buffer = [0; 4096];
    assert_eq!(inotify.read(&mut buffer).unwrap().count(), 1, "nothing was lost");
    let overflow = WatchDescriptor(-1);
    assert_ne!(inotify.add_watch(folder.path(), WatchFlags::CREATE).unwrap(), overflow);
}

#[test]
fn one_epoll_waits_for_all_of_them() {
    let epoll = Epoll::new().unwrap();
    let signals = SignalSet::of(&[libc::SIGUSR2]).unwrap();
    signals.block().unwrap();
    let folder = tempfile::tempdir().unwrap();

    let counter = EventFd::new(0).unwrap();
    let timer = TimerFd::new(Clock::Monotonic).unwrap();
    let received = SignalFd::new(&signals).unwrap();
    let child = Command::new("true").isolated().spawn().unwrap();
    let process = PidFd::open(child.id()).unwrap();
    let inotify = Inotify::new().unwrap();
    inotify.add_watch(folder.path(), WatchFlags::CREATE).unwrap();

    let edge = Flags::IN | Flags::EDGE;
    epoll.add(&counter, edge, 1).unwrap();
    epoll.add(&timer, edge, 2).unwrap();
    epoll.add(&received, edge, 3).unwrap();
    epoll.add(&process, edge, 4).unwrap();
    epoll.add(&inotify, edge, 5).unwrap();

    counter.write(1).unwrap();
    timer.set(Expiry::After(Duration::from_millis(1)), None).unwrap();
    // SAFETY: integers only; the thread is this one, with the signal blocked.
    unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2) };
    fs::write(folder.path().join("file"), "").unwrap();

    let mut seen = BTreeSet::new();
    let start = Instant::now();
    while seen.len() < 5 && start.elapsed() < DEADLINE {
        seen.extend(wait(&epoll, Duration::from_secs(1)).iter().map(|event| event.token()));
    }
    assert_eq!(seen, BTreeSet::from([1, 2, 3, 4, 5]));
    process.wait().unwrap();
}

#[test]
fn every_descriptor_is_close_on_exec_and_nonblocking() {
    let child = Command::new("true").isolated().spawn().unwrap();
    let process = PidFd::open(child.id()).unwrap();
    process.wait().unwrap();
    let (reader, writer) = pipe().unwrap();
    let nonblocking: [OwnedFd; 6] = [
        EventFd::new(0).unwrap().into(),
        TimerFd::new(Clock::Monotonic).unwrap().into(),
        SignalFd::new(&SignalSet::empty()).unwrap().into(),
        Inotify::new().unwrap().into(),
        reader,
        writer,
    ];
    for fd in &nonblocking {
        assert!(is_cloexec(fd) && is_nonblocking(fd).unwrap(), "{fd:?}");
    }
    assert!(is_cloexec(&process.into()));

    set_nonblocking(&nonblocking[4], false).unwrap();
    assert!(!is_nonblocking(&nonblocking[4]).unwrap());
}

#[test]
fn what_a_descriptor_was_opened_for() {
    let (reader, writer) = pipe().unwrap();
    let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(AccessMode::of(reader.as_raw_fd()).unwrap(), AccessMode::ReadOnly);
    assert_eq!(AccessMode::of(writer.as_raw_fd()).unwrap(), AccessMode::WriteOnly);
    assert_eq!(AccessMode::of(socket.as_raw_fd()).unwrap(), AccessMode::ReadWrite);
    let error = AccessMode::of(1_000_000).unwrap_err();
    assert_eq!(error.io_error().raw_os_error(), Some(libc::EBADF));
    assert_eq!(*error.fd(), 1_000_000);
}

#[test]
fn poll_sees_each_descriptor_by_itself() {
    let (reader, writer) = pipe().unwrap();
    let mut fds = [PollFd::new(&reader, Readiness::IN), PollFd::new(&writer, Readiness::OUT)];
    let closed = PollFd::from_raw(1_000_000, Readiness::IN);
    assert_eq!(poll(&mut fds, None).unwrap(), 1);
    assert_eq!([fds[0].readiness(), fds[1].readiness()], [Readiness::empty(), Readiness::OUT]);

    let start = Instant::now();
    let timeout = Duration::from_micros(1500);
    assert_eq!(poll(&mut fds[..1], Some(timeout)).unwrap(), 0);
    assert!(start.elapsed() >= timeout);

    let mut gone = [closed];
    assert_eq!(poll(&mut gone, Some(Duration::ZERO)).unwrap(), 1);
    assert_eq!(gone[0].readiness(), Readiness::NVAL);

    drop(writer);
    let mut fds = [PollFd::new(&reader, Readiness::IN)];
    poll(&mut fds, Some(DEADLINE)).unwrap();
    assert_eq!(fds[0].readiness(), Readiness::HUP);
}

#[test]
fn safe_types_are_send_and_sync() {
    fn shareable<T: Send + Sync>() {}
    shareable::<EventFd>();
    shareable::<TimerFd>();
    shareable::<SignalFd>();
    shareable::<PidFd>();
    shareable::<Inotify>();
    shareable::<SignalSet>();
}
