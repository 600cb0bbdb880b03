//! Sockets and pipes: what their own methods promise.

#![cfg(unix)]

mod common;

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use std::process::{Command, Stdio};

use common::subject::tcp_pair;
use common::{Loop, every_backend};
use wakeful::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use wakeful::{Interest, Token, pipe};
use wakeful_kernel::descriptor::is_nonblocking;
use wakeful_testing::Isolated;

const LISTENER: Token = Token(0);

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn connect_blocking(address: SocketAddr) -> std::net::TcpStream {
    std::net::TcpStream::connect(address).unwrap()
}

every_backend! {
    fn accept_all_takes_what_is_there_and_hears_of_the_next(backend) {
        let mut events = Loop::new(backend);
        let listener = TcpListener::bind(loopback()).unwrap();
        let address = listener.local_addr().unwrap();
        let listener =
            events.registry().register_owned(listener, LISTENER, Interest::READABLE).unwrap();
        // One at a time, few at a time, and more than are asked about one by one.
        for count in [1, 2, 9, 40, 1, 1] {
            let clients: Vec<_> = (0..count).map(|_| connect_blocking(address)).collect();
            let mut accepted = Vec::new();
            while accepted.len() < count {
                events.expect_readable(LISTENER);
                for connection in listener.accept_all() {
                    let (stream, peer) = connection.unwrap();
                    assert!(is_nonblocking(&stream).unwrap());
                    accepted.push((stream, peer));
                }
            }
            for ((_, peer), client) in accepted.iter().zip(&clients) {
                assert_eq!(*peer, client.local_addr().unwrap());
            }
            events.expect_silence();
        }
    }

    fn accept_all_over_unix_sockets(backend) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let mut events = Loop::new(backend);
        let listener = UnixListener::bind(&path).unwrap();
        let listener =
            events.registry().register_owned(listener, LISTENER, Interest::READABLE).unwrap();
        for count in [1, 3, 20, 1] {
            let clients: Vec<_> = (0..count).map(|_| UnixStream::connect(&path).unwrap()).collect();
            let mut accepted = 0;
            while accepted < count {
                events.expect_readable(LISTENER);
                for connection in listener.accept_all() {
                    let (stream, peer) = connection.unwrap();
                    assert!(peer.is_unnamed());
                    assert_eq!(stream.local_addr().unwrap().as_pathname(), Some(&*path));
                    accepted += 1;
                }
            }
            drop(clients);
        }
    }

    fn peeking_and_foreign_operations_keep_the_edge(backend) {
        let mut events = Loop::new(backend);
        let (stream, mut peer) = tcp_pair();
        let stream =
            events.registry().register_owned(stream, Token(1), Interest::READABLE).unwrap();
        for _ in 0..2 {
            peer.write_all(b"abc").unwrap();
            events.expect_readable(Token(1));
            let mut buffer = [0; 8];
            assert_eq!(stream.peek(&mut buffer).unwrap(), 3);
            let read = || wakeful_kernel::descriptor::read(&*stream, &mut [0; 8]);
            assert_eq!(stream.try_io(read).unwrap(), 3);
            let error = stream.try_io_when(Interest::READABLE, || wakeful_kernel::descriptor::read(&*stream, &mut [0; 8]));
            assert_eq!(error.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(1));
        assert_eq!((&*stream).read(&mut [0; 8]).unwrap(), 1);
        let error = stream.peek(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        peer.write_all(b"y").unwrap();
        events.expect_readable(Token(1));
    }

    fn connecting_is_reported(backend) {
        let mut events = Loop::new(backend);
        let listener = TcpListener::bind(loopback()).unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        events.registry().register(&mut stream, Token(1), Interest::WRITABLE).unwrap();
        events.expect_writable(Token(1));
        assert!(stream.take_error().unwrap().is_none());
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        let (accepted, peer) = listener.accept().unwrap();
        assert_eq!(peer, stream.local_addr().unwrap());
        stream.set_nodelay(true).unwrap();
        assert!(stream.nodelay().unwrap());
        drop(accepted);
    }

    fn datagrams_over_every_kind(backend) {
        let mut events = Loop::new(backend);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let receiver =
            events.registry().register_owned(receiver, Token(1), Interest::READABLE).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"one", &path).unwrap();
        sender.connect(&path).unwrap();
        sender.send(b"two!").unwrap();
        events.expect_readable(Token(1));
        let mut buffer = [0; 8];
        assert_eq!(receiver.recv_from(&mut buffer).unwrap().0, 3);
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 4);
        assert_eq!(receiver.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);

        let udp = UdpSocket::bind(loopback()).unwrap();
        let udp = events.registry().register_owned(udp, Token(2), Interest::READABLE).unwrap();
        let other = UdpSocket::bind(loopback()).unwrap();
        other.send_to(b"three", udp.local_addr().unwrap()).unwrap();
        events.expect_readable(Token(2));
        assert_eq!(udp.peek(&mut buffer).unwrap(), 5);
        assert_eq!(udp.peek_from(&mut buffer).unwrap().1, other.local_addr().unwrap());
        assert_eq!(udp.recv_from(&mut buffer).unwrap(), (5, other.local_addr().unwrap()));
        assert_eq!(udp.recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    fn a_childs_streams(backend) {
        let mut events = Loop::new(backend);
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .start();
        let sender = pipe::Sender::from(child.stdin.take().unwrap());
        let receiver = pipe::Receiver::from(child.stdout.take().unwrap());
        sender.set_nonblocking(true).unwrap();
        receiver.set_nonblocking(true).unwrap();
        let mut sender =
            events.registry().register_owned(sender, Token(1), Interest::WRITABLE).unwrap();
        let mut receiver =
            events.registry().register_owned(receiver, Token(2), Interest::READABLE).unwrap();
        sender.write_all(b"through the cat").unwrap();
        events.expect_readable(Token(2));
        let mut buffer = [0; 32];
        assert_eq!(receiver.read(&mut buffer).unwrap(), 15);
        drop(sender);
        events.expect(Token(2), |event| event.is_read_closed());
        child.wait().unwrap();
    }
}

#[test]
fn vectored_reads_and_writes() {
    let (mut left, mut right) = tcp_pair();
    let written = left.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")]).unwrap();
    assert_eq!(written, 5);
    let (mut first, mut second) = ([0; 3], [0; 8]);
    while right.peek(&mut [0; 8]).map_or(0, |count| count) < 5 {
        std::thread::yield_now();
    }
    let read = right
        .read_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)])
        .unwrap();
    assert_eq!((read, &first, &second[..2]), (5, b"abc", &b"de"[..]));
    left.flush().unwrap();
    left.shutdown(Shutdown::Both).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_addresses() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr as UnixAddr;

    let name = format!("wakeful-test-{}", std::process::id());
    let address = UnixAddr::from_abstract_name(&name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    assert_eq!(listener.local_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
    let client = UnixStream::connect_addr(&address).unwrap();
    assert_eq!(client.peer_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
    listener.accept().unwrap();

    let unnamed = client.local_addr().unwrap();
    assert_eq!(UnixStream::connect_addr(&unnamed).unwrap_err().raw_os_error(), Some(libc::EINVAL));

    let datagram = UnixAddr::from_abstract_name(format!("{name}-datagram")).unwrap();
    let receiver = UnixDatagram::bind_addr(&datagram).unwrap();
    UnixDatagram::unbound().unwrap().send_to_addr(b"x", &datagram).unwrap();
    assert_eq!(receiver.recv(&mut [0; 8]).unwrap(), 1);

    let named = UnixAddr::from_abstract_name(format!("{name}-client")).unwrap();
    let bound = std::os::unix::net::UnixDatagram::bind_addr(&named).unwrap();
    bound.send_to_addr(b"y", &datagram).unwrap();
    let (_, from) = receiver.recv_from(&mut [0; 8]).unwrap();
    assert_eq!(from.as_abstract_name(), named.as_abstract_name());
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_with_an_overlong_name_is_accepted_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    // 108 bytes without a NUL: as long as the kernel allows, one more than std does.
    let peer = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    let mut name = folder.path().join("x").into_os_string().into_encoded_bytes();
    name.resize(108, b'x');
    let address = overlong_address(&name);
    peer.bind(&address).unwrap();
    peer.connect(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    let ordinary = UnixStream::connect(&path).unwrap();
    let accepted: Vec<_> = listener.accept_all().map(Result::unwrap).collect();
    assert_eq!(accepted.len(), 2);
    assert!(accepted.iter().all(|(_, address)| address.is_unnamed()));
    drop(ordinary);
}

/// A Unix address whose path fills it to the last byte.
#[cfg(target_os = "linux")]
fn overlong_address(path: &[u8]) -> socket2::SockAddr {
    // SAFETY: the closure writes a valid sockaddr_un and its whole length.
    let (_, address) = unsafe {
        socket2::SockAddr::try_init(|storage, length| {
            let address = &mut *storage.cast::<libc::sockaddr_un>();
            address.sun_family = libc::AF_UNIX as libc::sa_family_t;
            for (byte, &value) in address.sun_path.iter_mut().zip(path) {
                *byte = value as libc::c_char;
            }
            *length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
            Ok(())
        })
    }
    .unwrap();
    address
}

#[test]
fn paths_with_a_nul_byte_are_refused() {
    for path in ["/nowhere\0at all", "\0abstract"] {
        let kind = ErrorKind::InvalidInput;
        assert_eq!(UnixStream::connect(path).unwrap_err().kind(), kind);
        assert_eq!(UnixListener::bind(path).unwrap_err().kind(), kind);
        assert_eq!(UnixDatagram::bind(path).unwrap_err().kind(), kind);
    }
}

#[test]
fn listeners_share_a_port_on_request_only() {
    let first = TcpListener::bind_reuse_port(loopback()).unwrap();
    let address = first.local_addr().unwrap();
    let second = TcpListener::bind_reuse_port(address).unwrap();
    assert_eq!(second.local_addr().unwrap(), address);
    assert_eq!(TcpListener::bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
    // Every connection reaches one of the two.
    let clients: Vec<_> = (0..64).map(|_| connect_blocking(address)).collect();
    let counts =
        [&first, &second].map(|listener| listener.accept_all().map(Result::unwrap).count());
    assert_eq!(counts.iter().sum::<usize>(), clients.len());
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");

    let udp = UdpSocket::bind_reuse_port(loopback()).unwrap();
    UdpSocket::bind_reuse_port(udp.local_addr().unwrap()).unwrap();
}

#[test]
fn socket_options_come_back_as_set() {
    let udp = UdpSocket::bind(loopback()).unwrap();
    udp.set_broadcast(true).unwrap();
    assert!(udp.broadcast().unwrap());
    udp.set_ttl(9).unwrap();
    udp.set_multicast_ttl_v4(3).unwrap();
    udp.set_multicast_loop_v4(false).unwrap();
    assert_eq!((udp.ttl().unwrap(), udp.multicast_ttl_v4().unwrap()), (9, 3));
    assert!(!udp.multicast_loop_v4().unwrap());
    assert!(udp.take_error().unwrap().is_none());
    let group = Ipv4Addr::new(224, 0, 0, 251);
    udp.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
    udp.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
    udp.connect(udp.local_addr().unwrap()).unwrap();
    assert_eq!(udp.peer_addr().unwrap(), udp.local_addr().unwrap());

    if let Ok(udp) = UdpSocket::bind("[::1]:0".parse().unwrap()) {
        udp.only_v6().unwrap();
        udp.set_multicast_loop_v6(false).unwrap();
        assert!(!udp.multicast_loop_v6().unwrap());
    }
    let listener = TcpListener::bind(loopback()).unwrap();
    listener.set_ttl(11).unwrap();
    assert_eq!(listener.ttl().unwrap(), 11);
    assert!(listener.take_error().unwrap().is_none());
}

#[test]
fn sockets_convert_there_and_back() {
    let (left, right) = UnixStream::pair().unwrap();
    let fd = OwnedFd::from(left);
    assert!(is_nonblocking(&fd).unwrap());
    let mut left = UnixStream::from(fd);
    left.write_all(b"x").unwrap();
    let mut right: std::os::unix::net::UnixStream = right.into();
    right.read_exact(&mut [0]).unwrap();

    let raw = left.into_raw_fd();
    // SAFETY: the number was just given away by its owner.
    let left = unsafe { UnixStream::from_raw_fd(raw) };
    assert!(left.as_fd().try_clone_to_owned().is_ok());
    assert!(left.peer_addr().unwrap().is_unnamed() && left.take_error().unwrap().is_none());
    left.shutdown(Shutdown::Write).unwrap();
    assert_eq!(right.read(&mut [0]).unwrap(), 0);
    assert!(format!("{left:?}").contains("UnixStream"), "{left:?}");
}
