//! A server that accepts and drops, and a client that finds out, in one poller.
//!
//! ```sh
//! cargo run --example tcp_server [ADDRESS]     # 127.0.0.1:13265 unless said otherwise
//! ```
//!
//! The three steps of every event loop: create a `Poll`, register sources, poll and act on the events.

use std::error::Error;
use std::io::{ErrorKind, Read};
use std::process::ExitCode;
use std::time::Duration;

use wakeful::net::{TcpListener, TcpStream};
use wakeful::{Events, Interest, Poll, Token};

// A token of our choice for each source tells their events apart.
const SERVER: Token = Token(0);
const CLIENT: Token = Token(1);

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:13265".to_owned());

    // Step 1: a poller, and room for the events of one poll.
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(128);

    // Step 2: the sources.
    let mut server = TcpListener::bind(address.parse()?)?;
    poll.registry().register(&mut server, SERVER, Interest::READABLE)?;
    let mut client = TcpStream::connect(server.local_addr()?)?;
    poll.registry().register(&mut client, CLIENT, Interest::READABLE | Interest::WRITABLE)?;
    println!("listening on {}", server.local_addr()?);

    // Step 3: the event loop.
    loop {
        match poll.poll(&mut events, Some(Duration::from_millis(100))) {
            // A signal interrupted the wait: ^Z and `fg`, for example.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            println!("Got an event for {:?}", event.token());
            match event.token() {
                SERVER => {
                    // Take every connection that waits, and drop it.
                    for connection in server.accept_all() {
                        let (_, address) = connection?;
                        println!("accepted {address}, and dropped it");
                    }
                }
                CLIENT => {
                    println!("Event");
                    if event.is_writable() {
                        println!("the client is connected to {}", client.peer_addr()?);
                    }
                    if event.is_readable() {
                        let count = client.read(&mut [0; 16])?;
                        assert_eq!(count, 0, "the server sends nothing");
                        println!("the client sees the end of the stream");
                        return Ok(());
                    }
                }
                other => unreachable!("{other:?} was never registered"),
            }
        }
    }
}
