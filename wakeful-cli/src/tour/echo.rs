//! A TCP listener, and clients that connect, send, and get their bytes back.

use std::io::{self, Read, Write};
use std::net::Ipv4Addr;

use wakeful::event::Event;
use wakeful::net::{TcpListener, TcpStream};
use wakeful::{Interest, Registered};

use super::{Act, Stage};

const CLIENTS: usize = 3;

// Sources: the listener, then the clients, then the servers.
const LISTENER: usize = 0;
const FIRST_CLIENT: usize = 1;
const FIRST_SERVER: usize = FIRST_CLIENT + CLIENTS;

struct Echo {
    listener: Registered<TcpListener>,
    clients: Vec<Client>,
    servers: Vec<Option<Registered<TcpStream>>>,
}

struct Client {
    stream: Registered<TcpStream>,
    message: String,
    sent: bool,
    received: Vec<u8>,
}

pub(super) fn begin(stage: &mut Stage<'_>) -> anyhow::Result<Box<dyn Act>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = listener.local_addr()?;
    let token = stage.token(LISTENER);
    let listener = stage.registry.register_owned(listener, token, Interest::READABLE)?;
    stage.say(format_args!("listening on {address}"))?;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let stream = TcpStream::connect(address)?;
        let token = stage.token(FIRST_CLIENT + number);
        let both = Interest::READABLE | Interest::WRITABLE;
        let stream = stage.registry.register_owned(stream, token, both)?;
        let message = format!("greetings from client {}", number + 1);
        clients.push(Client { stream, message, sent: false, received: Vec::new() });
    }
    Ok(Box::new(Echo { listener, clients, servers: Vec::new() }))
}

impl Act for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn promise(&self) -> &'static str {
        "clients connect over TCP, send, and get their bytes back"
    }

    fn ready(&mut self, event: &Event, source: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        match source {
            LISTENER => self.accept(stage),
            FIRST_CLIENT..FIRST_SERVER => {
                let number = source - FIRST_CLIENT;
                self.clients[number].ready(event, number + 1, stage)
            }
            _ => self.serve(source - FIRST_SERVER, stage),
        }
    }

    fn missing(&self) -> String {
        let done = |client: &&Client| client.received == client.message.as_bytes();
        match CLIENTS - self.clients.iter().filter(done).count() {
            0 => String::new(),
            count => format!("the answers of {count} clients"),
        }
    }
}

impl Echo {
    fn accept(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        for connection in self.listener.accept_all() {
            let (stream, address) = connection?;
            let token = stage.token(FIRST_SERVER + self.servers.len());
            stage.say(format_args!("accepted {address}"))?;
            let stream = stage.registry.register_owned(stream, token, Interest::READABLE)?;
            self.servers.push(Some(stream));
        }
        Ok(())
    }

    /// Sends back what there is, and closes when the client has.
    fn serve(&mut self, number: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        let Some(slot) = self.servers.get_mut(number) else {
            return Ok(());
        };
        let Some(stream) = slot else { return Ok(()) };
        let mut buffer = [0; 256];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => {
                    *slot = None;
                    return Ok(());
                }
                Ok(count) => {
                    stream.write_all(&buffer[..count])?;
                    stage.say(format_args!("{count} bytes go back"))?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Client {
    fn ready(&mut self, event: &Event, number: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        if event.is_writable() && !self.sent {
            if let Some(error) = self.stream.take_error()? {
                return Err(error.into());
            }
            self.stream.write_all(self.message.as_bytes())?;
            self.sent = true;
            stage.say(format_args!("client {number} is connected and sends {:?}", self.message))?;
        }
        if event.is_readable() {
            let mut buffer = [0; 256];
            loop {
                match self.stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
            let text = String::from_utf8_lossy(&self.received).into_owned();
            stage.say(format_args!("client {number} got {text:?} back"))?;
        }
        Ok(())
    }
}
