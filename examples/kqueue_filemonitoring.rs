//! A temporary file, watched with kqueue(2) through a second descriptor of it, and written to by a thread: exactly
//! one event. The same on FreeBSD, macOS and Linux, where the kqueue is emulated.
//!
//! `cargo run --example kqueue_filemonitoring`

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use wakeful_kernel::kqueue::filter::{Vnode, VnodeEvents};
use wakeful_kernel::kqueue::{Change, Happening, Kqueue, Mode};

/// Longer than it takes.
const TIMEOUT: Duration = Duration::from_secs(10);
/// As long as to see that nothing else comes.
const QUIET: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut file = tempfile::NamedTempFile::new()?;
    let watched = File::open(file.path())?;

    let kqueue = Kqueue::new()?;
    // DELETE, WRITE, EXTEND, ATTRIBUTES, LINK, RENAME and REVOKE.
    let vnode = Vnode::new(&watched, VnodeEvents::EVERYWHERE);
    let changes = [Change::add(vnode, Mode::Clear, 1)?];
    println!("changes: {changes:#?}");
    kqueue.apply(changes)?;

    let writer = thread::spawn(move || file.write_all(b"hello world").map(|()| file));
    let mut events = Vec::with_capacity(8);
    kqueue.wait(&mut events, Some(TIMEOUT))?;
    // It is removed when this is dropped, which would be an event, too.
    let _file = writer.join().map_err(|_| "the writer panicked")??;
    kqueue.wait(&mut events, Some(QUIET))?;
    println!("events: {events:#?}");
    for event in &events {
        if let Happening::Vnode { fd, what } = event.happening() {
            println!("descriptor {fd}: {what:?}");
        }
    }
    println!("{} event", events.len());
    if events.len() == 1 { Ok(()) } else { Err("there should have been exactly one".into()) }
}
