//! Signals as events: three are sent by the program itself, or yours from another terminal.
//!
//! ```sh
//! cargo run --example signals              # sends itself SIGUSR1 twice and SIGTERM
//! cargo run --example signals -- wait      # kill -USR1 …, and ^C ends it
//! ```

use std::error::Error;
use std::io::ErrorKind;
use std::process::{Command, ExitCode};
use std::time::Duration;

use wakeful::signal::{Signal, Signals};
use wakeful::{Events, Interest, Poll, Token};

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let waits = std::env::args().nth(1).is_some_and(|argument| argument == "wait");
    let mut poll = Poll::new()?;
    let signals = Signals::new([Signal::USER1, Signal::INTERRUPT, Signal::TERMINATE])?;
    let signals = poll.registry().register_owned(signals, Token(0), Interest::READABLE)?;
    let process = std::process::id();
    println!("process {process} waits for signals");
    if !waits {
        for signal in ["-USR1", "-USR1", "-TERM"] {
            Command::new("kill").args([signal, &process.to_string()]).status()?;
        }
    }

    let timeout = (!waits).then_some(Duration::from_secs(5));
    let mut events = Events::with_capacity(8);
    loop {
        match poll.poll(&mut events, timeout) {
            // The handler ran on this very thread. The next poll reports it.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        if events.is_empty() {
            return Err("no signal came in five seconds".into());
        }
        for delivery in signals.pending() {
            println!("{} × {}", delivery.count, delivery.signal);
            if delivery.signal != Signal::USER1 {
                return Ok(());
            }
        }
    }
}
