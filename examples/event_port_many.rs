//! Retrieves up to ten events of an event port at once, within a second. The same on illumos, and on Linux, where the
//! port is emulated.
//!
//! `cargo run --example event_port_many`

use std::error::Error;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use wakeful_kernel::event_port::{EventPort, PollEvents};

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let port = EventPort::new()?;
    let mut pairs = Vec::new();
    for _ in 0..3 {
        pairs.push(UnixStream::pair()?);
    }
    for (receiver, sender) in &mut pairs {
        port.associate_fd(receiver.as_raw_fd(), PollEvents::IN | PollEvents::OUT, 0)?;
        sender.write_all(b"hello")?;
    }
    // Only what is read counts for this one.
    port.associate_fd(pairs[2].0.as_raw_fd(), PollEvents::IN, 0)?;

    // As soon as there is one, and all that there are.
    let mut count = 0;
    while count < pairs.len() {
        let events = port.get_n(10, Some(Duration::from_secs(1)))?;
        if events.is_empty() {
            return Err(format!("only {count} events came").into());
        }
        for event in events {
            if let Some(poll_events) = event.poll_events() {
                count += 1;
                println!("FD {} events: {poll_events}", event.object);
            }
        }
    }
    Ok(())
}
