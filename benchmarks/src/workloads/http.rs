//! HTTP, kept alive: servers on one thread in a process of their own, 64 connections, each asked one thing at a time. What the
//! server's process costs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::clock::{self, Clock};
use crate::http_tokio::ANSWER;
use crate::row::Row;

const CONNECTIONS: usize = 64;
const REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";

pub(super) fn rows() -> Vec<Row> {
    let row = |name, first: Kind, second: Kind| {
        Row::new(name, "request")
            .clock(Clock::Wall)
            .measured(first.name(), move || Server::start(first), Server::run)
            .measured(second.name(), move || Server::start(second), Server::run)
    };
    vec![
        row("HTTP plaintext, tokio", Kind::TokioOnWakeful, Kind::TokioOnMio).goal("tokio on mio", 1.0),
        row("HTTP plaintext, bare", Kind::Wakeful, Kind::TokioOnMio).goal("tokio on mio", 0.6).remark(
            "both make the same three system calls, which are nine tenths of the cost: what can be saved is tokio's tasks",
        ),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Wakeful,
    TokioOnMio,
    TokioOnWakeful,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Wakeful => "wakeful",
            Kind::TokioOnMio => "tokio on mio",
            Kind::TokioOnWakeful => "tokio on wakeful",
        }
    }

    fn command(self) -> Result<Command> {
        if self == Kind::TokioOnWakeful {
            return tokio_on_wakeful();
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve", if self == Kind::Wakeful { "wakeful" } else { "tokio" }]);
        Ok(command)
    }
}

/// Built now, if it has not been: the patch is a workspace's.
fn tokio_on_wakeful() -> Result<Command> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tokio-on-wakeful/Cargo.toml");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tokio-on-wakeful");
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .status()
        .context("cargo is needed to build tokio on wakeful")?;
    ensure!(built.success(), "tokio on wakeful could not be built");
    Ok(Command::new(target.join("release/tokio-on-wakeful")))
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

    /// All connections ask, and then all are answered, round by round.
    fn run(&mut self, count: usize) -> Result<Duration> {
        let before = clock::of_process(self.child.id())?;
        let mut answer = [0; ANSWER.len()];
        let mut left = count;
        while left > 0 {
            let some = left.min(self.connections.len());
            for connection in &mut self.connections[..some] {
                connection.write_all(REQUEST)?;
            }
            for connection in &mut self.connections[..some] {
                connection.read_exact(&mut answer)?;
                ensure!(answer == *ANSWER, "another answer");
            }
            left -= some;
        }
        Ok((clock::of_process(self.child.id())? - before).max(Duration::from_nanos(1)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
