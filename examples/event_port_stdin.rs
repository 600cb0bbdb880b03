//! Waits with an event port until something can be read from standard input. The same on illumos, and on Linux, where
//! the port is emulated.
//!
//! ```sh
//! cargo run --example event_port_stdin       # type a line
//! ```

use std::error::Error;
use std::io::{self, BufRead};
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use wakeful_kernel::event_port::{EventPort, PollEvents};

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let port = EventPort::new()?;
    let stdin = io::stdin();
    port.associate_fd(stdin.as_raw_fd(), PollEvents::IN, 0)?;

    let event = port.get(None)?;
    if let Some(events) = event.poll_events() {
        println!("descriptor {}: {events}", event.object);
        if events.contains(PollEvents::IN) {
            println!("Data available on stdin!");
        }
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    println!("read: {}", line.trim_end());
    Ok(())
}
