//! What an event port says of a descriptor that is not open. The same on illumos, and on Linux, where the port is
//! emulated.
//!
//! `cargo run --example event_port_errors`

use std::error::Error;
use std::process::ExitCode;

use wakeful_kernel::event_port::{AssociateFdError, EventPort, PollEvents};

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let port = EventPort::new()?;
    let result = port.associate_fd(99, PollEvents::IN, 0);
    if let Err(error) = &result {
        println!("{error}");
    }
    match result {
        Ok(()) => Err("descriptor 99 should not be open".into()),
        Err(AssociateFdError { fd, source }) => {
            println!("Failed to associate fd {fd}: {source}");
            Ok(())
        }
    }
}
