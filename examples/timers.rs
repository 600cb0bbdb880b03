//! Two timers of the kernel, a second each, in one wait of at most four seconds: exactly two events.
//!
//! ```sh
//! cargo run --example timers      # UNIT_MS=50 makes a second 50 ms
//! ```

use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wakeful::time::Timer;
use wakeful::{Events, Interest, Poll, Token};

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let unit = std::env::var("UNIT_MS").unwrap_or_else(|_| "1000".to_owned());
    let unit: u64 =
        unit.parse().map_err(|_| format!("UNIT_MS is a number of milliseconds, not {unit:?}"))?;
    let second = Duration::from_millis(unit);
    let mut poll = Poll::new()?;
    let mut timers = Vec::new();
    for number in 0..2 {
        let timer = Timer::new()?;
        timer.set_after(second)?;
        timers.push(poll.registry().register_owned(timer, Token(number), Interest::READABLE)?);
    }

    let start = Instant::now();
    let end = start + 4 * second;
    let mut events = Events::with_capacity(16);
    let mut count = 0;
    loop {
        match poll.poll_deadline(&mut events, Some(end)) {
            // A signal interrupted the wait: ^Z and `fg`, for example.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        if events.is_empty() {
            break;
        }
        for event in &events {
            let Token(number) = event.token();
            count += 1;
            let expirations = timers[number].expirations()?;
            println!("timer {number} expired {expirations} time after {:?}", start.elapsed());
        }
    }
    println!("{count} events");
    if count == 2 { Ok(()) } else { Err("there should have been exactly two".into()) }
}
