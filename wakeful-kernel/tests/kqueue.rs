//! `Kqueue`: each filter, each kind of change, and what this system has not got.

#![cfg(any(feature = "emulation", not(target_os = "linux")))]

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use wakeful_kernel::file::Operation;
use wakeful_kernel::kqueue::filter::{
    Aio, Empty, Except, FileSystem, MachPort, Process, ProcessDescriptor, ProcessEvents, Read,
    Signal, Timer, User, Vnode, VnodeEvents, Write as Writes,
};
use wakeful_kernel::kqueue::{
    Change, Event, Filter, FlagOperation, Happening, Kqueue, Mode, System,
};
use wakeful_testing::Isolated;

const DEADLINE: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(15);

#[track_caller]
fn wait(kqueue: &Kqueue) -> Vec<Event> {
    let mut events = Vec::with_capacity(16);
    kqueue.wait(&mut events, Some(DEADLINE)).unwrap();
    assert!(!events.is_empty(), "nothing came");
    events
}

#[track_caller]
fn one(kqueue: &Kqueue) -> Event {
    let events = wait(kqueue);
    assert_eq!(events.len(), 1, "{events:?}");
    events[0]
}

#[track_caller]
fn nothing(kqueue: &Kqueue) {
    let mut events = Vec::with_capacity(16);
    kqueue.wait(&mut events, Some(QUIET)).unwrap();
    assert!(events.is_empty(), "{events:?}");
}

#[test]
fn both_directions_with_one_call() {
    let kqueue = Kqueue::new().unwrap();
    let (left, mut right) = UnixStream::pair().unwrap();
    kqueue
        .apply([
            Change::add(Read::new(&left), Mode::Level, 1).unwrap(),
            Change::add(Writes::new(&left), Mode::Clear, usize::MAX).unwrap(),
        ])
        .unwrap();
    let event = one(&kqueue);
    assert_eq!((event.user_data(), event.filter()), (usize::MAX, Some(Filter::Write)));
    right.write_all(b"123").unwrap();
    for _ in 0..2 {
        let events = wait(&kqueue);
        let event = events.iter().find(|event| event.user_data() == 1).unwrap();
        match event.happening() {
            Happening::Readable { fd, amount: 3, is_end: false, error: None } => {
                assert_eq!(fd, left.as_raw_fd());
            }
            other => panic!("{other:?}"),
        }
    }
    drop(right);
    let events = wait(&kqueue);
    assert!(events.iter().all(Event::is_end), "{events:?}");
    // A low water mark.
    let (left, mut right) = UnixStream::pair().unwrap();
    kqueue.apply([Change::add(Read::new(&left).low_water(3), Mode::Oneshot, 3).unwrap()]).unwrap();
    let is_of = |event: &Event| event.user_data() == 3;
    right.write_all(b"12").unwrap();
    assert!(!wait(&kqueue).iter().any(is_of));
    right.write_all(b"3").unwrap();
    assert!(wait(&kqueue).iter().any(is_of));
}

#[test]
fn each_mode() {
    let kqueue = Kqueue::new().unwrap();
    let (left, mut right) = UnixStream::pair().unwrap();
    let read = Read::new(&left);
    right.write_all(b"1").unwrap();
    let add = |mode| kqueue.apply([Change::add(read, mode, 5).unwrap()]).unwrap();
    add(Mode::Level);
    one(&kqueue);
    one(&kqueue);
    kqueue.apply([Change::delete(read).unwrap()]).unwrap();
    nothing(&kqueue);
    add(Mode::Clear);
    one(&kqueue);
    nothing(&kqueue);
    right.write_all(b"2").unwrap();
    one(&kqueue);
    kqueue.apply([Change::delete(read).unwrap()]).unwrap();
    add(Mode::Oneshot);
    one(&kqueue);
    let error = kqueue.apply([Change::probe(read, 5).unwrap()]).unwrap_err();
    assert_eq!(error.errors()[0].io_error().raw_os_error(), Some(libc::ENOENT));
    for mode in [Mode::Dispatch, Mode::ClearDispatch] {
        add(mode);
        let event = one(&kqueue);
        assert!(event.is_dispatched());
        nothing(&kqueue);
        kqueue.apply([Change::probe(read, 5).unwrap()]).unwrap();
        nothing(&kqueue);
    }
    kqueue.apply([Change::enable(read, 6).unwrap()]).unwrap();
    assert!(wait(&kqueue).iter().all(|event| event.user_data() == 6));
    kqueue.apply([Change::add_disabled(read, Mode::Level, 7).unwrap()]).unwrap();
    nothing(&kqueue);
    kqueue.apply([Change::enable(read, 8).unwrap(), Change::disable(read, 8).unwrap()]).unwrap();
    nothing(&kqueue);
}

#[test]
fn timers() {
    let kqueue = Kqueue::new().unwrap();
    let start = Instant::now();
    let time = Duration::from_micros(2500);
    kqueue.apply([Change::add(Timer::after(7, time), Mode::Clear, 1).unwrap()]).unwrap();
    let event = one(&kqueue);
    assert!(start.elapsed() >= time);
    assert!(matches!(event.happening(), Happening::Timer { id: 7, expirations: 1 }), "{event:?}");
    nothing(&kqueue);
    let soon = SystemTime::now() + Duration::from_millis(5);
    kqueue
        .apply([
            Change::add(Timer::at(8, soon), Mode::Oneshot, 8).unwrap(),
            Change::add(Timer::at(9, SystemTime::UNIX_EPOCH), Mode::Oneshot, 9).unwrap(),
            Change::add(Timer::after(10, Duration::MAX), Mode::Oneshot, 10).unwrap(),
            Change::add(Timer::every(11, Duration::from_millis(1)), Mode::Clear, 11).unwrap(),
        ])
        .unwrap();
    let mut counts = [0; 4];
    while counts[0] == 0 || counts[1] == 0 || counts[3] < 3 {
        for event in wait(&kqueue) {
            match event.happening() {
                Happening::Timer { id, expirations } => counts[id - 8] += expirations,
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(SystemTime::now() >= soon);
    assert_eq!((counts[0], counts[1], counts[2]), (1, 1, 0));
}

#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "").unwrap();
    let file = fs::File::open(&path).unwrap();
    let kqueue = Kqueue::new().unwrap();
    let vnode = Vnode::new(&file, VnodeEvents::EVERYWHERE);
    kqueue.apply([Change::add(vnode, Mode::Clear, 0).unwrap()]).unwrap();
    let told = || match one(&kqueue).happening() {
        Happening::Vnode { what, .. } => what,
        other => panic!("{other:?}"),
    };
    fs::write(&path, "hello").unwrap();
    assert!(told().contains(VnodeEvents::WRITE | VnodeEvents::EXTEND));
    fs::rename(&path, folder.path().join("other")).unwrap();
    assert!(told().contains(VnodeEvents::RENAME));
    fs::remove_file(folder.path().join("other")).unwrap();
    assert!(told().contains(VnodeEvents::DELETE));
}

#[test]
fn signals() {
    // SAFETY: it is no function.
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
    let kqueue = Kqueue::new().unwrap();
    kqueue.apply([Change::add(Signal::new(libc::SIGUSR1), Mode::Clear, 0).unwrap()]).unwrap();
    for _ in 0..2 {
        // SAFETY: the call takes an integer.
        assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
    }
    let event = one(&kqueue);
    let number = libc::SIGUSR1;
    assert!(
        matches!(event.happening(), Happening::Signal { number: it, count: 2 } if it == number),
        "{event:?}"
    );
}

#[test]
fn processes() {
    let kqueue = Kqueue::new().unwrap();
    let mut child = Command::new("cat").stdin(Stdio::piped()).start();
    let process = Process::new(child.id() as i32, ProcessEvents::EXIT | ProcessEvents::EXIT_STATUS);
    kqueue.apply([Change::add(process, Mode::Clear, 0).unwrap()]).unwrap();
    nothing(&kqueue);
    child.kill().unwrap();
    match one(&kqueue).happening() {
        Happening::Process { pid, what, status } => {
            assert_eq!(pid, child.id() as i32);
            assert!(what.contains(ProcessEvents::EXIT));
            assert!(libc::WIFSIGNALED(status as i32));
        }
        other => panic!("{other:?}"),
    }
    child.wait().unwrap();
    let error = kqueue.apply([Change::add(process, Mode::Clear, 0).unwrap()]).unwrap_err();
    assert_eq!(error.errors()[0].io_error().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn user_events() {
    let kqueue = Kqueue::new().unwrap();
    kqueue.apply([Change::add(User::new(1), Mode::Clear, 9).unwrap()]).unwrap();
    nothing(&kqueue);
    for (operation, flags) in [
        (FlagOperation::Copy(0b1100), 0b1100),
        (FlagOperation::Or(0b0011), 0b1111),
        (FlagOperation::And(0b1010), 0b1010),
    ] {
        kqueue.apply([Change::trigger(1, operation, 9).unwrap()]).unwrap();
        match one(&kqueue).happening() {
            Happening::User { id: 1, flags: found, .. } => assert_eq!(found, flags),
            other => panic!("{other:?}"),
        }
        nothing(&kqueue);
    }
    kqueue.apply([Change::trigger(1, FlagOperation::Keep, 10).unwrap()]).unwrap();
    assert_eq!(one(&kqueue).user_data(), 10);
}

/// Each change is tried, and each that fails says which it is.
#[test]
fn an_error_per_change() {
    let kqueue = Kqueue::new().unwrap();
    let (left, _right) = UnixStream::pair().unwrap();
    let mut changes = vec![
        Change::delete(Read::new(&left)).unwrap(),
        Change::add(Writes::new(&left), Mode::Level, 1).unwrap(),
        Change::add(Read::from_raw(1_000_000), Mode::Level, 2).unwrap(),
        Change::add(Read::from_raw(-1), Mode::Level, 2).unwrap(),
    ];
    for _ in 0..2 {
        let error = kqueue.apply(&changes).unwrap_err();
        let found: Vec<_> = error
            .errors()
            .iter()
            .map(|error| (*error.index(), error.io_error().raw_os_error().unwrap()))
            .collect();
        assert_eq!(found, [(0, libc::ENOENT), (2, libc::EBADF), (3, libc::EBADF)]);
        let text = error.to_string();
        assert!(text.contains("index 0") && text.contains("there is no such event"), "{text}");
        assert_eq!(std::io::Error::from(error).raw_os_error(), Some(libc::ENOENT));
        assert!(wait(&kqueue).iter().all(|event| event.user_data() == 1));
        // More than are made without the heap.
        changes.extend((0..100).map(|id| Change::add(User::new(id), Mode::Clear, id).unwrap()));
    }
    // Together with a wait the errors are events, and nothing else is.
    let mut events = Vec::with_capacity(4);
    kqueue.apply_and_wait(&changes[..3], &mut events, Some(DEADLINE)).unwrap();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0].error().unwrap().raw_os_error(), Some(libc::ENOENT));
    assert!(matches!(events[1].happening(), Happening::Changed { error: Some(_) }));
    kqueue.apply::<Change>([]).unwrap();
}

#[test]
fn waits() {
    let kqueue = Kqueue::new().unwrap();
    let error = kqueue.wait(&mut Vec::new(), None).unwrap_err();
    assert!(error.to_string().contains("Vec::with_capacity(1)"), "{error}");
    let mut events = Vec::with_capacity(1);
    let start = Instant::now();
    assert_eq!(kqueue.wait(&mut events, Some(Duration::from_micros(1500))).unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_micros(1500));
    assert_eq!(kqueue.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    kqueue.apply([Change::add(User::new(1), Mode::Clear, 0).unwrap()]).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            kqueue.apply([Change::trigger(1, FlagOperation::Keep, 0).unwrap()]).unwrap();
        });
        assert_eq!(kqueue.wait(&mut events, Some(Duration::MAX)).unwrap(), 1);
    });
    // It is a descriptor, closed at exec, and readable while there are events.
    kqueue.apply([Change::trigger(1, FlagOperation::Keep, 0).unwrap()]).unwrap();
    let outer = Kqueue::new().unwrap();
    outer.apply([Change::add(Read::new(&kqueue), Mode::Level, 0).unwrap()]).unwrap();
    one(&outer);
    // SAFETY: the call takes integers.
    assert_eq!(unsafe { libc::fcntl(outer.as_raw_fd(), libc::F_GETFD) }, libc::FD_CLOEXEC);
    drop(OwnedFd::from(outer));
}

#[test]
fn all_that_was_written_has_left() {
    if System::CURRENT.number_of(Filter::Empty).is_none() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let kqueue = Kqueue::new().unwrap();
    kqueue.apply([Change::add(Empty::new(&stream), Mode::Oneshot, 0).unwrap()]).unwrap();
    assert!(matches!(one(&kqueue).happening(), Happening::Empty { .. }));
}

/// As poll(2) has it, an empty file is readable.
/// Where the kernel counts ticks of the clock it says so.
#[test]
fn how_fine_a_timeout_is() {
    use wakeful_kernel::kqueue::system::{APPLE, DRAGONFLY, EMULATED, FREEBSD, NETBSD, OPENBSD};
    for system in [&APPLE, &EMULATED, &FREEBSD] {
        assert_eq!(system.timeout_resolution(), Duration::from_nanos(1), "{}", system.name);
    }
    for system in [&DRAGONFLY, &NETBSD, &OPENBSD] {
        let tick = system.timeout_resolution();
        let is_a_tick = tick >= Duration::from_micros(100) && tick <= Duration::from_millis(100);
        assert!(is_a_tick, "{}: {tick:?}", system.name);
    }
}

#[test]
fn a_regular_file_at_its_end() {
    let kqueue = Kqueue::new().unwrap();
    let file = tempfile::tempfile().unwrap();
    kqueue.apply([Change::add(Read::new(&file), Mode::Level, 0).unwrap()]).unwrap();
    nothing(&kqueue);
    match Change::add(Read::new(&file).as_poll(), Mode::Level, 0) {
        Ok(change) => {
            kqueue.apply([change]).unwrap();
            assert!(matches!(one(&kqueue).happening(), Happening::Readable { amount: 0, .. }));
        }
        Err(error) => assert_eq!(error.filter(), Filter::Read),
    }
}

/// What this system has not got is refused before the kernel is asked, with a sentence.
#[test]
fn what_is_missing() {
    let none = |filter| System::CURRENT.number_of(filter).is_none();
    let (left, _right) = UnixStream::pair().unwrap();
    for (filter, change) in [
        (Filter::Aio, Change::delete(Aio::new(0))),
        (Filter::Except, Change::add(Except::new(&left), Mode::Level, 0)),
        (Filter::FileSystem, Change::add(FileSystem::new(), Mode::Clear, 0)),
        (Filter::MachPort, Change::add(MachPort::new(1), Mode::Level, 0)),
        (Filter::ProcessDescriptor, Change::add(ProcessDescriptor::new(&left), Mode::Clear, 0)),
    ] {
        match change {
            Ok(change) => assert_eq!(change.filter(), Some(filter)),
            Err(error) => {
                assert!(none(filter), "{error}");
                assert_eq!(error.filter(), filter);
                assert!(error.to_string().contains("has no filter"), "{error}");
            }
        }
    }
    let missing = !System::CURRENT.all_vnode_events();
    for event in missing.iter() {
        let error = Change::add(Vnode::new(&left, event), Mode::Clear, 0).unwrap_err();
        assert_eq!(error.filter(), Filter::Vnode);
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::Unsupported);
    }
    let missing = !System::CURRENT.all_process_events() - ProcessEvents::EXIT_STATUS;
    for event in missing.iter() {
        Change::add(Process::new(1, event), Mode::Clear, 0).unwrap_err();
    }
}

/// `EVFILT_AIO`: reported from its end until its result is taken.
#[test]
fn asynchronous_operations() {
    let kqueue = Kqueue::new().unwrap();
    let file = Arc::new(tempfile::tempfile().unwrap());
    let write = Operation::write(file.clone(), b"content".to_vec(), 3);
    if let Err(rejected) = kqueue.submit(write, 1) {
        assert!(matches!(rejected.operation, Operation::Write { .. }));
        return assert!(!Kqueue::can_submit(), "{rejected}");
    }
    for _ in 0..3 {
        let event = one(&kqueue);
        assert_eq!((event.user_data(), event.filter()), (1, Some(Filter::Aio)));
    }
    let event = one(&kqueue);
    let written = kqueue.completion(&event).unwrap();
    assert_eq!((written.count().unwrap(), written.user), (7, 1));
    nothing(&kqueue);
    assert!(kqueue.completion(&event).is_none(), "once");
    drop(written);
    kqueue.submit(Operation::read(file.clone(), vec![9; 16], 0), 2).unwrap();
    let read = kqueue.completion(&one(&kqueue)).unwrap();
    assert_eq!(read.count().unwrap(), 10);
    assert_eq!(&read.operation.into_buffer().unwrap()[..10], b"\0\0\0content");
    kqueue.submit(Operation::sync_data(file.clone()), 3).unwrap();
    assert!(kqueue.completion(&one(&kqueue)).unwrap().result.is_ok());
    // A kqueue that goes while something is under way.
    for offset in 0..8 {
        let write = Operation::write(file.clone(), vec![1; 65_536], offset * 65_536);
        kqueue.submit(write, 4).unwrap();
    }
    kqueue.cancel(4);
    drop(kqueue);
    let start = Instant::now();
    while Arc::strong_count(&file) > 1 {
        assert!(start.elapsed() < DEADLINE);
        std::thread::sleep(QUIET);
    }
}

#[test]
fn it_may_be_sent_and_shared() {
    fn both<T: Send + Sync>() {}
    both::<Kqueue>();
    both::<Change>();
    both::<Event>();
}
