//! Edges on every backend, as epoll makes them: of errors, of descriptors that others read, of
//! stale events.

#![cfg(target_os = "linux")]

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::subject::{Bare, Endpoint, pseudo_terminal_pair, tcp_pair};
use common::{DEADLINE, Loop, QUIET, every_backend, until_would_block};
use socket2::{Domain, SockRef, Socket, Type};
use wakeful::event::Event;
use wakeful::net::{TcpStream, UdpSocket, UnixStream};
use wakeful::unix::{FdSource, SourceFd, pipe};
use wakeful::{Backend, Interest, Registered, Token, Trigger};
use wakeful_kernel::descriptor;
use wakeful_kernel::linux::EventFd;

const TOKEN: Token = Token(7);
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// Long enough for the rechecks of a descriptor to become rare, and for a spin to show.
const WHILE: Duration = Duration::from_millis(400);

/// epoll reports once what stays; a few more are allowed, as spurious ones.
const FEW: usize = 8;

/// A socket that sends to a port that is closed, and the port.
fn without_peer() -> (UdpSocket, SocketAddr) {
    let bind = || UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let peer = bind().local_addr().unwrap();
    let socket = bind();
    socket.connect(peer).unwrap();
    (socket, peer)
}

fn set_option(socket: &UdpSocket, level: libc::c_int, option: libc::c_int, value: libc::c_int) {
    let fd = socket.as_raw_fd();
    // SAFETY: the option's value is an int, whose length is given.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), 4) };
    assert_eq!(result, 0);
}

/// Has errors queued, where they stay until the queue is read.
fn queue_errors(socket: &UdpSocket) {
    set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1);
}

/// Has the time queued, as an error, at which each datagram was sent.
fn queue_timestamps(socket: &UdpSocket) {
    let kinds = libc::SOF_TIMESTAMPING_TX_SOFTWARE | libc::SOF_TIMESTAMPING_SOFTWARE;
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, kinds as libc::c_int);
}

/// How many events come while the handler deals with each.
fn count(events: &mut Loop, mut handle: impl FnMut(&Event)) -> usize {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < WHILE {
        for event in events.poll(WHILE / 20) {
            count += 1;
            handle(&event);
        }
    }
    count
}

/// The kernel looks the same, to who reads it, whether or not wakeful sees that.
fn bare_sources() -> Vec<(&'static str, OwnedFd, OwnedFd)> {
    let pipe = pipe::new().unwrap();
    let unix = UnixStream::pair().unwrap();
    let tcp = tcp_pair();
    let eventfd = OwnedFd::from(EventFd::new(0).unwrap());
    let counter = eventfd.try_clone().unwrap();
    let (terminal, controller) = pseudo_terminal_pair();
    let udp = udp_pair();
    let sources = vec![
        ("pipe", pipe.1.into(), pipe.0.into()),
        ("unix stream", unix.0.into(), unix.1.into()),
        ("tcp", tcp.0.into(), tcp.1.into()),
        ("udp", udp.0.into(), udp.1.into()),
        ("eventfd", eventfd, counter),
        ("terminal", terminal, controller),
    ];
    sources.into_iter().inspect(|source| println!("{}", source.0)).collect()
}

fn udp_pair() -> (UdpSocket, UdpSocket) {
    let bind = || UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (left, right) = (bind(), bind());
    left.connect(right.local_addr().unwrap()).unwrap();
    right.connect(left.local_addr().unwrap()).unwrap();
    (left, right)
}

fn drain(fd: &impl AsFd) -> usize {
    until_would_block(|| descriptor::read(fd, &mut [0; 512]))
}

every_backend! {
    /// Whether or not somebody has taken the error, and who only looks at `is_readable` as well.
    fn a_datagram_after_an_error_is_reported(backend) {
        for is_taken in [false, true] {
            let (socket, peer) = without_peer();
            let address = socket.local_addr().unwrap();
            let mut events = Loop::new(backend);
            let socket =
                events.registry().register_owned(socket, TOKEN, Interest::READABLE).unwrap();
            socket.send(b"x").unwrap();
            events.expect(TOKEN, |_| true);
            if is_taken {
                let error = socket.recv(&mut [0; 8]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            }
            let peer = std::net::UdpSocket::bind(peer).unwrap();
            for _ in 0..3 {
                peer.send_to(b"hello", address).unwrap();
                events.expect_readable(TOKEN);
                while socket.recv(&mut [0; 8]).is_ok() {}
            }
        }
    }

    fn an_error_that_stays_does_not_spin(backend) {
        for interest in [Interest::READABLE, BOTH, Interest::ERROR] {
            let (socket, peer) = without_peer();
            let address = socket.local_addr().unwrap();
            queue_errors(&socket);
            let mut events = Loop::new(backend);
            let socket = events.registry().register_owned(socket, TOKEN, interest).unwrap();
            socket.send(b"x").unwrap();
            let receive = |_: &Event| {
                let receive = || socket.recv(&mut [0; 9]).map_err(|error| error.kind());
                while receive() != Err(ErrorKind::WouldBlock) {}
            };
            let count = count(&mut events, receive);
            assert!((1..=FEW).contains(&count), "{interest:?}: {count} events");
            if interest.is_readable() {
                let peer = std::net::UdpSocket::bind(peer).unwrap();
                peer.send_to(b"hello", address).unwrap();
                events.expect_readable(TOKEN);
                assert_eq!(socket.recv(&mut [0; 9]).unwrap(), 5);
            }
        }
    }

    /// Timestamps that nothing reads, and a conversation that goes on.
    fn what_comes_behind_an_error_that_stays(backend) {
        let (left, right) = udp_pair();
        queue_timestamps(&left);
        let mut events = Loop::new(backend);
        let left = events.registry().register_owned(left, TOKEN, BOTH).unwrap();
        for _ in 0..20 {
            left.send(b"ping").unwrap();
            assert_eq!(right.recv(&mut [0; 8]).unwrap(), 4);
            right.send(b"pong").unwrap();
            events.expect_readable(TOKEN);
            assert_eq!(until_would_block(|| left.recv(&mut [0; 8])), 4);
        }
        let count = count(&mut events, |_| {});
        assert!(count <= FEW, "{count} events");
    }

    fn a_pipe_without_reader_does_not_spin(backend) {
        let (sender, receiver) = pipe::new().unwrap();
        let mut events = Loop::new(backend);
        let sender = events.registry().register_owned(sender, TOKEN, Interest::WRITABLE).unwrap();
        events.expect_writable(TOKEN);
        drop(receiver);
        let write = |_: &Event| {
            assert_eq!((*sender).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        };
        let count = count(&mut events, write);
        assert!((1..=FEW).contains(&count), "{count} events");
    }

    /// What cannot be read is not readable.
    fn the_error_of_a_pipe_is_about_writing(backend) {
        if backend == Backend::Kqueue {
            // It reports the directions one by one, and both have ended.
            return;
        }
        let (sender, receiver) = pipe::new().unwrap();
        let mut events = Loop::new(backend);
        let _sender = events.registry().register_owned(sender, TOKEN, BOTH).unwrap();
        events.expect_writable(TOKEN);
        drop(receiver);
        let event = events.expect(TOKEN, Event::is_write_closed);
        assert!(!event.is_readable(), "{event:?}");
    }

    fn an_operation_that_goes_on_failing_does_not_spin(backend) {
        let (left, right) = udp_pair();
        let mut events = Loop::new(backend);
        let left = events.registry().register_owned(left, TOKEN, BOTH).unwrap();
        right.send(b"x").unwrap();
        let fail = |_: &Event| {
            assert!(left.send(&[0; 70_000]).is_err());
            let nothing: io::Result<()> =
                left.try_io_when(Interest::READABLE, || Err(ErrorKind::InvalidInput.into()));
            assert!(nothing.is_err());
        };
        let count = count(&mut events, fail);
        assert!((1..=FEW).contains(&count), "{count} events");
        // It has not been read to this day, which is no reason to miss what comes next.
        until_would_block(|| left.recv(&mut [0; 8]));
        right.send(b"y").unwrap();
        events.expect_readable(TOKEN);
    }

    /// The end of a stream, read after its data.
    fn an_end_is_reported_once(backend) {
        let (left, right) = UnixStream::pair().unwrap();
        let mut events = Loop::new(backend);
        let left = events.registry().register_owned(left, TOKEN, Interest::READABLE).unwrap();
        (&right).write_all(b"last words").unwrap();
        right.shutdown(std::net::Shutdown::Write).unwrap();
        let event = events.expect(TOKEN, Event::is_read_closed);
        assert!(event.is_readable(), "{event:?}");
        assert_eq!((*left).read(&mut [0; 64]).unwrap(), 10);
        assert_eq!((*left).read(&mut [0; 64]).unwrap(), 0);
        events.expect_silence();
    }

    /// No wake-up but for a reason, though everything has been reported and something stays ready.
    fn sources_of_ours_are_not_rechecked(backend) {
        let (left, right) = UnixStream::pair().unwrap();
        let (reader, writer) = pipe::new().unwrap();
        let mut events = Loop::new(backend);
        let left = events.registry().register_owned(left, TOKEN, BOTH).unwrap();
        let _writer = events.registry().register_owned(writer, Token(8), BOTH);
        let _reader = events.registry().register_owned(reader, Token(9), BOTH);
        (&right).write_all(b"x").unwrap();
        events.expect_readable(TOKEN);
        until_would_block(|| (*left).read(&mut [0; 8]));
        (&right).write_all(b"left unread").unwrap();
        events.expect_readable(TOKEN);
        while !events.poll(QUIET).is_empty() {}
        let before = sleeps();
        assert!(events.poll(WHILE).is_empty());
        let sleeps = sleeps() - before;
        assert!(sleeps <= 4, "slept {sleeps} times");
    }

    /// Without a call that arms it: tokio's `AsyncFd` makes none.
    fn a_bare_descriptor_is_reported_after_each_drain(backend) {
        for (name, source, peer) in bare_sources() {
            for interest in [Interest::READABLE, BOTH] {
                let mut events = Loop::new(backend);
                let fd = source.as_raw_fd();
                let registry = events.registry();
                registry.register(&mut SourceFd(&fd), TOKEN, interest).unwrap();
                for round in 0..8 {
                    descriptor::write(&peer, &[1; 8]).unwrap();
                    events.expect_readable(TOKEN);
                    assert_eq!(drain(&source), 8, "{name}, round {round}");
                    if round % 4 == 3 {
                        // Sometimes the poller finds it drained, and sometimes it does not.
                        events.poll(Duration::ZERO);
                    }
                }
                events.registry().deregister(&mut SourceFd(&fd)).unwrap();
            }
        }
    }

    fn a_bare_descriptor_is_reported_after_each_fill(backend) {
        for (name, source, peer) in bare_sources() {
            if name == "pipe" || name == "udp" || name == "eventfd" {
                continue;
            }
            let mut events = Loop::new(backend);
            let fd = source.as_raw_fd();
            events.registry().register(&mut SourceFd(&fd), TOKEN, BOTH).unwrap();
            for _ in 0..5 {
                events.expect_writable(TOKEN);
                let filled = until_would_block(|| descriptor::write(&source, &[b'x'; 4096]));
                let mut taken = 0;
                while taken < filled {
                    taken += descriptor::read(&peer, &mut [0; 65536]).unwrap_or(0);
                }
            }
        }
    }

    fn a_bare_descriptor_that_stays_ready_does_not_spin(backend) {
        for (name, source, peer) in bare_sources() {
            let mut events = Loop::new(backend);
            let fd = source.as_raw_fd();
            descriptor::write(&peer, &[1; 8]).unwrap();
            events.registry().register(&mut SourceFd(&fd), TOKEN, BOTH).unwrap();
            let before = sleeps();
            let count = count(&mut events, |_| {});
            let sleeps = sleeps() - before;
            assert!((1..=FEW).contains(&count), "{name}: {count} events");
            assert!(sleeps < 60, "{name}: slept {sleeps} times");
        }
    }

    /// As fast as the other end writes, which the unread bytes show.
    fn a_bare_pipe_is_read_at_full_speed(backend) {
        let (sender, receiver) = pipe::new().unwrap();
        let receiver = OwnedFd::from(receiver);
        sender.set_nonblocking(false).unwrap();
        let mut events = Loop::new(backend);
        let fd = receiver.as_raw_fd();
        events.registry().register(&mut SourceFd(&fd), TOKEN, Interest::READABLE).unwrap();
        let (all, start) = (8 << 20, Instant::now());
        let thread = thread::spawn(move || (&sender).write_all(&vec![7; all]).unwrap());
        let mut taken = 0;
        while taken < all {
            events.expect_readable(TOKEN);
            let mut buffer = [0; 65536];
            while let Ok(read @ 1..) = descriptor::read(&receiver, &mut buffer) {
                taken += read;
            }
            assert!(start.elapsed() < DEADLINE, "{taken} bytes");
        }
        thread.join().unwrap();
    }

    /// From then on its operations are not seen.
    fn a_source_that_is_given_away_is_rechecked(backend) {
        let (mut sender, mut receiver) = pipe::new().unwrap();
        let mut events = Loop::new(backend);
        events.registry().register(&mut receiver, TOKEN, Interest::READABLE).unwrap();
        sender.write_all(b"x").unwrap();
        events.expect_readable(TOKEN);
        let receiver = OwnedFd::from(receiver);
        for _ in 0..3 {
            assert_eq!(drain(&receiver), 1);
            sender.write_all(b"x").unwrap();
            events.expect_readable(TOKEN);
        }
    }

    fn a_named_pipe_that_is_opened_again(backend) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the name ends with a zero.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let open = |write: bool| {
            use std::os::unix::fs::OpenOptionsExt as _;
            let mut options = std::fs::OpenOptions::new();
            options.read(!write).write(write).custom_flags(libc::O_NONBLOCK);
            OwnedFd::from(options.open(&path).unwrap())
        };
        let mut events = Loop::new(backend);
        let reader = pipe::Receiver::from(open(false));
        let reader =
            events.registry().register_owned(reader, TOKEN, Interest::READABLE).unwrap();
        for _ in 0..3 {
            let writer = open(true);
            descriptor::write(&writer, b"hello").unwrap();
            events.expect_readable(TOKEN);
            assert_eq!((*reader).read(&mut [0; 64]).unwrap(), 5);
            drop(writer);
            events.expect(TOKEN, Event::is_read_closed);
            assert_eq!((*reader).read(&mut [0; 64]).unwrap(), 0);
        }
    }

    /// ^D is an end after which there is more.
    fn a_terminal_after_an_end(backend) {
        let (terminal, controller) = pseudo_terminal_pair();
        // SAFETY: the struct is filled by the first call and read by the second.
        unsafe {
            let mut mode: libc::termios = std::mem::zeroed();
            assert_eq!(libc::tcgetattr(terminal.as_raw_fd(), &raw mut mode), 0);
            mode.c_lflag |= libc::ICANON;
            mode.c_cc[libc::VEOF] = 4;
            assert_eq!(libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &mode), 0);
        }
        let mut events = Loop::new(backend);
        let terminal = FdSource::new(terminal);
        let mut terminal =
            events.registry().register_owned(terminal, TOKEN, Interest::READABLE).unwrap();
        for _ in 0..3 {
            descriptor::write(&controller, &[4]).unwrap();
            events.expect_readable(TOKEN);
            assert_eq!(terminal.read(&mut [0; 64]).unwrap(), 0);
            descriptor::write(&controller, b"line\n").unwrap();
            events.expect_readable(TOKEN);
            assert_eq!(terminal.read(&mut [0; 64]).unwrap(), 5);
        }
    }

    /// Registered before it is connected it hangs up, which ends.
    fn a_socket_that_is_connected_later(backend) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        for is_refused in [false, true] {
            let address = listener.local_addr().unwrap();
            let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let stream = TcpStream::from_std(socket.into());
            let mut events = Loop::new(backend);
            let stream = events.registry().register_owned(stream, TOKEN, BOTH).unwrap();
            let _ = events.poll(QUIET);
            let target = if is_refused { refused } else { address };
            let _ = SockRef::from(&*stream).connect(&target.into());
            if is_refused {
                events.expect(TOKEN, Event::is_error);
                assert!(stream.take_error().unwrap().is_some());
            } else {
                let is_open = |event: &Event| event.is_writable() && !event.is_write_closed();
                events.expect(TOKEN, is_open);
                assert!(stream.peer_addr().is_ok());
            }
        }
    }
}

/// How often this thread has gone to sleep.
fn sleeps() -> usize {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

/// A source that is queued behind another, in a poller with room for one event.
fn behind_another(backend: Backend) -> (Loop, Registered<UnixStream>, UnixStream) {
    let mut events = Loop::with_capacity(backend, 1);
    let (first, peer) = UnixStream::pair().unwrap();
    (&peer).write_all(b"x").unwrap();
    let level = Interest::READABLE.with_trigger(Trigger::Level);
    let first = events.registry().register_owned(first, Token(1), level).unwrap();
    events.expect_readable(Token(1));
    (events, first, peer)
}

every_backend! {
    /// What it drains may have been found by the thread that polls, which has yet to report it.
    fn another_thread_drains(backend) {
        let (left, right) = UnixStream::pair().unwrap();
        let mut events = Loop::new(backend);
        let left = events.registry().register_owned(left, TOKEN, Interest::READABLE).unwrap();
        let (reports, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, flag) = (Arc::clone(&reports), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            while !flag.load(Ordering::SeqCst) {
                counter.fetch_add(events.poll(QUIET).len(), Ordering::SeqCst);
            }
        });
        for round in 0..1000 {
            // Drained sooner or later, often when it was found and not yet reported.
            for delay in 0..4 {
                (&right).write_all(b"x").unwrap();
                for _ in 0..(round * 37 + delay * 1009) % 4000 {
                    std::hint::spin_loop();
                }
                until_would_block(|| (*left).read(&mut [0; 8]));
            }
            thread::sleep(Duration::from_micros(50));
            let before = reports.load(Ordering::SeqCst);
            (&right).write_all(b"x").unwrap();
            let start = Instant::now();
            while reports.load(Ordering::SeqCst) == before {
                assert!(start.elapsed() < DEADLINE, "round {round}");
                thread::yield_now();
            }
            until_would_block(|| (*left).read(&mut [0; 8]));
        }
        is_over.store(true, Ordering::SeqCst);
        thread.join().unwrap();
    }

    /// Ready when it was queued, drained before it was retrieved.
    fn a_stale_event_uses_up_nothing(backend) {
        for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot, Trigger::EdgeOneshot] {
            for is_bare in [false, true] {
                let (mut events, first, _peer) = behind_another(backend);
                let (x, y) = UnixStream::pair().unwrap();
                let interest = Interest::READABLE.with_trigger(trigger);
                let mut x = if is_bare {
                    Box::new(Bare(x.into())) as Box<dyn Endpoint>
                } else {
                    Box::new(x)
                };
                events.registry().register(&mut *x, TOKEN, interest).unwrap();
                (&y).write_all(b"1").unwrap();
                // It is queued behind the other, or even reported before it.
                let first_poll = events.poll(Duration::ZERO);
                let is_reported = first_poll.iter().any(|event| event.token() == TOKEN);
                assert_eq!(until_would_block(|| x.read(&mut [0; 8])), 1);
                drop(first);
                if !is_reported {
                    let stale = events.poll(QUIET);
                    assert!(stale.is_empty(), "{trigger:?}, bare {is_bare}: {stale:?}");
                }
                if is_reported && matches!(trigger, Trigger::Oneshot | Trigger::EdgeOneshot) {
                    continue;
                }
                (&y).write_all(b"2").unwrap();
                events.expect_readable(TOKEN);
            }
        }
    }
}
