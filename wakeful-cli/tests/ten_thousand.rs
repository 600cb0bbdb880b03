//! Ten thousand connections on one thread, every byte checked.

#![cfg(target_os = "linux")]

mod common;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{Server, crowd, many};

/// One crowd at a time: each takes half of the descriptors that a process commonly may have.
static CROWD: Mutex<()> = Mutex::new(());

/// A message that no other connection has.
fn message(index: usize) -> Vec<u8> {
    format!("connection {index} ").repeat(1 + index % 7).into_bytes()
}

#[test]
fn ten_thousand_echoes() {
    let _crowd = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let count = many();
    let server = Server::start(&["echo"]);
    let echoed =
        crowd(server.address, count, message, |index, received| received == message(index), || ());
    for (index, received) in echoed.iter().enumerate() {
        assert!(*received == message(index), "connection {index}");
    }
    drop(echoed);
    let (status, output) = server.stop();
    println!("{output}");
    assert!(status.success());
    assert!(output.contains(&format!("at most {count} at once")), "{output}");
    let each: u64 = output
        .split_once("bytes for each connection")
        .and_then(|(before, _)| before.rsplit_once('(')?.1.trim().parse().ok())
        .unwrap();
    // The fixed cost of the server is spread over the connections: with few it would dominate.
    assert!(each <= 200 || count < 10_000, "{each} bytes for each connection");
}

#[test]
fn ten_thousand_delays() {
    let _crowd = CROWD.lock().unwrap_or_else(PoisonError::into_inner);
    let count = many();
    // The first clients wait for the last ones before they ask.
    let server = Server::start(&["delay", "--request-timeout", "60"]);
    let delay = Duration::from_millis(1500);
    let request = |index| {
        format!("GET /{}/{index} HTTP/1.1\r\nConnection: close\r\n\r\n", delay.as_millis())
            .into_bytes()
    };
    let mut start = None;
    let answers =
        crowd(server.address, count, request, |_, _| false, || start = Some(Instant::now()));
    assert!(start.unwrap().elapsed() >= delay);
    for (index, answer) in answers.iter().enumerate() {
        let text = String::from_utf8_lossy(answer);
        assert!(text.ends_with(&format!("\r\n\r\n{index}")), "connection {index}: {text}");
    }
    let (status, output) = server.stop();
    println!("{output}");
    assert!(status.success(), "{output}");
}
