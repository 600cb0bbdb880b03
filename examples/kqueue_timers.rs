//! Two timers of kqueue(2), a second each, in a wait of at most four seconds: exactly two events. The same on
//! FreeBSD, macOS and Linux, where the kqueue is emulated.
//!
//! ```sh
//! cargo run --example kqueue_timers      # UNIT_MS=50 makes a second 50 ms
//! ```

use std::error::Error;
use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wakeful_kernel::kqueue::filter::Timer;
use wakeful_kernel::kqueue::{Change, Happening, Kqueue, Mode};

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let unit = std::env::var("UNIT_MS").unwrap_or_else(|_| "1000".to_owned());
    let unit: u64 =
        unit.parse().map_err(|_| format!("UNIT_MS is a number of milliseconds, not {unit:?}"))?;
    let second = Duration::from_millis(unit);
    let kqueue = Kqueue::new()?;
    kqueue.apply([
        Change::add(Timer::after(0, second), Mode::Oneshot, 0)?,
        Change::add(Timer::after(1, second), Mode::Oneshot, 0)?,
    ])?;

    let start = Instant::now();
    let mut events = Vec::with_capacity(16);
    let mut count = 0;
    while let Some(left) = (4 * second).checked_sub(start.elapsed()) {
        events.clear();
        match kqueue.wait(&mut events, Some(left)).map_err(io::Error::from) {
            // A signal interrupted the wait: ^Z and `fg`, for example.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        };
        for event in &events {
            if let Happening::Timer { id, expirations } = event.happening() {
                count += 1;
                println!("timer {id} expired {expirations} time after {:?}", start.elapsed());
            }
        }
    }
    println!("{count} events");
    if count == 2 { Ok(()) } else { Err("there should have been exactly two".into()) }
}
