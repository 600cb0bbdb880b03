//! A server under test, and a crowd of clients on one thread.
#![allow(dead_code, unreachable_pub, missing_docs, missing_debug_implementations)]

pub mod waiting;

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use wakeful::net::TcpStream;
use wakeful::{Events, Interest, Poll, Registered, Token};
use wakeful_kernel::linux::PidFd;
use wakeful_testing::{Isolated, Running};

/// Nothing in a test lasts longer.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub fn wakeful() -> Command {
    Command::new(env!("CARGO_BIN_EXE_wakeful"))
}

/// A running `wakeful serve`; killed if the test fails.
pub struct Server {
    child: Running,
    output: BufReader<ChildStdout>,
    pub address: SocketAddr,
    pub banner: String,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Server {
        Server::start_with(&mut wakeful(), arguments)
    }

    pub fn start_with(command: &mut Command, arguments: &[&str]) -> Server {
        let mut child = command
            .arg("serve")
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .start();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        let watched = watch_over(&child);
        output.read_line(&mut banner).unwrap();
        drop(watched);
        let address = banner
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .unwrap_or_else(|| panic!("no address in {banner:?}"));
        Server { child, output, address, banner }
    }

    pub fn signal(&self, signal: libc::c_int) {
        let process = PidFd::open(self.child.id()).unwrap();
        process.send_signal(signal).unwrap();
    }

    /// Waits for the end; answers with the status and what was printed.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let _watched = watch_over(&self.child);
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap(), text)
    }

    /// ^C, then as [`wait`](Server::wait).
    pub fn stop(self) -> (ExitStatus, String) {
        self.signal(libc::SIGINT);
        self.wait()
    }
}

/// Kills the child if what is returned still lives at the deadline, so that whoever reads from the
/// child or waits for it comes to an end.
pub fn watch_over(child: &Child) -> mpsc::Sender<()> {
    let (alive, ended) = mpsc::channel();
    let process = PidFd::open(child.id()).unwrap();
    thread::spawn(move || {
        if ended.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("the process did not end in time, and is killed");
            let _ = process.send_signal(libc::SIGKILL);
        }
    });
    alive
}

/// Runs a command to its end, but not for ever; answers with its status and its two outputs.
pub fn run(command: &mut Command) -> (ExitStatus, String, String) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).start();
    let _watched = watch_over(&child);
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (sender, errors) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        sender.send(text).unwrap();
    });
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    let status = child.wait().unwrap();
    (status, text, errors.recv_timeout(DEADLINE).unwrap())
}

/// One client of the crowd: sends its request, and reads.
struct Client {
    stream: Registered<TcpStream>,
    request: Vec<u8>,
    sent: usize,
    received: Vec<u8>,
    connected: bool,
    over: bool,
}

/// Connects `count` clients at once, has each send its request, and reads until `is_done` is content
/// with what it received, or the server has closed. `all_connected` is called in between, once all
/// connections stand and before anything is sent. Answers with what each received.
pub fn crowd(
    address: SocketAddr,
    count: usize,
    request: impl Fn(usize) -> Vec<u8>,
    is_done: impl Fn(usize, &[u8]) -> bool,
    mut all_connected: impl FnMut(),
) -> Vec<Vec<u8>> {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(256);
    let both = Interest::READABLE | Interest::WRITABLE;
    let mut clients: Vec<Client> = Vec::with_capacity(count);
    let mut connected = 0;
    let mut over = 0;
    let end = Instant::now() + DEADLINE;
    while over < count {
        // In waves, so that the listener's queue is never full.
        while clients.len() < count && clients.len() < connected + 1000 {
            let stream = TcpStream::connect(address).unwrap();
            let token = Token(clients.len());
            let stream = poll.registry().register_owned(stream, token, both).unwrap();
            let request = request(clients.len());
            clients.push(Client {
                stream,
                request,
                sent: 0,
                received: Vec::new(),
                connected: false,
                over: false,
            });
        }
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "{connected} connected, {over} over of {count}");
        poll.poll(&mut events, Some(left)).unwrap();
        for event in &events {
            let Token(index) = event.token();
            let client = &mut clients[index];
            if connected < count {
                // The first event is that of the connection.
                assert!(client.stream.take_error().unwrap().is_none(), "client {index} refused");
                connected += usize::from(!std::mem::replace(&mut client.connected, true));
                if connected == count {
                    all_connected();
                    for (index, client) in clients.iter_mut().enumerate() {
                        over += usize::from(client.proceed(|received| is_done(index, received)));
                    }
                }
            } else {
                over += usize::from(client.proceed(|received| is_done(index, received)));
            }
        }
    }
    clients.into_iter().map(|client| client.received).collect()
}

impl Client {
    /// Whether it is over now, and was not before.
    fn proceed(&mut self, is_done: impl Fn(&[u8]) -> bool) -> bool {
        if self.over {
            return false;
        }
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.over = true,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
            if self.over {
                break;
            }
        }
        self.over |= is_done(&self.received);
        self.over
    }
}

/// As many connections as the limit of open files allows, ten thousand at most.
pub fn many() -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    usize::try_from(limit).unwrap().saturating_sub(100).min(10_000)
}

/// A blocking connection that gives up after the deadline.
pub fn connect(address: SocketAddr) -> std::net::TcpStream {
    let stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends a request and reads to the end of the stream.
pub fn ask(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
