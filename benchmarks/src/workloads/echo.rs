//! A server of many connections, some of which have something to say: it reads, and sends it back.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;

use anyhow::Result;

use super::sockets::{Kind, RawEpoll, Socket};
use crate::measure::Effort;
use crate::row::Row;

const MESSAGE: &[u8] = &[7; 64];
const BATCH: usize = 256;

/// How many connections there can be, with both ends in this process and three candidates.
fn most(descriptors: usize) -> usize {
    descriptors.saturating_sub(1000) / 6
}

pub(super) fn rows(effort: &Effort, descriptors: usize) -> Vec<Row> {
    let all: &[(usize, &[usize])] =
        &[(1, &[100]), (100, &[1, 10, 100]), (1000, &[1, 10, 100]), (10_000, &[1, 10, 100])];
    let few: &[(usize, &[usize])] = &[(1, &[100]), (100, &[10]), (1000, &[10]), (10_000, &[1])];
    let wanted = if effort.is_full { all } else { few };
    let sizes = wanted.iter().flat_map(|(count, parts)| parts.iter().map(|part| (*count, *part)));
    sizes
        .map(|(count, percent)| row(Size { count: count.min(most(descriptors)).max(1), percent }))
        .collect()
}

#[derive(Clone, Copy)]
struct Size {
    count: usize,
    percent: usize,
}

fn row(size: Size) -> Row {
    let Size { count, percent } = size;
    let name = format!(
        "echo, {count} connection{}, {percent} % active",
        if count == 1 { "" } else { "s" }
    );
    Row::new(name, "message")
        .candidate("wakeful", move || Wakeful::new(size), Wakeful::run)
        .candidate("raw epoll", move || Raw::new(size), Raw::run)
        .candidate("mio", move || Mio::new(size), Mio::run)
        .goal("mio", 1.0)
        .goal("raw epoll", 1.02)
}

/// The other ends, and whose turn it is to speak.
struct Clients {
    ends: Vec<Socket>,
    active: usize,
    speaking: VecDeque<usize>,
    next: usize,
}

impl Clients {
    fn new(size: Size) -> Result<(Clients, Vec<std::os::fd::OwnedFd>)> {
        let mut clients = Clients {
            ends: Vec::new(),
            active: (size.count * size.percent / 100).max(1),
            speaking: VecDeque::new(),
            next: 0,
        };
        let mut servers = Vec::new();
        for _ in 0..size.count {
            let (client, server) = Kind::Unix.pair()?;
            clients.ends.push(client.into());
            servers.push(server);
        }
        Ok((clients, servers))
    }

    /// The active ones say something, as many as are wanted at most.
    fn speak(&mut self, most: usize) -> Result<usize> {
        let count = self.active.min(most);
        for _ in 0..count {
            self.ends[self.next].send(MESSAGE)?;
            self.speaking.push_back(self.next);
            // Scattered, so that they are not neighbours in the kernel's memory.
            self.next = (self.next + 7919) % self.ends.len();
        }
        Ok(count)
    }

    fn listen(&mut self) -> Result<()> {
        let mut buffer = [0; 128];
        while let Some(number) = self.speaking.pop_front() {
            assert_eq!(self.ends[number].receive(&mut buffer)?, MESSAGE.len());
        }
        Ok(())
    }
}

/// Rounds of all active connections, until so many messages were echoed. The server counts what it serves.
fn rounds(
    clients: &mut Clients,
    count: usize,
    mut serve: impl FnMut() -> Result<usize>,
) -> Result<()> {
    let mut done = 0;
    while done < count {
        let mut waiting = clients.speak(count - done)?;
        done += waiting;
        while waiting > 0 {
            waiting -= serve()?;
        }
        clients.listen()?;
    }
    Ok(())
}

struct Wakeful {
    clients: Clients,
    poll: wakeful::Poll,
    events: wakeful::Events,
    servers: Vec<wakeful::Registered<wakeful::net::UnixStream>>,
}

impl Wakeful {
    fn new(size: Size) -> Result<Wakeful> {
        let (clients, servers) = Clients::new(size)?;
        let poll = wakeful::Poll::new()?;
        let servers: Result<_, _> = servers
            .into_iter()
            .enumerate()
            .map(|(number, server)| {
                let server = wakeful::net::UnixStream::from(server);
                let (token, interest) = (wakeful::Token(number), wakeful::Interest::READABLE);
                poll.registry().register_owned(server, token, interest)
            })
            .collect();
        let servers = servers?;
        Ok(Wakeful { clients, poll, events: wakeful::Events::with_capacity(BATCH), servers })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        let mut buffer = [0; 128];
        rounds(&mut self.clients, count, || {
            self.poll.poll(&mut self.events, None)?;
            for event in &self.events {
                let mut server = &*self.servers[event.token().0];
                let length = server.read(&mut buffer)?;
                server.write_all(&buffer[..length])?;
            }
            Ok(self.events.len())
        })
    }
}

struct Raw {
    clients: Clients,
    epoll: RawEpoll,
    servers: Vec<Socket>,
}

impl Raw {
    fn new(size: Size) -> Result<Raw> {
        let (clients, servers) = Clients::new(size)?;
        let epoll = RawEpoll::new(BATCH)?;
        let servers: Vec<Socket> = servers.into_iter().map(Socket::from).collect();
        for (number, server) in servers.iter().enumerate() {
            let events = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET;
            epoll.add(server.as_raw_fd(), events, number as u64)?;
        }
        Ok(Raw { clients, epoll, servers })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        let mut buffer = [0; 128];
        rounds(&mut self.clients, count, || {
            let ready = self.epoll.wait(-1)?;
            for event in &self.epoll.events {
                let server = &self.servers[event.u64 as usize];
                let length = server.receive(&mut buffer)?;
                server.send(&buffer[..length])?;
            }
            Ok(ready)
        })
    }
}

struct Mio {
    clients: Clients,
    poll: mio::Poll,
    events: mio::Events,
    servers: Vec<mio::net::UnixStream>,
}

impl Mio {
    fn new(size: Size) -> Result<Mio> {
        let (clients, servers) = Clients::new(size)?;
        let poll = mio::Poll::new()?;
        let mut servers: Vec<_> =
            servers.into_iter().map(|it| mio::net::UnixStream::from_std(it.into())).collect();
        for (number, server) in servers.iter_mut().enumerate() {
            poll.registry().register(server, mio::Token(number), mio::Interest::READABLE)?;
        }
        Ok(Mio { clients, poll, events: mio::Events::with_capacity(BATCH), servers })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        let mut buffer = [0; 128];
        rounds(&mut self.clients, count, || {
            self.poll.poll(&mut self.events, None)?;
            let mut served = 0;
            for event in &self.events {
                let server = &mut self.servers[event.token().0];
                let length = server.read(&mut buffer)?;
                server.write_all(&buffer[..length])?;
                served += 1;
            }
            Ok(served)
        })
    }
}
