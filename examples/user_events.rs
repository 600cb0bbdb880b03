//! Events of the program's own, with something in them, from several threads: each exactly once, in the order
//! of its sender, and nothing lost when the queue is full.
//!
//! `cargo run --example user_events`

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use wakeful::user::{self, Rejected};
use wakeful::{Events, Interest, Poll, Token};

const SENDERS: usize = 4;
const EACH: usize = 10_000;
const TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let queue = user::Events::new(1000)?;
    let threads: Vec<_> = (0..SENDERS)
        .map(|thread| {
            let sender = queue.sender();
            thread::spawn(move || {
                let mut full: usize = 0;
                for number in 0..EACH {
                    let mut item = (thread, number);
                    // What does not fit comes back.
                    while let Err(Rejected::Full(rejected)) = sender.send(item) {
                        item = rejected;
                        full += 1;
                        thread::yield_now();
                    }
                }
                full
            })
        })
        .collect();

    let queue = poll.registry().register_owned(queue, Token(0), Interest::READABLE)?;
    let mut events = Events::with_capacity(8);
    let (mut next, mut polls) = ([0; SENDERS], 0);
    while next != [EACH; SENDERS] {
        poll.poll(&mut events, Some(TIMEOUT))?;
        if events.is_empty() {
            return Err(format!("no more came after {next:?}").into());
        }
        polls += 1;
        for (thread, number) in queue.drain() {
            if number != next[thread] {
                return Err(format!("thread {thread}: {number} instead of {}", next[thread]).into());
            }
            next[thread] += 1;
        }
    }
    let full: usize = threads.into_iter().filter_map(|thread| thread.join().ok()).sum();
    println!("{} items from {SENDERS} threads in {polls} polls", SENDERS * EACH);
    println!("{full} times the queue was full, and the sender tried again");
    println!("each once, in the order of its sender");
    Ok(())
}
