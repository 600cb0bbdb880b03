//! The other ends of a server's connections, which say something and hear the answer.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, bail, ensure};

use super::sockets::{Kind, Socket};

const MESSAGE: &[u8] = &[7; 64];
/// For what is no connection: pollers, standard streams, files of the libraries.
const OTHER_DESCRIPTORS: usize = 1000;

/// How many connections there are, and how many of them speak at once.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) count: usize,
    pub(super) percent: usize,
    /// One descriptor table cannot hold both ends of all.
    needs_two_tables: bool,
}

impl Size {
    /// As many as are wanted, if there can be so many descriptors for the server's ends.
    pub(super) fn new(wanted: usize, percent: usize, descriptors: usize) -> Size {
        let most = descriptors.saturating_sub(OTHER_DESCRIPTORS).max(2);
        let most_in_one = most / 2;
        let count = match wanted <= most_in_one || can_have_own_table() {
            true => wanted.min(most),
            false => most_in_one,
        };
        Size { count, percent, needs_two_tables: count > most_in_one }
    }

    pub(super) fn active(self) -> usize {
        (self.count * self.percent / 100).max(1)
    }
}

pub(super) enum Clients {
    /// On the thread of the server.
    Here(Ends),
    /// On a thread with a descriptor table of its own.
    There(Remote),
}

impl Clients {
    /// And the server's ends.
    pub(super) fn new(size: Size) -> Result<(Clients, Vec<Socket>)> {
        if size.needs_two_tables {
            let (remote, servers) = Remote::new(size)?;
            return Ok((Clients::There(remote), servers));
        }
        let mut ends = Ends::default();
        let mut servers = Vec::new();
        for _ in 0..size.count {
            let (client, server) = Kind::Unix.pair()?;
            ends.all.push(client.into());
            servers.push(server.into());
        }
        Ok((Clients::Here(ends), servers))
    }

    /// So many say something.
    pub(super) fn speak(&mut self, count: usize) -> Result<()> {
        match self {
            Clients::Here(ends) => ends.speak(count),
            Clients::There(remote) => remote.order(Order::Speak(count)),
        }
    }

    /// They take the answers.
    pub(super) fn listen(&mut self) -> Result<()> {
        match self {
            Clients::Here(ends) => ends.listen(),
            Clients::There(remote) => remote.order(Order::Listen),
        }
    }
}

/// The sockets, and whose turn it is to speak.
#[derive(Default)]
pub(super) struct Ends {
    all: Vec<Socket>,
    speaking: VecDeque<usize>,
    next: usize,
}

impl Ends {
    fn speak(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.all[self.next].send(MESSAGE)?;
            self.speaking.push_back(self.next);
            // Scattered, so that they are not neighbours in the kernel's memory.
            self.next = (self.next + 7919) % self.all.len();
        }
        Ok(())
    }

    fn listen(&mut self) -> Result<()> {
        let mut buffer = [0; 128];
        while let Some(number) = self.speaking.pop_front() {
            ensure!(self.all[number].receive(&mut buffer)? == MESSAGE.len(), "an answer is short");
        }
        Ok(())
    }
}

/// Gives this thread a descriptor table of its own, a copy of the present one.
fn unshare_descriptors() -> Result<()> {
    // SAFETY: the call takes an integer, and the threads that make it use no descriptor that another opens from then on.
    let result = unsafe { libc::unshare(libc::CLONE_FILES) };
    ensure!(result == 0, "no descriptor table of its own: {}", io::Error::last_os_error());
    Ok(())
}

/// Whether threads can: some sandboxes refuse it. To be called while there is one thread, for which it changes nothing.
fn can_have_own_table() -> bool {
    unshare_descriptors().is_ok()
}

/// On the clients' thread.
fn connect(address: &SocketAddr, count: usize) -> Result<Ends> {
    unshare_descriptors()?;
    let mut ends = Ends::default();
    for number in 0..count {
        let client = UnixStream::connect_addr(address)
            .with_context(|| format!("connection {number} of {count}"))?;
        client.set_nonblocking(true)?;
        ends.all.push(OwnedFd::from(client).into());
    }
    Ok(ends)
}

const GONE: &str = "the clients' thread has ended";

#[derive(Clone, Copy)]
enum Order {
    Speak(usize),
    Listen,
}

pub(super) struct Remote {
    /// None once the thread is to end.
    orders: Option<Sender<Order>>,
    done: Receiver<Result<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Remote {
    fn new(size: Size) -> Result<(Remote, Vec<Socket>)> {
        // Another each time: the thread before may not have closed its copy of the listener yet.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let address = format!("wakeful-benchmarks-{}-{number}", process::id());
        let address = SocketAddr::from_abstract_name(address)?;
        let listener = UnixListener::bind_addr(&address)?;
        let (orders, to_do) = channel();
        let (tell, done) = channel();
        let thread = thread::spawn(move || {
            let mut ends = match connect(&address, size.count) {
                Ok(ends) => ends,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let mut result = Ok(());
            loop {
                if tell.send(result).is_err() {
                    return;
                }
                result = match to_do.recv() {
                    Ok(Order::Speak(count)) => ends.speak(count),
                    Ok(Order::Listen) => ends.listen(),
                    Err(_) => return,
                };
            }
        });
        let remote = Remote { orders: Some(orders), done, thread: Some(thread) };
        let accepted = remote.accept(&listener, size.count);
        if accepted.is_err() {
            // The thread may wait for room in the queue, and has a copy of the descriptor.
            // SAFETY: the descriptor is open as long as the listener lives.
            unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR) };
        }
        Ok((remote, accepted?))
    }

    /// In the order in which they were connected.
    fn accept(&self, listener: &UnixListener, count: usize) -> Result<Vec<Socket>> {
        listener.set_nonblocking(true)?;
        let mut servers = Vec::new();
        let mut is_connected = false;
        while servers.len() < count {
            match listener.accept() {
                Ok((server, _)) => {
                    server.set_nonblocking(true)?;
                    servers.push(OwnedFd::from(server).into());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    ensure!(!is_connected, "{} of {count} connections came", servers.len());
                    is_connected = self.has_connected()?;
                    thread::yield_now();
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !is_connected {
            self.done.recv().context(GONE)??;
        }
        Ok(servers)
    }

    fn has_connected(&self) -> Result<bool> {
        match self.done.try_recv() {
            Ok(result) => result.map(|()| true),
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => bail!(GONE),
        }
    }

    fn order(&mut self, order: Order) -> Result<()> {
        self.orders.as_ref().context(GONE)?.send(order).ok().context(GONE)?;
        self.done.recv().context(GONE)?
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
