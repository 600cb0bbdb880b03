//! Watches a file with an event port, until it is deleted, renamed or replaced. The same on illumos, and on Linux, where
//! the port is emulated.
//!
//! ```sh
//! cargo run --example event_port_watch_file -- PATH
//! ```

use std::error::Error;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

use wakeful_kernel::event_port::{EventPort, EventSource, FileEvents, FileObj};

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1);
    let path = path.ok_or("say which file to watch: event_port_watch_file PATH")?;

    let port = EventPort::new()?;
    let mut file_obj = FileObj::new(&path)?;
    let events = FileEvents::ACCESS | FileEvents::MODIFIED | FileEvents::ATTRIB | FileEvents::TRUNC;
    port.associate_file(&file_obj, events, 0)?;
    println!("watching {}", file_obj.path());
    loop {
        let event = port.get(None)?;
        if event.source != EventSource::File {
            continue;
        }
        let found = event.file_events().unwrap_or(FileEvents::empty());
        if let Some(file) = event.as_file_obj()? {
            println!("{} {found}", file.path());
        }
        let ended = FileEvents::DELETE
            | FileEvents::RENAME_FROM
            | FileEvents::RENAME_TO
            | FileEvents::UNMOUNTED
            | FileEvents::MOUNTEDOVER;
        if found.intersects(ended) {
            return Ok(());
        }
        // An event ends the association. What happens between the two lines is told, by the times.
        let again = file_obj.refresh().map_err(io::Error::from);
        let again = again.and_then(|()| Ok(port.associate_file(&file_obj, events, 0)?));
        match again {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("{} is gone", file_obj.path());
                return Ok(());
            }
            result => result?,
        }
    }
}
