//! An HTTP server on wakeful alone.

use std::io::{self, ErrorKind, Read, Write};

use wakeful::net::{TcpListener, TcpStream};
use wakeful::{Events, Interest, Poll, Registered, Token};

/// As short as an answer can be that browsers understand.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";

const LISTENER: Token = Token(usize::MAX);

struct Connection {
    stream: Registered<TcpStream>,
    buffer: [u8; 1024],
    filled: usize,
}

pub(crate) fn serve() -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(256);
    let listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    println!("{}", listener.local_addr()?.port());
    let listener = poll.registry().register_owned(listener, LISTENER, Interest::READABLE)?;
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    let mut connections: Vec<Option<Connection>> = Vec::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                for connection in listener.accept_all() {
                    let (stream, _) = connection?;
                    stream.set_nodelay(true)?;
                    let token = Token(connections.len());
                    let stream =
                        poll.registry().register_owned(stream, token, Interest::READABLE)?;
                    connections.push(Some(Connection { stream, buffer: [0; 1024], filled: 0 }));
                }
            } else if let Some(place) = connections.get_mut(event.token().0)
                && place.as_mut().is_some_and(|connection| connection.converse().is_err())
            {
                *place = None;
            }
        }
    }
}

impl Connection {
    /// Until what has come was read. A read that fills less than there is room for has drained it.
    fn converse(&mut self) -> io::Result<()> {
        loop {
            let room = self.buffer.len() - self.filled;
            let count = match (&*self.stream).read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.filled += count;
            if self.buffer[..self.filled].ends_with(b"\r\n\r\n") {
                // Short enough for any socket that is read by its other end.
                (&*self.stream).write_all(ANSWER)?;
                self.filled = 0;
            }
            if count < room {
                return Ok(());
            }
        }
    }
}
