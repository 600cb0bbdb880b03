//! mio's interface and promises, on every backend.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mio::event::{Event, Source};
use mio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use mio::unix::{SourceFd, pipe};
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use wakeful_testing::Isolated;

const DEADLINE: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_millis(15);
/// All bits are the caller's.
const TOKEN: Token = Token(usize::MAX);

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// The first event that satisfies the condition.
#[track_caller]
fn expect(poll: &mut Poll, condition: impl Fn(&Event) -> bool) {
    let mut events = Events::with_capacity(16);
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        poll.poll(&mut events, Some(DEADLINE)).unwrap();
        if events.iter().any(|event| event.token() == TOKEN && condition(event)) {
            return;
        }
    }
    panic!("no such event");
}

#[track_caller]
fn expect_silence(poll: &mut Poll) {
    let mut events = Events::with_capacity(16);
    poll.poll(&mut events, Some(QUIET)).unwrap();
    assert!(events.is_empty(), "{events:?}");
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
fn tcp() {
    let mut poll = Poll::new().unwrap();
    let mut listener = TcpListener::bind(loopback()).unwrap();
    poll.registry().register(&mut listener, TOKEN, Interest::READABLE).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    expect(&mut poll, Event::is_readable);
    let (mut server, address) = listener.accept().unwrap();
    assert_eq!(address, client.local_addr().unwrap());
    assert_eq!(server.local_addr().unwrap(), client.peer_addr().unwrap());
    poll.registry().deregister(&mut listener).unwrap();

    client.set_nodelay(true).unwrap();
    assert!(client.nodelay().unwrap());
    server.set_ttl(17).unwrap();
    assert_eq!(server.ttl().unwrap(), 17);
    assert!(server.take_error().unwrap().is_none() && listener.take_error().unwrap().is_none());

    poll.registry().register(&mut server, TOKEN, Interest::READABLE).unwrap();
    let error = server.try_io(|| (&server).read(&mut [0; 8])).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    let parts = [IoSlice::new(b"hel"), IoSlice::new(b"lo")];
    assert_eq!((&client).write_vectored(&parts).unwrap(), 5);
    expect(&mut poll, Event::is_readable);
    // Edge-triggered: not again, though it was not drained.
    expect_silence(&mut poll);
    let mut peeked = [0; 8];
    assert_eq!(server.peek(&mut peeked).unwrap(), 5);
    let (mut head, mut tail) = ([0; 2], [0; 8]);
    let mut buffers = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)];
    assert_eq!(server.read_vectored(&mut buffers).unwrap(), 5);
    assert_eq!((&head, &tail[..3]), (b"he", &b"llo"[..]));

    client.shutdown(Shutdown::Write).unwrap();
    expect(&mut poll, Event::is_read_closed);
    assert_eq!(server.read(&mut peeked).unwrap(), 0);
}

#[test]
fn udp() {
    let mut poll = Poll::new().unwrap();
    let mut receiver = UdpSocket::bind(loopback()).unwrap();
    let sender = UdpSocket::bind(loopback()).unwrap();
    let (from, to) = (sender.local_addr().unwrap(), receiver.local_addr().unwrap());
    poll.registry().register(&mut receiver, TOKEN, Interest::READABLE).unwrap();
    expect_silence(&mut poll);
    sender.send_to(b"one", to).unwrap();
    expect(&mut poll, Event::is_readable);
    let mut buffer = [0; 8];
    assert_eq!(receiver.peek_from(&mut buffer).unwrap(), (3, from));
    assert_eq!(receiver.recv_from(&mut buffer).unwrap(), (3, from));
    sender.connect(to).unwrap();
    receiver.connect(from).unwrap();
    assert_eq!(sender.peer_addr().unwrap(), to);
    assert_eq!(receiver.recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    sender.send(b"two").unwrap();
    expect(&mut poll, Event::is_readable);
    assert_eq!(receiver.peek(&mut buffer).unwrap(), 3);
    assert_eq!(receiver.recv(&mut buffer).unwrap(), 3);
    sender.set_broadcast(true).unwrap();
    assert!(sender.broadcast().unwrap());
}

/// Read by others than mio's types, a descriptor is reported again once there is something new, where
/// the kernel knows edges. Every system's default backend does, since mio's does.
#[test]
fn a_bare_descriptor_drained_by_hand() {
    let mut poll = Poll::new().unwrap();
    let backend = wakeful::Poll::builder().kernel_edges().build().unwrap().capabilities();
    if std::env::var_os("WAKEFUL_BACKEND").is_some() && backend.edge != wakeful::Support::Native {
        return;
    }
    assert_eq!(backend.edge, wakeful::Support::Native);
    let (mut near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let fd = near.as_raw_fd();
    poll.registry().register(&mut SourceFd(&fd), TOKEN, Interest::READABLE).unwrap();
    for _ in 0..3 {
        far.write_all(b"hello").unwrap();
        expect(&mut poll, Event::is_readable);
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 5);
        assert_eq!(near.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}

#[test]
fn unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream");
    let mut poll = Poll::new().unwrap();
    let mut listener = UnixListener::bind(&path).unwrap();
    poll.registry().register(&mut listener, TOKEN, Interest::READABLE).unwrap();
    let client = UnixStream::connect(&path).unwrap();
    expect(&mut poll, Event::is_readable);
    let (server, address) = listener.accept().unwrap();
    assert!(address.is_unnamed(), "{address:?}");
    assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(&*path));
    (&client).write_all(b"hello").unwrap();
    let mut buffer = [0; 8];
    assert_eq!((&server).read(&mut buffer).unwrap(), 5);

    let (mut left, right) = UnixStream::pair().unwrap();
    poll.registry().register(&mut left, TOKEN, Interest::READABLE).unwrap();
    drop(right);
    expect(&mut poll, Event::is_read_closed);

    let path = folder.path().join("datagram");
    let mut receiver = UnixDatagram::bind(&path).unwrap();
    poll.registry().register(&mut receiver, TOKEN, Interest::READABLE).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.send_to(b"one", &path).unwrap();
    expect(&mut poll, Event::is_readable);
    assert_eq!(receiver.recv_from(&mut buffer).unwrap().0, 3);
    sender.connect(&path).unwrap();
    sender.send(b"four").unwrap();
    assert_eq!(receiver.recv(&mut buffer).unwrap(), 4);
}

#[test]
fn pipes() {
    let mut poll = Poll::new().unwrap();
    let (sender, mut receiver) = pipe::new().unwrap();
    poll.registry().register(&mut receiver, TOKEN, Interest::READABLE).unwrap();
    (&sender).write_all(b"hello").unwrap();
    expect(&mut poll, Event::is_readable);
    assert_eq!((&receiver).read(&mut [0; 8]).unwrap(), 5);
    drop(sender);
    expect(&mut poll, Event::is_read_closed);

    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .start();
    let mut stdin = pipe::Sender::from(child.stdin.take().unwrap());
    let mut stdout = pipe::Receiver::from(child.stdout.take().unwrap());
    let _stderr = pipe::Receiver::from(child.stderr.take().unwrap());
    stdin.set_nonblocking(true).unwrap();
    stdout.set_nonblocking(true).unwrap();
    poll.registry().register(&mut stdout, TOKEN, Interest::READABLE).unwrap();
    stdin.write_all(b"through").unwrap();
    expect(&mut poll, Event::is_readable);
    assert_eq!(stdout.read(&mut [0; 16]).unwrap(), 7);
    drop(stdin);
    expect(&mut poll, Event::is_read_closed);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_waker_and_a_cloned_registry_on_another_thread() {
    let mut poll = Poll::new().unwrap();
    let registry = poll.registry().try_clone().unwrap();
    let waker = Waker::new(&registry, TOKEN).unwrap();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(5));
        waker.wake().unwrap();
        waker
    });
    expect(&mut poll, Event::is_readable);
    let waker = thread.join().unwrap();
    expect_silence(&mut poll);
    waker.wake().unwrap();
    expect(&mut poll, Event::is_readable);
}

/// What a type of another crate does.
struct Pair(UnixStream, std::os::unix::net::UnixStream);

impl Source for Pair {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.0.register(registry, token, interests)?;
        SourceFd(&self.1.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        self.0.reregister(registry, token, interests)?;
        SourceFd(&self.1.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.0.deregister(registry)?;
        SourceFd(&self.1.as_raw_fd()).deregister(registry)
    }
}

#[test]
fn sources_of_sources() {
    let mut poll = Poll::new().unwrap();
    let (left, first) = UnixStream::pair().unwrap();
    let (right, mut second) = std::os::unix::net::UnixStream::pair().unwrap();
    right.set_nonblocking(true).unwrap();
    let mut pair: Box<dyn Source> = Box::new(Pair(left, right));
    let registry = poll.registry();
    registry.register(&mut pair, Token(1), Interest::READABLE).unwrap();
    registry.reregister(&mut pair, TOKEN, Interest::READABLE | Interest::PRIORITY).unwrap();
    (&first).write_all(b"x").unwrap();
    expect(&mut poll, Event::is_readable);
    second.write_all(b"x").unwrap();
    expect(&mut poll, Event::is_readable);
    poll.registry().deregister(&mut pair).unwrap();
    second.write_all(b"x").unwrap();
    expect_silence(&mut poll);
}

#[test]
fn descriptors_come_and_go() {
    let (left, right) = UnixStream::pair().unwrap();
    let number = left.as_raw_fd();
    assert_eq!(left.as_fd().as_raw_fd(), number);
    let fd = OwnedFd::from(left);
    assert_eq!(fd.as_raw_fd(), number);
    let number = UnixStream::from(fd).into_raw_fd();
    // SAFETY: it was just given away, so nothing else owns it.
    let left = unsafe { UnixStream::from_raw_fd(number) };
    (&left).write_all(b"still there").unwrap();
    let mut right = std::os::unix::net::UnixStream::from(right);
    let mut text = [0; 11];
    right.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"still there");
    right.set_nonblocking(true).unwrap();
    let right = UnixStream::from_std(right);
    assert_eq!((&right).read(&mut text).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(format!("{right:?}").contains("UnixStream"), "{right:?}");
}

#[test]
fn a_refused_connection_is_told() {
    let address = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let mut poll = Poll::new().unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    poll.registry().register(&mut client, TOKEN, Interest::WRITABLE).unwrap();
    expect(&mut poll, Event::is_error);
    let error = client.take_error().unwrap().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn debugging_tells_the_type() {
    let poll = Poll::new().unwrap();
    assert_eq!(format!("{poll:?} {:?}", poll.registry()), "Poll Registry");
}

#[test]
fn a_poll_without_room_is_an_error() {
    let mut poll = Poll::new().unwrap();
    let error = poll.poll(&mut Events::with_capacity(0), None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn everything_crosses_threads() {
    fn crosses<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    crosses::<Poll>();
    crosses::<Registry>();
    crosses::<Waker>();
    crosses::<Events>();
    crosses::<TcpListener>();
    crosses::<TcpStream>();
    crosses::<UdpSocket>();
    crosses::<UnixListener>();
    crosses::<UnixStream>();
    crosses::<UnixDatagram>();
    crosses::<pipe::Sender>();
    crosses::<pipe::Receiver>();
}

#[cfg(not(debug_assertions))]
#[test]
fn sockets_are_as_large_as_those_of_std() {
    assert_eq!(size_of::<TcpListener>(), size_of::<std::net::TcpListener>());
    assert_eq!(size_of::<TcpStream>(), size_of::<std::net::TcpStream>());
    assert_eq!(size_of::<UdpSocket>(), size_of::<std::net::UdpSocket>());
    assert_eq!(size_of::<UnixListener>(), size_of::<std::os::unix::net::UnixListener>());
    assert_eq!(size_of::<UnixStream>(), size_of::<std::os::unix::net::UnixStream>());
    assert_eq!(size_of::<UnixDatagram>(), size_of::<std::os::unix::net::UnixDatagram>());
    assert_eq!(size_of::<pipe::Sender>(), size_of::<std::fs::File>());
    assert_eq!(size_of::<pipe::Receiver>(), size_of::<std::fs::File>());
}

#[cfg(debug_assertions)]
mod in_debug_builds {
    use super::*;

    #[test]
    fn a_source_is_registered_once() {
        let poll = Poll::new().unwrap();
        let other = Poll::new().unwrap();
        let mut socket = UdpSocket::bind(loopback()).unwrap();
        let kind = |result: io::Result<()>| result.unwrap_err().kind();
        let registry = poll.registry();

        let reregistered = registry.reregister(&mut socket, TOKEN, Interest::READABLE);
        assert_eq!(kind(reregistered), io::ErrorKind::NotFound);
        assert_eq!(kind(registry.deregister(&mut socket)), io::ErrorKind::NotFound);

        registry.register(&mut socket, TOKEN, Interest::READABLE).unwrap();
        let again = registry.register(&mut socket, Token(1), Interest::READABLE);
        assert_eq!(kind(again), io::ErrorKind::AlreadyExists);
        let elsewhere = other.registry().register(&mut socket, TOKEN, Interest::READABLE);
        assert_eq!(kind(elsewhere), io::ErrorKind::AlreadyExists);
        let elsewhere = other.registry().reregister(&mut socket, TOKEN, Interest::READABLE);
        assert_eq!(kind(elsewhere), io::ErrorKind::AlreadyExists);
        assert_eq!(kind(other.registry().deregister(&mut socket)), io::ErrorKind::NotFound);

        // A clone is the same poller.
        let clone = registry.try_clone().unwrap();
        clone.reregister(&mut socket, TOKEN, Interest::WRITABLE).unwrap();
        clone.deregister(&mut socket).unwrap();
        other.registry().register(&mut socket, TOKEN, Interest::READABLE).unwrap();
    }

    #[test]
    fn a_deregistration_that_failed_is_one() {
        let poll = Poll::new().unwrap();
        let mut socket = UdpSocket::bind(loopback()).unwrap();
        let registry = poll.registry();
        registry.register(&mut socket, TOKEN, Interest::READABLE).unwrap();
        registry.deregister(&mut SourceFd(&socket.as_raw_fd())).unwrap();
        assert_eq!(registry.deregister(&mut socket).unwrap_err().raw_os_error(), Some(2));
        registry.register(&mut socket, TOKEN, Interest::READABLE).unwrap();
    }

    #[test]
    fn a_registration_that_failed_is_none() {
        const EBADF: i32 = 9;
        let poll = Poll::new().unwrap();
        // SAFETY: it is not open, and not closed either.
        let closed = unsafe { OwnedFd::from_raw_fd(1_000_000) };
        let mut closed = std::mem::ManuallyDrop::new(pipe::Receiver::from(closed));
        for _ in 0..2 {
            let registered = poll.registry().register(&mut *closed, TOKEN, Interest::READABLE);
            assert_eq!(registered.unwrap_err().raw_os_error(), Some(EBADF));
        }
    }

    #[test]
    #[should_panic = "Only a single `Waker` can be active per `Poll` instance"]
    fn a_second_waker_panics() {
        let poll = Poll::new().unwrap();
        let _first = Waker::new(poll.registry(), Token(1)).unwrap();
        let clone = poll.registry().try_clone().unwrap();
        let _second = Waker::new(&clone, Token(2));
    }
}
