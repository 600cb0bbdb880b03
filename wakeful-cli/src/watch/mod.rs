//! `wakeful watch`: waits for any mix of events, tells of them, and runs a command.

mod files;
mod happening;
mod ignored;
mod runner;
mod source;
mod when;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use clap::ArgGroup;
use wakeful::signal::{Signal, Signals};
use wakeful::{Events, Poll, Registered, Registry, Token};

use self::files::Files;
use self::happening::Happening;
use self::runner::{CannotRun, Options, Runner, Tokens};
use self::source::{
    At, Connecting, Every, Lines, Listening, Process, Signalled, Source, Stage, readable,
};
use crate::output::Output;

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("source").required(true).multiple(true), override_usage =
    "wakeful watch [OPTIONS] <WHAT>... [-- COMMAND...]")]
pub(crate) struct Arguments {
    /// A file or directory that changes (repeatable)
    #[arg(short, long, value_name = "PATH", group = "source")]
    file: Vec<PathBuf>,

    /// With all directories below those of --file
    #[arg(short, long, requires = "file")]
    recursive: bool,

    /// What not to see, besides what .gitignore names
    #[arg(short, long, value_name = "GLOB", requires = "file")]
    ignore: Vec<String>,

    /// See what .gitignore names, too
    #[arg(long, requires = "file")]
    no_gitignore: bool,

    /// A period that is over: 250ms, 1m30s, 10
    #[arg(long, value_name = "DURATION", group = "source", value_parser = when::period)]
    every: Vec<Duration>,

    /// A time that has come: 14:30, 2030-01-31T14:30
    #[arg(long, value_name = "TIME", group = "source", value_parser = when::time)]
    at: Vec<SystemTime>,

    /// A signal: HUP, USR1, 10
    #[arg(long, value_name = "NAME", group = "source")]
    signal: Vec<Signal>,

    /// A process that has ended, a child or not
    #[arg(long, value_name = "PID", group = "source")]
    pid: Vec<u32>,

    /// A line of standard input
    #[arg(long, group = "source")]
    stdin: bool,

    /// A connection to this address, which is closed
    #[arg(long, value_name = "IP:PORT", group = "source")]
    listen: Vec<SocketAddr>,

    /// A server that can be connected to, or closes
    #[arg(long, value_name = "HOST:PORT", group = "source")]
    connect: Vec<String>,

    /// A line of an inherited descriptor
    #[arg(long, value_name = "N", group = "source", value_parser = clap::value_parser!(i32).range(0..))]
    fd: Vec<i32>,

    /// End at the first event
    #[arg(short = '1', long)]
    once: bool,

    /// End after this time, with status 124
    #[arg(short, long, value_name = "DURATION", value_parser = when::duration)]
    timeout: Option<Duration>,

    /// One JSON object for each event
    #[arg(short, long)]
    json: bool,

    /// Print no events
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,

    /// Start the command at once, and anew at each event
    #[arg(long, requires = "command")]
    restart: bool,

    /// Run the command after so much quiet
    ///
    /// Or after ten times as much, if it never falls quiet.
    #[arg(long, value_name = "DURATION", default_value = "50ms", requires = "command", value_parser = when::duration)]
    debounce: Duration,

    /// What to run when something has happened
    #[arg(last = true, value_name = "COMMAND", hide_short_help = true)]
    command: Vec<OsString>,
}

const STATUS_TIMED_OUT: u8 = 124;

const STOP: Token = Token(usize::MAX);
const TIMED_OUT: Token = Token(usize::MAX - 1);
const TOKENS: Tokens = Tokens {
    child: Token(usize::MAX - 2),
    quiet: Token(usize::MAX - 3),
    tick: Token(usize::MAX - 4),
};

/// Each source has two tokens.
const READY: usize = 0;
const DUE: usize = 1;

struct Watching<'arguments> {
    arguments: &'arguments Arguments,
    poll: Poll,
    registry: Registry,
    sources: Vec<Option<Box<dyn Source>>>,
    happened: Vec<happening::What>,
    runner: Option<Runner>,
    stop: Registered<Signals>,
    output: Output,
    /// The exit status, once it is known that there is nothing more to wait for but the command.
    ending: Option<u8>,
    /// Everything is waited for, which was said.
    is_announced: bool,
    /// It was asked to end, or its time is over.
    is_stopped: bool,
    /// When its time is over.
    latest: Option<Instant>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    // Before anything is opened that could get one of their numbers.
    let inherited = arguments
        .fd
        .iter()
        .map(|&fd| {
            let inherited = wakeful_kernel::descriptor::inherit(fd);
            Ok((fd, inherited.map_err(|error| anyhow::anyhow!("--fd {fd}: {error}"))?))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut watching = Watching::new(arguments)?;
    watching.begin(inherited)?;
    match watching.run() {
        Ok(status) => Ok(ExitCode::from(status)),
        Err(error) => {
            watching.give_up();
            match error.downcast_ref::<CannotRun>().map(CannotRun::status) {
                Some(status) => {
                    note(format_args!("{error:#}"));
                    Ok(ExitCode::from(status))
                }
                None => Err(error),
            }
        }
    }
}

impl<'arguments> Watching<'arguments> {
    fn new(arguments: &'arguments Arguments) -> anyhow::Result<Watching<'arguments>> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        // Those that are events of their own end nothing.
        let ends = [Signal::INTERRUPT, Signal::TERMINATE, Signal::HANGUP, Signal::QUIT];
        let stop = Signals::new(
            ends.into_iter().filter(|it| !arguments.signal.contains(it) && !is_ignored(*it)),
        )?;
        let stop = registry.register_owned(stop, STOP, readable())?;
        let options = Options {
            command: &arguments.command,
            restart: arguments.restart,
            debounce: arguments.debounce,
            no_stdin: arguments.stdin || arguments.fd.contains(&0),
        };
        let runner = Runner::new(&options, TOKENS)?;
        let output = if runner.is_some() && !arguments.json {
            // Standard output is the command's.
            Output::to_stderr()?
        } else {
            Output::new()?
        };
        let (sources, happened) = (Vec::new(), Vec::new());
        Ok(Watching {
            arguments,
            poll,
            registry,
            sources,
            happened,
            runner,
            stop,
            output,
            ending: None,
            is_announced: false,
            is_stopped: false,
            latest: arguments.timeout.map(|timeout| Instant::now() + timeout),
        })
    }

    /// Registers all that is to be waited for.
    fn begin(&mut self, inherited: Vec<(i32, OwnedFd)>) -> anyhow::Result<()> {
        let arguments = self.arguments;
        if let Some(timeout) = arguments.timeout {
            self.poll.timers().insert_after(timeout, TIMED_OUT)?;
        }
        if !arguments.file.is_empty() {
            self.add(|stage| Files::new(arguments, stage))?;
        }
        for &period in &arguments.every {
            self.add(|stage| Every::new(period, stage))?;
        }
        for &time in &arguments.at {
            self.add(|stage| At::new(time, stage))?;
        }
        if !arguments.signal.is_empty() {
            self.add(|stage| {
                let signals = Signals::new(arguments.signal.iter().copied()).context("--signal")?;
                let signals = stage.registry.register_owned(signals, stage.ready, readable())?;
                Ok(Signalled(signals))
            })?;
        }
        for &pid in &arguments.pid {
            self.add(|stage| Process::new(pid, stage))?;
        }
        if arguments.stdin {
            let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
            self.add(|stage| Lines::new(stdin, None, stage))?;
        }
        for (number, fd) in inherited {
            self.add(|stage| Lines::new(fd, Some(number), stage))?;
        }
        for &address in &arguments.listen {
            let mut bound = String::new();
            self.add(|stage| {
                let listening = Listening::new(address, stage)?;
                bound = listening.address().to_owned();
                Ok(listening)
            })?;
            if address.port() == 0 {
                note(format_args!("listening on {bound}"));
            }
        }
        for name in &arguments.connect {
            self.add(|stage| Connecting::new(name, stage))?;
        }
        Ok(())
    }

    fn add<S: Source + 'static>(
        &mut self,
        new: impl FnOnce(&mut Stage<'_>) -> anyhow::Result<S>,
    ) -> anyhow::Result<()> {
        let mut stage = Stage {
            registry: &self.registry,
            timers: self.poll.timers(),
            happened: &mut self.happened,
            ready: Token(self.sources.len() * 2 + READY),
            due: Token(self.sources.len() * 2 + DUE),
        };
        let source = new(&mut stage)?;
        self.sources.push((!source.is_over()).then(|| Box::new(source) as Box<dyn Source>));
        Ok(())
    }

    fn run(&mut self) -> anyhow::Result<u8> {
        self.announce()?;
        // What was found to have happened already.
        self.tell()?;
        let mut events = Events::with_capacity(64);
        loop {
            if self.sources.iter().all(Option::is_none) {
                self.ending = self.ending.or(Some(0));
            }
            self.announce()?;
            let is_busy = self.runner.as_ref().is_some_and(Runner::is_busy);
            if let (Some(status), false) = (self.ending, is_busy) {
                return Ok(self.final_status(status));
            }
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            // First whatever ends it, so that no flood of events keeps it from ending.
            let (urgent, others): (Vec<_>, Vec<_>) = events
                .iter()
                .map(|event| event.token())
                .partition(|token| [STOP, TIMED_OUT].contains(token));
            for token in urgent.into_iter().chain(others) {
                self.dispatch(token)?;
                self.tell()?;
            }
        }
    }

    /// Says once that everything is waited for, and has the command begin that is to run all the time.
    fn announce(&mut self) -> anyhow::Result<()> {
        let is_beginning = self.sources.iter().flatten().any(|source| source.is_beginning());
        if self.is_announced || is_beginning || self.ending.is_some() {
            return Ok(());
        }
        self.is_announced = true;
        if !self.arguments.quiet {
            // So that people and scripts know that from here on nothing is missed.
            note("waiting");
        }
        match &mut self.runner {
            Some(runner) => runner.begin(&self.registry),
            None => Ok(()),
        }
    }

    /// It ends with an error; the command is to end all the same.
    fn give_up(&mut self) {
        let mut events = Events::with_capacity(64);
        let mut result = self.end(1);
        while result.is_ok() && self.runner.as_ref().is_some_and(Runner::is_running) {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => result = Err(error.into()),
                Ok(()) => {
                    let tokens = events.iter().map(|event| event.token());
                    result = tokens
                        .collect::<Vec<_>>()
                        .into_iter()
                        .try_for_each(|token| self.dispatch(token));
                }
            }
        }
    }

    /// That of the command, if it was to run once and nothing else ended it.
    fn final_status(&self, status: u8) -> u8 {
        let of_command = self.runner.as_ref().and_then(|runner| runner.status);
        match of_command {
            Some(of_command) if self.arguments.once && status == 0 => of_command,
            _ => status,
        }
    }

    fn dispatch(&mut self, token: Token) -> anyhow::Result<()> {
        match (token, &mut self.runner) {
            (STOP, _) => self.interrupted(),
            (TIMED_OUT, _) => {
                self.is_stopped = true;
                self.end(STATUS_TIMED_OUT)
            }
            (token, Some(runner)) if token == TOKENS.quiet => {
                runner.act(&self.registry, self.poll.timers())
            }
            (token, Some(runner)) if token == TOKENS.child => {
                runner.look(&self.registry, self.poll.timers())
            }
            (token, Some(runner)) if token == TOKENS.tick => {
                runner.tick(&self.registry, self.poll.timers())
            }
            (Token(token), _) => self.source(token),
        }
    }

    /// One of the sources has something to say.
    fn source(&mut self, token: usize) -> anyhow::Result<()> {
        if self.ending.is_some() {
            return Ok(());
        }
        let number = token / 2;
        let Some(Some(source)) = self.sources.get_mut(number) else {
            return Ok(());
        };
        let mut stage = Stage {
            registry: &self.registry,
            timers: self.poll.timers(),
            happened: &mut self.happened,
            ready: Token(number * 2 + READY),
            due: Token(number * 2 + DUE),
        };
        match token % 2 {
            READY => source.ready(&mut stage)?,
            _ => source.due(&mut stage)?,
        }
        if source.is_over() {
            self.sources[number] = None;
        }
        Ok(())
    }

    /// Prints what has happened, and lets the command know.
    fn tell(&mut self) -> anyhow::Result<()> {
        for what in std::mem::take(&mut self.happened) {
            if self.ending.is_some() {
                break;
            }
            let happening = Happening::now(what);
            if !self.can_print()? {
                break;
            }
            if self.arguments.json {
                self.output.line(happening.json()?)?;
            } else if !self.arguments.quiet {
                self.output.line(&happening)?;
            }
            if let Some(runner) = &mut self.runner {
                runner.notice(happening.json()?, self.poll.timers())?;
            }
            if self.arguments.once {
                self.ending = Some(0);
                self.sources.clear();
            }
        }
        Ok(())
    }

    /// Waits for whoever reads the output. Not so if it is to end: the next poll says why.
    fn can_print(&self) -> anyhow::Result<bool> {
        if self.arguments.quiet {
            return Ok(true);
        }
        loop {
            let left = self.latest.map(|latest| latest.saturating_duration_since(Instant::now()));
            match self.output.is_writable_before(&*self.stop, left) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => return Ok(result?),
            }
        }
    }

    /// ^C or its like. The second time it ends at once.
    fn interrupted(&mut self) -> anyhow::Result<()> {
        let Some(delivery) = self.stop.pending().into_iter().next() else {
            return Ok(());
        };
        let status = match (self.arguments.once, u8::try_from(delivery.signal.as_raw())) {
            (true, Ok(number)) => 128 + number,
            _ => 0,
        };
        if let (true, Some(runner)) = (self.is_stopped, &self.runner) {
            runner.kill();
        }
        self.is_stopped = true;
        self.end(status)
    }

    /// Nothing is waited for any more, but the end of the command.
    fn end(&mut self, status: u8) -> anyhow::Result<()> {
        // What comes last counts.
        self.ending = Some(status);
        self.sources.clear();
        if let Some(runner) = &mut self.runner {
            runner.forget(self.poll.timers());
            runner.end(self.poll.timers())?;
        }
        Ok(())
    }
}

/// A line for people on standard error, which may be closed.
fn note(text: impl fmt::Display) {
    let _ = writeln!(anstream::stderr(), "wakeful: {text}");
}

/// Whether this program was started with the signal ignored, as by nohup(1), and is to leave it so.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}
