//! A descriptor under test, its peer, and what can be done to the two.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use socket2::SockRef;
use wakeful::event::Source;
use wakeful::net::{TcpListener, UnixListener};
use wakeful::unix::FdSource;
use wakeful::{Interest, Registry, Token};
use wakeful_kernel::descriptor;
use wakeful_kernel::poll::{PollFd, poll};
use wakeful_kernel::readiness::Readiness;

use crate::common::subject::{Bare, Endpoint};
use crate::runner::Report;

/// How an operation that ended with zero bytes is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zero {
    /// The end of a stream.
    End,
    /// An empty datagram, after which there may be another.
    Datagram,
}

/// A source, its peer, and what keeps them alive.
pub(crate) struct World {
    pub source: Box<dyn Endpoint>,
    pub peer: Option<OwnedFd>,
    pub zero: Zero,
    /// A FIFO's path, a listener's, or the directory that is watched.
    pub path: PathBuf,
    /// Where the source connects to, or is connected to.
    pub address: Option<SocketAddr>,
    pub kept: Vec<OwnedFd>,
    fd: RawFd,
    _directory: Option<tempfile::TempDir>,
}

impl World {
    pub(crate) fn new(source: impl Endpoint + AsRawFd + 'static, peer: Option<OwnedFd>) -> World {
        World {
            fd: source.as_raw_fd(),
            source: Box::new(source),
            peer,
            zero: Zero::End,
            path: PathBuf::new(),
            address: None,
            kept: Vec::new(),
            _directory: None,
        }
    }

    pub(crate) fn in_directory(mut self, directory: tempfile::TempDir, path: PathBuf) -> World {
        self._directory = Some(directory);
        self.path = path;
        self
    }

    pub(crate) fn at(self, path: PathBuf) -> World {
        World { path, ..self }
    }

    pub(crate) fn connected_to(self, address: SocketAddr) -> World {
        World { address: Some(address), ..self }
    }

    pub(crate) fn of_datagrams(self) -> World {
        World { zero: Zero::Datagram, ..self }
    }

    /// The source's descriptor.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: `source` owns the descriptor, and lives for as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }

    fn peer(&self) -> &OwnedFd {
        self.peer.as_ref().expect("the peer is there")
    }

    pub(crate) fn send(&mut self) {
        assert_eq!(descriptor::write(self.peer(), &1u64.to_ne_bytes()).unwrap(), 8);
    }

    pub(crate) fn send_empty(&mut self) {
        assert_eq!(descriptor::write(self.peer(), &[]).unwrap(), 0);
    }

    pub(crate) fn send_urgent(&mut self) {
        assert_eq!(SockRef::from(self.peer()).send_out_of_band(b"!").unwrap(), 1);
    }

    pub(crate) fn close_peer(&mut self) {
        self.peer = None;
    }

    /// Closes the peer while it has data that it has not read.
    pub(crate) fn close_peer_with_unread_data(&mut self) {
        self.source.write(b"never read").unwrap();
        self.peer = None;
    }

    pub(crate) fn reset_by_peer(&mut self) {
        SockRef::from(self.peer()).set_linger(Some(Duration::ZERO)).unwrap();
        self.peer = None;
    }

    pub(crate) fn half_close_by_peer(&mut self) {
        SockRef::from(self.peer()).shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn shutdown(&mut self, how: Shutdown) {
        SockRef::from(&self.fd()).shutdown(how).unwrap();
    }

    /// Writes one byte; whether that works is of no account.
    pub(crate) fn write(&mut self) {
        let _ = self.source.write(b"x");
    }

    /// Writes until that would block.
    pub(crate) fn fill(&mut self) {
        let chunk = if self.is_event_counter() {
            (u64::MAX - 1).to_ne_bytes().to_vec()
        } else {
            vec![b'x'; 2048]
        };
        while self.source.write(&chunk).is_ok() {}
    }

    fn is_event_counter(&self) -> bool {
        std::fs::read_link(format!("/proc/self/fd/{}", self.fd))
            .is_ok_and(|path| path.to_string_lossy().contains("eventfd"))
    }

    /// The peer reads all there is, until the source has room.
    pub(crate) fn drain_peer(&mut self) {
        let start = Instant::now();
        let mut buffer = [0; 65536];
        while !self.state(Readiness::OUT).contains(Readiness::OUT) {
            assert!(start.elapsed() < super::common::DEADLINE, "it stays full");
            while descriptor::read(self.peer(), &mut buffer).is_ok_and(|count| count == 65536) {}
        }
    }

    /// Reads until there is nothing more, as a program does after an event; errors are taken.
    pub(crate) fn drain(&mut self) {
        let mut buffer = [0; 4096];
        let mut zeros = 0;
        // /dev/zero is never empty.
        for _ in 0..100 {
            match self.source.read(&mut buffer) {
                Ok(0) if self.zero == Zero::End || zeros == MOST_EMPTY => return,
                Ok(0) => zeros += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What is no stream of bytes, or not connected, fails each time.
                Err(error) if !is_pending(&error) => return,
                _ => {}
            }
        }
    }

    /// What poll(2) does not say of the source any more.
    pub(crate) fn is_over(&self) -> Report {
        let holds = self.state(Readiness::IN | Readiness::PRI);
        let all = [
            (Readiness::IN, Report::READABLE),
            (Readiness::PRI, Report::PRIORITY),
            (Readiness::ERR, Report::ERROR),
        ];
        let is_over = all.iter().filter(|(bit, _)| !holds.contains(*bit));
        is_over.fold(Report::empty(), |over, &(_, report)| over | report)
    }

    /// What poll(2) says of the source.
    pub(crate) fn state(&self, interest: Readiness) -> Readiness {
        let mut fds = [PollFd::from_raw(self.fd, interest)];
        poll(&mut fds, Some(Duration::ZERO)).unwrap();
        fds[0].readiness()
    }

    /// Waits until poll(2) says all of this of the source.
    #[track_caller]
    pub(crate) fn settle(&self, wanted: Readiness) {
        let start = Instant::now();
        let asked = Readiness::IN | Readiness::OUT | Readiness::PRI | Readiness::RDHUP;
        while !self.state(asked).contains(wanted) {
            let now = self.state(asked);
            assert!(start.elapsed() < super::common::DEADLINE, "{wanted} never comes, only {now}");
            std::thread::yield_now();
        }
    }

    /// Waits until TCP's answers have come to all that was sent, an end included: each is an edge.
    pub(crate) fn settle_answers(&self) {
        let start = Instant::now();
        while self.is_tcp_stream() && self.unanswered() > 0 && start.elapsed() < LONGEST_ANSWER {
            std::thread::yield_now();
        }
    }

    fn unanswered(&self) -> libc::c_int {
        let mut count = 0;
        // SAFETY: the call writes one integer, which is borrowed for it.
        unsafe { libc::ioctl(self.fd, libc::TIOCOUTQ, &raw mut count) };
        count
    }

    fn is_tcp_stream(&self) -> bool {
        let address = SockRef::from(&self.fd()).peer_addr();
        address.is_ok_and(|address| address.as_socket().is_some())
            && SockRef::from(&self.fd()).r#type().is_ok_and(|kind| kind == socket2::Type::STREAM)
    }

    /// Opens a FIFO's other end.
    pub(crate) fn open_peer(&mut self) {
        let mut options = OpenOptions::new();
        // Linux opens a FIFO for both without waiting for anyone; one end is all that is used.
        let file: File =
            options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&self.path).unwrap();
        self.peer = Some(file.into());
    }
}

/// An answer is put off for 40 ms; none comes from a peer that is gone.
const LONGEST_ANSWER: Duration = Duration::from_millis(200);

/// A socket for datagrams whose reading was shut down yields empty ones without end.
const MOST_EMPTY: usize = 3;

/// An error that one read takes, so that the next may find something.
fn is_pending(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

/// One accepted connection counts as a byte.
macro_rules! listener {
    ($($type:ty),+) => {$(
        impl Endpoint for $type {
            fn read(&self, _: &mut [u8]) -> io::Result<usize> {
                self.accept().map(|_| 1)
            }

            fn write(&self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    )+};
}

listener!(TcpListener, UnixListener);

/// A descriptor of another library's behind our own type.
#[derive(Debug)]
pub(crate) struct Foreign(pub FdSource<OwnedFd>);

impl Foreign {
    pub(crate) fn new(fd: impl Into<OwnedFd>) -> Foreign {
        Foreign(FdSource::new(fd.into()))
    }
}

impl AsRawFd for Foreign {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Endpoint for Foreign {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }
}

impl Source for Foreign {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.0.register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.0.reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.0.deregister(registry)
    }
}

impl AsRawFd for Bare {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
