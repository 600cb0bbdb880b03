//! The command that is run when something has happened.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use wakeful::process::{Exit, Outcome};
use wakeful::time::{TimerKey, Timers};
use wakeful::{Registered, Registry, Token};
use wakeful_kernel::process;

use super::source::readable;

/// How long a command is given to end when it is asked to.
const GRACE: Duration = Duration::from_secs(2);

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
    child: Option<Registered<Exit>>,
    /// What it is to be started for.
    pending: Option<Cause>,
    /// When nothing more has happened for long enough, and when that is not waited for any longer.
    quiet: Option<(TimerKey, Instant)>,
    /// When it has been given long enough to end.
    patience: Option<TimerKey>,
    /// How it ended last.
    pub(super) status: Option<u8>,
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
    pub(super) patience: Token,
}

pub(super) struct Options<'arguments> {
    pub(super) command: &'arguments [OsString],
    pub(super) restart: bool,
    pub(super) debounce: Duration,
    pub(super) no_stdin: bool,
}

impl Runner {
    /// `None` without a command.
    pub(super) fn new(options: &Options<'_>, tokens: Tokens) -> Option<Runner> {
        let (program, arguments) = options.command.split_first()?;
        Some(Runner {
            program: program.clone(),
            arguments: arguments.to_vec(),
            restart: options.restart,
            debounce: options.debounce,
            no_stdin: options.no_stdin,
            tokens,
            child: None,
            pending: None,
            quiet: None,
            patience: None,
            status: None,
        })
    }

    /// Starts the command before anything has happened, if it is one that is to run all the time.
    pub(super) fn begin(&mut self, registry: &Registry) -> anyhow::Result<()> {
        if self.restart {
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
        match &self.child {
            None => self.start(registry),
            Some(_) if self.restart => self.end(timers),
            // It runs again when it has ended.
            Some(_) => Ok(()),
        }
    }

    /// Asks the command to end.
    pub(super) fn end(&mut self, timers: &mut Timers) -> anyhow::Result<()> {
        if let (Some(_), None) = (&self.child, &self.patience) {
            self.signal(libc::SIGTERM);
            self.patience = Some(timers.insert(Instant::now() + GRACE, self.tokens.patience)?);
        }
        Ok(())
    }

    /// It has not ended in time.
    pub(super) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// The command may have ended.
    pub(super) fn look(&mut self, registry: &Registry, timers: &mut Timers) -> anyhow::Result<()> {
        let Some(child) = &self.child else {
            return Ok(());
        };
        let Some(outcome) = child.try_wait()? else {
            return Ok(());
        };
        if self.restart {
            // Those that it started and left behind.
            self.signal(libc::SIGTERM);
        }
        self.child = None;
        if let Some(timer) = self.patience.take() {
            timers.cancel(timer);
        }
        self.status = Some(match outcome {
            Outcome::Status(status) => exit_code(status),
            _ => 0,
        });
        if self.pending.is_some() && self.quiet.is_none() {
            self.start(registry)?;
        }
        Ok(())
    }

    /// Whether it is running, or about to.
    pub(super) fn is_busy(&self) -> bool {
        self.is_running() || self.pending.is_some()
    }

    pub(super) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Nothing more is to be started.
    pub(super) fn forget(&mut self, timers: &mut Timers) {
        self.pending = None;
        if let Some((timer, _)) = self.quiet.take() {
            timers.cancel(timer);
        }
    }

    fn start(&mut self, registry: &Registry) -> anyhow::Result<()> {
        let Some(cause) = self.pending.take() else {
            return Ok(());
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        if let Cause::Event(event) = cause {
            command.env(VARIABLE, event);
        }
        if self.no_stdin {
            command.stdin(Stdio::null());
        }
        if self.restart {
            // To be ended together with all that it starts.
            command.process_group(0);
        }
        let program = self.program.to_string_lossy();
        let child = command.spawn().with_context(|| format!("cannot run {program:?}"))?;
        let exit = Exit::new(child)?;
        self.child = Some(registry.register_owned(exit, self.tokens.child, readable())?);
        Ok(())
    }

    /// To the whole group, if it has one of its own. It may have ended by itself.
    fn signal(&self, signal: i32) {
        let Some(child) = &self.child else {
            return;
        };
        let _ = if self.restart {
            process::signal_group(child.pid(), signal).map_err(Into::into)
        } else {
            child.send_signal(wakeful::signal::Signal::from_raw(signal))
        };
    }
}

/// As shells have it.
fn exit_code(status: std::process::ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
