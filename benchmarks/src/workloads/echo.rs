//! A server of many connections, some of which have something to say: it reads, and sends it back.

use std::cell::RefCell;
use std::os::fd::AsRawFd;
use std::rc::{Rc, Weak};
use std::time::Duration;

use anyhow::Result;

use super::clients::{Clients, Size};
use super::sockets::{RawEpoll, Socket};
use crate::clock::Clock;
use crate::measure::Effort;
use crate::row::Row;

const BATCH: usize = 256;

pub(super) fn rows(effort: &Effort, descriptors: usize) -> Vec<Row> {
    let all: &[(usize, &[usize])] =
        &[(1, &[100]), (100, &[1, 10, 100]), (1000, &[1, 10, 100]), (10_000, &[1, 10, 100])];
    let few: &[(usize, &[usize])] = &[(1, &[100]), (100, &[10]), (1000, &[10]), (10_000, &[1])];
    let wanted = if effort.is_full { all } else { few };
    let sizes = wanted.iter().flat_map(|(count, parts)| parts.iter().map(|part| (*count, *part)));
    sizes.map(|(count, percent)| row(Size::new(count, percent, descriptors))).collect()
}

fn row(size: Size) -> Row {
    let Size { count, percent, .. } = size;
    let name = format!(
        "echo, {count} connection{}, {percent} % active",
        if count == 1 { "" } else { "s" }
    );
    let shared = Rc::new(RefCell::new(Weak::new()));
    fn candidate<P: Poller + 'static>(
        row: Row,
        name: &'static str,
        shared: &Rc<RefCell<Weak<Connections>>>,
        size: Size,
    ) -> Row {
        let shared = Rc::clone(shared);
        let set_up = move || Connections::shared(&shared, size);
        row.measured(name, set_up, |connections, count| connections.echo::<P>(count))
    }
    let row = Row::new(name, "message").parts(8);
    let row = candidate::<Wakeful>(row, "wakeful", &shared, size);
    let row = candidate::<Raw>(row, "raw epoll", &shared, size);
    candidate::<Mio>(row, "mio", &shared, size).goal("mio", 1.0).goal("raw epoll", 1.02).remark(
        "the same three system calls by all; a poll of wakeful is some fifty instructions longer than mio's, as in ping-pong",
    )
}

/// The same for all candidates, so that the kernel's memory of them lies where it lies for all.
struct Connections {
    clients: RefCell<Clients>,
    active: usize,
    servers: Vec<Socket>,
}

impl Connections {
    fn shared(place: &RefCell<Weak<Connections>>, size: Size) -> Result<Rc<Connections>> {
        if let Some(connections) = place.borrow().upgrade() {
            return Ok(connections);
        }
        let (clients, servers) = Clients::new(size)?;
        let (clients, active) = (RefCell::new(clients), size.active());
        let connections = Rc::new(Connections { clients, active, servers });
        *place.borrow_mut() = Rc::downgrade(&connections);
        Ok(connections)
    }

    /// So many messages, and what they cost. By a new poller each time, because where its memory happens to lie
    /// can make a difference of 7 %.
    fn echo<P: Poller>(&self, count: usize) -> Result<Duration> {
        let mut poller = P::new()?;
        for (number, server) in self.servers.iter().enumerate() {
            poller.register(server, number)?;
        }
        let mut clients = self.clients.borrow_mut();
        // Once before it counts: what has just been registered is far from the processor.
        rounds(&mut clients, self.active, self.active, || poller.serve(&self.servers))?;
        let before = Clock::Thread.now();
        rounds(&mut clients, self.active, count, || poller.serve(&self.servers))?;
        let spent = Clock::Thread.now() - before;
        for server in &self.servers {
            poller.deregister(server)?;
        }
        Ok(spent)
    }
}

/// The part in which the candidates differ.
trait Poller: Sized {
    fn new() -> Result<Self>;
    fn register(&mut self, server: &Socket, number: usize) -> Result<()>;
    fn deregister(&mut self, server: &Socket) -> Result<()>;
    /// Waits, and answers whoever said something. How many.
    fn serve(&mut self, servers: &[Socket]) -> Result<usize>;
}

fn answer(server: &Socket) -> Result<()> {
    let mut buffer = [0; 128];
    let length = server.receive(&mut buffer)?;
    server.send(&buffer[..length])
}

/// Rounds of all active connections, until so many messages were echoed. The server counts what it serves.
fn rounds(
    clients: &mut Clients,
    active: usize,
    count: usize,
    mut serve: impl FnMut() -> Result<usize>,
) -> Result<()> {
    let mut done = 0;
    while done < count {
        let mut waiting = active.min(count - done);
        clients.speak(waiting)?;
        done += waiting;
        while waiting > 0 {
            waiting -= serve()?;
        }
        clients.listen()?;
    }
    Ok(())
}

struct Wakeful(wakeful::Poll, wakeful::Events);

impl Poller for Wakeful {
    fn new() -> Result<Wakeful> {
        Ok(Wakeful(wakeful::Poll::new()?, wakeful::Events::with_capacity(BATCH)))
    }

    fn register(&mut self, server: &Socket, number: usize) -> Result<()> {
        let (fd, token) = (server.as_raw_fd(), wakeful::Token(number));
        let mut source = wakeful::unix::SourceFd(&fd);
        Ok(self.0.registry().register(&mut source, token, wakeful::Interest::READABLE)?)
    }

    fn deregister(&mut self, server: &Socket) -> Result<()> {
        Ok(self.0.registry().deregister(&mut wakeful::unix::SourceFd(&server.as_raw_fd()))?)
    }

    fn serve(&mut self, servers: &[Socket]) -> Result<usize> {
        self.0.poll(&mut self.1, None)?;
        for event in &self.1 {
            answer(&servers[event.token().0])?;
        }
        Ok(self.1.len())
    }
}

struct Raw(RawEpoll);

impl Poller for Raw {
    fn new() -> Result<Raw> {
        Ok(Raw(RawEpoll::new(BATCH)?))
    }

    fn register(&mut self, server: &Socket, number: usize) -> Result<()> {
        let events = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
        self.0.add(server.as_raw_fd(), events, number as u64)
    }

    fn deregister(&mut self, server: &Socket) -> Result<()> {
        self.0.control(libc::EPOLL_CTL_DEL, server.as_raw_fd(), 0, 0)
    }

    fn serve(&mut self, servers: &[Socket]) -> Result<usize> {
        let ready = self.0.wait(-1)?;
        for event in &self.0.events {
            answer(&servers[event.u64 as usize])?;
        }
        Ok(ready)
    }
}

struct Mio(mio::Poll, mio::Events);

impl Poller for Mio {
    fn new() -> Result<Mio> {
        Ok(Mio(mio::Poll::new()?, mio::Events::with_capacity(BATCH)))
    }

    fn register(&mut self, server: &Socket, number: usize) -> Result<()> {
        let (fd, token) = (server.as_raw_fd(), mio::Token(number));
        let mut source = mio::unix::SourceFd(&fd);
        Ok(self.0.registry().register(&mut source, token, mio::Interest::READABLE)?)
    }

    fn deregister(&mut self, server: &Socket) -> Result<()> {
        Ok(self.0.registry().deregister(&mut mio::unix::SourceFd(&server.as_raw_fd()))?)
    }

    fn serve(&mut self, servers: &[Socket]) -> Result<usize> {
        self.0.poll(&mut self.1, None)?;
        let mut served = 0;
        for event in &self.1 {
            answer(&servers[event.token().0])?;
            served += 1;
        }
        Ok(served)
    }
}
