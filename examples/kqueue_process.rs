//! The end of a child, and a signal, as events of kqueue(2). The same on FreeBSD, macOS and Linux, where the
//! kqueue is emulated.
//!
//! `cargo run --example kqueue_process`

use std::error::Error;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use wakeful_kernel::kqueue::filter::{Process, ProcessEvents, Signal};
use wakeful_kernel::kqueue::{Change, Happening, Kqueue, Mode};

/// Longer than it takes.
const TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let kqueue = Kqueue::new()?;
    let mut child = Command::new("sh").args(["-c", "sleep 0.1; exit 7"]).spawn()?;
    let pid = libc::pid_t::try_from(child.id())?;
    kqueue.apply([
        // Which comes when a child has ended, and does nothing unless somebody says what.
        Change::add(Signal::new(libc::SIGCHLD), Mode::Clear, 0)?,
        Change::add(
            Process::new(pid, ProcessEvents::EXIT | ProcessEvents::EXIT_STATUS),
            Mode::Oneshot,
            0,
        )?,
    ])?;
    println!("process {pid} sleeps, and will end with 7");

    let (mut has_ended, mut has_signal) = (false, false);
    while !(has_ended && has_signal) {
        let mut events = Vec::with_capacity(8);
        if kqueue.wait(&mut events, Some(TIMEOUT))? == 0 {
            return Err("the child does not end".into());
        }
        for event in &events {
            match event.happening() {
                Happening::Process { pid, status, .. } => {
                    println!("process {pid}: {}", ExitStatus::from_raw(i32::try_from(status)?));
                    has_ended = true;
                }
                Happening::Signal { number, count } => {
                    println!("signal {number}: {count} time");
                    has_signal = true;
                }
                other => println!("{other:?}"),
            }
        }
    }
    println!("waited for: {}", child.wait()?);
    Ok(())
}
