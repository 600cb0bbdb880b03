//! A file that somebody else writes to: one write, one change, one event.
//!
//! `cargo run --example filemonitoring`, or with a path of yours, which is then watched until ^C.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use wakeful::watch::{Watch, Watcher};
use wakeful::{Events, Interest, Poll, Token};

/// Longer than the writer takes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than a second event, which there must not be, would take.
const SILENCE: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(8);
    let watcher = poll.registry().register_owned(Watcher::new()?, Token(0), Interest::READABLE)?;
    if let Some(path) = std::env::args_os().nth(1) {
        watcher.add(Watch::new(path).recursive(true))?;
        loop {
            poll.poll(&mut events, None)?;
            for change in watcher.changes() {
                println!("{change}");
            }
        }
    }

    // In a folder of its own, which is in one of its own: what happens beside either of them wakes the poller as well.
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("inner"))?;
    let path = folder.path().join("inner/file");
    File::create(&path)?;
    watcher.add(&path)?;
    println!("watching {}", path.display());
    let writer = thread::spawn(move || {
        OpenOptions::new().append(true).open(path)?.write_all(b"hello world")
    });

    let mut count = 0;
    let mut timeout = TIMEOUT;
    loop {
        poll.poll(&mut events, Some(timeout))?;
        if events.is_empty() {
            break;
        }
        let changes: Vec<_> = watcher.changes().collect();
        for change in &changes {
            println!("{change}");
        }
        // Events that find nothing are allowed.
        count += usize::from(!changes.is_empty());
        timeout = SILENCE;
    }
    writer.join().map_err(|_| "the writer panicked")??;
    println!("{count} event");
    if count == 1 { Ok(()) } else { Err("exactly one was expected".into()) }
}
