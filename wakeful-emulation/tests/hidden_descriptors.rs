//! What a queue needs beside its own descriptor does not get in a program's way.
//!
//! Numbers of descriptors, their flags and their limit are the whole process's, so each test runs in a process of its
//! own.

#![cfg(target_os = "linux")]

mod common;
#[path = "common/port.rs"]
mod port;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Kqueue, event};
use port::Port;
use wakeful_emulation::event_port::{
    FILE_MODIFIED, PORT_SOURCE_FD, PORT_SOURCE_FILE, PORT_SOURCE_TIMER, PORT_SOURCE_USER,
    SIGEV_PORT, port_notify, timer_create, timer_settime,
};
use wakeful_emulation::kqueue::*;

/// What a program that opens a few descriptors never meets.
const HIGH: RawFd = 512;
const ALONE: &str = "HIDDEN_DESCRIPTORS_ALONE";

/// Runs a test in a process of its own, which is ended if it hangs.
#[track_caller]
fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        test();
        return;
    }
    let output = Command::new("timeout")
        .args(["--signal=KILL", "60"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn open_numbers() -> BTreeSet<RawFd> {
    let own = std::fs::read_dir("/proc/self/fd").unwrap();
    let names: Vec<_> = own.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    // But for the one by which the directory was read.
    let numbers = names.iter().map(|name| name.parse().unwrap());
    numbers.filter(|&fd| is_open(fd)).collect()
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: the call takes integers.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// The number that the next open(2) returns.
fn lowest() -> RawFd {
    File::open("/dev/null").unwrap().as_raw_fd()
}

fn set_limit(limit: u64) {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is valid for both.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut now), 0);
        now.rlim_cur = limit as libc::rlim_t;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &now), 0);
    }
}

/// Takes every number there is.
fn take_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// So that SIGUSR1 ends nothing.
fn ignore_signal() {
    // SAFETY: the disposition is one of the two that are no function.
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
}

fn sleeping() -> Child {
    Command::new("sleep").arg("60").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A change for each filter. Those that are true at once come first, then the signal, the timer and the process.
struct All {
    near: UnixStream,
    far: UnixStream,
    file: File,
    child: Child,
}

impl All {
    fn new() -> All {
        ignore_signal();
        let (near, far) = UnixStream::pair().unwrap();
        All { near, far, file: tempfile::tempfile().unwrap(), child: sleeping() }
    }

    fn changes(&self) -> Vec<kevent> {
        let near = self.near.as_raw_fd() as usize;
        let note = |ident: usize, filter, fflags| kevent { fflags, ..event(ident, filter, EV_ADD) };
        vec![
            event(near, EVFILT_READ, EV_ADD | EV_CLEAR),
            event(near, EVFILT_WRITE, EV_ADD | EV_CLEAR),
            event(near, EVFILT_EXCEPT, EV_ADD | EV_CLEAR),
            event(near, EVFILT_EMPTY, EV_ADD | EV_CLEAR),
            note(self.file.as_raw_fd() as usize, EVFILT_VNODE, NOTE_WRITE),
            event(libc::SIGUSR1 as usize, EVFILT_SIGNAL, EV_ADD),
            kevent { data: 1, ..event(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT) },
            note(self.child.id() as usize, EVFILT_PROC, NOTE_EXIT),
            note(1, EVFILT_USER, NOTE_TRIGGER),
        ]
    }

    /// Makes all of it happen that does not by itself.
    fn happen(&mut self) {
        self.far.write_all(b"x").unwrap();
        self.file.write_all(b"x").unwrap();
        // SAFETY: the calls take integers; the signal is ignored.
        unsafe {
            libc::raise(libc::SIGUSR1);
            libc::kill(self.child.id() as libc::pid_t, libc::SIGKILL);
        }
    }

    /// What has to come then.
    const FILTERS: [i16; 8] = [
        EVFILT_READ,
        EVFILT_WRITE,
        EVFILT_EMPTY,
        EVFILT_VNODE,
        EVFILT_SIGNAL,
        EVFILT_TIMER,
        EVFILT_PROC,
        EVFILT_USER,
    ];
}

impl Drop for All {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn expect_all(queue: &Kqueue) {
    let mut missing: BTreeSet<i16> = All::FILTERS.into();
    let until = Instant::now() + common::DEADLINE;
    while !missing.is_empty() {
        assert!(Instant::now() < until, "{missing:?} did not come");
        for event in queue.within(Duration::from_millis(100)) {
            missing.remove(&event.filter);
        }
    }
}

#[test]
fn a_kqueue_takes_one_low_number() {
    alone("a_kqueue_takes_one_low_number", || {
        let mut all = All::new();
        let before = open_numbers();
        let (expected, queue) = (lowest(), Kqueue::new());
        assert_eq!(queue.0, expected);
        let next = lowest();
        for change in all.changes() {
            queue.change(change);
            assert_eq!(lowest(), next, "filter {}", change.filter);
        }
        let own = |fd: &RawFd| *fd != queue.0 && *fd < HIGH;
        let low: Vec<_> = open_numbers().difference(&before).copied().filter(own).collect();
        assert!(low.is_empty(), "{low:?}");
        all.happen();
        expect_all(&queue);
    });
}

#[test]
fn a_port_takes_one_low_number() {
    alone("a_port_takes_one_low_number", || {
        let (near, mut far) = UnixStream::pair().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut written = File::create(&path).unwrap();
        let file = port::File::new(&path);
        let before = open_numbers();
        let (expected, port) = (lowest(), Port::new());
        assert_eq!(port.0, expected);
        let next = lowest();
        port.associate(&near, libc::POLLIN, 1);
        port.watch(&file, FILE_MODIFIED).unwrap();
        start_timer(&port);
        assert_eq!(lowest(), next);
        // The bell of a thread that waits.
        thread::scope(|scope| {
            let waiting = scope.spawn(|| port.get(Some(Duration::from_millis(50))).map(drop));
            let _ = waiting.join().unwrap();
        });
        assert_eq!(lowest(), next);
        let own = |fd: &RawFd| *fd != port.0 && *fd < HIGH;
        let low: Vec<_> = open_numbers().difference(&before).copied().filter(own).collect();
        assert!(low.is_empty(), "{low:?}");

        far.write_all(b"x").unwrap();
        written.write_all(b"x").unwrap();
        port.send(1, 0).unwrap();
        expect_sources(&port, &[PORT_SOURCE_FD, PORT_SOURCE_FILE, PORT_SOURCE_USER]);
    });
}

/// A timer of a millisecond, which tells the port.
fn start_timer(port: &Port) {
    let notify = port_notify { portnfy_port: port.0, portnfy_user: std::ptr::null_mut() };
    // SAFETY: the struct consists of integers and pointers.
    let mut telling: libc::sigevent = unsafe { std::mem::zeroed() };
    telling.sigev_notify = SIGEV_PORT;
    telling.sigev_value.sival_ptr = std::ptr::from_ref(&notify).cast_mut().cast();
    let mut timer = std::ptr::null_mut();
    let soon = libc::itimerspec {
        it_interval: port::timespec(Duration::ZERO),
        it_value: port::timespec(Duration::from_millis(1)),
    };
    // SAFETY: all of them are valid for the length of the calls.
    unsafe {
        assert_eq!(timer_create(libc::CLOCK_MONOTONIC, &mut telling, &mut timer), 0);
        assert_eq!(timer_settime(timer, 0, &soon, std::ptr::null_mut()), 0);
    }
}

#[track_caller]
fn expect_sources(port: &Port, sources: &[i32]) {
    let mut missing: BTreeSet<i32> = sources.iter().copied().collect();
    let until = Instant::now() + port::DEADLINE;
    while !missing.is_empty() {
        assert!(Instant::now() < until, "{missing:?} did not come");
        if let Ok(event) = port.get(Some(Duration::from_millis(100))) {
            missing.remove(&event.portev_source.into());
        }
    }
}

/// As libevent's test `dup_fd`: a number that was closed is free, and a duplicate onto it ends nothing of ours.
#[test]
fn a_closed_number_can_be_taken_again() {
    alone("a_closed_number_can_be_taken_again", || {
        let (near, mut far) = UnixStream::pair().unwrap();
        let queue = Kqueue::new();
        far.write_all(b"x").unwrap();
        let other = near.try_clone().unwrap();
        let number = other.as_raw_fd();
        queue.change(event(near.as_raw_fd() as usize, EVFILT_READ, EV_ADD));
        queue.change(event(number as usize, EVFILT_READ, EV_ADD));
        assert_eq!(queue.wait().len(), 2);
        drop(other);
        assert_eq!(queue.refused(event(number as usize, EVFILT_READ, EV_DELETE)), libc::EBADF);
        for _ in 0..3 {
            assert_eq!(queue.one().ident, near.as_raw_fd() as usize);
        }
        // SAFETY: the number is not in use.
        assert_eq!(unsafe { libc::dup2(far.as_raw_fd(), number) }, number);
        assert_eq!(queue.one().ident, near.as_raw_fd() as usize);
        // SAFETY: it was made here, and is not used again.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    });
}

/// As libuv does when it starts a process, but to every number that is open.
#[test]
fn flags_of_hidden_descriptors_do_not_matter() {
    alone("flags_of_hidden_descriptors_do_not_matter", || {
        let mut all = All::new();
        let queue = Kqueue::new();
        all.changes().into_iter().for_each(|change| queue.change(change));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut written = File::create(&path).unwrap();
        let (file, port) = (port::File::new(&path), Port::new());
        port.watch(&file, FILE_MODIFIED).unwrap();
        start_timer(&port);
        let _ = port.get(Some(Duration::ZERO));
        for fd in open_numbers() {
            // SAFETY: the calls take integers.
            unsafe {
                let flags = libc::fcntl(fd, libc::F_GETFL);
                libc::fcntl(fd, libc::F_SETFL, flags & !libc::O_NONBLOCK);
            }
        }
        // A wait that did not end would be ended by the time limit.
        for _ in 0..3 {
            queue.within(Duration::ZERO);
            let _ = port.get(Some(Duration::ZERO));
        }
        all.happen();
        let process = All::FILTERS.iter().filter(|&&filter| filter != EVFILT_USER);
        assert!(process.count() > 0);
        let again = kevent { fflags: NOTE_TRIGGER, ..event(1, EVFILT_USER, 0) };
        queue.change(again);
        queue.change(kevent { data: 1, ..event(1, EVFILT_TIMER, EV_ADD | EV_ONESHOT) });
        queue.change(event(all.near.as_raw_fd() as usize, EVFILT_WRITE, EV_ADD | EV_CLEAR));
        queue.change(event(all.near.as_raw_fd() as usize, EVFILT_EMPTY, EV_DELETE));
        queue.change(event(all.near.as_raw_fd() as usize, EVFILT_EMPTY, EV_ADD | EV_CLEAR));
        expect_all(&queue);
        written.write_all(b"x").unwrap();
        port.send(1, 0).unwrap();
        expect_sources(&port, &[PORT_SOURCE_FILE, PORT_SOURCE_USER]);
        queue.within(Duration::ZERO);
        let _ = port.get(Some(Duration::ZERO));
    });
}

/// On another kernel none of these needs a descriptor.
#[test]
fn at_the_limit_events_can_be_added() {
    alone("at_the_limit_events_can_be_added", || {
        let mut all = All::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut written = File::create(&path).unwrap();
        let (near, mut far) = UnixStream::pair().unwrap();
        for limit in [1024, 256] {
            set_limit(limit);
            let (queue, port) = (Kqueue::new(), Port::new());
            let taken = take_all();
            assert!(taken.len() > 64, "{}", taken.len());
            all.changes().into_iter().for_each(|change| queue.change(change));
            port.associate(&near, libc::POLLIN, 1);
            let file = port::File::new(&path);
            port.watch(&file, FILE_MODIFIED).unwrap();
            start_timer(&port);
            all.happen();
            expect_all(&queue);
            far.write_all(b"x").unwrap();
            written.write_all(b"x").unwrap();
            expect_sources(&port, &[PORT_SOURCE_FD, PORT_SOURCE_FILE, PORT_SOURCE_TIMER]);
            drop((queue, port, taken));
            all = All::new();
        }
    });
}

/// As many timers as one likes: they share a descriptor.
#[test]
fn at_the_limit_any_number_of_timers_can_be_added() {
    alone("at_the_limit_any_number_of_timers_can_be_added", || {
        const TIMERS: usize = 300;
        set_limit(256);
        let queue = Kqueue::new();
        let taken = take_all();
        let flags = |id: usize| if id % 2 == 0 { EV_ADD | EV_ONESHOT } else { EV_ADD };
        // Later ones first.
        for id in (0..TIMERS).rev() {
            let data = 2 + id as i64 / 10;
            queue.change(kevent { data, ..event(id, EVFILT_TIMER, flags(id)) });
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let of_day = kevent {
            data: now.as_millis() as i64 + 5,
            fflags: NOTE_ABSTIME,
            ..event(TIMERS, EVFILT_TIMER, EV_ADD | EV_ONESHOT)
        };
        queue.change(of_day);
        // One that does not run, one that is set anew, one that is deleted.
        queue.change(kevent { data: 1, ..event(TIMERS + 1, EVFILT_TIMER, EV_ADD | EV_DISABLE) });
        queue.change(kevent { data: 1, ..event(TIMERS + 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT) });
        queue.change(kevent { data: 40, ..event(TIMERS + 2, EVFILT_TIMER, EV_ADD | EV_ONESHOT) });
        queue.change(kevent { data: 1, ..event(TIMERS + 3, EVFILT_TIMER, EV_ADD) });
        queue.change(event(TIMERS + 3, EVFILT_TIMER, EV_DELETE));

        let start = Instant::now();
        let mut counts = vec![0; TIMERS + 4];
        let is_done = |counts: &[i64]| {
            (0..=TIMERS + 2)
                .all(|id| id == TIMERS + 1 || counts[id] > i64::from(id % 2 == 1 && id < TIMERS))
        };
        while !is_done(&counts) {
            assert!(start.elapsed() < common::DEADLINE, "{counts:?}");
            for event in queue.within(Duration::from_millis(100)) {
                counts[event.ident] += event.data;
            }
        }
        assert!(start.elapsed() >= Duration::from_millis(30));
        // A one-shot is over, a period counts on, and the others never came.
        assert!((0..TIMERS).step_by(2).all(|id| counts[id] == 1), "{counts:?}");
        assert_eq!((counts[TIMERS + 1], counts[TIMERS + 3]), (0, 0));
        // It has run meanwhile, as other kernels have it.
        queue.change(event(TIMERS + 1, EVFILT_TIMER, EV_ENABLE));
        let until = Instant::now() + common::DEADLINE;
        while !queue.within(Duration::from_millis(100)).iter().any(|it| it.ident == TIMERS + 1) {
            assert!(Instant::now() < until);
        }
        drop(taken);
    });
}

/// What is freed at the limit is the program's: the queue does not take it.
#[test]
fn a_number_freed_at_the_limit_stays_free() {
    alone("a_number_freed_at_the_limit_stays_free", || {
        set_limit(1024);
        let all = All::new();
        let queue = Kqueue::new();
        let mut taken = take_all();
        let freed = taken.swap_remove(0);
        let number = freed.as_raw_fd();
        drop(freed);
        all.changes().into_iter().for_each(|change| queue.change(change));
        assert_eq!(lowest(), number);
    });
}

#[test]
fn a_low_limit_and_one_that_changes_are_borne() {
    alone("a_low_limit_and_one_that_changes_are_borne", || {
        for limits in [[32, 24], [1024, 64], [64, 8192]] {
            set_limit(limits[0]);
            let mut all = All::new();
            let queue = Kqueue::new();
            let changes = all.changes();
            let (first, second) = changes.split_at(4);
            first.iter().for_each(|&change| queue.change(change));
            set_limit(limits[1]);
            second.iter().for_each(|&change| queue.change(change));
            all.happen();
            expect_all(&queue);
        }
    });
}

/// closefrom(3), as daemons do it: an error, and whatever is opened later is left alone.
#[test]
fn closing_all_descriptors_is_an_error_and_no_hang() {
    alone("closing_all_descriptors_is_an_error_and_no_hang", || {
        let all = All::new();
        let (queue, port) = (Kqueue::new(), Port::new());
        all.changes().into_iter().for_each(|change| queue.change(change));
        let _ = port.get(Some(Duration::from_millis(1)));
        start_timer(&port);
        let kept = [queue.0, port.0].into_iter().max().unwrap();
        assert_eq!(kept, queue.0.min(port.0) + 1, "next to one another");
        let waiting = thread::spawn(move || {
            let queue = std::mem::ManuallyDrop::new(Kqueue(queue.0));
            queue.kevent(&[], &mut [event(0, 0, 0); 4], Some(Duration::from_secs(50)))
        });
        thread::sleep(Duration::from_millis(50));
        // All but the queues themselves, and the three that every program has.
        for (first, last) in [(3, queue.0.min(port.0) as u32 - 1), (kept as u32 + 1, u32::MAX)] {
            // SAFETY: the call takes integers. What belongs to this test is not used again.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
        let mut room = [event(0, 0, 0); 4];
        assert_eq!(queue.kevent(&[], &mut room, None), Err(libc::EBADF));
        assert_eq!(port.get(None).unwrap_err(), libc::EBADFD);
        // The other thread had something to report before, which is as good.
        assert!(waiting.join().unwrap().is_ok_and(|it| it > 0) || room[0].filter == 0);

        // New ones work, and what was the old ones' is closed by no one.
        let files = take_all_of(&mut open_numbers());
        let (new_queue, new_port) = (Kqueue::new(), Port::new());
        new_queue.change(kevent { fflags: NOTE_TRIGGER, ..event(1, EVFILT_USER, EV_ADD) });
        assert_eq!(new_queue.one().filter, EVFILT_USER);
        assert_eq!(new_port.get(Some(Duration::from_millis(5))).unwrap_err(), libc::ETIME);
        for _ in 0..40 {
            drop((Kqueue::new(), Port::new()));
        }
        assert!(files.iter().all(|file| is_open(file.as_raw_fd())));
        // SAFETY: the call takes integers.
        unsafe { libc::kill(all.child.id() as libc::pid_t, libc::SIGKILL) };
        std::mem::forget((all, queue, port));
    });
}

/// Opens files by all numbers up to where hidden descriptors are.
fn take_all_of(before: &mut BTreeSet<RawFd>) -> Vec<File> {
    let null = File::open("/dev/null").unwrap();
    let mut files = Vec::new();
    for number in 3..6000 {
        if number == null.as_raw_fd() || !before.insert(number) {
            continue;
        }
        // SAFETY: the number is not in use.
        if unsafe { libc::dup2(null.as_raw_fd(), number) } == number {
            // SAFETY: it was made here.
            files.push(unsafe { File::from_raw_fd(number) });
        }
    }
    let _ = null.into_raw_fd();
    files
}
