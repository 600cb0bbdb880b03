//! How each kind of descriptor is made, and what only one kind can do.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net as unix;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use wakeful::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use wakeful::pipe;
use wakeful_kernel::descriptor;
use wakeful_kernel::linux::{Clock, EventFd, TimerFd};
use wakeful_kernel::readiness::Readiness;

use crate::common::subject::{Bare, pseudo_terminal_pair};
use crate::world::{Foreign, World};

fn nonblocking(fd: impl Into<OwnedFd>) -> OwnedFd {
    let fd = fd.into();
    descriptor::set_nonblocking(&fd, true).unwrap();
    fd
}

/// With buffers and segments so small that what has been written is soon at rest: in the peer's
/// buffer, or in ours.
fn tcp_pair() -> (OwnedFd, OwnedFd) {
    let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let (listener, stream) = (new(), new());
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.set_recv_buffer_size(32 << 10).unwrap();
    stream.set_send_buffer_size(32 << 10).unwrap();
    for socket in [&listener, &stream] {
        set_option(socket, libc::IPPROTO_TCP, libc::TCP_MAXSEG, 1024);
    }
    listener.listen(1).unwrap();
    stream.connect(&listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    for stream in [&stream, &peer] {
        stream.set_tcp_nodelay(true).unwrap();
    }
    // None of the thousands is to linger: closing this one resets the connection.
    stream.set_linger(Some(Duration::ZERO)).unwrap();
    (nonblocking(stream), nonblocking(peer))
}

pub(crate) fn tcp_stream() -> World {
    let (stream, peer) = tcp_pair();
    World::new(TcpStream::from(stream), Some(peer))
}

pub(crate) fn bare_tcp_stream() -> World {
    let (stream, peer) = tcp_pair();
    World::new(Bare(stream), Some(peer))
}

pub(crate) fn tcp_unconnected() -> World {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    World::new(TcpStream::from(nonblocking(socket)), None)
}

pub(crate) fn tcp_listener() -> World {
    let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    World::new(listener, None).connected_to(address)
}

fn udp_pair() -> (OwnedFd, OwnedFd) {
    let bind = || net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (socket, peer) = (bind(), bind());
    socket.connect(peer.local_addr().unwrap()).unwrap();
    peer.connect(socket.local_addr().unwrap()).unwrap();
    (nonblocking(socket), nonblocking(peer))
}

pub(crate) fn udp_socket() -> World {
    let (socket, peer) = udp_pair();
    let world = World::new(UdpSocket::from(socket), Some(peer));
    world.of_datagrams()
}

pub(crate) fn bare_udp_socket() -> World {
    let (socket, peer) = udp_pair();
    let world = World::new(Bare(socket), Some(peer));
    world.of_datagrams()
}

/// A socket that anyone may send to, and that has no peer.
pub(crate) fn unconnected_udp_socket() -> World {
    let bind = || net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (socket, peer) = (bind(), bind());
    peer.connect(socket.local_addr().unwrap()).unwrap();
    World::new(UdpSocket::from(nonblocking(socket)), Some(nonblocking(peer))).of_datagrams()
}

fn unix_pair() -> (OwnedFd, OwnedFd) {
    let (stream, peer) = unix::UnixStream::pair().unwrap();
    (nonblocking(stream), nonblocking(peer))
}

pub(crate) fn unix_stream() -> World {
    let (stream, peer) = unix_pair();
    World::new(UnixStream::from(stream), Some(peer))
}

pub(crate) fn bare_unix_stream() -> World {
    let (stream, peer) = unix_pair();
    World::new(Bare(stream), Some(peer))
}

/// Packets that are a stream: its end is an end, and not an empty packet.
pub(crate) fn packets() -> World {
    let (socket, peer) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None).unwrap();
    World::new(Bare(nonblocking(socket)), Some(nonblocking(peer)))
}

pub(crate) fn unix_unconnected() -> World {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    World::new(UnixStream::from(nonblocking(socket)), None)
}

pub(crate) fn unix_listener() -> World {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    World::new(UnixListener::bind(&path).unwrap(), None).in_directory(directory, path)
}

pub(crate) fn unix_datagram() -> World {
    let (socket, peer) = unix::UnixDatagram::pair().unwrap();
    let world = World::new(UnixDatagram::from(nonblocking(socket)), Some(nonblocking(peer)));
    world.of_datagrams()
}

pub(crate) fn receiver() -> World {
    let (sender, receiver) = pipe::new().unwrap();
    World::new(receiver, Some(sender.into()))
}

pub(crate) fn bare_receiver() -> World {
    let (sender, receiver) = pipe::new().unwrap();
    World::new(Bare(receiver.into()), Some(sender.into()))
}

pub(crate) fn sender() -> World {
    let (sender, receiver) = pipe::new().unwrap();
    World::new(sender, Some(receiver.into()))
}

pub(crate) fn bare_sender() -> World {
    let (sender, receiver) = pipe::new().unwrap();
    World::new(Bare(sender.into()), Some(receiver.into()))
}

fn fifo() -> (tempfile::TempDir, std::path::PathBuf, OwnedFd, OwnedFd) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the path is terminated by a zero.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let open =
        |options: &mut OpenOptions| options.custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    let reader = open(OpenOptions::new().read(true));
    let writer = open(OpenOptions::new().write(true));
    (directory, path, reader.into(), writer.into())
}

pub(crate) fn fifo_reader() -> World {
    let (directory, path, reader, writer) = fifo();
    World::new(Foreign::new(reader), Some(writer)).in_directory(directory, path)
}

/// The reading end of a FIFO that has no writer yet.
pub(crate) fn lonely_fifo_reader() -> World {
    let (directory, path, reader, writer) = fifo();
    drop((reader, writer));
    let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    World::new(Foreign::new(reader), None).in_directory(directory, path)
}

pub(crate) fn fifo_writer() -> World {
    let (directory, path, reader, writer) = fifo();
    World::new(Foreign::new(writer), Some(reader)).in_directory(directory, path)
}

pub(crate) fn terminal() -> World {
    let (terminal, controller) = pseudo_terminal_pair();
    World::new(Foreign::new(terminal), Some(controller))
}

pub(crate) fn bare_terminal() -> World {
    let (terminal, controller) = pseudo_terminal_pair();
    World::new(Bare(terminal), Some(controller))
}

pub(crate) fn controller() -> World {
    let (terminal, controller) = pseudo_terminal_pair();
    let path = std::fs::read_link(format!("/proc/self/fd/{}", terminal.as_raw_fd())).unwrap();
    World::new(Foreign::new(controller), Some(terminal)).at(path)
}

pub(crate) fn event_counter() -> World {
    let counter = OwnedFd::from(EventFd::new(0).unwrap());
    let peer = counter.try_clone().unwrap();
    World::new(Bare(counter), Some(peer))
}

pub(crate) fn timer() -> World {
    World::new(Bare(TimerFd::new(Clock::Monotonic).unwrap().into()), None)
}

pub(crate) fn regular_file() -> World {
    World::new(Foreign::new(tempfile::tempfile().unwrap()), None)
}

pub(crate) fn directory() -> World {
    World::new(Foreign::new(File::open("/").unwrap()), None)
}

/// A regular file to fstat(2), of which poll(2) has something to say all the same.
pub(crate) fn mounts() -> World {
    World::new(Foreign::new(File::open("/proc/self/mounts").unwrap()), None)
}

pub(crate) fn device(path: &str) -> World {
    World::new(Foreign::new(OpenOptions::new().read(true).write(true).open(path).unwrap()), None)
}

/// The source sends to its peer, which takes nothing from it: connected to another, the peer is not
/// at that address any more, and yet keeps its port.
pub(crate) fn be_refused(world: &mut World) {
    let peer = net::UdpSocket::from(world.peer.take().unwrap());
    peer.connect(peer.local_addr().unwrap()).unwrap();
    world.peer = Some(peer.into());
    world.write();
}

/// A first write may find the error of an earlier one, and send nothing.
pub(crate) fn be_refused_again(world: &mut World) {
    world.write();
    if !world.state(Readiness::empty()).contains(Readiness::ERR) {
        world.write();
    }
}

/// The peer is there again, and sends.
pub(crate) fn answer(world: &mut World) {
    let peer = net::UdpSocket::from(world.peer.take().unwrap());
    let source = SockRef::from(&world.fd()).local_addr().unwrap();
    peer.connect(source.as_socket().unwrap()).unwrap();
    world.peer = Some(peer.into());
    world.send();
}

/// Errors go into the socket's error queue, where a read does not find them.
pub(crate) fn queue_errors(world: &mut World) {
    set_option(&world.fd(), libc::IPPROTO_IP, libc::IP_RECVERR, 1);
}

/// The time of sending goes into the socket's error queue, and is no error.
pub(crate) fn send_with_timestamp(world: &mut World) {
    let what = libc::SOF_TIMESTAMPING_TX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    set_option(&world.fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPING, what as libc::c_int);
    world.write();
}

fn set_option(socket: &impl AsFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) {
    // SAFETY: the option is an integer, which is borrowed for the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// A client of the listener.
pub(crate) fn connect_to_it(world: &mut World) {
    let client: OwnedFd = match world.address {
        Some(address) => {
            let client = net::TcpStream::connect(address).unwrap();
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            client.into()
        }
        None => unix::UnixStream::connect(&world.path).unwrap().into(),
    };
    world.kept.push(client);
}

/// The source connects to a listener.
pub(crate) fn connect(world: &mut World) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let _ = SockRef::from(&world.fd()).connect(&listener.local_addr().unwrap().into());
    world.kept.push(listener.into());
}

pub(crate) fn accept_and_send(world: &mut World) {
    let listener = net::TcpListener::from(world.kept.remove(0));
    world.peer = Some(listener.accept().unwrap().0.into());
    world.send();
}

/// The source connects to an address where no socket listens.
pub(crate) fn connect_to_no_listener(world: &mut World) {
    // Bound and not listening, so that no other has the port.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let _ = SockRef::from(&world.fd()).connect(&socket.local_addr().unwrap());
    world.kept.push(socket.into());
}

fn change_mode(terminal: &OwnedFd, change: impl FnOnce(&mut libc::termios)) {
    let mut mode = std::mem::MaybeUninit::<libc::termios>::uninit();
    // SAFETY: tcgetattr(3) fills the struct for an open terminal.
    assert_eq!(unsafe { libc::tcgetattr(terminal.as_raw_fd(), mode.as_mut_ptr()) }, 0);
    // SAFETY: filled just above.
    let mut mode = unsafe { mode.assume_init() };
    change(&mut mode);
    // SAFETY: the call only reads the struct.
    assert_eq!(unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &mode) }, 0);
}

fn type_in(world: &mut World, text: &[u8]) {
    let peer = world.peer.as_ref().unwrap();
    // The mode is the terminal's, whichever side is asked.
    change_mode(peer, |mode| mode.c_lflag |= libc::ICANON);
    assert_eq!(descriptor::write(peer, text).unwrap(), text.len());
}

pub(crate) fn end_of_input(world: &mut World) {
    type_in(world, b"\x04");
}

pub(crate) fn line(world: &mut World) {
    type_in(world, b"hello\n");
}

pub(crate) fn half_a_line(world: &mut World) {
    type_in(world, b"hel");
}

pub(crate) fn reopen_terminal(world: &mut World) {
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(&world.path)
        .unwrap();
    world.peer = Some(terminal.into());
}

/// The terminal's input is flushed, of which its controller hears in packet mode.
pub(crate) fn packet(world: &mut World) {
    let on: libc::c_int = 1;
    // SAFETY: TIOCPKT reads an integer, which is borrowed for the call.
    assert_eq!(unsafe { libc::ioctl(world.fd().as_raw_fd(), libc::TIOCPKT, &raw const on) }, 0);
    let terminal = world.peer.as_ref().unwrap().as_raw_fd();
    // SAFETY: the call takes integers.
    assert_eq!(unsafe { libc::tcflush(terminal, libc::TCIFLUSH) }, 0);
}

pub(crate) fn expire(world: &mut World) {
    let setting = libc::itimerspec {
        it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: libc::timespec { tv_sec: 0, tv_nsec: 1 },
    };
    let fd = world.fd().as_raw_fd();
    // SAFETY: the setting is borrowed for the call, which reads it.
    assert_eq!(unsafe { libc::timerfd_settime(fd, 0, &setting, std::ptr::null_mut()) }, 0);
}
