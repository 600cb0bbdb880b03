//! Waits for standard input, five times, and echoes what comes.
//!
//! ```sh
//! cargo run --example stdinmonitoring         # type lines, or from another terminal:
//! echo hello >> /proc/PID/fd/0
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{self, ExitCode};

use wakeful::unix::SourceFd;
use wakeful::{Events, Interest, Poll, Token, Trigger};

const STDIN: Token = Token(0);
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let pid = process::id();
    println!("pid {pid}: type a line, or run `echo hello >> /proc/{pid}/fd/0` in another terminal");

    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(8);

    // Level-triggered, with one read for each event: standard input stays a blocking descriptor,
    // because its mode would change for the shell as well.
    let interest = Interest::READABLE.with_trigger(Trigger::Level);
    // And without std's buffer, into which bytes would vanish that the poller cannot see.
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let fd = stdin.as_raw_fd();
    if let Err(error) = poll.registry().register(&mut SourceFd(&fd), STDIN, interest) {
        if error.kind() == ErrorKind::PermissionDenied {
            return Err("standard input never blocks, being a file or /dev/null: \
                        use a terminal or a pipe, as in `cat FILE | …`"
                .into());
        }
        return Err(error.into());
    }

    let mut round = 0;
    while round < ROUNDS {
        println!("round {} of {ROUNDS}: blocking", round + 1);
        match poll.poll(&mut events, None) {
            // A signal interrupted the wait: ^Z and `fg`, for example.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        println!("woke up");
        round += 1;
        let mut buffer = [0; 4096];
        let count = stdin.read(&mut buffer)?;
        if count == 0 {
            println!("the end of standard input");
            break;
        }
        println!("read: {}", String::from_utf8_lossy(&buffer[..count]).trim_end());
    }
    Ok(())
}
