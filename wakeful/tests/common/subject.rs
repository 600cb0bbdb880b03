//! One of each kind of source, with what makes it ready and what makes it not.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use wakeful::event::Source;
use wakeful::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};
use wakeful::pipe;
use wakeful::unix::SourceFd;
use wakeful::{Interest, Registry, Token};
use wakeful_kernel::descriptor;
#[cfg(target_os = "linux")]
use wakeful_kernel::linux::EventFd;

use super::until_would_block;

/// A source under test: `source` is registered, `peer` acts on it.
pub struct Subject {
    pub name: &'static str,
    pub source: Box<dyn Endpoint>,
    pub peer: Box<dyn Endpoint>,
    /// A full one can be told from one with room: not so for UDP, which drops.
    pub fills: bool,
    pub reads: bool,
    pub writes: bool,
}

/// Something that can be registered, read and written.
pub trait Endpoint: Source + Send {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// wakeful cannot see when it is drained.
    fn is_bare(&self) -> bool {
        false
    }
}

impl Subject {
    /// The peer makes the source readable.
    pub fn make_readable(&self) {
        assert!(self.peer.write(&1u64.to_ne_bytes()).unwrap() > 0);
    }

    /// Reads until `WouldBlock`.
    pub fn drain(&self) {
        until_would_block(|| self.source.read(&mut [0; 65536]));
    }

    /// Writes until `WouldBlock`.
    pub fn fill(&self) {
        until_would_block(|| self.source.write(&chunk(self.name)));
    }

    /// The peer takes it all away again.
    pub fn make_writable(&self) {
        // What a socket has sent may still be on its way to the peer.
        for _ in 0..20 {
            until_would_block(|| self.peer.read(&mut [0; 65536]));
            std::thread::yield_now();
        }
    }

    /// What a user of a bare descriptor owes after draining or filling an edge-triggered one.
    pub fn rearm_if_bare(&mut self, registry: &Registry, token: Token, interest: Interest) {
        if self.source.is_bare() {
            registry.reregister(&mut *self.source, token, interest).unwrap();
        }
    }

    pub fn all() -> Vec<Subject> {
        vec![
            tcp(),
            udp(),
            unix_stream(),
            unix_datagram(),
            pipe_receiver(),
            pipe_sender(),
            pseudo_terminal(),
            #[cfg(target_os = "linux")]
            event_counter(),
        ]
    }
}

/// An eventfd takes numbers of eight bytes; two of these fill it.
fn chunk(name: &str) -> Vec<u8> {
    if name == "eventfd" { (u64::MAX - 1).to_ne_bytes().to_vec() } else { vec![b'x'; 1024] }
}

macro_rules! endpoint {
    ($($type:ty: $read:expr, $write:expr;)+) => {$(
        impl Endpoint for $type {
            fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                let read: fn(&$type, &mut [u8]) -> io::Result<usize> = $read;
                read(self, buffer)
            }

            fn write(&self, bytes: &[u8]) -> io::Result<usize> {
                let write: fn(&$type, &[u8]) -> io::Result<usize> = $write;
                write(self, bytes)
            }
        }
    )+};
}

fn no(_: &mut [u8]) -> io::Result<usize> {
    Err(io::ErrorKind::WouldBlock.into())
}

endpoint! {
    TcpStream: |mut s, b| Read::read(&mut s, b), |mut s, b| Write::write(&mut s, b);
    UnixStream: |mut s, b| Read::read(&mut s, b), |mut s, b| Write::write(&mut s, b);
    UdpSocket: |s, b| s.recv(b), |s, b| s.send(b);
    UnixDatagram: |s, b| s.recv(b), |s, b| s.send(b);
    pipe::Receiver: |mut s, b| Read::read(&mut s, b), |_, _| no(&mut []);
    pipe::Sender: |_, b| no(b), |mut s, b| Write::write(&mut s, b);
}

/// A descriptor of somebody else's.
#[derive(Debug)]
pub struct Bare(pub OwnedFd);

impl Source for Bare {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).deregister(registry)
    }
}

impl Endpoint for Bare {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        descriptor::read(&self.0, buffer)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        descriptor::write(&self.0, bytes)
    }

    fn is_bare(&self) -> bool {
        true
    }
}

fn both_ways(
    name: &'static str,
    source: impl Endpoint + 'static,
    peer: impl Endpoint + 'static,
) -> Subject {
    let (source, peer) = (Box::new(source), Box::new(peer));
    Subject { name, source, peer, fills: true, reads: true, writes: true }
}

/// Two connected TCP sockets.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let left = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (right, _) = listener.accept().unwrap();
    for stream in [&left, &right] {
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    (TcpStream::from_std(left), TcpStream::from_std(right))
}

pub fn tcp() -> Subject {
    let (source, peer) = tcp_pair();
    both_ways("tcp", source, peer)
}

pub fn udp() -> Subject {
    let bind = || UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (source, peer) = (bind(), bind());
    source.connect(peer.local_addr().unwrap()).unwrap();
    peer.connect(source.local_addr().unwrap()).unwrap();
    Subject { fills: false, ..both_ways("udp", source, peer) }
}

pub fn unix_stream() -> Subject {
    let (source, peer) = UnixStream::pair().unwrap();
    both_ways("unix stream", source, peer)
}

pub fn unix_datagram() -> Subject {
    let (source, peer) = UnixDatagram::pair().unwrap();
    // Elsewhere a receiver without room is `ENOBUFS`, and its sender stays writable.
    let fills = cfg!(any(target_os = "linux", target_os = "illumos", target_os = "solaris"));
    Subject { fills, ..both_ways("unix datagram", source, peer) }
}

pub fn pipe_receiver() -> Subject {
    let (sender, receiver) = pipe::new().unwrap();
    Subject { writes: false, ..both_ways("pipe receiver", receiver, sender) }
}

pub fn pipe_sender() -> Subject {
    let (sender, receiver) = pipe::new().unwrap();
    Subject { reads: false, ..both_ways("pipe sender", sender, receiver) }
}

/// The two sides of a pseudo-terminal in raw mode: (terminal, controller).
pub fn pseudo_terminal_pair() -> (OwnedFd, OwnedFd) {
    let (mut controller, mut terminal) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: two integers are written; the optional arguments are absent.
    let result =
        unsafe { libc::openpty(&mut controller, &mut terminal, null, null.cast(), null.cast()) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
    // SAFETY: openpty(3) succeeded, so both are open and nothing else owns them.
    let fds = [terminal, controller].map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    let mut mode = std::mem::MaybeUninit::<libc::termios>::uninit();
    // SAFETY: tcgetattr(3) fills the struct for an open terminal.
    assert_eq!(unsafe { libc::tcgetattr(terminal, mode.as_mut_ptr()) }, 0);
    // SAFETY: filled just above.
    let mut mode = unsafe { mode.assume_init() };
    // SAFETY: both calls only read or write the struct.
    unsafe { libc::cfmakeraw(&mut mode) };
    // SAFETY: as above.
    assert_eq!(unsafe { libc::tcsetattr(terminal, libc::TCSANOW, &mode) }, 0);
    for fd in &fds {
        descriptor::set_nonblocking(fd.as_fd(), true).unwrap();
    }
    let [terminal, controller] = fds;
    (terminal, controller)
}

pub fn pseudo_terminal() -> Subject {
    let (terminal, controller) = pseudo_terminal_pair();
    both_ways("pseudo-terminal", Bare(controller), Bare(terminal))
}

#[cfg(target_os = "linux")]
pub fn event_counter() -> Subject {
    let source = OwnedFd::from(EventFd::new(0).unwrap());
    let peer = source.try_clone().unwrap();
    both_ways("eventfd", Bare(source), Bare(peer))
}
