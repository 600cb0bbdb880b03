//! `wakeful serve delay` and clients that mean it harm, or take their time.

#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Server, ask, connect};

/// The statuses of all responses on a connection, which the server has closed.
fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect()
}

/// Sends it all, and reads until the server closes.
fn closed_after(server: &Server, request: &str) -> String {
    ask(server.address, request).unwrap()
}

/// What would be answered if a body were taken for a request.
const SMUGGLED: &str = "GET /0/smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
const LAST: &str = "GET /0/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn half_requests_do_not_take_all_descriptors() {
    let program = env!("CARGO_BIN_EXE_wakeful");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("ulimit -n 64; exec {program} \"$@\""), "sh"]);
    let server = Server::start_with(&mut shell, &["delay", "--request-timeout", "1"]);
    // Heads, nothing at all, and bodies: whatever a request lacks.
    let halves = [
        "GET /0/half HTTP/1.1\r\nHo",
        "",
        "GET /0/half HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf",
        "GET /0/half HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha",
    ];
    let crowd: Vec<_> = (0..80)
        .map(|number| {
            let mut stream = connect(server.address);
            stream.write_all(halves[number % halves.len()].as_bytes()).unwrap();
            stream
        })
        .collect();
    let answer = closed_after(&server, LAST);
    assert!(answer.ends_with("last"), "{answer}");
    // The half requests that were begun are answered.
    for (number, mut stream) in crowd.into_iter().enumerate() {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let expected: &[&str] =
            if halves[number % halves.len()].is_empty() { &[] } else { &["408"] };
        assert_eq!(statuses(&answer), expected, "{answer}");
    }
    assert!(server.stop().0.success());
}

/// The limit is from the first byte on: a byte now and then does not extend it.
#[test]
fn a_request_that_trickles() {
    let server = Server::start(&["delay", "--request-timeout", "1"]);
    let mut stream = connect(server.address);
    let mut reader = stream.try_clone().unwrap();
    let trickle = std::thread::spawn(move || {
        let mut request = "GET /0/x HTTP/1.1\r\nX: ".bytes().chain(std::iter::repeat_n(b'x', 8000));
        while request.next().is_some_and(|byte| stream.write_all(&[byte]).is_ok()) {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    });
    let mut answer = String::new();
    let _ = reader.read_to_string(&mut answer);
    assert_eq!(statuses(&answer), ["408"], "{answer}");
    drop(reader);
    trickle.join().unwrap();
}

#[test]
fn an_idle_connection_is_closed() {
    let server = Server::start(&["delay", "--request-timeout", "1", "--idle-timeout", "1"]);
    let mut stream = connect(server.address);
    for _ in 0..2 {
        stream.write_all(b"GET /1500/kept HTTP/1.1\r\n\r\n").unwrap();
        read_until(&mut stream, "kept");
    }
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 256];
    while !text.ends_with(end) {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{text}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

/// A body is the body of its request, whatever it looks like, and what follows it is answered.
#[test]
fn bodies_are_not_requests() {
    let server = Server::start(&["delay"]);
    let length = SMUGGLED.len();
    let chunked = format!(
        "{:x};extension=\"x\"\r\n{}\r\n{:X}\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
        10,
        &SMUGGLED[..10],
        length - 10,
        &SMUGGLED[10..]
    );
    for (headers, body) in [
        (format!("Content-Length: {length}\r\n"), SMUGGLED),
        (format!("content-length:{length}\r\nHost: x\r\n"), SMUGGLED),
        ("Transfer-Encoding: chunked\r\n".into(), &*chunked),
        ("Transfer-Encoding: Chunked\r\n".into(), &*chunked),
        ("Content-Length: 0\r\n".into(), ""),
        ("Transfer-Encoding: chunked\r\n".into(), "0\r\n\r\n"),
    ] {
        let request = format!("GET /0/first HTTP/1.1\r\n{headers}\r\n{body}{LAST}");
        let answer = closed_after(&server, &request);
        assert_eq!(statuses(&answer), ["200", "200"], "{request}\n{answer}");
        assert!(answer.contains("first") && answer.ends_with("last"), "{answer}");
        // Byte by byte, as far as the kernel lets them come so.
        let mut stream = connect(server.address);
        stream.set_nodelay(true).unwrap();
        for byte in request.bytes() {
            stream.write_all(&[byte]).unwrap();
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(statuses(&answer), ["200", "200"], "{request}\n{answer}");
    }
    // With a method that is refused, whatever is behind.
    for method in ["POST", "PUT", "OPTIONS", "CONNECT", "DELETE", "get"] {
        let request =
            format!("{method} /0/x HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{SMUGGLED}");
        let answer = closed_after(&server, &request);
        assert_eq!(statuses(&answer), ["405"], "{answer}");
        assert!(answer.contains("\r\nAllow: GET\r\n"), "{answer}");
    }
    let answer = closed_after(&server, "HEAD /0/x HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

/// What two readers may understand differently is refused, and the connection with it.
#[test]
fn ambiguous_requests_are_refused() {
    let server = Server::start(&["delay"]);
    let length = SMUGGLED.len();
    let refused = |head: &str, body: &str, status: &str| {
        let request = format!("{head}\r\n{body}{SMUGGLED}");
        let answer = closed_after(&server, &request);
        assert_eq!(statuses(&answer), [status], "{request}\n{answer}");
        assert!(!answer.contains("smuggled"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    };
    let first = "GET /0/x HTTP/1.1\r\n";
    for (headers, status) in [
        // Two lengths, or a length and chunks.
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n".to_owned(), "400"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n".into(), "400"),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".into(), "400"),
        (format!("Content-Length: {length}\r\nContent-Length: 0\r\n"), "400"),
        (format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"), "400"),
        (format!("Content-Length: {length}, {length}\r\n"), "400"),
        // No lengths.
        ("Content-Length: +5\r\n".into(), "400"),
        ("Content-Length: -5\r\n".into(), "400"),
        ("Content-Length: 5 5\r\n".into(), "400"),
        ("Content-Length: 0x5\r\n".into(), "400"),
        ("Content-Length: five\r\n".into(), "400"),
        ("Content-Length:\r\n".into(), "400"),
        ("Content-Length: 99999999999999999999999\r\n".into(), "400"),
        ("Content-Length: 1048577\r\n".into(), "413"),
        // Codings.
        ("Transfer-Encoding: gzip\r\n".into(), "400"),
        ("Transfer-Encoding: gzip, chunked\r\n".into(), "501"),
        ("Transfer-Encoding: chunked, gzip\r\n".into(), "400"),
        ("Transfer-Encoding: chunked, chunked\r\n".into(), "400"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".into(), "400"),
        ("Transfer-Encoding: xchunked\r\n".into(), "400"),
        ("Transfer-Encoding: \r\n".into(), "400"),
        // Header fields that are none.
        ("Content-Length : 5\r\n".into(), "400"),
        ("X: folded\r\n Content-Length: 5\r\n".into(), "400"),
        ("X: folded\r\n\tover two lines\r\n".into(), "400"),
        (" X: first\r\n".into(), "400"),
        ("no colon\r\n".into(), "400"),
        ("X: bare\nContent-Length: 5\r\n".into(), "400"),
        ("X: bare\rContent-Length: 5\r\n".into(), "400"),
        ("X: zero\0\r\n".into(), "400"),
        ("Host: a\r\nHost: b\r\n".into(), "400"),
        ("Expect: 100-continue\r\nExpect: x\r\n".into(), "417"),
        ("Expect: a miracle\r\n".into(), "417"),
        (format!("X: {}\r\n", "x".repeat(9000)), "431"),
        ("X: x\r\n".repeat(65), "431"),
    ] {
        refused(&format!("{first}{headers}"), "", status);
    }
    refused("GET /0/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", "", "400");
    refused("GET /0/x HTTP/1.1\nHost: x\r\n", "", "400");
    refused("GET /0/x\r\n", "", "400");
    refused("GET /0/x HTTP/2.0\r\n", "", "400");
    refused("GET  /0/x HTTP/1.1\r\n", "", "400");
    let chunked = "GET /0/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n";
    for (body, status) in [
        ("\r\n", "400"),
        ("-5\r\n", "400"),
        ("0x5\r\nhello\r\n0\r\n\r\n", "400"),
        ("5\nhello\r\n0\r\n\r\n", "400"),
        ("5\r\nhelloworld\r\n0\r\n\r\n", "400"),
        ("5\r\nhello\n0\r\n\r\n", "400"),
        ("5;ext\nx\r\nhello\r\n0\r\n\r\n", "400"),
        (" 5\r\nhello\r\n0\r\n\r\n", "400"),
        ("0\r\nnot a trailer\r\n\r\n", "400"),
        ("0\r\nX: bare\n\n", "400"),
        ("100001\r\n", "413"),
        ("fffffffffffffffff\r\n", "400"),
    ] {
        refused(chunked, body, status);
    }
    refused(chunked, &format!("5;{}\r\n", "x".repeat(300)), "400");
}

#[test]
fn a_client_that_waits_for_100_continue() {
    let server = Server::start(&["delay"]);
    let mut stream = connect(server.address);
    stream
        .write_all(b"GET /0/x HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n")
        .unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").unwrap();
    stream.write_all(LAST.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(statuses(&answer), ["200", "200"], "{answer}");
    // Without a body there is nothing to go on with, and HTTP/1.0 has no such response.
    let no_body = "GET /0/x HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    assert_eq!(statuses(&closed_after(&server, no_body)), ["200"]);
    let old = "GET /0/x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(statuses(&closed_after(&server, old)), ["200"]);
}

#[test]
fn forms_of_requests() {
    let server = Server::start(&["delay"]);
    let status = |line: &str| {
        let answer = closed_after(&server, &format!("{line}\r\nConnection: close\r\n\r\n"));
        let message = answer.split_once("\r\n\r\n").unwrap().1;
        format!("{} {}", statuses(&answer)[0], &message[..message.len().min(4)])
    };
    assert_eq!(status("GET http://host/0/abso HTTP/1.1"), "200 abso");
    assert_eq!(status("GET HTTP://user@host:80/0/abso HTTP/1.1"), "200 abso");
    assert_eq!(status("GET https://[::1]/0/abso HTTP/1.1"), "200 abso");
    assert_eq!(status("GET http://host HTTP/1.1"), "404 ask ");
    assert_eq!(status("GET ftp://host/0/x HTTP/1.1"), "404 ask ");
    assert_eq!(status("GET * HTTP/1.1"), "404 ask ");
    assert_eq!(status("GET /0/http://x HTTP/1.1"), "200 http");
    assert_eq!(status("\r\nGET /0/line HTTP/1.1"), "200 line");
    // HTTP/1.0 closes unless it is asked not to.
    let old = "GET /0/old HTTP/1.0\r\n";
    assert_eq!(statuses(&closed_after(&server, &format!("{old}\r\n{SMUGGLED}"))), ["200"]);
    let kept = format!("{old}Connection: keep-alive\r\n\r\n{old}\r\n");
    assert_eq!(statuses(&closed_after(&server, &kept)), ["200", "200"]);
}
