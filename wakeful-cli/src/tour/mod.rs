//! `wakeful` alone: one thread, one poll, and everything that happens in it.
//!
//! Each act registers its sources, says what it expects, and is told of its events. When all that had
//! to come has come, or the time is up, a summary says which; the exit status is 1 if something is
//! missing.

mod drop;
mod echo;
mod file;
mod pipe;
mod process;
mod signal;
mod time;
mod user;
mod wake;
mod watch;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use owo_colors::OwoColorize;
use wakeful::event::Event;
use wakeful::time::Timers;
use wakeful::{Events, Poll, Registry, Token};

use crate::output::{Output, OutputError};

/// What does not come within this will not come.
const DEADLINE: Duration = Duration::from_secs(8);

/// How long the timed wait at the end lasts.
const TIMED_WAIT: Duration = Duration::from_micros(2500);

/// Tokens of one act: its number above, its own below.
const TOKENS_PER_ACT: usize = 1 << 8;

/// A part of the tour.
trait Act {
    /// One word that begins its lines.
    fn name(&self) -> &'static str;

    /// What it shows, for the summary.
    fn promise(&self) -> &'static str;

    /// One of its sources is ready.
    fn ready(&mut self, event: &Event, source: usize, stage: &mut Stage<'_>) -> anyhow::Result<()>;

    /// What has not come yet; empty when all has.
    fn missing(&self) -> String;
}

/// What an act works with.
struct Stage<'tour> {
    registry: &'tour Registry,
    timers: &'tour mut Timers,
    output: &'tour mut Output,
    act: usize,
    name: &'static str,
}

impl Stage<'_> {
    /// The token of one of the act's sources.
    fn token(&self, source: usize) -> Token {
        Token(self.act * TOKENS_PER_ACT + source)
    }

    fn say(&mut self, what: impl std::fmt::Display) -> Result<(), OutputError> {
        self.output.log(self.name, what)
    }
}

type Begin = fn(&mut Stage<'_>) -> anyhow::Result<Box<dyn Act>>;

const ACTS: &[(&str, Begin)] = &[
    ("echo", echo::begin),
    ("drop", drop::begin),
    ("pipe", pipe::begin),
    ("wake", wake::begin),
    ("time", time::begin),
    ("signal", signal::begin),
    ("process", process::begin),
    ("watch", watch::begin),
    ("user", user::begin),
    ("file", file::begin),
];

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let mut output = Output::new()?;
    let mut poll = Poll::new().context("no poller could be created")?;
    let backend = poll.capabilities().backend;
    output.line(format_args!("{} on one thread, waiting with {backend}", "wakeful".bold()))?;

    let mut acts = Vec::new();
    let registry = poll.registry().try_clone()?;
    for (act, (name, begin)) in ACTS.iter().enumerate() {
        let (registry, timers) = (&registry, poll.timers());
        let mut stage = Stage { registry, timers, output: &mut output, act, name };
        acts.push(begin(&mut stage).with_context(|| format!("the act {name:?} could not begin"))?);
    }
    let counts = play(&mut poll, &mut acts, &mut output)?;
    let waited = wait(&mut poll, &mut output)?;
    summarize(&acts, counts, waited, &mut output)
}

/// Polls, and acts on every event, until nothing is missing or the time is up.
fn play(
    poll: &mut Poll,
    acts: &mut [Box<dyn Act>],
    output: &mut Output,
) -> anyhow::Result<(usize, usize)> {
    let mut events = Events::with_capacity(64);
    let (mut polls, mut count) = (0, 0);
    let registry = poll.registry().try_clone()?;
    let end = Instant::now() + DEADLINE;
    while acts.iter().any(|act| !act.missing().is_empty()) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match poll.poll(&mut events, Some(left)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        polls += 1;
        for event in &events {
            count += 1;
            let Token(token) = event.token();
            let act = token / TOKENS_PER_ACT;
            let Some(player) = acts.get_mut(act) else {
                continue;
            };
            let name = player.name();
            let (registry, timers) = (&registry, poll.timers());
            let mut stage = Stage { registry, timers, output, act, name };
            player.ready(event, token % TOKENS_PER_ACT, &mut stage)?;
        }
    }
    Ok((polls, count))
}

/// Waits with nothing to come: a wait that is not shorter than asked for.
fn wait(poll: &mut Poll, output: &mut Output) -> anyhow::Result<Option<Duration>> {
    let mut events = Events::with_capacity(64);
    let end = Instant::now() + DEADLINE;
    let mut early = 0;
    output.log("wait", format_args!("{TIMED_WAIT:?} with nothing to come"))?;
    while Instant::now() < end {
        let start = Instant::now();
        match poll.poll(&mut events, Some(TIMED_WAIT)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        let waited = start.elapsed();
        if events.is_empty() && waited >= TIMED_WAIT {
            output.log("wait", format_args!("over after {waited:?}"))?;
            return Ok(Some(waited));
        }
        // An event of an act may come late, and the wake-up behind it later still.
        early += 1;
        if early > 10 {
            break;
        }
    }
    Ok(None)
}

fn summarize(
    acts: &[Box<dyn Act>],
    (polls, events): (usize, usize),
    waited: Option<Duration>,
    output: &mut Output,
) -> anyhow::Result<ExitCode> {
    let mut rows: Vec<_> =
        acts.iter().map(|act| (act.name(), act.promise(), act.missing())).collect();
    let missing = if waited.is_some() { "" } else { "it ended early or not at all" };
    rows.push(("wait", "a timed wait of 2.5 ms is not cut short", missing.into()));

    output.line("")?;
    for (name, promise, missing) in &rows {
        if missing.is_empty() {
            output.line(format_args!("{} {:<9} {promise}", "✓".green(), name.cyan()))?;
        } else {
            let what = format!("{promise}: missing {missing}");
            output.line(format_args!("{} {:<9} {}", "✗".red(), name.cyan(), what.red()))?;
        }
    }
    let failed = rows.iter().filter(|(_, _, missing)| !missing.is_empty()).count();
    output.line(format_args!(
        "{events} events in {polls} polls; {} of {} as promised",
        rows.len() - failed,
        rows.len(),
    ))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
