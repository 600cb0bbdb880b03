//! Descriptor numbers: closed, used again, of the poller itself, and free at once when the
//! registration has ended.

#![cfg(target_os = "linux")]

mod common;

use std::ffi::CString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::subject::pseudo_terminal_pair;
use common::{DEADLINE, Loop, QUIET, every_backend};
use wakeful::net::{TcpListener, UdpSocket, UnixStream};
use wakeful::unix::{FdSource, SourceFd, pipe};
use wakeful::{Backend, Events, Interest, Poll, Registry, Token, Waker};
use wakeful_kernel::linux::EventFd;

const TOKEN: Token = Token(3);

/// By a number that no other test of this process is going to take when it is closed.
fn elsewhere(fd: impl Into<OwnedFd>) -> OwnedFd {
    static NEXT: AtomicI32 = AtomicI32::new(600);
    at(NEXT.fetch_add(1, Ordering::Relaxed), fd)
}

/// By this very number.
fn at(number: RawFd, fd: impl Into<OwnedFd>) -> OwnedFd {
    // SAFETY: the call takes integers.
    let got = unsafe { libc::fcntl(fd.into().as_raw_fd(), libc::F_DUPFD_CLOEXEC, number) };
    assert_eq!(got, number);
    // SAFETY: the call succeeded, so it is open, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(got) }
}

fn timer() -> OwnedFd {
    // SAFETY: the call takes integers.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK) };
    assert!(fd >= 0);
    // SAFETY: the call succeeded, so it is open, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn named_pipe(path: &std::path::Path) -> OwnedFd {
    let name = CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the name ends with a zero. It may be there.
    unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap().into()
}

fn errno(result: io::Result<()>) -> Option<i32> {
    result.unwrap_err().raw_os_error()
}

/// Registers one bare descriptor, closes it, and registers what has its number then.
fn register_twice(backend: Backend, name: &str, make: impl Fn() -> OwnedFd) {
    let mut events = Loop::new(backend);
    let first = elsewhere(make());
    let fd = first.as_raw_fd();
    events.registry().register(&mut SourceFd(&fd), Token(0), Interest::READABLE).unwrap();
    drop(first);
    let second = at(fd, make());
    let again = events.registry().register(&mut SourceFd(&fd), TOKEN, Interest::WRITABLE);
    again.unwrap_or_else(|error| panic!("{name}: {error}"));
    if name != "timerfd" {
        events.expect_writable(TOKEN);
    }
    events.registry().deregister(&mut SourceFd(&fd)).unwrap();
    drop(second);
}

every_backend! {
    fn files_that_look_alike_take_over_the_number_of_a_closed_one(backend) {
        let folder = tempfile::tempdir().unwrap();
        register_twice(backend, "eventfd", || EventFd::new(0).unwrap().into());
        register_twice(backend, "timerfd", timer);
        register_twice(backend, "named pipe", || named_pipe(&folder.path().join("fifo")));
        register_twice(backend, "terminal", || pseudo_terminal_pair().1);
        register_twice(backend, "socket", || UnixStream::pair().unwrap().0.into());
        register_twice(backend, "pipe", || pipe::new().unwrap().0.into());
    }

    /// What says when it is closed is still there.
    fn a_second_registration_of_ours_is_refused_whatever_it_looks_like(backend) {
        let events = Loop::new(backend);
        let mut counter = FdSource::new(elsewhere(EventFd::new(0).unwrap()));
        let fd = counter.as_raw_fd();
        events.registry().register(&mut counter, TOKEN, Interest::READABLE).unwrap();
        let registry = events.registry();
        let again = registry.register(&mut SourceFd(&fd), TOKEN, Interest::READABLE);
        assert_eq!(errno(again), Some(libc::EEXIST));
        let again = registry.register(&mut counter, TOKEN, Interest::READABLE);
        assert_eq!(errno(again), Some(libc::EEXIST));
        drop(counter);
        let counter = at(fd, OwnedFd::from(EventFd::new(0).unwrap()));
        registry.register(&mut SourceFd(&fd), TOKEN, Interest::READABLE).unwrap();
        drop(counter);
        // Two registrations of one socket are known by what they are.
        let (stream, _peer) = UnixStream::pair().unwrap();
        let fd = stream.as_raw_fd();
        registry.register(&mut SourceFd(&fd), TOKEN, Interest::READABLE).unwrap();
        let again = registry.register(&mut SourceFd(&fd), TOKEN, Interest::READABLE);
        assert_eq!(errno(again), Some(libc::EEXIST));
    }

    fn a_number_that_is_closed_or_not_registered(backend) {
        let events = Loop::new(backend);
        let registry = events.registry();
        let closed = |fd: RawFd| {
            let mut source = SourceFd(&fd);
            let results = [
                registry.register(&mut source, TOKEN, Interest::READABLE),
                registry.reregister(&mut source, TOKEN, Interest::READABLE),
                registry.deregister(&mut source),
            ];
            results.map(errno)
        };
        let never = elsewhere(pipe::new().unwrap().0);
        let fd = never.as_raw_fd();
        drop(never);
        assert_eq!(closed(fd), [Some(libc::EBADF); 3]);
        assert_eq!(closed(-1), [Some(libc::EBADF); 3]);

        for make in [|| OwnedFd::from(pipe::new().unwrap().1), || EventFd::new(0).unwrap().into()] {
            for change in [false, true] {
                let first = elsewhere(make());
                let fd = first.as_raw_fd();
                registry.register(&mut SourceFd(&fd), TOKEN, Interest::READABLE).unwrap();
                drop(first);
                if change {
                    let result = registry.reregister(&mut SourceFd(&fd), TOKEN, Interest::READABLE);
                    assert_eq!(errno(result), Some(libc::EBADF));
                }
                let result = registry.deregister(&mut SourceFd(&fd));
                assert_eq!(errno(result), Some(libc::EBADF));
                // Of a file that is open there is no registration.
                let _second = at(fd, make());
                let result = registry.reregister(&mut SourceFd(&fd), TOKEN, Interest::READABLE);
                assert_eq!(errno(result), Some(libc::ENOENT));
                let result = registry.deregister(&mut SourceFd(&fd));
                assert_eq!(errno(result), Some(libc::ENOENT));
            }
        }
        let first = elsewhere(UnixStream::pair().unwrap().0);
        let fd = first.as_raw_fd();
        registry.register(&mut SourceFd(&fd), TOKEN, Interest::READABLE).unwrap();
        drop(first);
        let _second = at(fd, UnixStream::pair().unwrap().0);
        let result = registry.deregister(&mut SourceFd(&fd));
        assert_eq!(errno(result), Some(libc::ENOENT));
    }

    fn no_poller_waits_for_itself(backend) {
        let poller = || Poll::builder().backend(backend).build().unwrap();
        let add = |outer: &Poll, inner: &Poll| {
            let fd = inner.as_raw_fd();
            outer.registry().register(&mut SourceFd(&fd), TOKEN, Interest::READABLE)
        };
        let (first, second, third) = (poller(), poller(), poller());
        assert_eq!(errno(add(&first, &first)), Some(libc::EINVAL));
        add(&first, &second).unwrap();
        assert_eq!(errno(add(&second, &first)), Some(libc::ELOOP));
        // An emulated queue is deeper than the kernel allows three to be.
        if matches!(backend, Backend::Epoll | Backend::Poll) {
            add(&second, &third).unwrap();
            for inner in [&first, &second] {
                assert_eq!(errno(add(&third, inner)), Some(libc::ELOOP));
            }
        }
        // Once it is no cycle any more, it is allowed.
        let fd = second.as_raw_fd();
        first.registry().deregister(&mut SourceFd(&fd)).unwrap();
        add(&second, &first).unwrap();
        drop(third);
        let mut events = Events::with_capacity(4);
        let mut first = first;
        let waker = Waker::new(first.registry(), Token(1)).unwrap();
        waker.wake().unwrap();
        first.poll(&mut events, Some(DEADLINE)).unwrap();
        assert_eq!(events.len(), 1);
    }

    /// Nothing that waits keeps a file open whose registration has ended.
    fn what_is_closed_is_closed_at_once(backend) {
        let waiting = Waiting::new(backend);
        for round in 0..40 {
            let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let address = listener.local_addr().unwrap();
            waiting.register_and_close(listener, round);
            let error = std::net::TcpStream::connect(address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            let socket = UdpSocket::bind(address).unwrap();
            waiting.register_and_close(socket, round);
            UdpSocket::bind(address).unwrap();
            let (left, mut right) = UnixStream::pair().unwrap();
            waiting.register_and_close(left, round);
            assert_eq!(right.read(&mut [0; 8]).unwrap(), 0);
            let (sender, receiver) = pipe::new().unwrap();
            waiting.register_and_close(receiver, round);
            assert_eq!((&sender).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        }
    }

    /// Interrupted by many changes, a wait is as long as it was.
    fn a_wait_goes_on_after_a_registration_has_ended(backend) {
        let mut events = Loop::new(backend);
        let registry = events.registry().try_clone().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (registry, flag) = (registry.try_clone().unwrap(), Arc::clone(&flag));
                thread::spawn(move || {
                    while !flag.load(Ordering::Relaxed) {
                        let (left, _right) = UnixStream::pair().unwrap();
                        drop(registry.register_owned(left, TOKEN, Interest::READABLE).unwrap());
                    }
                })
            })
            .collect();
        let start = Instant::now();
        let length = Duration::from_millis(300);
        assert!(events.poll(length).is_empty());
        assert!(start.elapsed() >= length);
        // Between two waits, by the thread that polls.
        let (left, _right) = UnixStream::pair().unwrap();
        drop(registry.register_owned(left, TOKEN, Interest::READABLE).unwrap());
        assert!(events.poll(QUIET).is_empty());
        is_over.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

/// A thread that polls until this is dropped.
struct Waiting {
    registry: Registry,
    waker: Waker,
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Waiting {
    fn new(backend: Backend) -> Waiting {
        let mut events = Loop::new(backend);
        let registry = events.registry().try_clone().unwrap();
        let waker = Waker::new(&registry, Token(0)).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                events.poll(DEADLINE);
            }
        });
        Waiting { registry, waker, is_over, thread: Some(thread) }
    }

    /// Closed by hand, by `Registered`, or without having been deregistered.
    fn register_and_close(&self, mut source: impl wakeful::event::Source, way: usize) {
        if way % 3 == 0 {
            let registered = self.registry.register_owned(source, TOKEN, Interest::READABLE);
            thread::sleep(Duration::from_millis(1));
            drop(registered.map_err(io::Error::from).unwrap());
            return;
        }
        self.registry.register(&mut source, TOKEN, Interest::READABLE).unwrap();
        thread::sleep(Duration::from_millis(1));
        if way % 3 == 1 {
            self.registry.deregister(&mut source).unwrap();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.waker.wake().unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}
