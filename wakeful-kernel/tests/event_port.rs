//! Event ports, by their safe types.

#![cfg(any(target_os = "linux", target_os = "illumos", target_os = "solaris"))]

mod common;

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use wakeful_kernel::event_port::{
    AssociateFdError, Clock, EventPort, EventSource, ExtractFileObjError, FileEvents, FileObj,
    FileObjError, GetNError, PollEvents, PortEvent, sys,
};
use wakeful_kernel::file::{Operation, Output};

const DEADLINE: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(15);
const MS: Duration = Duration::from_millis(1);

#[track_caller]
fn one(port: &EventPort) -> PortEvent {
    port.get(Some(DEADLINE)).unwrap()
}

#[track_caller]
fn nothing(port: &EventPort) {
    assert!(port.get(Some(QUIET)).unwrap_err().is_timeout());
}

#[test]
fn descriptors() {
    let port = EventPort::new().unwrap();
    let (mut left, mut right) = UnixStream::pair().unwrap();
    let fd = left.as_raw_fd();
    port.associate_fd(fd, PollEvents::IN, 7).unwrap();
    nothing(&port);
    right.write_all(b"x").unwrap();
    let event = one(&port);
    assert_eq!((event.source, event.as_fd(), event.user), (EventSource::Fd, Some(fd), 7));
    assert_eq!((event.poll_events(), event.file_events()), (Some(PollEvents::IN), None));
    assert_eq!(event.object, fd as usize);
    assert!(event.as_file_obj().unwrap().is_none());
    port.associate_fd(fd, PollEvents::IN | PollEvents::OUT, 8).unwrap();
    assert_eq!(port.pending().unwrap(), 1);
    let events = one(&port).poll_events().unwrap();
    assert_eq!(events.to_string(), "In | Out");
    assert_eq!(port.dissociate_fd(fd).unwrap_err().source.raw_os_error(), Some(libc::ENOENT));
    left.read_exact(&mut [0]).unwrap();
    port.associate_fd(fd, PollEvents::IN, 9).unwrap();
    port.dissociate_fd(fd).unwrap();
    right.write_all(b"x").unwrap();
    nothing(&port);
    match port.associate_fd(12345, PollEvents::IN, 0) {
        Err(AssociateFdError { fd, source }) => {
            assert_eq!((fd, source.raw_os_error()), (12345, Some(libc::EBADFD)));
        }
        Ok(()) => panic!("it is not open"),
    }
}

/// The sets of bits, and unknown ones among them.
#[test]
fn bits() {
    let odd = PollEvents::from_bits_retain(PollEvents::IN.bits() | 1 << 20);
    assert_eq!(odd.to_string(), "In | 0x100000");
    assert!(odd.contains(PollEvents::IN));
    assert_eq!(PollEvents::empty().to_string(), "(empty)");
    let file = FileEvents::MODIFIED | FileEvents::RENAME_TO | FileEvents::from_bits_retain(1 << 24);
    assert_eq!(file.to_string(), "Modified | RenameTo | 0x1000000");
    assert_eq!(FileEvents::all().bits(), !0);
}

fn file(directory: &Path) -> (std::path::PathBuf, FileObj) {
    let path = directory.join("file");
    fs::write(&path, "content").unwrap();
    let object = FileObj::new(path.as_path()).unwrap();
    (path, object)
}

fn append(path: &Path) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
}

const BOTH: FileEvents = FileEvents::MODIFIED.union(FileEvents::ATTRIB);

#[test]
fn files() {
    let port = EventPort::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (path, mut object) = file(directory.path());
    for _ in 0..3 {
        port.associate_file(&object, BOTH, 5).unwrap();
        nothing(&port);
        append(&path);
        let event = one(&port);
        assert_eq!((event.source, event.user), (EventSource::File, 5));
        assert_eq!((event.file_events(), event.poll_events()), (Some(BOTH), None));
        assert_eq!(event.as_file_obj().unwrap().unwrap().path(), path);
        object.refresh().unwrap();
    }
    // What happens between two associations is told.
    append(&path);
    let changed = object.clone();
    port.associate_file(&changed, FileEvents::ATTRIB, 6).unwrap();
    assert_eq!(one(&port).file_events(), Some(FileEvents::ATTRIB));
    let error = port.associate_file(&object, FileEvents::DELETE, 6).unwrap_err();
    assert_eq!((error.path.as_path(), error.source.raw_os_error()), (&*path, Some(libc::EINVAL)));
    assert!(error.to_string().contains("always told"), "{error}");
    // Dissociated, before and after its event.
    object.refresh().unwrap();
    port.associate_file(&object, BOTH, 5).unwrap();
    port.dissociate_file(&object).unwrap();
    append(&path);
    nothing(&port);
    let error = port.dissociate_file(&object).unwrap_err();
    assert_eq!(error.source.raw_os_error(), Some(libc::ENOENT));
    // Associated anew with an event on its way.
    object.refresh().unwrap();
    port.associate_file(&object, BOTH, 1).unwrap();
    append(&path);
    assert_eq!(port.pending().unwrap(), 1);
    port.associate_file(&object, BOTH, 2).unwrap();
    let event = one(&port);
    assert_eq!(event.user, 2);
    assert!(event.as_file_obj().unwrap().is_some());
    nothing(&port);
    fs::remove_file(&path).unwrap();
    assert_eq!(object.refresh().unwrap_err().path, path);
    assert!(FileObj::new(path.as_path()).is_err());
    let error = FileObj::new(Path::new("with\0zero")).unwrap_err();
    assert!(matches!(error, FileObjError::InvalidPath { .. }), "{error:?}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
}

/// The port owns an object that is associated: whoever drops it, its event has it, and its address is nothing else's.
#[test]
fn a_file_object_that_was_dropped() {
    let port = EventPort::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (path, object) = file(directory.path());
    port.associate_file(&object, BOTH, 0).unwrap();
    drop(object);
    // Whose memory would they have?
    let others: Vec<_> = (0..100).map(|_| FileObj::new(Path::new("/")).unwrap()).collect();
    append(&path);
    let event = one(&port);
    let found = event.as_file_obj().unwrap().unwrap();
    assert_eq!(found.path(), path);
    drop(others);
    // Moved about, it stays where it is.
    let mut kept = vec![found];
    kept[0].refresh().unwrap();
    port.associate_file(&kept[0], BOTH, 0).unwrap();
    kept.reserve(1000);
    let moved = Box::new(kept.remove(0));
    append(&path);
    assert_eq!(one(&port).as_file_obj().unwrap().unwrap().path(), moved.path());
    // Of an event that outlives the port, and of one that was made up.
    let mut event = {
        let port = EventPort::new().unwrap();
        port.associate_file(&moved, FileEvents::empty(), 0).unwrap();
        fs::remove_file(&path).unwrap();
        one(&port)
    };
    assert_eq!(event.as_file_obj().unwrap().unwrap().path(), path);
    event.source = EventSource::User;
    event.object = 1;
    assert!(event.as_file_obj().unwrap().is_some());
}

/// By the raw call an object is the caller's own business, and nothing is followed.
#[test]
fn a_file_object_of_a_raw_call() {
    let port = EventPort::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = file(directory.path());
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    {
        let object = sys::file_obj {
            fo_atime: zero,
            fo_mtime: zero,
            fo_ctime: zero,
            fo_pad: [0; 3],
            fo_name: name.as_ptr().cast_mut(),
        };
        let address = std::ptr::from_ref(&object) as usize;
        let (fd, source) = (port.as_raw_fd(), sys::PORT_SOURCE_FILE);
        // SAFETY: the object and its name live until the call returns.
        let result = unsafe {
            sys::port_associate(fd, source, address, sys::FILE_MODIFIED, std::ptr::null_mut())
        };
        assert_eq!(result, 0);
    }
    append(&path);
    let event = one(&port);
    assert_eq!(event.as_file_obj().unwrap_err(), ExtractFileObjError::NullPointer);
}

/// A link itself, also after it was looked at again.
#[test]
fn a_link_that_is_not_followed() {
    let port = EventPort::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = file(directory.path());
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    let mut object = FileObj::new_nofollow(link.as_path()).unwrap();
    assert!(!object.is_followed());
    thread::sleep(20 * MS);
    append(&path);
    object.refresh().unwrap();
    port.associate_file(&object, BOTH, 0).unwrap();
    nothing(&port);
    append(&path);
    nothing(&port);
    fs::remove_file(&link).unwrap();
    assert_eq!(one(&port).file_events(), Some(FileEvents::DELETE));
}

#[test]
fn waits() {
    let port = EventPort::new().unwrap();
    // Nothing was written, and nothing is read.
    assert!(port.get(Some(Duration::ZERO)).unwrap_err().is_timeout());
    let start = Instant::now();
    assert!(port.get_n(10, Some(20 * MS)).unwrap().is_empty());
    assert!(start.elapsed() >= 20 * MS);
    for number in 0..3 {
        port.send(number, 0).unwrap();
    }
    // As soon as there is one.
    assert_eq!(port.get_n(10, None).unwrap().len(), 3);
    port.send(1, 0).unwrap();
    let partial = port.get_at_least(2, 10, Some(QUIET)).unwrap();
    assert_eq!(partial.len(), 1);
    assert_eq!((partial[0].source, partial[0].events), (EventSource::User, 1));
    for (wanted, max) in [(1, 0), (0, 1), (3, 2)] {
        let GetNError(error) = port.get_at_least(wanted, max, None).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
    port.send(2, 0).unwrap();
    port.send(3, 0).unwrap();
    let mut raw = Vec::with_capacity(1);
    assert_eq!(port.get_raw(&mut raw, 1, 10, Some(DEADLINE)).unwrap(), 1);
    assert_eq!((raw[0].events(), raw[0].user()), (2, 0));
    assert!(port.get_raw(&mut raw, 1, 10, Some(DEADLINE)).is_err(), "no room");
    assert_eq!(port.get_n(usize::MAX, Some(DEADLINE)).unwrap().len(), 1);
    assert_eq!(port.pending().unwrap(), 0);
}

#[test]
fn sent_to_many_and_alerts() {
    let (left, right) = (EventPort::new().unwrap(), EventPort::new().unwrap());
    EventPort::send_n(&[&left, &right], 4, 5).unwrap();
    for port in [&left, &right] {
        let event = one(port);
        assert_eq!((event.events, event.user, event.object), (4, 5, 0));
    }
    let error = EventPort::send_n(&[], 4, 5).unwrap_err();
    assert_eq!((error.sent, error.source.raw_os_error()), (0, Some(libc::EINVAL)));
    left.try_alert(8, 9).unwrap();
    assert_eq!(left.try_alert(8, 9).unwrap_err().source.raw_os_error(), Some(libc::EBUSY));
    left.set_alert(10, 11).unwrap();
    for _ in 0..2 {
        let event = one(&left);
        assert_eq!((event.source, event.events, event.user), (EventSource::Alert, 10, 11));
    }
    assert_eq!(left.set_alert(0, 0).unwrap_err().source.raw_os_error(), Some(libc::EINVAL));
    left.clear_alert().unwrap();
    nothing(&left);
    // A full port among others.
    for _ in 0..65_536 {
        left.send(1, 1).unwrap();
    }
    let error = EventPort::send_n(&[&left, &right], 4, 5).unwrap_err();
    assert_eq!((error.sent, error.errors.len(), error.errors[0].0), (1, 1, 0));
    assert_eq!(error.errors[0].1.raw_os_error(), Some(libc::EAGAIN));
    assert!(left.send(1, 1).unwrap_err().to_string().contains("retrieve"));
}

#[test]
fn timers() {
    let port = EventPort::new().unwrap();
    let timer = port.timer(Clock::Monotonic, 3).unwrap();
    assert_eq!(timer.left().unwrap(), Duration::ZERO);
    let start = Instant::now();
    timer.set(20 * MS, None).unwrap();
    assert!(timer.left().unwrap() <= 20 * MS);
    let event = one(&port);
    assert!(start.elapsed() >= 20 * MS);
    assert_eq!((event.source, event.object), (EventSource::Timer, timer.id()));
    assert_eq!((event.events, event.user), (1, 3));
    timer.set(MS, Some(MS)).unwrap();
    thread::sleep(20 * MS);
    let event = one(&port);
    assert!(event.events >= 10);
    assert_eq!(timer.overrun().unwrap() + 1, event.events as u32);
    timer.stop().unwrap();
    nothing(&port);
    timer.set(Duration::ZERO, None).unwrap();
    one(&port);
    timer.set(Duration::MAX, Some(Duration::MAX)).unwrap();
    nothing(&port);
    drop(timer);
    let wall = port.timer(Clock::Realtime, 4).unwrap();
    let time = SystemTime::now() + 20 * MS;
    wall.set_at(time).unwrap();
    one(&port);
    assert!(SystemTime::now() >= time);
    wall.set_at(SystemTime::UNIX_EPOCH).unwrap();
    one(&port);
    drop(port);
    drop(wall);
}

#[test]
fn asynchronous_operations() {
    let port = EventPort::new().unwrap();
    let file = Arc::new(tempfile::tempfile().unwrap());
    port.submit(Operation::write(file.clone(), b"content".to_vec(), 3), 1).unwrap();
    let event = one(&port);
    assert_eq!((event.source, event.user), (EventSource::Aio, 1));
    let written = port.completion(&event).unwrap();
    assert_eq!((written.count().unwrap(), written.user), (7, 1));
    assert_eq!(written.operation.into_buffer().unwrap().into_vec(), b"content");
    assert!(port.completion(&event).is_none(), "once");
    port.submit(Operation::read(file.clone(), vec![9; 16], 0), 2).unwrap();
    let read = port.completion(&one(&port)).unwrap();
    assert_eq!(read.count().unwrap(), 10);
    assert_eq!(&read.operation.into_buffer().unwrap()[..10], b"\0\0\0content");
    port.submit(Operation::sync_all(file.clone()), 3).unwrap();
    assert!(matches!(port.completion(&one(&port)).unwrap().result, Ok(Output::Done)));
    // What fails, at once or later, comes back.
    let (_, writer) = wakeful_kernel::pipe::pipe().unwrap();
    match port.submit(Operation::read(fs::File::from(writer), vec![1, 2], 0), 4) {
        Ok(()) => {
            let failed = port.completion(&one(&port)).unwrap();
            assert!(failed.result.is_err());
            assert_eq!(failed.operation.into_buffer().unwrap()[..], [1, 2]);
        }
        Err(rejected) => assert_eq!(rejected.operation.into_buffer().unwrap()[..], [1, 2]),
    }
    let far = Operation::read(file.clone(), vec![1], u64::MAX);
    let rejected = port.submit(far, 4).unwrap_err();
    assert_eq!(rejected.operation.into_buffer().unwrap()[..], [1]);
    let other = Operation::metadata_of(file);
    let error = io::Error::from(port.submit(other, 5).unwrap_err());
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(
        port.completion(&{
            let mut event = event;
            event.object = 77;
            event
        })
        .is_none()
    );
}

/// Dropped with operations under way: what cannot be cancelled keeps its buffer, and lets go in the end.
#[test]
fn dropped_with_operations_under_way() {
    let file = Arc::new(tempfile::tempfile().unwrap());
    for _ in 0..50 {
        let port = EventPort::new().unwrap();
        for offset in 0..8 {
            let write = Operation::write(file.clone(), vec![1; 65_536], offset * 65_536);
            port.submit(write, 0).unwrap();
        }
        drop(port);
    }
    let start = Instant::now();
    while Arc::strong_count(&file) > 1 {
        assert!(start.elapsed() < DEADLINE);
        thread::sleep(QUIET);
    }
}

/// Many threads associate, retrieve and drop one another's file objects.
#[test]
fn file_objects_among_threads() {
    let port = EventPort::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (path, object) = file(directory.path());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let own = FileObj::new(path.as_path()).unwrap();
                    port.associate_file(&object, BOTH, 0).unwrap();
                    port.associate_file(&own, BOTH, 0).unwrap();
                    drop(own);
                    append(&path);
                    for event in port.get_n(8, Some(Duration::ZERO)).unwrap() {
                        assert_eq!(event.as_file_obj().unwrap().unwrap().path(), path);
                    }
                }
            });
        }
    });
}

/// What nobody can name any more takes up no slot.
#[test]
fn file_objects_that_come_and_go() {
    let port = EventPort::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = file(directory.path());
    for round in 0..70_000 {
        let object = FileObj::new(path.as_path()).unwrap();
        port.associate_file(&object, BOTH, 0).unwrap_or_else(|error| panic!("{round}: {error}"));
        drop(object);
        append(&path);
        assert_eq!(one(&port).as_file_obj().unwrap().unwrap().path(), path);
    }
}

/// Decades from now, which no 32 bits count.
#[test]
fn a_timer_that_is_set_far_ahead() {
    let port = EventPort::new().unwrap();
    let timer = port.timer(Clock::Realtime, 1).unwrap();
    let years = |count: u64| Duration::from_secs(count * 365 * 86_400);
    timer.set_at(SystemTime::now() + years(50)).unwrap();
    assert!(timer.left().unwrap() > years(49), "{:?}", timer.left());
}

#[test]
fn it_is_a_descriptor_that_is_closed_at_exec() {
    let port = EventPort::new().unwrap();
    // SAFETY: the call takes integers.
    assert_eq!(unsafe { libc::fcntl(port.as_raw_fd(), libc::F_GETFD) }, libc::FD_CLOEXEC);
    assert_eq!(port.as_fd().as_raw_fd(), port.as_raw_fd());
    let outer = EventPort::new().unwrap();
    outer.associate_fd(port.as_raw_fd(), PollEvents::IN, 0).unwrap();
    port.send(1, 1).unwrap();
    assert_eq!(one(&outer).as_fd(), Some(port.as_raw_fd()));
    fn both<T: Send + Sync>() {}
    both::<EventPort>();
    both::<PortEvent>();
    both::<FileObj>();
    both::<wakeful_kernel::event_port::Timer>();
}
