//! A UDP socket that sends back what it receives, and a client that checks it, in one poller.
//!
//! ```sh
//! cargo run --example udp_echo [ADDRESS]     # on a port of the kernel's choice unless said otherwise
//! ```

use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wakeful::net::UdpSocket;
use wakeful::{Events, Interest, Poll, Token};

const ECHO: Token = Token(0);
const CLIENT: Token = Token(1);
const DATAGRAMS: usize = 5;

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(16);

    let mut echo = UdpSocket::bind(address.parse()?)?;
    let mut client = UdpSocket::bind(SocketAddr::new(echo.local_addr()?.ip(), 0))?;
    client.connect(echo.local_addr()?)?;
    poll.registry().register(&mut echo, ECHO, Interest::READABLE)?;
    poll.registry().register(&mut client, CLIENT, Interest::READABLE)?;
    println!("echoing on {}", echo.local_addr()?);

    let message = |number| format!("datagram {number}");
    client.send(message(0).as_bytes())?;
    let mut answered = 0;
    let end = Instant::now() + Duration::from_secs(5);
    let mut buffer = [0; 1500];
    while answered < DATAGRAMS {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("only {answered} of {DATAGRAMS} datagrams came back").into());
        }
        match poll.poll(&mut events, Some(left)) {
            // A signal interrupted the wait: ^Z and `fg`, for example.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            let socket = if event.token() == ECHO { &echo } else { &client };
            // Edge-triggered: until it would block.
            loop {
                let (count, from) = match socket.recv_from(&mut buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    result => result?,
                };
                if event.token() == ECHO {
                    echo.send_to(&buffer[..count], from)?;
                } else {
                    let text = String::from_utf8_lossy(&buffer[..count]);
                    println!("{text:?} came back");
                    assert_eq!(text, message(answered));
                    answered += 1;
                    if answered < DATAGRAMS {
                        client.send(message(answered).as_bytes())?;
                    }
                }
            }
        }
    }
    Ok(())
}
