//! Short connections: accepted, asked one thing, answered and closed, some at a time. What the server's thread costs.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use super::sockets::Kind;
use crate::clock::Clock;
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    let row = |kind: Kind, at_once: usize, of_mio| {
        let name = format!("short connections, {}, {at_once} at a time", kind.name());
        Row::new(name, "connection")
            .parts(8)
            .measured("wakeful", move || Server::<Wakeful<false>>::new(kind, at_once), Server::run)
            .measured(
                "wakeful, one by one",
                move || Server::<Wakeful<true>>::new(kind, at_once),
                Server::run,
            )
            .measured("mio", move || Server::<Mio>::new(kind, at_once), Server::run)
            .measured("no poller", move || Server::<Blocking>::new(kind, at_once), Server::run)
            .goal("mio", of_mio)
            .remark(
                "by mio as in its own example: accept until it would block, register, read when told to; one by one is a \
                 level trigger and one connection for each event, so that nothing is asked; without a poller the thread calls \
                 accept and waits: less cannot be done for a connection",
            )
    };
    vec![
        row(Kind::Tcp, 1, 0.80),
        row(Kind::Unix, 1, 0.65),
        row(Kind::Tcp, 32, 0.93),
        row(Kind::Unix, 32, 0.85),
    ]
}

#[derive(Clone)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A thread that connects, asks, and waits for the answers.
struct Clients {
    go: Sender<usize>,
    connected: Receiver<()>,
}

impl Clients {
    fn start(address: Address) -> Clients {
        let (go, goes) = channel();
        let (is_connected, connected) = channel();
        thread::spawn(move || {
            let mut ends: Vec<Box<dyn ReadWrite>> = Vec::new();
            for count in goes {
                for mut end in ends.drain(..) {
                    let mut answer = [0; 8];
                    let _ = end.read(&mut answer);
                }
                for _ in 0..count {
                    let mut end: Box<dyn ReadWrite> = match &address {
                        Address::Tcp(address) => Box::new(TcpStream::connect(address).unwrap()),
                        Address::Unix(path) => Box::new(UnixStream::connect(path).unwrap()),
                    };
                    end.write_all(b"?").unwrap();
                    ends.push(end);
                }
                if is_connected.send(()).is_err() {
                    return;
                }
            }
        });
        Clients { go, connected }
    }

    fn connect(&self, count: usize) -> Result<()> {
        self.go.send(count)?;
        Ok(self.connected.recv()?)
    }
}

trait ReadWrite: Read + Write + Send {}

impl<T: Read + Write + Send> ReadWrite for T {}

trait Serve: Sized {
    fn new(kind: Kind, path: PathBuf) -> Result<(Self, Address)>;
    /// Serves so many, whose requests are there.
    fn serve(&mut self, count: usize) -> Result<()>;
}

struct Server<S> {
    serves: S,
    at_once: usize,
    clients: Clients,
    _folder: TempDir,
}

impl<S: Serve> Server<S> {
    fn new(kind: Kind, at_once: usize) -> Result<Server<S>> {
        let folder = tempfile::tempdir()?;
        let (serves, address) = S::new(kind, folder.path().join("socket"))?;
        Ok(Server { serves, at_once, clients: Clients::start(address), _folder: folder })
    }

    /// Only what the server does counts, not that it waits here for the clients to come.
    fn run(&mut self, count: usize) -> Result<Duration> {
        let mut spent = Duration::ZERO;
        let mut left = count;
        while left > 0 {
            let some = self.at_once.min(left);
            self.clients.connect(some)?;
            let before = Clock::Thread.now();
            self.serves.serve(some)?;
            spent += Clock::Thread.now() - before;
            left -= some;
        }
        Ok(spent)
    }
}

/// As wakeful's documentation does it: `accept_all`, and the first read before anything is registered. Or, one by one, with a
/// level trigger.
struct Wakeful<const ONE_BY_ONE: bool> {
    poll: wakeful::Poll,
    events: wakeful::Events,
    listener: Listener,
}

enum Listener {
    Tcp(wakeful::Registered<wakeful::net::TcpListener>),
    Unix(wakeful::Registered<wakeful::net::UnixListener>),
}

fn answer(stream: &mut (impl Read + Write)) -> Result<()> {
    let mut request = [0; 8];
    assert_eq!(stream.read(&mut request)?, 1);
    Ok(stream.write_all(b"!")?)
}

impl<const ONE_BY_ONE: bool> Serve for Wakeful<ONE_BY_ONE> {
    fn new(kind: Kind, path: PathBuf) -> Result<(Self, Address)> {
        let poll = wakeful::Poll::new()?;
        let trigger = if ONE_BY_ONE { wakeful::Trigger::Level } else { wakeful::Trigger::Edge };
        let token = wakeful::Token(0);
        let interest = wakeful::Interest::READABLE.with_trigger(trigger);
        let (listener, address) = match kind {
            Kind::Tcp => {
                let listener = wakeful::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
                let address = Address::Tcp(listener.local_addr()?);
                (Listener::Tcp(poll.registry().register_owned(listener, token, interest)?), address)
            }
            Kind::Unix => {
                let listener = wakeful::net::UnixListener::bind(&path)?;
                let address = Address::Unix(path);
                (
                    Listener::Unix(poll.registry().register_owned(listener, token, interest)?),
                    address,
                )
            }
        };
        Ok((Wakeful { poll, events: wakeful::Events::with_capacity(64), listener }, address))
    }

    fn serve(&mut self, count: usize) -> Result<()> {
        let at_most = if ONE_BY_ONE { 1 } else { usize::MAX };
        let mut served = 0;
        while served < count {
            self.poll.poll(&mut self.events, None)?;
            match &self.listener {
                Listener::Tcp(listener) => {
                    for connection in listener.accept_all().take(at_most) {
                        answer(&mut connection?.0)?;
                        served += 1;
                    }
                }
                Listener::Unix(listener) => {
                    for connection in listener.accept_all().take(at_most) {
                        answer(&mut connection?.0)?;
                        served += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

/// By calls that block, each of which finds what it waits for: what every server has to do.
enum Blocking {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Serve for Blocking {
    fn new(kind: Kind, path: PathBuf) -> Result<(Blocking, Address)> {
        Ok(match kind {
            Kind::Tcp => {
                let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                let address = Address::Tcp(listener.local_addr()?);
                (Blocking::Tcp(listener), address)
            }
            Kind::Unix => {
                let listener = std::os::unix::net::UnixListener::bind(&path)?;
                (Blocking::Unix(listener), Address::Unix(path))
            }
        })
    }

    fn serve(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            match self {
                Blocking::Tcp(listener) => answer(&mut listener.accept()?.0)?,
                Blocking::Unix(listener) => answer(&mut listener.accept()?.0)?,
            }
        }
        Ok(())
    }
}

/// As mio's own example of a server does it: accept until it would block, register, and read when told to.
struct Mio {
    poll: mio::Poll,
    events: mio::Events,
    listener: MioListener,
    streams: Vec<Option<MioStream>>,
}

enum MioListener {
    Tcp(mio::net::TcpListener),
    Unix(mio::net::UnixListener),
}

enum MioStream {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

const LISTENER: mio::Token = mio::Token(usize::MAX);

impl MioListener {
    fn accept(&self) -> std::io::Result<MioStream> {
        match self {
            MioListener::Tcp(listener) => {
                listener.accept().map(|(stream, _)| MioStream::Tcp(stream))
            }
            MioListener::Unix(listener) => {
                listener.accept().map(|(stream, _)| MioStream::Unix(stream))
            }
        }
    }
}

impl Serve for Mio {
    fn new(kind: Kind, path: PathBuf) -> Result<(Mio, Address)> {
        let poll = mio::Poll::new()?;
        let interest = mio::Interest::READABLE;
        let (listener, address) = match kind {
            Kind::Tcp => {
                let mut listener = mio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
                poll.registry().register(&mut listener, LISTENER, interest)?;
                let address = Address::Tcp(listener.local_addr()?);
                (MioListener::Tcp(listener), address)
            }
            Kind::Unix => {
                let mut listener = mio::net::UnixListener::bind(&path)?;
                poll.registry().register(&mut listener, LISTENER, interest)?;
                (MioListener::Unix(listener), Address::Unix(path))
            }
        };
        let events = mio::Events::with_capacity(64);
        Ok((Mio { poll, events, listener, streams: Vec::new() }, address))
    }

    fn serve(&mut self, count: usize) -> Result<()> {
        let interest = mio::Interest::READABLE;
        let mut served = 0;
        while served < count {
            self.poll.poll(&mut self.events, None)?;
            for event in &self.events {
                if event.token() == LISTENER {
                    loop {
                        match self.listener.accept() {
                            Ok(mut stream) => {
                                let token = mio::Token(self.streams.len());
                                let registry = self.poll.registry();
                                match &mut stream {
                                    MioStream::Tcp(it) => registry.register(it, token, interest)?,
                                    MioStream::Unix(it) => {
                                        registry.register(it, token, interest)?
                                    }
                                }
                                self.streams.push(Some(stream));
                            }
                            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                            Err(error) => return Err(error.into()),
                        }
                    }
                } else if let Some(mut stream) = self.streams[event.token().0].take() {
                    let registry = self.poll.registry();
                    match &mut stream {
                        MioStream::Tcp(it) => {
                            answer(it)?;
                            registry.deregister(it)?;
                        }
                        MioStream::Unix(it) => {
                            answer(it)?;
                            registry.deregister(it)?;
                        }
                    }
                    served += 1;
                }
            }
        }
        self.streams.clear();
        Ok(())
    }
}
