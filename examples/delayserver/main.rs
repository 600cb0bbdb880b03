//! Five requests to a delay server on one thread; the last to be asked is the first to answer.
//!
//! ```sh
//! wakeful serve delay                  # in another terminal
//! cargo run --example delayserver     # HOST=localhost unless said otherwise; port 8080
//! ```
//!
//! If no server answers it starts a small one of its own. `UNIT_MS` shortens the delays.

mod server;

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use wakeful::event::Event;
use wakeful::net::TcpStream;
use wakeful::{Events, Interest, Poll, Token};

const REQUESTS: usize = 5;

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "localhost".to_owned());
    let unit_ms: usize = match env::var("UNIT_MS") {
        Ok(text) => text.parse().map_err(|_| format!("UNIT_MS={text} is no number"))?,
        Err(_) => 1000,
    };
    let address = find_server(&host)?;

    let mut poll = Poll::new()?;
    let mut streams = Vec::new();
    for index in 0..REQUESTS {
        let delay_ms = (REQUESTS - index) * unit_ms;
        let request = format!(
            "GET /{delay_ms}/request-{index} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        );
        // Connected with a blocking call, and non-blocking from then on.
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        stream.write_all(request.as_bytes())?;
        let token = Token(index);
        streams.push(Some(poll.registry().register_owned(stream, token, Interest::READABLE)?));
    }

    let mut events = Events::with_capacity(10);
    let patience = Duration::from_millis(unit_ms as u64 * REQUESTS as u64) + Duration::from_secs(5);
    while streams.iter().any(Option::is_some) {
        match poll.poll(&mut events, Some(patience)) {
            // A signal interrupted the wait: ^Z and `fg`, for example.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        if events.is_empty() {
            return Err("TIMEOUT: that server does not answer".into());
        }
        for event in &events {
            // An event may be late: for a stream that was read to its end and closed by now.
            let slot = &mut streams[event.token().0];
            let Some(stream) = slot else { continue };
            if drain(event, stream)? {
                *slot = None;
            }
        }
    }
    println!("FINISHED PROGRAM");
    Ok(())
}

/// Reads all that is there. Whether that was the end: edge-triggered, one has to read until
/// `WouldBlock` or the end of the stream to hear of more.
fn drain(event: &Event, stream: &mut impl Read) -> io::Result<bool> {
    let mut data = [0; 4096];
    loop {
        match stream.read(&mut data) {
            Ok(0) => return Ok(true),
            Ok(count) => {
                let text = String::from_utf8_lossy(&data[..count]);
                println!("RECEIVED: {:?}\n{text}\n------\n", event.token());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The server at the host, or else one of our own.
fn find_server(host: &str) -> io::Result<SocketAddr> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let named = if has_port { host.to_owned() } else { format!("{host}:8080") };
    // A host that is not known has no server either.
    for address in named.to_socket_addrs().into_iter().flatten() {
        if std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return Ok(address);
        }
    }
    println!("no delay server answers at {named}: starting one");
    server::start()
}
