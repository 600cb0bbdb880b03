//! Makes system calls fail, one at a time, and looks at what becomes of events.
//!
//! `inject [--full] [SCENARIO[/BACKEND] …]` runs each scenario once to see which system calls it makes, and then once
//! for each call, each error that its manual page names, and each of its first occurrences and some others, which strace
//! makes fail. The scenario asks again after an error. It must come to its right end: an event that was lost is a failure, and
//! so are a hang and a panic.

mod errors;
mod scenarios;
mod trial;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use scenarios::SCENARIOS;
use trial::{Injection, Outcome, Trial};
use wakeful::Backend;

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How many occurrences of a call are made to fail, one at a time, in the short form and in the full one: so many of the
/// first, and as many of the others.
const OCCURRENCES: [usize; 2] = [2, 5];
/// Trials that run at the same time: each mostly waits.
const AT_ONCE: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("run") => return scenarios::main(&arguments[1..]),
        Some("--full") => run(true, &arguments[1..]),
        _ => run(false, &arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("inject: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What came of a scenario on a backend.
#[derive(Debug, Default)]
struct Row {
    injections: usize,
    right: usize,
    surfaced: usize,
    failures: Vec<String>,
}

fn run(is_full: bool, wanted: &[String]) -> Result<bool> {
    let start = Instant::now();
    let mut injections = VecDeque::new();
    for (name, scenario) in SCENARIOS {
        let backends =
            if scenario.is_of_backend() { Backend::available() } else { &[Backend::Epoll] };
        for &backend in backends {
            let trial = Trial { scenario: name, backend };
            let is_wanted = |it: &String| *it == *name || *it == trial.to_string();
            if wanted.is_empty() || wanted.iter().any(is_wanted) {
                injections.extend(trial.injections(is_full)?);
            }
        }
    }
    let injections = Mutex::new(injections);
    let rows = Mutex::new(BTreeMap::<String, Row>::new());
    let next = || injections.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || -> Result {
        while let Some(injection) = next() {
            let outcome = injection.run()?;
            let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            rows.entry(injection.trial.to_string()).or_default().add(&injection, outcome);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|it| it.join().map_err(|_| "a worker panicked")?)
    })?;
    let rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(report(&rows, start))
}

impl Row {
    fn add(&mut self, injection: &Injection, outcome: Outcome) {
        if outcome == Outcome::NotReached {
            return;
        }
        self.injections += 1;
        match outcome {
            Outcome::Right { surfaced } => {
                self.right += 1;
                self.surfaced += usize::from(surfaced);
            }
            outcome => self.failures.push(format!("{injection}: {outcome}")),
        }
    }
}

fn report(rows: &BTreeMap<String, Row>, start: Instant) -> bool {
    println!("| Scenario and backend | Injections | Right | of these with an error | Failures |");
    println!("|---|---:|---:|---:|---:|");
    let mut sum = Row::default();
    for (name, row) in rows {
        let Row { injections, right, surfaced, failures } = row;
        println!("| {name} | {injections} | {right} | {surfaced} | {} |", failures.len());
        sum.injections += injections;
        sum.right += right;
        sum.surfaced += surfaced;
        sum.failures.extend(failures.iter().cloned());
    }
    let Row { injections, right, surfaced, failures } = sum;
    println!("| all | {injections} | {right} | {surfaced} | {} |", failures.len());
    let kinds: BTreeSet<_> = failures.into_iter().collect();
    kinds.iter().for_each(|failure| println!("{failure}"));
    println!("{} s", start.elapsed().as_secs());
    injections > 0 && kinds.is_empty()
}
