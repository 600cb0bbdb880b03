//! What is waited for: each registers its descriptor, and says what has happened when it is ready.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use wakeful::net::{TcpListener, TcpStream};
use wakeful::process::Exit;
use wakeful::signal::Signals;
use wakeful::time::{Clock, Timer, Timers};
use wakeful::unix::{Fallback, FdSource};
use wakeful::{Interest, Registered, Registry, Token, Trigger};

use super::happening::{Input, What};

/// How long to wait before connecting again.
const RETRY: Duration = Duration::from_millis(200);

/// A longer line is told in parts. However it is escaped, it fits into a variable of the environment.
const LONGEST_LINE: usize = 1 << 14;

/// Connections accepted for one event; the rest are for the next.
const ACCEPTS: usize = 64;

/// Reported until it has been drained, so that one that has much to say does not keep the others waiting.
pub(super) fn readable() -> Interest {
    Interest::READABLE.with_trigger(Trigger::Level)
}

/// What a source works with.
pub(super) struct Stage<'watch> {
    pub(super) registry: &'watch Registry,
    pub(super) timers: &'watch mut Timers,
    pub(super) happened: &'watch mut Vec<What>,
    /// The source's own token, and that of its deadline.
    pub(super) ready: Token,
    pub(super) due: Token,
}

pub(super) trait Source {
    /// Its descriptor is ready.
    fn ready(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()>;

    /// A deadline that it asked for has passed.
    fn due(&mut self, _: &mut Stage<'_>) -> anyhow::Result<()> {
        Ok(())
    }

    /// Whether something of it is not waited for yet, so that events can be missed.
    fn is_beginning(&self) -> bool {
        false
    }

    /// Whether nothing more can come.
    fn is_over(&self) -> bool {
        false
    }
}

pub(super) struct Every(Registered<Timer>);

impl Every {
    pub(super) fn new(period: Duration, stage: &Stage<'_>) -> anyhow::Result<Every> {
        let timer = Timer::new()?;
        timer.set_interval(period)?;
        Ok(Every(stage.registry.register_owned(timer, stage.ready, readable())?))
    }
}

impl Source for Every {
    fn ready(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        match self.0.expirations() {
            Ok(count) => stage.happened.push(What::Every { count }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

pub(super) struct At {
    timer: Registered<Timer>,
    time: SystemTime,
    is_over: bool,
}

impl At {
    pub(super) fn new(time: SystemTime, stage: &Stage<'_>) -> anyhow::Result<At> {
        let timer = Timer::with_clock(Clock::Wall)?;
        timer.set_at(time)?;
        let timer = stage.registry.register_owned(timer, stage.ready, readable())?;
        Ok(At { timer, time, is_over: false })
    }
}

impl Source for At {
    fn ready(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        match self.timer.expirations() {
            Ok(_) => {
                let time = jiff::Timestamp::try_from(self.time)?;
                let here = time.to_zoned(jiff::tz::TimeZone::system());
                let time_of = here.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
                stage.happened.push(What::At { time_of });
                self.is_over = true;
            }
            // The clock says something else now; the time is the same.
            Err(error) if Timer::clock_was_set(&error) => self.timer.set_at(self.time)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

pub(super) struct Signalled(pub(super) Registered<Signals>);

impl Source for Signalled {
    fn ready(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        for delivery in self.0.pending() {
            let (name, number) = (delivery.signal.to_string(), delivery.signal.as_raw());
            stage.happened.push(What::Signal { name, number, count: delivery.count });
        }
        Ok(())
    }
}

pub(super) struct Process {
    /// `None`: it has ended.
    exit: Option<Registered<Exit>>,
}

impl Process {
    pub(super) fn new(pid: u32, stage: &mut Stage<'_>) -> anyhow::Result<Process> {
        let exit = match Exit::observe(pid) {
            // Nobody can know whether it has, when they ask.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                stage.happened.push(What::Pid { pid });
                return Ok(Process { exit: None });
            }
            exit => exit.with_context(|| format!("--pid {pid}"))?,
        };
        let exit = stage.registry.register_owned(exit, stage.ready, readable())?;
        Ok(Process { exit: Some(exit) })
    }
}

impl Source for Process {
    fn ready(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        if let Some(exit) = &self.exit {
            if exit.try_wait()?.is_some() {
                stage.happened.push(What::Pid { pid: exit.pid() });
                self.exit = None;
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.exit.is_none()
    }
}

/// Lines of standard input, or of another descriptor.
pub(super) struct Lines {
    source: Registered<FdSource<OwnedFd>>,
    /// `None`: standard input.
    number: Option<i32>,
    line: Vec<u8>,
    is_over: bool,
}

impl Lines {
    pub(super) fn new(
        fd: OwnedFd,
        number: Option<i32>,
        stage: &Stage<'_>,
    ) -> anyhow::Result<Lines> {
        let source = FdSource::with_fallback(fd, Fallback::AlwaysReady)?;
        let source = stage.registry.register_owned(source, stage.ready, readable())?;
        Ok(Lines { source, number, line: Vec::new(), is_over: false })
    }

    fn tell(&self, input: Input, stage: &mut Stage<'_>) {
        stage.happened.push(match self.number {
            None => What::Stdin(input),
            Some(fd) => What::Fd { fd, input },
        });
    }

    fn tell_line(&mut self, stage: &mut Stage<'_>) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = text.strip_suffix('\r').unwrap_or(&text).to_owned();
        self.tell(Input::Line { text }, stage);
    }

    fn end(&mut self, input: Input, stage: &mut Stage<'_>) {
        if !self.line.is_empty() {
            self.tell_line(stage);
        }
        self.tell(input, stage);
        self.is_over = true;
    }
}

impl Source for Lines {
    fn ready(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        let mut buffer = [0; 1 << 14];
        // Once: it may be a blocking descriptor, which others share.
        let bytes = match (&*self.source).read(&mut buffer) {
            Ok(0) => {
                self.end(Input::End, stage);
                return Ok(());
            }
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) => {
                match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                    // A listening socket, say.
                    _ => self.end(Input::Ready, stage),
                }
                return Ok(());
            }
        };
        for &byte in bytes {
            if byte == b'\n' || self.line.len() == LONGEST_LINE {
                self.tell_line(stage);
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}

pub(super) struct Listening {
    listener: Registered<TcpListener>,
    address: String,
}

impl Listening {
    pub(super) fn new(address: SocketAddr, stage: &Stage<'_>) -> anyhow::Result<Listening> {
        let listener = TcpListener::bind(address).with_context(|| format!("--listen {address}"))?;
        // Port 0 has become another.
        let address = listener.local_addr()?.to_string();
        let listener = stage.registry.register_owned(listener, stage.ready, readable())?;
        Ok(Listening { listener, address })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl Source for Listening {
    fn ready(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        for connection in self.listener.accept_all().take(ACCEPTS) {
            let (address, peer) = (self.address.clone(), connection?.1.to_string());
            stage.happened.push(What::Listen { address, peer });
        }
        Ok(())
    }
}

/// Connects, again and again until it works, and tells when the other side closes.
pub(super) struct Connecting {
    name: String,
    /// The first is the next to try.
    addresses: VecDeque<SocketAddr>,
    connection: Option<Registered<TcpStream>>,
    is_connected: bool,
}

impl Connecting {
    pub(super) fn new(name: &str, stage: &mut Stage<'_>) -> anyhow::Result<Connecting> {
        let context = || format!("--connect {name}");
        let addresses: VecDeque<_> = name.to_socket_addrs().with_context(context)?.collect();
        if addresses.is_empty() {
            bail!("--connect {name}: this name has no address");
        }
        let name = name.to_owned();
        let mut new = Connecting { name, addresses, connection: None, is_connected: false };
        new.connect(stage)?;
        Ok(new)
    }

    fn connect(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        let Some(&address) = self.addresses.front() else {
            return Ok(());
        };
        match TcpStream::connect(address) {
            Ok(stream) => {
                let interest = Interest::WRITABLE.with_trigger(Trigger::Level);
                let stream = stage.registry.register_owned(stream, stage.ready, interest)?;
                self.connection = Some(stream);
            }
            // No route, say: there may be one later.
            Err(_) => self.retry(stage)?,
        }
        Ok(())
    }

    fn retry(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        self.connection = None;
        self.addresses.rotate_left(1);
        stage.timers.insert_after(RETRY, stage.due)?;
        Ok(())
    }

    fn tell(&self, kind: &'static str, stage: &mut Stage<'_>) {
        stage.happened.push(What::Connect { address: self.name.clone(), kind });
    }
}

impl Source for Connecting {
    fn ready(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        let Some(stream) = &mut self.connection else {
            return Ok(());
        };
        if !self.is_connected {
            if stream.take_error()?.is_some() {
                return self.retry(stage);
            }
            let Ok(peer) = stream.peer_addr() else {
                return Ok(());
            };
            // Where nobody listens, a port of one's own can be that very port.
            if stream.local_addr()? == peer {
                return self.retry(stage);
            }
            stream.set_interest(readable())?;
            self.is_connected = true;
            // The next time, the same one first.
            self.addresses.rotate_right(1);
            self.tell("connected", stage);
            return Ok(());
        }
        // What is sent is nobody's business here.
        match (&**stream).read(&mut [0; 4096]) {
            Ok(count) if count > 0 => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            _ => {
                self.is_connected = false;
                self.tell("closed", stage);
                self.retry(stage)
            }
        }
    }

    fn due(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        self.connect(stage)
    }
}
