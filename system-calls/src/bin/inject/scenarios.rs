//! What a program does with wakeful, as it should be done: whatever fails is asked for again, and nothing may be lost.

mod descriptors;
mod emulated;
mod sources;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wakeful::event::{Event, Source};
use wakeful::signal::Signal;
use wakeful::{Backend, Events, Interest, Poll, Registered, Token};
use wakeful_kernel::signal::SignalSet;

/// How a scenario ended, in its exit status: no call that it makes to say it can fail.
pub(crate) const SURFACED: u8 = 3;
pub(crate) const SWALLOWED: u8 = 4;
pub(crate) const LOST: u8 = 5;
pub(crate) const REFUSED: u8 = 6;
/// How long to wait for an event, before it is lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a call may fail in a row.
const ATTEMPTS: usize = 5;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What is done, on a poller or by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scenario {
    WithPoller(fn(&mut Desk) -> Result),
    Alone(fn() -> Result),
}

impl Scenario {
    /// Whether it is another thing on each backend.
    pub(crate) fn is_of_backend(self) -> bool {
        matches!(self, Scenario::WithPoller(_))
    }
}

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("edge", Scenario::WithPoller(descriptors::edge)),
    ("level", Scenario::WithPoller(descriptors::level)),
    ("oneshot", Scenario::WithPoller(descriptors::oneshot)),
    ("pipe", Scenario::WithPoller(descriptors::pipe)),
    ("waker", Scenario::WithPoller(sources::waker)),
    ("wheel", Scenario::WithPoller(sources::wheel)),
    ("timer", Scenario::WithPoller(sources::timer)),
    ("channel", Scenario::WithPoller(sources::channel)),
    ("signals", Scenario::WithPoller(sources::signals)),
    ("blocked-signals", Scenario::WithPoller(sources::blocked_signals)),
    ("child", Scenario::WithPoller(sources::child)),
    ("watcher", Scenario::WithPoller(sources::watcher)),
    ("files-ring", Scenario::WithPoller(sources::files_ring)),
    ("files-pool", Scenario::WithPoller(sources::files_pool)),
    ("kqueue", Scenario::Alone(emulated::kqueue)),
    ("event-port", Scenario::Alone(emulated::event_port)),
];

/// `run SCENARIO BACKEND`: says that it is ready, and begins when it is told to, on a thread of its own.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    // Where only a parent may trace, strace, which is a sibling, is allowed to.
    let _ = rustix::process::set_ptracer(rustix::process::PTracer::Any);
    // In all threads, so that it is left to those who wait for it.
    let blocked = SignalSet::of(&[Signal::USER2.as_raw()]).map(|it| it.block().is_ok());
    if !blocked.is_ok_and(|is_blocked| is_blocked) {
        return ExitCode::FAILURE;
    }
    println!("ready");
    let mut byte = [0];
    while io::stdin().read(&mut byte).is_err() {}
    let spawn = || {
        let arguments = arguments.to_vec();
        thread::Builder::new().spawn(move || perform(&arguments))
    };
    // The first attempt may be what fails.
    let thread = spawn().or_else(|_| spawn());
    match thread.map_err(|_| ()).map(thread::JoinHandle::join) {
        Err(()) => ExitCode::FAILURE,
        Ok(done) => ended(done),
    }
}

fn ended(done: thread::Result<Result>) -> ExitCode {
    let has_failed = HAS_FAILED.load(Ordering::Relaxed);
    match done {
        Ok(Ok(())) => ExitCode::from(if has_failed { SURFACED } else { 0 }),
        Ok(Err(error)) => {
            say(&error);
            match error.is::<Lost>() {
                true => ExitCode::from(if has_failed { LOST } else { SWALLOWED }),
                false if error.is::<Refused>() => ExitCode::from(REFUSED),
                false => ExitCode::FAILURE,
            }
        }
        Err(_) => ExitCode::from(101),
    }
}

/// Whether a call has told of an error.
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

fn told(what: &str, error: impl Display) {
    HAS_FAILED.store(true, Ordering::Relaxed);
    say(format_args!("told: {what}: {error}"));
}

/// For the reader: as far as it can be written.
fn say(what: impl Display) {
    let _ = writeln!(io::stderr(), "{what}");
}

fn perform(arguments: &[String]) -> Result {
    let name = arguments.first().ok_or("name a scenario")?;
    let backend: Backend = arguments.get(1).ok_or("name a backend")?.parse()?;
    let scenario = SCENARIOS.iter().find(|(known, _)| known == name);
    match scenario.ok_or("no such scenario")?.1 {
        Scenario::Alone(perform) => perform(),
        Scenario::WithPoller(perform) => perform(&mut Desk::new(backend)?),
    }
}

/// An event that did not come.
#[derive(Debug)]
struct Lost(String);

impl Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "lost: {}", self.0)
    }
}

impl Error for Lost {}

/// A call that goes on failing: each of its attempts may make the call that fails on a new thread, of which strace counts the
/// calls anew.
#[derive(Debug)]
struct Refused(String);

impl Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} goes on failing", self.0)
    }
}

impl Error for Refused {}

/// Makes a call until it succeeds, and says which errors there were.
fn ask<T, E: Display>(
    what: &str,
    mut call: impl FnMut() -> std::result::Result<T, E>,
) -> Result<T> {
    for _ in 0..ATTEMPTS {
        match call() {
            Ok(value) => return Ok(value),
            Err(error) => told(what, error),
        }
    }
    Err(Refused(what.to_owned()).into())
}

/// A poller, and who waits at it.
pub(crate) struct Desk {
    poll: Poll,
    events: Events,
    /// What was reported, and not waited for yet.
    reported: Vec<Token>,
}

impl Desk {
    fn new(backend: Backend) -> Result<Desk> {
        let poll = ask("build", || Poll::builder().backend(backend).build())?;
        Ok(Desk { poll, events: Events::with_capacity(16), reported: Vec::new() })
    }

    fn register<S: Source>(
        &self,
        source: S,
        token: Token,
        interest: Interest,
    ) -> Result<Registered<S>> {
        let mut source = Some(source);
        let registry = self.poll.registry();
        ask("register", || {
            let taken = source.take().ok_or_else(|| "it was not given back".to_owned())?;
            registry.register_owned(taken, token, interest).map_err(|error| {
                let message = error.to_string();
                source = Some(error.into_source());
                message
            })
        })
    }

    /// Waits until there is an event with this token, and what is to be taken after it.
    fn wait<T>(&mut self, token: Token, mut take: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let until = Instant::now() + PATIENCE;
        let mut failures = 0;
        while Instant::now() < until {
            if let Some(at) = self.reported.iter().position(|&it| it == token) {
                self.reported.swap_remove(at);
                if let Some(taken) = take()? {
                    return Ok(taken);
                }
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.poll.poll(&mut self.events, Some(left)) {
                Ok(()) => self.reported.extend(self.events.iter().map(Event::token)),
                Err(error) => {
                    told("poll", error);
                    failures += 1;
                    if failures > ATTEMPTS {
                        return Err("poll goes on failing".into());
                    }
                }
            }
        }
        Err(Lost(format!("the event of {token:?}")).into())
    }
}

/// Writes all of it, and asks again after an error.
fn write_all(mut to: impl Write, bytes: &[u8]) -> Result {
    let mut left = bytes;
    while !left.is_empty() {
        let count = ask("write", || to.write(left))?;
        left = left.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// Reads until nothing is left, which an edge has to be answered with.
fn drain(mut from: impl Read) -> Result<Vec<u8>> {
    let (mut all, mut buffer, mut failures) = (Vec::new(), [0; 64], 0);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend(buffer.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(all),
            Err(error) => {
                told("read", error);
                failures += 1;
                if failures > ATTEMPTS {
                    return Err("read goes on failing".into());
                }
            }
        }
    }
}
