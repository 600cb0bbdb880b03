//! Waits for standard input, five times, and echoes what comes.
//!
//! ```sh
//! cargo run --example stdinmonitoring         # type lines, or from another terminal:
//! echo hello >> /proc/PID/fd/0
//! ```

use std::error::Error;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::process;

use wakeful::unix::SourceFd;
use wakeful::{Events, Interest, Poll, Token, Trigger};

const STDIN: Token = Token(0);
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let pid = process::id();
    println!("pid {pid}: type a line, or run `echo hello >> /proc/{pid}/fd/0` in another terminal");

    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(8);

    // Level-triggered, with one read for each event: standard input stays a blocking descriptor,
    // because its mode would change for the shell as well.
    let interest = Interest::READABLE.with_trigger(Trigger::Level);
    let mut stdin = io::stdin().lock();
    let fd = stdin.as_raw_fd();
    if let Err(error) = poll.registry().register(&mut SourceFd(&fd), STDIN, interest) {
        if error.kind() == ErrorKind::PermissionDenied {
            return Err("standard input is a file, which never blocks: \
                        use a terminal or a pipe, as in `cat FILE | …`"
                .into());
        }
        return Err(error.into());
    }

    for round in 1..=ROUNDS {
        println!("round {round} of {ROUNDS}: blocking");
        poll.poll(&mut events, None)?;
        println!("woke up");
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
