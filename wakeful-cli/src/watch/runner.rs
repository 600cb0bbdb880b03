//! The command that is run when something has happened.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, ErrorKind};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wakeful::process::{Exit, Outcome};
use wakeful::signal::{Signal, Signals};
use wakeful::time::{TimerKey, Timers};
use wakeful::{Registered, Registry, Token};
use wakeful_kernel::process;

use super::source::readable;

/// How long a command is given to end when it is asked to.
const GRACE: Duration = Duration::from_secs(2);

/// How often it is looked whether those that it started have ended too.
const TICK: Duration = Duration::from_millis(20);

/// Who never falls quiet is not waited for longer than so many times the time of quiet.
const IMPATIENCE: u32 = 10;

/// What the command is told of the event that it was started for.
const VARIABLE: &str = "WAKEFUL_EVENT";

pub(super) struct Runner {
    program: OsString,
    arguments: Vec<OsString>,
    /// End it when something happens, and start it anew.
    restart: bool,
    debounce: Duration,
    /// Whether standard input is somebody else's.
    no_stdin: bool,
    tokens: Tokens,
    state: State,
    /// What it is to be started for.
    pending: Option<Cause>,
    /// When nothing more has happened for long enough, and when that is not waited for any longer.
    quiet: Option<(TimerKey, Instant)>,
    /// When it was asked to end, and the timer by which it is looked after.
    ending: Option<(Instant, TimerKey)>,
    /// How it ended last.
    pub(super) status: Option<u8>,
    /// A parent that ignores SIGCHLD would leave nothing to be told of how it ended.
    _waited_for: Signals,
}

enum State {
    Idle,
    Running(Registered<Exit>),
    /// It has ended, and others of its group have not.
    Lingering(u32),
}

/// Why the command is started.
enum Cause {
    /// It is to run from the beginning.
    Beginning,
    /// The latest event.
    Event(String),
}

#[derive(Clone, Copy)]
pub(super) struct Tokens {
    pub(super) child: Token,
    pub(super) quiet: Token,
    pub(super) tick: Token,
}

pub(super) struct Options<'arguments> {
    pub(super) command: &'arguments [OsString],
    pub(super) restart: bool,
    pub(super) debounce: Duration,
    pub(super) no_stdin: bool,
}

/// The command could not be started.
#[derive(Debug)]
pub(super) struct CannotRun {
    program: String,
    source: io::Error,
}

impl CannotRun {
    /// As shells have it.
    pub(super) fn status(&self) -> u8 {
        match self.source.kind() {
            ErrorKind::NotFound => 127,
            _ => 126,
        }
    }
}

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot run {:?}", self.program)
    }
}

impl std::error::Error for CannotRun {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Runner {
    /// `None` without a command.
    pub(super) fn new(options: &Options<'_>, tokens: Tokens) -> io::Result<Option<Runner>> {
        let Some((program, arguments)) = options.command.split_first() else {
            return Ok(None);
        };
        Ok(Some(Runner {
            program: program.clone(),
            arguments: arguments.to_vec(),
            restart: options.restart,
            debounce: options.debounce,
            no_stdin: options.no_stdin,
            tokens,
            state: State::Idle,
            pending: None,
            quiet: None,
            ending: None,
            status: None,
            _waited_for: Signals::new([Signal::CHILD])?,
        }))
    }

    /// Starts the command before anything has happened, if it is one that is to run all the time.
    pub(super) fn begin(&mut self, registry: &Registry) -> anyhow::Result<()> {
        if self.restart && !self.is_busy() {
            self.pending = Some(Cause::Beginning);
            self.start(registry)?;
        }
        Ok(())
    }

    /// Something has happened: the command is to run when it has been quiet for long enough.
    pub(super) fn notice(&mut self, event: String, timers: &mut Timers) -> anyhow::Result<()> {
        self.pending = Some(Cause::Event(event));
        let now = Instant::now();
        match self.quiet {
            Some((timer, latest)) => {
                timers.reset(timer, latest.min(now + self.debounce));
            }
            None => {
                let timer = timers.insert_after(self.debounce, self.tokens.quiet)?;
                self.quiet = Some((timer, now + self.debounce.saturating_mul(IMPATIENCE)));
            }
        }
        Ok(())
    }

    /// It has been quiet for long enough.
    pub(super) fn act(&mut self, registry: &Registry, timers: &mut Timers) -> anyhow::Result<()> {
        self.quiet = None;
        match self.state {
            State::Idle => self.start(registry),
            State::Running(_) if self.restart => self.end(timers),
            // It runs again when it has ended.
            State::Running(_) | State::Lingering(_) => Ok(()),
        }
    }

    /// Asks the command to end.
    pub(super) fn end(&mut self, timers: &mut Timers) -> anyhow::Result<()> {
        if self.is_running() && self.ending.is_none() {
            self.signal(libc::SIGTERM);
            // One that is stopped would not hear of it.
            self.signal(libc::SIGCONT);
            let tick = timers.insert_after(TICK, self.tokens.tick)?;
            self.ending = Some((Instant::now() + GRACE, tick));
        }
        Ok(())
    }

    /// It is not waited for any longer.
    pub(super) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// It was asked to end a moment ago.
    pub(super) fn tick(&mut self, registry: &Registry, timers: &mut Timers) -> anyhow::Result<()> {
        let Some((latest, _)) = self.ending else {
            return Ok(());
        };
        let is_late = Instant::now() >= latest;
        if is_late {
            self.kill();
        }
        if let State::Lingering(group) = self.state {
            if is_late || process::signal_group(group, 0).is_err() {
                return self.rest(registry, timers);
            }
        }
        self.ending = Some((latest, timers.insert_after(TICK, self.tokens.tick)?));
        Ok(())
    }

    /// The command may have ended.
    pub(super) fn look(&mut self, registry: &Registry, timers: &mut Timers) -> anyhow::Result<()> {
        let State::Running(child) = &self.state else {
            return Ok(());
        };
        let Some(outcome) = child.try_wait()? else {
            return Ok(());
        };
        let group = child.pid();
        self.status = Some(match outcome {
            Outcome::Status(status) => exit_code(status),
            _ => 1,
        });
        if self.restart && process::signal_group(group, libc::SIGTERM).is_ok() {
            // Those that it started and left behind.
            self.state = State::Lingering(group);
            if self.ending.is_none() {
                let tick = timers.insert_after(TICK, self.tokens.tick)?;
                self.ending = Some((Instant::now() + GRACE, tick));
            }
            return Ok(());
        }
        self.rest(registry, timers)
    }

    /// All of it has ended; it may be time for it to run again.
    fn rest(&mut self, registry: &Registry, timers: &mut Timers) -> anyhow::Result<()> {
        self.state = State::Idle;
        if let Some((_, tick)) = self.ending.take() {
            timers.cancel(tick);
        }
        if self.quiet.is_none() {
            self.start(registry)?;
        }
        Ok(())
    }

    /// Whether it is running, or about to.
    pub(super) fn is_busy(&self) -> bool {
        self.is_running() || self.pending.is_some()
    }

    pub(super) fn is_running(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Nothing more is to be started.
    pub(super) fn forget(&mut self, timers: &mut Timers) {
        self.pending = None;
        if let Some((timer, _)) = self.quiet.take() {
            timers.cancel(timer);
        }
    }

    /// If there is a reason to.
    fn start(&mut self, registry: &Registry) -> anyhow::Result<()> {
        let Some(cause) = self.pending.take() else {
            return Ok(());
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        if let Cause::Event(event) = cause {
            command.env(VARIABLE, event);
        }
        if self.restart {
            // To be ended together with all that it starts. In the background, a terminal would stop it when
            // it reads.
            command.process_group(0);
        }
        if self.no_stdin || self.restart {
            command.stdin(Stdio::null());
        }
        let child = command.spawn().map_err(|source| CannotRun {
            program: self.program.to_string_lossy().into_owned(),
            source,
        })?;
        let exit = Exit::new(child)?;
        self.state =
            State::Running(registry.register_owned(exit, self.tokens.child, readable())?);
        Ok(())
    }

    /// To the whole group, if it has one of its own. It may have ended by itself.
    fn signal(&self, signal: i32) {
        let _ = match &self.state {
            State::Idle => Ok(()),
            State::Running(child) if self.restart => {
                process::signal_group(child.pid(), signal).map_err(io::Error::from)
            }
            State::Running(child) => child.send_signal(Signal::from_raw(signal)),
            State::Lingering(group) => {
                process::signal_group(*group, signal).map_err(io::Error::from)
            }
        };
    }
}

/// As shells have it.
fn exit_code(status: std::process::ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
