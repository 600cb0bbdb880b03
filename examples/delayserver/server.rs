//! The smallest delay server: a thread for each connection. `wakeful serve delay` is the real one.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Starts it, on a port of the kernel's choice.
pub(crate) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away is no trouble of ours.
            thread::spawn(move || answer(&stream).ok());
        }
    });
    Ok(address)
}

/// Answers `GET /{ms}/{message}` with the message, after so many milliseconds.
fn answer(mut stream: &TcpStream) -> io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut request)?;
    let mut header = String::from("more");
    while !header.trim().is_empty() {
        header.clear();
        reader.read_line(&mut header)?;
    }
    let mut parts = request.split_whitespace().nth(1).unwrap_or_default().splitn(3, '/').skip(1);
    let delay_ms = parts.next().and_then(|text| text.parse().ok()).unwrap_or_default();
    let message = parts.next().unwrap_or_default();
    thread::sleep(Duration::from_millis(delay_ms));
    let length = message.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{message}"
    );
    stream.write_all(answer.as_bytes())
}
