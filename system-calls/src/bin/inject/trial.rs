//! One scenario on one backend under strace: which calls it makes, and what becomes of it when one fails.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wakeful::Backend;

use crate::scenarios::{LOST, REFUSED, SURFACED, SWALLOWED};
use crate::{OCCURRENCES, Result, errors};

/// Nothing that is right lasts as long.
const HANG: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) scenario: &'static str,
    pub(crate) backend: Backend,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scenario, self.backend)
    }
}

#[derive(Debug)]
pub(crate) struct Injection {
    pub(crate) trial: Trial,
    call: String,
    errno: &'static str,
    occurrence: usize,
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Injection { trial, call, errno, occurrence } = self;
        write!(f, "{trial}: {call}:error={errno}:when={occurrence}")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The scenario came to its end; whether it was told of an error.
    Right {
        surfaced: bool,
    },
    /// The call was not made this time.
    NotReached,
    Lost,
    Swallowed,
    /// A call goes on failing.
    Refused,
    Hang,
    Panic(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Right { .. } => f.write_str("right"),
            Outcome::NotReached => f.write_str("not reached"),
            Outcome::Lost => f.write_str("LOST after an error that was told"),
            Outcome::Swallowed => f.write_str("LOST, and no error was told"),
            Outcome::Refused => f.write_str("GOES ON FAILING, with another error"),
            Outcome::Hang => f.write_str("HANG"),
            Outcome::Panic(said) => write!(f, "ENDED WRONGLY: {said}"),
        }
    }
}

impl Trial {
    /// All that is to be tried.
    pub(crate) fn injections(self, is_full: bool) -> Result<Vec<Injection>> {
        let traced = self.traced(&[])?;
        let outcome = traced.outcome();
        if outcome != (Outcome::Right { surfaced: false }) {
            return Err(format!("{self} fails by itself: {outcome}: {}", traced.said).into());
        }
        let most = OCCURRENCES[usize::from(is_full)];
        let mut injections = Vec::new();
        for (call, count) in traced.calls() {
            for &errno in errors::of(&call) {
                for occurrence in occurrences(count, most) {
                    let call = call.clone();
                    injections.push(Injection { trial: self, call, errno, occurrence });
                }
            }
        }
        Ok(injections)
    }

    /// Runs the scenario, which begins when strace has attached itself. So all calls that strace counts are the
    /// scenario's: those of its threads, which begin after that.
    fn traced(self, options: &[&str]) -> Result<Traced> {
        let backend = self.backend.to_string();
        let mut program = Command::new(std::env::current_exe()?)
            .args(["run", self.scenario, &backend])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(program.stdout.take().ok_or("it is piped")?);
        output.read_line(&mut String::new())?;
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log = std::env::temp_dir().join(format!("inject-{}-{number}", std::process::id()));
        let mut strace = Command::new("strace")
            .args(["-f", "--detach-on=execve", "-o"])
            .arg(&log)
            .args(options)
            .args(["-p", &program.id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("strace: {error}; install it"))?;
        let mut said = BufReader::new(strace.stderr.take().ok_or("it is piped")?);
        let mut attached = String::new();
        said.read_line(&mut attached)?;
        if !attached.contains("attached") {
            let _ = program.kill();
            let _ = (program.wait(), strace.wait());
            return Err(format!("strace cannot attach itself: {attached}").into());
        }
        // What else it says is taken, so that it is not held up.
        let rest = thread::spawn(move || said.read_to_string(&mut String::new()));
        program.stdin.take().ok_or("it is piped")?.write_all(b"\n")?;
        let status = wait(&mut program)?;
        let _ = strace.kill();
        strace.wait()?;
        let _ = rest.join();
        let traced = Traced::new(program, output, status, fs::read_to_string(&log)?)?;
        fs::remove_file(&log)?;
        Ok(traced)
    }
}

/// The first occurrences, and as many of the others, far from one another.
fn occurrences(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let first = count.min(most);
    let others = (count - first).min(most);
    (1..=first).chain((1..=others).map(move |nth| first + nth * (count - first) / others))
}

/// How the program ended; `None` if it had to be ended.
fn wait(program: &mut Child) -> Result<Option<ExitStatus>> {
    let until = Instant::now() + HANG;
    let mut pause = Duration::from_millis(1);
    while Instant::now() < until {
        if let Some(status) = program.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    program.kill()?;
    program.wait()?;
    Ok(None)
}

impl Injection {
    pub(crate) fn run(&self) -> Result<Outcome> {
        let Injection { trial, call, errno, occurrence } = self;
        let trace = format!("trace={call}");
        let inject = format!("inject={call}:error={errno}:when={occurrence}");
        let traced = trial.traced(&["-e", &trace, "-e", &inject])?;
        let outcome = match traced.outcome() {
            // It is told as what it is, each time.
            Outcome::Refused if traced.tells_only(errors::number(errno)) => {
                Outcome::Right { surfaced: true }
            }
            outcome => outcome,
        };
        let is_reached = traced.log.contains("(INJECTED)");
        Ok(match outcome {
            Outcome::Right { .. } if !is_reached => Outcome::NotReached,
            outcome => outcome,
        })
    }
}

struct Traced {
    main: u32,
    status: Option<ExitStatus>,
    said: String,
    log: String,
}

impl Traced {
    fn new(
        program: Child,
        mut output: BufReader<ChildStdout>,
        status: Option<ExitStatus>,
        log: String,
    ) -> Result<Traced> {
        let main = program.id();
        let mut said = String::new();
        output.read_to_string(&mut said)?;
        if let Some(mut errors) = program.stderr {
            errors.read_to_string(&mut said)?;
        }
        Ok(Traced { main, status, said, log })
    }

    fn outcome(&self) -> Outcome {
        let Some(status) = self.status else {
            return Outcome::Hang;
        };
        match status.code().map(u8::try_from) {
            Some(Ok(0)) => Outcome::Right { surfaced: false },
            Some(Ok(SURFACED)) => Outcome::Right { surfaced: true },
            Some(Ok(SWALLOWED)) => Outcome::Swallowed,
            Some(Ok(LOST)) => Outcome::Lost,
            Some(Ok(REFUSED)) => Outcome::Refused,
            _ => Outcome::Panic(format!("{status}: {}", self.said.trim().replace('\n', "; "))),
        }
    }

    /// Whether all that was told is this error.
    fn tells_only(&self, errno: u32) -> bool {
        let errno = format!("(os error {errno})");
        self.said.lines().filter(|line| line.starts_with("told: ")).all(|it| it.contains(&errno))
    }

    /// How often each call is made by one thread at most. The main thread only waits.
    fn calls(&self) -> BTreeMap<String, usize> {
        let mut counts = HashMap::<(&str, &str), usize>::new();
        for line in self.log.lines() {
            let Some((thread, rest)) = line.split_once(' ') else {
                continue;
            };
            let name = rest.trim_start().split('(').next().unwrap_or_default();
            let is_name =
                |it: &str| it.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if thread != self.main.to_string() && is_name(name) {
                *counts.entry((thread, name)).or_default() += 1;
            }
        }
        let mut most = BTreeMap::new();
        for ((_, name), count) in counts {
            let entry = most.entry(name.to_owned()).or_insert(0);
            *entry = count.max(*entry);
        }
        most
    }
}
