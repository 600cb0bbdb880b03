//! First notes on epoll: create one, add standard input, wait with room for three events, and arm a
//! one-shot again by modifying it.
//!
//! ```sh
//! cargo run --example epoll_notes         # and type a line or two
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use wakeful_kernel::epoll::{Epoll, Event, Flags};

const STDIN: u64 = 0;
const WAITS: usize = 3;

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    // epoll_create1(EPOLL_CLOEXEC); closed when the value is dropped.
    let epoll = Epoll::new()?;
    println!("created {epoll:?}");

    // epoll_ctl(EPOLL_CTL_ADD). The descriptor is lent, not given away: standard input stays open.
    // Read without std's buffer, into which bytes would vanish that epoll cannot see.
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let flags = Flags::IN | Flags::ONESHOT | Flags::EDGE;
    epoll.add(&stdin, flags, STDIN)?;
    println!("added standard input with {flags:?}");

    let mut events = Vec::<Event>::with_capacity(3);
    for number in 1..=WAITS {
        events.clear();
        println!("wait {number} of {WAITS}: one second, room for {} events", events.capacity());
        let count = match epoll.wait(&mut events, Some(Duration::from_secs(1))) {
            // A signal interrupted the wait: ^Z and `fg`, for example.
            Err(error) if error.io_error().kind() == ErrorKind::Interrupted => continue,
            result => result?,
        };
        println!("{count} events");
        for event in &events {
            println!("{event:?}");
            let mut buffer = [0; 4096];
            let count = stdin.read(&mut buffer)?;
            println!("read {count} bytes: {:?}", String::from_utf8_lossy(&buffer[..count]));
            // epoll_ctl(EPOLL_CTL_MOD): without it standard input would be silent from here on.
            epoll.modify(&stdin, flags, STDIN)?;
            println!("armed again");
        }
    }
    epoll.delete(&stdin)?;
    Ok(())
}
