//! Reads that take nothing: what comes after them is reported on every backend.

mod common;

use std::io::{Read, Write};

use common::{Loop, every_backend, until_would_block};
use wakeful::net::{TcpStream, UdpSocket};
use wakeful::{Interest, Token};

const TOKEN: Token = Token(3);

/// Two connected TCP sockets.
fn streams() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    peer.set_nodelay(true).unwrap();
    (TcpStream::from_std(stream), peer)
}

every_backend! {
    fn a_stream_of_which_too_little_was_there(backend) {
        let mut events = Loop::new(backend);
        let (stream, mut peer) = streams();
        let stream = events.registry().register_owned(stream, TOKEN, Interest::READABLE).unwrap();
        let mut buffer = [0; 8];
        for count in 1..=buffer.len() {
            peer.write_all(b"x").unwrap();
            loop {
                // A spurious event may come first.
                events.expect_readable(TOKEN);
                if stream.peek(&mut buffer).unwrap() == count {
                    break;
                }
            }
        }
        (&*stream).read_exact(&mut buffer).unwrap();
        until_would_block(|| (&*stream).read(&mut [0; 8]));
        peer.write_all(b"x").unwrap();
        events.expect_readable(TOKEN);
    }

    fn a_datagram_that_was_left(backend) {
        let mut events = Loop::new(backend);
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.connect(socket.local_addr().unwrap()).unwrap();
        let socket = events.registry().register_owned(socket, TOKEN, Interest::READABLE).unwrap();
        for _ in 0..4 {
            peer.send(b"datagram").unwrap();
            events.expect_readable(TOKEN);
            assert_eq!(socket.peek(&mut [0; 16]).unwrap(), 8);
            assert_eq!(socket.peek_from(&mut [0; 16]).unwrap().0, 8);
        }
        let count = until_would_block(|| socket.recv(&mut [0; 16]));
        assert_eq!(count, 4 * 8);
        peer.send(b"datagram").unwrap();
        events.expect_readable(TOKEN);
    }

    /// It is no end, and drains nothing.
    fn a_read_into_an_empty_buffer(backend) {
        let mut events = Loop::new(backend);
        let (stream, mut peer) = streams();
        let stream = events.registry().register_owned(stream, TOKEN, Interest::READABLE).unwrap();
        for _ in 0..3 {
            peer.write_all(b"x").unwrap();
            events.expect_readable(TOKEN);
            assert_eq!((&*stream).read(&mut []).unwrap(), 0);
            events.expect_silence();
            assert_eq!((&*stream).write(&[]).unwrap(), 0);
            assert_eq!(until_would_block(|| (&*stream).read(&mut [0; 8])), 1);
        }
    }
}
