//! A timer that tells an event port, and how often it has expired while nobody looked. The same on illumos, and on
//! Linux, where the port is emulated.
//!
//! ```sh
//! cargo run --example event_port_timer       # UNIT_MS=5 makes a tenth of a second 5 ms
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use wakeful_kernel::event_port::{Clock, EventPort, EventSource};

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let unit = std::env::var("UNIT_MS").unwrap_or_else(|_| "100".to_owned());
    let unit: u64 =
        unit.parse().map_err(|_| format!("UNIT_MS is a number of milliseconds, not {unit:?}"))?;
    let tenth = Duration::from_millis(unit);

    let port = EventPort::new()?;
    let timer = port.timer(Clock::Monotonic, 23)?;
    let start = Instant::now();
    timer.set(tenth, Some(tenth))?;
    for _ in 0..3 {
        let event = port.get(Some(100 * tenth))?;
        if event.source == EventSource::Timer && event.object == timer.id() {
            println!("{} of user {} after {:?}", event.events, event.user, start.elapsed());
        }
    }
    thread::sleep(5 * tenth);
    let event = port.get(None)?;
    println!("{} while nobody looked", event.events);
    if event.events < 4 { Err("it should have been five".into()) } else { Ok(()) }
}
