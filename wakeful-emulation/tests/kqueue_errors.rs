//! Errors that are pending on sockets, and ends: `EV_EOF` says that a socket was shut down, as in
//! FreeBSD's `filt_soread` and `filt_sowrite`. An error alone makes it ready, because the next call
//! returns it.

#![cfg(target_os = "linux")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::thread;
use std::time::Duration;

use common::{DEADLINE, Kqueue, QUIET, event};
use wakeful_emulation::kqueue::*;

/// An unconnected socket.
fn socket(family: i32, kind: i32) -> OwnedFd {
    // SAFETY: the call takes integers; nothing else owns the descriptor.
    unsafe {
        let fd = libc::socket(family, kind | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0);
        assert!(fd >= 0);
        OwnedFd::from_raw_fd(fd)
    }
}

/// A datagram socket that is connected to a port of which ICMP says that it is closed.
fn refused() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    socket.connect(closed).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Begins to connect to a port of this machine.
fn connect(socket: &impl AsRawFd, port: u16) {
    // SAFETY: the address consists of integers.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_port = port.to_be();
    address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
    let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: the address is valid for reads of its size.
    unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size) };
}

fn shut_down(socket: &impl AsRawFd, how: i32) {
    // SAFETY: the call takes integers.
    assert_eq!(unsafe { libc::shutdown(socket.as_raw_fd(), how) }, 0);
}

/// What is reported of one filter, without its being added otherwise.
fn looked_at(socket: &impl AsRawFd, filter: i16) -> Option<kevent> {
    let queue = Kqueue::new();
    queue.change(event(socket.as_raw_fd() as usize, filter, EV_ADD));
    let events = queue.within(QUIET);
    assert!(events.len() <= 1, "{events:?}");
    events.first().copied()
}

/// Sends what is refused, and waits until the refusal has come.
fn send_and_be_refused(socket: &UdpSocket) {
    socket.send(b"x").unwrap();
    let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: the entry is valid for one struct.
    assert_eq!(unsafe { libc::poll(&mut entry, 1, DEADLINE.as_millis() as i32) }, 1);
}

#[test]
fn an_error_is_no_end() {
    let socket = refused();
    let ident = socket.as_raw_fd() as usize;
    for mode in [0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH] {
        for filter in [EVFILT_READ, EVFILT_WRITE] {
            let queue = Kqueue::new();
            if filter == EVFILT_READ {
                // It comes during the wait.
                queue.change(event(ident, filter, EV_ADD | mode));
                queue.nothing();
                send_and_be_refused(&socket);
                assert_eq!((queue.one().flags, queue.within(QUIET).len()), counted(mode));
            } else {
                send_and_be_refused(&socket);
            }
            // It is there already.
            queue.change(event(ident, filter, EV_ADD | EV_ENABLE | mode));
            let found = queue.one();
            assert_eq!((found.flags, found.fflags), (mode, 0), "{filter} {mode:#x}");
            assert_eq!(found.data == 0, filter == EVFILT_READ);
            assert_eq!(queue.within(QUIET).len(), counted(mode).1);
            let error = socket.recv(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            let error = socket.recv(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            let expected = if filter == EVFILT_WRITE { counted(mode).1 } else { 0 };
            assert_eq!(queue.within(QUIET).len(), expected);
        }
    }
}

/// The flags of what was added by such a mode, and how often it is reported again.
fn counted(mode: u16) -> (u16, usize) {
    (mode, usize::from(mode == 0))
}

/// A mark does not hide an error, nor does data that waits with it.
#[test]
fn an_error_below_the_mark() {
    let socket = refused();
    let queue = Kqueue::new();
    let read = event(socket.as_raw_fd() as usize, EVFILT_READ, EV_ADD | EV_CLEAR);
    queue.change(kevent { fflags: NOTE_LOWAT, data: i64::MAX, ..read });
    queue.nothing();
    send_and_be_refused(&socket);
    assert_eq!(queue.one().flags, EV_CLEAR);
    assert!(socket.take_error().unwrap().is_some(), "looking did not take it");
    queue.nothing();
}

#[test]
fn a_datagram_socket_that_is_shut_down() {
    let socket = refused();
    shut_down(&socket, libc::SHUT_RD);
    assert_eq!(looked_at(&socket, EVFILT_READ).unwrap().flags, EV_EOF);
    assert_eq!(looked_at(&socket, EVFILT_WRITE).unwrap().flags, 0);
    shut_down(&socket, libc::SHUT_WR);
    assert_eq!(looked_at(&socket, EVFILT_READ).unwrap().flags, EV_EOF);
    assert_eq!(looked_at(&socket, EVFILT_WRITE).unwrap().flags, EV_EOF);
}

/// Whose other side has gone: writing says so, and there is no more to it.
#[test]
fn unix_datagrams() {
    let (left, right) = UnixDatagram::pair().unwrap();
    assert!(looked_at(&left, EVFILT_READ).is_none());
    drop(right);
    assert!(looked_at(&left, EVFILT_READ).is_none());
    assert_eq!(looked_at(&left, EVFILT_WRITE).unwrap().flags, 0);
    assert!(left.send(b"x").is_err());
    shut_down(&left, libc::SHUT_RDWR);
    for filter in [EVFILT_READ, EVFILT_WRITE] {
        assert_eq!(looked_at(&left, filter).unwrap().flags, EV_EOF);
    }
}

#[test]
fn a_connection_that_is_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (&client).write_all(b"unread").unwrap();
    let queue = Kqueue::new();
    let ident = client.as_raw_fd() as usize;
    queue.change(event(ident, EVFILT_READ, EV_ADD));
    thread::sleep(QUIET);
    drop(server);
    // The end of the connection is told in both directions, with the error while it is pending.
    queue.one();
    queue.change(event(ident, EVFILT_WRITE, EV_ADD));
    let events = queue.wait();
    assert_eq!(events.len(), 2);
    for found in &events {
        assert_eq!(found.flags, EV_EOF);
        assert_ne!(found.fflags, 0);
    }
    assert!(client.take_error().unwrap().is_some());
    let events = queue.wait();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|found| (found.flags, found.fflags) == (EV_EOF, 0)), "{events:?}");
}

#[test]
fn a_connection_that_is_refused() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM);
    let queue = Kqueue::new();
    let ident = socket.as_raw_fd() as usize;
    // Not connected, it is not ready, and asking does not spin.
    queue.change(event(ident, EVFILT_READ, EV_ADD));
    queue.change(event(ident, EVFILT_WRITE, EV_ADD));
    let before = processor_time();
    queue.within(QUIET * 10);
    queue.nothing();
    assert!(processor_time() - before < QUIET * 5, "it spins");
    connect(&socket, closed.port());
    let mut filters = Vec::new();
    while filters.len() < 2 {
        for found in queue.wait() {
            assert_eq!(found.flags, EV_EOF);
            if !filters.contains(&found.filter) {
                filters.push(found.filter);
            }
        }
    }
}

/// Of this thread.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is valid for the write of one struct.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Connected later, it is reported as any.
#[test]
fn sockets_that_are_not_connected() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for (family, kind) in [(libc::AF_INET, libc::SOCK_STREAM), (libc::AF_UNIX, libc::SOCK_STREAM)] {
        let socket = socket(family, kind);
        assert!(looked_at(&socket, EVFILT_READ).is_none(), "{family}");
        assert!(looked_at(&socket, EVFILT_WRITE).is_none(), "{family}");
    }
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM);
    let queue = Kqueue::new();
    let ident = socket.as_raw_fd() as usize;
    queue.change(event(ident, EVFILT_READ, EV_ADD));
    queue.change(event(ident, EVFILT_WRITE, EV_ADD));
    queue.nothing();
    let mut client = TcpStream::from(socket);
    connect(&client, listener.local_addr().unwrap().port());
    let (mut server, _) = listener.accept().unwrap();
    let found = queue.one();
    assert_eq!((found.filter, found.flags), (EVFILT_WRITE, 0));
    // Level-triggered, though it was not ready before.
    assert_eq!(queue.one().filter, EVFILT_WRITE);
    queue.change(event(ident, EVFILT_WRITE, EV_DELETE));
    server.write_all(b"ab").unwrap();
    for _ in 0..2 {
        let found = queue.one();
        assert_eq!((found.filter, found.flags, found.data), (EVFILT_READ, 0, 2));
    }
    client.set_nonblocking(false).unwrap();
    client.read_exact(&mut [0; 2]).unwrap();
    queue.nothing();
    drop(server);
    assert_eq!(queue.one().flags, EV_EOF);
}

/// As FreeBSD has it: who waits for connections is woken when another thread shuts the socket down.
#[test]
fn a_listener_that_is_shut_down() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let queue = Kqueue::new();
    queue.change(event(listener.as_raw_fd() as usize, EVFILT_READ, EV_ADD));
    queue.nothing();
    // Nothing is ever written to it.
    assert!(looked_at(&listener, EVFILT_WRITE).is_none());
    shut_down(&listener, libc::SHUT_RD);
    assert_eq!(queue.one().filter, EVFILT_READ);
}

#[test]
fn half_of_a_stream() {
    let (left, right) = UnixStream::pair().unwrap();
    left.shutdown(Shutdown::Write).unwrap();
    assert!(looked_at(&left, EVFILT_READ).is_none());
    assert_eq!(looked_at(&left, EVFILT_WRITE).unwrap().flags, EV_EOF);
    assert_eq!(looked_at(&right, EVFILT_READ).unwrap().flags, EV_EOF);
    assert_eq!(looked_at(&right, EVFILT_WRITE).unwrap().flags, 0);
    drop(right);
    for filter in [EVFILT_READ, EVFILT_WRITE] {
        assert_eq!(looked_at(&left, filter).unwrap().flags, EV_EOF);
    }
    // Nothing more is there to be waited for.
    let queue = Kqueue::new();
    queue.change(event(left.as_raw_fd() as usize, EVFILT_READ, EV_ADD | EV_CLEAR));
    assert_eq!(queue.within(DEADLINE).len(), 1);
    queue.nothing();
}
