//! HTTP, kept alive: servers on one thread in a process of their own, 64 connections, each asked one thing at a time. What the
//! server's process costs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::clock::{self, Clock};
use crate::row::Row;

const CONNECTIONS: usize = 64;
const BODY: &[u8] = b"\r\n\r\nHello, World!";
const REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub(super) fn rows() -> Vec<Row> {
    let row = |name, kinds: &[Kind]| {
        kinds.iter().fold(Row::new(name, "request").clock(Clock::Wall).parts(4), |row, &kind| {
            let set_up = move || Server::start(kind).map(|_| kind);
            row.measured(kind.name(), set_up, |&mut kind, count| Server::start(kind)?.run(count))
        })
    };
    vec![
        row("HTTP plaintext, tokio", &[Kind::TokioOnWakeful, Kind::TokioOnMio])
            .goal("tokio on mio", 1.0)
            .remark(
                "the same system calls: a receive, a send, and a thirtieth of a wait for each request; in between 1,352 \
                 instructions on mio and 1,367 on wakeful",
            ),
        row("HTTP plaintext, hyper", &[Kind::HyperOnWakeful, Kind::HyperOnMio])
            .goal("hyper on mio", 1.0)
            .remark("the same system calls; in between 7,498 instructions on mio and 7,484 on wakeful"),
        row("HTTP plaintext, bare", &[Kind::Wakeful, Kind::HyperOnMio, Kind::TokioOnMio])
            .goal("hyper on mio", 0.6)
            .goal("tokio on mio", 0.6)
            .remark(
                "tokio here serves by as few lines as wakeful, and both make the same two system calls for a request, \
                 which are nine tenths of the cost: what can be saved is tokio's tasks; hyper is what programs use",
            ),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Wakeful,
    TokioOnMio,
    TokioOnWakeful,
    HyperOnMio,
    HyperOnWakeful,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Wakeful => "wakeful",
            Kind::TokioOnMio => "tokio on mio",
            Kind::TokioOnWakeful => "tokio on wakeful",
            Kind::HyperOnMio => "hyper on mio",
            Kind::HyperOnWakeful => "hyper on wakeful",
        }
    }

    fn command(self) -> Result<Command> {
        let (package, server) = match self {
            Kind::Wakeful => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("--serve");
                return Ok(command);
            }
            Kind::TokioOnMio => ("tokio-on-mio", "tokio"),
            Kind::TokioOnWakeful => ("tokio-on-wakeful", "tokio"),
            Kind::HyperOnMio => ("tokio-on-mio", "hyper"),
            Kind::HyperOnWakeful => ("tokio-on-wakeful", "hyper"),
        };
        let mut command = Command::new(built(package)?);
        command.arg(server);
        Ok(command)
    }
}

/// Built now, if it has not been: the one has a patch, which is a workspace's, and the other is built as that is.
fn built(package: &'static str) -> Result<PathBuf> {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    match built.entry(package) {
        Entry::Occupied(built) => Ok(built.get().clone()),
        Entry::Vacant(place) => Ok(place.insert(build(package)?).clone()),
    }
}

fn build(package: &str) -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = here.join("../target").join(package);
    let status = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--locked", "--manifest-path"])
        .arg(here.join(package).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .with_context(|| format!("cargo is needed to build {package}"))?;
    ensure!(status.success(), "{package} could not be built");
    Ok(target.join("release").join(package))
}

struct Server {
    child: Child,
    connections: Vec<TcpStream>,
}

impl Server {
    fn start(kind: Kind) -> Result<Server> {
        let mut child = kind.command()?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("it is piped")?;
        let mut port = String::new();
        BufReader::new(stdout).read_line(&mut port)?;
        let port: u16 = port.trim().parse().context("the server says its port")?;
        let connect = |_| {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            Ok(stream)
        };
        let connections: Result<Vec<_>> = (0..CONNECTIONS).map(connect).collect();
        Ok(Server { child, connections: connections? })
    }

    /// What so many requests cost, of a server that has been asked some before. It is a new one each time,
    /// because where its memory happens to lie makes a difference of some hundredths.
    fn run(&mut self, count: usize) -> Result<Duration> {
        self.ask(4 * CONNECTIONS)?;
        let before = clock::of_process(self.child.id())?;
        self.ask(count)?;
        Ok((clock::of_process(self.child.id())? - before).max(Duration::from_nanos(1)))
    }

    /// All connections ask, and then all are answered, round by round.
    fn ask(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let some = left.min(self.connections.len());
            for connection in &mut self.connections[..some] {
                connection.write_all(REQUEST)?;
            }
            for connection in &mut self.connections[..some] {
                read_answer(connection)?;
            }
            left -= some;
        }
        Ok(())
    }
}

/// Up to the end of the body, which is the same for all.
fn read_answer(connection: &mut TcpStream) -> Result<()> {
    let mut answer = [0; 256];
    let mut filled = 0;
    while !answer[..filled].ends_with(BODY) {
        let count = connection.read(&mut answer[filled..])?;
        ensure!(count > 0, "no answer, but {:?}", String::from_utf8_lossy(&answer[..filled]));
        filled += count;
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "another answer");
    Ok(())
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
