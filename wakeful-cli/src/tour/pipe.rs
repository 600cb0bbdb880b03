//! A pipe: bytes, then the end.

use std::io::{self, Read, Write};

use wakeful::event::Event;
use wakeful::{Interest, Registered, pipe};

use super::{Act, Stage};

const SENDER: usize = 0;
const RECEIVER: usize = 1;
const MESSAGE: &[u8] = b"through the pipe";

struct Pipe {
    sender: Option<Registered<pipe::Sender>>,
    receiver: Registered<pipe::Receiver>,
    received: Vec<u8>,
    ended: bool,
}

pub(super) fn begin(stage: &mut Stage<'_>) -> anyhow::Result<Box<dyn Act>> {
    let (sender, receiver) = pipe::new()?;
    let sender = stage.registry.register_owned(sender, stage.token(SENDER), Interest::WRITABLE)?;
    let receiver =
        stage.registry.register_owned(receiver, stage.token(RECEIVER), Interest::READABLE)?;
    Ok(Box::new(Pipe { sender: Some(sender), receiver, received: Vec::new(), ended: false }))
}

impl Act for Pipe {
    fn name(&self) -> &'static str {
        "pipe"
    }

    fn promise(&self) -> &'static str {
        "bytes come out of a pipe, and then its end"
    }

    fn ready(&mut self, event: &Event, source: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        if source == SENDER {
            if let Some(mut sender) = self.sender.take() {
                sender.write_all(MESSAGE)?;
                stage.say(format_args!("{} bytes go in, and the sender closes", MESSAGE.len()))?;
            }
            return Ok(());
        }
        let mut buffer = [0; 64];
        loop {
            match self.receiver.read(&mut buffer) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let end = if event.is_read_closed() { ", and the end" } else { "" };
        stage.say(format_args!("{} bytes came out{end}", self.received.len()))?;
        Ok(())
    }

    fn missing(&self) -> String {
        match (self.received == MESSAGE, self.ended) {
            (false, _) => "the bytes".to_owned(),
            (true, false) => "the end".to_owned(),
            (true, true) => String::new(),
        }
    }
}
