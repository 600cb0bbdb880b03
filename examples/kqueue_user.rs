//! An event that the program makes true itself, with flags: threads wake the one that waits with kqueue(2). The
//! same on FreeBSD, macOS and Linux, where the kqueue is emulated.
//!
//! `cargo run --example kqueue_user`

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use wakeful_kernel::kqueue::filter::User;
use wakeful_kernel::kqueue::{Change, FlagOperation, Happening, Kqueue, Mode};

/// Longer than it takes.
const TIMEOUT: Duration = Duration::from_secs(10);
const ID: usize = 1;
const THREADS: u32 = 4;

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let kqueue = Kqueue::new()?;
    kqueue.apply([Change::add(User::new(ID), Mode::Clear, 0)?])?;
    thread::scope(|scope| {
        let kqueue = &kqueue;
        for number in 0..THREADS {
            scope.spawn(move || {
                // Each has a bit of its own.
                let trigger = Change::trigger(ID, FlagOperation::Or(1 << number), 0);
                let result = trigger
                    .map_err(|error| error.to_string())
                    .and_then(|trigger| kqueue.apply([trigger]).map_err(|error| error.to_string()));
                if let Err(error) = result {
                    eprintln!("thread {number}: {error}");
                }
            });
        }
        let mut seen = 0;
        while seen != (1 << THREADS) - 1 {
            let mut events = Vec::with_capacity(8);
            if kqueue.wait(&mut events, Some(TIMEOUT))? == 0 {
                return Err("a thread does not call".into());
            }
            for event in &events {
                if let Happening::User { id, flags, .. } = event.happening() {
                    println!("event {id} with the flags {flags:04b}");
                    seen |= flags;
                }
            }
        }
        println!("{THREADS} threads have called");
        Ok(())
    })
}
