use std::io::{ErrorKind, Read, Write};

use wakeful::net::TcpStream;

use super::service::{Context, Drive, Service};

/// One buffer serves all connections: a connection keeps only what it could not send.
const BUFFER: usize = 64 * 1024;

/// So many reads in a row, then it is the others' turn.
const SHARE: usize = 8;

/// Sends back what comes.
pub(super) struct Echo {
    buffer: Box<[u8]>,
}

impl Echo {
    pub(super) fn new() -> Echo {
        Echo { buffer: vec![0; BUFFER].into() }
    }
}

#[derive(Default)]
pub(super) struct State {
    /// Read, and yet to be sent. While there is some, nothing more is read.
    unsent: Box<[u8]>,
    /// The client has sent all it had to send.
    ended: bool,
}

impl Service for Echo {
    type State = State;

    fn open(&mut self) -> State {
        State::default()
    }

    fn drive(
        &mut self,
        mut stream: &TcpStream,
        state: &mut State,
        context: &mut Context<'_>,
    ) -> Drive {
        for _ in 0..SHARE {
            let unsent = std::mem::take(&mut state.unsent);
            match send(stream, &unsent, context) {
                Sent::All => {}
                Sent::Rest(rest) => {
                    state.unsent = rest.into();
                    return Drive::Write;
                }
                Sent::Failed => return Drive::Close,
            }
            if state.ended {
                return Drive::Close;
            }
            match stream.read(&mut self.buffer) {
                Ok(0) => state.ended = true,
                Ok(count) => {
                    context.statistics.received += count as u64;
                    match send(stream, &self.buffer[..count], context) {
                        Sent::All => {}
                        Sent::Rest(rest) => state.unsent = rest.into(),
                        Sent::Failed => return Drive::Close,
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // All that has come was sent back, so this is a good moment to part.
                    return if context.stopping { Drive::Close } else { Drive::Read };
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Drive::Close,
            }
        }
        Drive::Again
    }
}

enum Sent<'bytes> {
    All,
    Rest(&'bytes [u8]),
    Failed,
}

fn send<'bytes>(
    mut stream: &TcpStream,
    mut bytes: &'bytes [u8],
    context: &mut Context<'_>,
) -> Sent<'bytes> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => {
                context.statistics.sent += count as u64;
                bytes = bytes.get(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Rest(bytes),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Sent::Failed,
        }
    }
    Sent::All
}
