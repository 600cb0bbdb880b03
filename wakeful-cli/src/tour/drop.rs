//! The accept-and-drop server: whoever connects is sent away, and hears of it.

use std::io::{self, Read};
use std::net::Ipv4Addr;

use wakeful::event::Event;
use wakeful::net::{TcpListener, TcpStream};
use wakeful::{Interest, Registered};

use super::{Act, Stage};

const LISTENER: usize = 0;
const CLIENT: usize = 1;

struct Drop {
    listener: Registered<TcpListener>,
    client: Registered<TcpStream>,
    dropped: bool,
    ended: bool,
}

pub(super) fn begin(stage: &mut Stage<'_>) -> anyhow::Result<Box<dyn Act>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let token = stage.token(LISTENER);
    let listener = stage.registry.register_owned(listener, token, Interest::READABLE)?;
    let both = Interest::READABLE | Interest::WRITABLE;
    let client = stage.registry.register_owned(client, stage.token(CLIENT), both)?;
    Ok(Box::new(Drop { listener, client, dropped: false, ended: false }))
}

impl Act for Drop {
    fn name(&self) -> &'static str {
        "drop"
    }

    fn promise(&self) -> &'static str {
        "a server that closes what it accepts, and a client that sees the end"
    }

    fn ready(&mut self, event: &Event, source: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        if source == LISTENER {
            for connection in self.listener.accept_all() {
                let (_, address) = connection?;
                stage.say(format_args!("accepted {address}, and closed it"))?;
                self.dropped = true;
            }
        } else if event.is_readable() {
            match self.client.read(&mut [0; 8]) {
                Ok(0) => {
                    stage.say("the client sees the end of the stream")?;
                    self.ended = true;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        } else {
            stage.say(format_args!("the client's event: {event:?}"))?;
        }
        Ok(())
    }

    fn missing(&self) -> String {
        match (self.dropped, self.ended) {
            (false, _) => "the connection".to_owned(),
            (true, false) => "the end of the stream".to_owned(),
            (true, true) => String::new(),
        }
    }
}
