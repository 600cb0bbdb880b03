//! Ends, errors and exceptions: what an event says of them, on every backend.

#![cfg(unix)]

mod common;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;

use common::subject::{Bare, pseudo_terminal_pair, tcp_pair};
use common::{Loop, every_backend, until_would_block};
use socket2::SockRef;
use wakeful::event::Event;
use wakeful::net::{TcpStream, UdpSocket, UnixStream};
use wakeful::unix::SourceFd;
use wakeful::{Interest, Token, Trigger, pipe};

const TOKEN: Token = Token(7);

every_backend! {
    /// Its writer is gone, which is no error, whatever it is registered for.
    fn the_end_of_a_pipe_is_no_error(backend) {
        for interest in [Interest::READABLE, Interest::READABLE | Interest::WRITABLE] {
            for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot] {
                let (mut sender, mut receiver) = pipe::new().unwrap();
                let mut events = Loop::new(backend);
                let interest = interest.with_trigger(trigger);
                events.registry().register(&mut receiver, TOKEN, interest).unwrap();
                sender.write_all(b"the last words").unwrap();
                drop(sender);
                let event = events.expect(TOKEN, Event::is_read_closed);
                assert!(!event.is_error() && !event.is_writable(), "{interest:?}: {event:?}");
            }
        }
    }

    /// Its reader is gone, which is an error, whatever it is registered for.
    fn a_pipe_without_a_reader_is_an_error(backend) {
        for interest in [Interest::READABLE, Interest::WRITABLE, Interest::PRIORITY, Interest::ERROR] {
            let (mut sender, receiver) = pipe::new().unwrap();
            let mut events = Loop::new(backend);
            events.registry().register(&mut sender, TOKEN, interest).unwrap();
            drop(receiver);
            let event = events.expect(TOKEN, Event::is_error);
            assert!(event.is_write_closed() && !event.is_readable(), "{interest:?}: {event:?}");
        }
    }

    fn half_close_is_read_closed(backend) {
        for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot] {
            let (mut stream, mut peer) = tcp_pair();
            let mut events = Loop::new(backend);
            let interest = Interest::READABLE.with_trigger(trigger);
            events.registry().register(&mut stream, TOKEN, interest).unwrap();
            peer.write_all(b"the last words").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            if trigger == Trigger::Oneshot {
                // The words alone may have been the one event.
                events.expect_readable(TOKEN);
                events.registry().reregister(&mut stream, TOKEN, interest).unwrap();
            }
            let event = events.expect(TOKEN, Event::is_read_closed);
            assert!(event.is_readable() && !event.is_write_closed(), "{event:?}");
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, "the last words");
            assert_eq!((&peer).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            stream.write_all(b"still heard").unwrap();
        }
    }

    fn half_close_after_the_data_was_reported(backend) {
        let (mut stream, mut peer) = tcp_pair();
        let mut events = Loop::new(backend);
        events.registry().register(&mut stream, TOKEN, Interest::READABLE).unwrap();
        peer.write_all(b"x").unwrap();
        events.expect_readable(TOKEN);
        // Not drained: the end is news all the same.
        peer.shutdown(Shutdown::Write).unwrap();
        let event = events.expect(TOKEN, Event::is_read_closed);
        assert!(event.is_readable(), "{event:?}");
    }

    fn full_close_is_both(backend) {
        let (mut stream, peer) = UnixStream::pair().unwrap();
        let mut events = Loop::new(backend);
        let both = Interest::READABLE | Interest::WRITABLE;
        events.registry().register(&mut stream, TOKEN, both).unwrap();
        drop(peer);
        let event = events.expect(TOKEN, |event| event.is_read_closed() && event.is_write_closed());
        assert!(event.is_readable() && event.is_writable(), "{event:?}");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        assert_eq!(stream.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    fn reset_is_an_error(backend) {
        let (mut stream, peer) = tcp_pair();
        let mut events = Loop::new(backend);
        events.registry().register(&mut stream, TOKEN, Interest::ERROR).unwrap();
        events.expect_silence();
        SockRef::from(&peer).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(peer);
        let event = events.expect(TOKEN, Event::is_error);
        assert!(event.is_read_closed() && event.is_write_closed(), "{event:?}");
        assert_eq!(stream.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionReset);
        // Reported once, not again and again.
        events.expect_silence();
    }

    fn refused_connection_is_an_error(backend) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut events = Loop::new(backend);
        let mut stream = TcpStream::connect(address).unwrap();
        events.registry().register(&mut stream, TOKEN, Interest::WRITABLE).unwrap();
        let event = events.expect(TOKEN, Event::is_error);
        assert!(event.is_write_closed(), "{event:?}");
        assert_eq!(stream.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionRefused);
    }

    fn out_of_band_data_is_priority(backend) {
        let (mut stream, peer) = tcp_pair();
        let mut events = Loop::new(backend);
        if !events.poll.capabilities().priority {
            let refused = events.registry().register(&mut stream, TOKEN, Interest::PRIORITY);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
            return;
        }
        events.registry().register(&mut stream, TOKEN, Interest::PRIORITY).unwrap();
        (&peer).write_all(b"ordinary").unwrap();
        events.expect_silence();
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        let event = events.expect(TOKEN, Event::is_priority);
        assert!(event.is_readable(), "{event:?}");
        let mut urgent = [std::mem::MaybeUninit::uninit()];
        SockRef::from(&stream).recv_out_of_band(&mut urgent).unwrap();
    }

    fn priority_comes_again(backend) {
        let (mut stream, peer) = tcp_pair();
        let mut events = Loop::new(backend);
        if !events.poll.capabilities().priority {
            return;
        }
        events.registry().register(&mut stream, TOKEN, Interest::PRIORITY).unwrap();
        let mut urgent = [std::mem::MaybeUninit::uninit()];
        for _ in 0..3 {
            SockRef::from(&peer).send_out_of_band(b"!").unwrap();
            events.expect(TOKEN, Event::is_priority);
            // Taken, and asked for once more: that there is none is not `WouldBlock` here.
            let mut take = || stream.try_io(|| SockRef::from(&stream).recv_out_of_band(&mut urgent));
            assert_eq!(take().unwrap(), 1);
            assert_eq!(take().unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    fn data_after_an_error_is_reported(backend) {
        for look in [take_error, receive] {
            let mut events = Loop::new(backend);
            let bind = |address: &str| UdpSocket::bind(address.parse().unwrap()).unwrap();
            let mut socket = bind("127.0.0.1:0");
            let peer = bind("127.0.0.1:0");
            let (address, peer_address) = (socket.local_addr().unwrap(), peer.local_addr().unwrap());
            socket.connect(peer_address).unwrap();
            events.registry().register(&mut socket, TOKEN, Interest::READABLE).unwrap();
            drop(peer);
            socket.send(b"is anybody there?").unwrap();
            // To kqueue an error is something that a read returns, and no more than that.
            events.expect(TOKEN, |event| event.is_error() || event.is_readable());
            look(&socket);
            let peer = bind(&peer_address.to_string());
            peer.send_to(b"now there is", address).unwrap();
            events.expect_readable(TOKEN);
            assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 12);
        }
    }

    fn pipe_without_reader_is_write_closed(backend) {
        let (mut sender, receiver) = pipe::new().unwrap();
        let mut events = Loop::new(backend);
        events.registry().register(&mut sender, TOKEN, Interest::WRITABLE).unwrap();
        events.expect_writable(TOKEN);
        drop(receiver);
        let event = events.expect(TOKEN, Event::is_write_closed);
        assert!(event.is_error(), "{event:?}");
        assert_eq!(sender.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    fn pipe_without_writer_is_read_closed(backend) {
        let (mut sender, mut receiver) = pipe::new().unwrap();
        let mut events = Loop::new(backend);
        events.registry().register(&mut receiver, TOKEN, Interest::READABLE).unwrap();
        sender.write_all(b"x").unwrap();
        drop(sender);
        events.expect(TOKEN, Event::is_read_closed);
        assert_eq!(receiver.read(&mut [0; 8]).unwrap(), 1);
        assert_eq!(receiver.read(&mut [0; 8]).unwrap(), 0);
    }

    fn hung_up_terminal_is_closed(backend) {
        let (terminal, controller) = pseudo_terminal_pair();
        let mut events = Loop::new(backend);
        let mut controller = Bare(controller);
        events.registry().register(&mut controller, TOKEN, Interest::READABLE).unwrap();
        drop(terminal);
        events.expect(TOKEN, Event::is_read_closed);
        events.expect_silence();
    }

    fn regular_files_and_directories_are_refused(backend) {
        let events = Loop::new(backend);
        if events.poll.capabilities().regular_files {
            return;
        }
        for file in [tempfile::tempfile().unwrap(), File::open("/").unwrap()] {
            let fd = file.as_raw_fd();
            let error = events
                .registry()
                .register(&mut SourceFd(&fd), TOKEN, Interest::READABLE)
                .unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        }
    }

    fn a_regular_file_is_readable_where_it_can_be_registered(backend) {
        let mut events = Loop::new(backend);
        if !events.poll.capabilities().regular_files {
            return;
        }
        let mut file = tempfile::tempfile().unwrap();
        let fd = file.as_raw_fd();
        events.registry().register(&mut SourceFd(&fd), TOKEN, Interest::READABLE).unwrap();
        events.expect_silence();
        file.write_all(b"x").unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = events.registry().reregister(&mut SourceFd(&fd), TOKEN, both);
        if let Err(error) = registered {
            // NetBSD before 10.
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
            return;
        }
        events.expect_readable(TOKEN);
        events.registry().deregister(&mut SourceFd(&fd)).unwrap();
    }

    fn what_is_not_open_is_refused(backend) {
        let events = Loop::new(backend);
        for fd in [-1, i32::MAX] {
            let error = events
                .registry()
                .register(&mut SourceFd(&fd), TOKEN, Interest::READABLE)
                .unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        }
    }

    fn both_ends_of_a_conversation(backend) {
        // Two ends in one poller, each woken by the other, until a megabyte went each way.
        const TOTAL: usize = 1 << 20;
        let (mut left, mut right) = tcp_pair();
        let mut events = Loop::new(backend);
        let both = Interest::READABLE | Interest::WRITABLE;
        events.registry().register(&mut left, Token(0), both).unwrap();
        events.registry().register(&mut right, Token(1), both).unwrap();
        let (mut sent, mut received) = ([0; 2], [0; 2]);
        let start = std::time::Instant::now();
        while received != [TOTAL; 2] {
            assert!(start.elapsed() < common::DEADLINE, "stuck at {sent:?} sent, {received:?} received");
            for event in events.poll(common::DEADLINE) {
                let index = event.token().0;
                let mut stream = [&left, &right][index];
                if event.is_readable() {
                    received[index] += until_would_block(|| stream.read(&mut [0; 4096]));
                }
                if event.is_writable() {
                    while sent[index] < TOTAL {
                        match stream.write(&vec![1; (TOTAL - sent[index]).min(30_000)]) {
                            Ok(count) => sent[index] += count,
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                                break;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Two ways to take note of an error.
fn take_error(socket: &UdpSocket) {
    assert_eq!(socket.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionRefused);
}

fn receive(socket: &UdpSocket) {
    assert_eq!(socket.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn the_kernel_refuses_what_never_blocks() {
    let events = Loop::new(common::best());
    let null = File::open("/dev/null").unwrap();
    let error = events
        .registry()
        .register(&mut SourceFd(&null.as_raw_fd()), TOKEN, Interest::READABLE)
        .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
}
