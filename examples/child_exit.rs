//! Children that end, as events: one by itself, one because it is told to, one by its own hand.
//!
//! `cargo run --example child_exit`

use std::error::Error;
use std::io::ErrorKind;
use std::process::{Command, ExitCode};
use std::time::Duration;

use wakeful::process::{Exit, Outcome};
use wakeful::signal::Signal;
use wakeful::{Events, Interest, Poll, Token};

/// Longer than any of them takes.
const TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut children = Vec::new();
    for (number, script) in
        ["sleep 0.1; exit 7", "exec sleep 60", "kill -KILL $$"].into_iter().enumerate()
    {
        let child = Command::new("sh").args(["-c", script]).spawn()?;
        let exit = Exit::new(child)?;
        println!("child {number}: {script:?}, process {}", exit.pid());
        if number == 1 {
            exit.send_signal(Signal::TERMINATE)?;
        }
        let exit = poll.registry().register_owned(exit, Token(number), Interest::READABLE)?;
        children.push(Some(exit));
    }

    let mut events = Events::with_capacity(8);
    while children.iter().any(Option::is_some) {
        match poll.poll(&mut events, Some(TIMEOUT)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        if events.is_empty() {
            return Err("the children do not end".into());
        }
        for event in &events {
            let Token(number) = event.token();
            // Its end may be reported again once it has been waited for.
            let Some(exit) = &children[number] else {
                continue;
            };
            match exit.try_wait()? {
                Some(Outcome::Status(status)) => println!("child {number}: {status}"),
                Some(_) => println!("child {number}: somebody else has waited for it"),
                None => continue,
            }
            children[number] = None;
        }
    }
    Ok(())
}
