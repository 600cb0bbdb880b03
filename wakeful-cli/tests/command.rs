//! The command as a user meets it.

#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use common::{Server, ask, connect, run, wakeful};

/// The backends of this build, which is that of the command, too.
fn names() -> Vec<&'static str> {
    ::wakeful::Backend::available().iter().map(|backend| backend.name()).collect()
}

#[test]
fn the_tour_ends_well_on_every_backend() {
    for backend in names() {
        let (status, output, errors) = run(wakeful().env("WAKEFUL_BACKEND", backend));
        assert!(status.success(), "{output}{errors}");
        assert!(output.contains(&format!("waiting with {backend}")), "{output}");
        assert!(output.contains("11 of 11 as promised"), "{output}");
        assert!(!output.contains('\x1b'), "no colours into a pipe: {output:?}");
    }
}

#[test]
fn an_unknown_backend_is_an_error_that_says_what_to_do() {
    let (status, _, errors) = run(wakeful().env("WAKEFUL_BACKEND", "select"));
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.contains("\"select\"")
            && errors.contains(&format!("use one of {}", names().join(", "))),
        "{errors}"
    );
}

#[test]
fn wrong_arguments_are_errors() {
    for arguments in [
        &["nonsense"][..],
        &["serve"],
        &["serve", "echo", "--listen", "nowhere"],
        &["serve", "echo", "--threads", "0"],
    ] {
        let (status, _, errors) = run(wakeful().args(arguments));
        assert_eq!(status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains("--help"), "{errors}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, _, errors) = run(wakeful().args(["serve", "echo", "--listen", &address]));
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains(&address) && errors.contains("in use"), "{errors}");
}

#[test]
fn info_tells_the_same_in_text_and_in_json() {
    let (status, json, _) = run(wakeful().args(["info", "--json"]));
    assert!(status.success());
    let info: serde_json::Value = serde_json::from_str(&json).unwrap();
    let found: Vec<_> =
        info["backends"].as_array().unwrap().iter().map(|backend| &backend["name"]).collect();
    assert_eq!(found, names());
    assert!(info["limits"]["open_files_hard"].as_u64().unwrap() > 0);
    assert!(info["limits"]["epoll_watches"].as_u64().unwrap() > 0);
    let (status, text, _) = run(wakeful().arg("info"));
    assert!(status.success());
    for word in
        [&format!("{} (default)", names()[0]), "emulated", info["release"].as_str().unwrap()]
    {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn echo_sends_everything_back_and_stops_gracefully() {
    for backend in names() {
        let server = Server::start_with(wakeful().env("WAKEFUL_BACKEND", backend), &["echo"]);
        assert!(server.banner.contains(backend), "{}", server.banner);
        let mut stream = connect(server.address);
        let mut writer = stream.try_clone().unwrap();
        // Far more than all buffers hold, so that both sides have to wait for one another.
        let sent: Vec<u8> = (0..8_000_000u32).map(|number| number.to_le_bytes()[1]).collect();
        let bytes = sent.clone();
        let sender = thread::spawn(move || {
            writer.write_all(&bytes).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        sender.join().unwrap();
        assert!(received == sent, "{} of {} bytes", received.len(), sent.len());

        // Whoever is connected when ^C comes is let go with what it sent.
        let mut last = connect(server.address);
        last.write_all(b"last words").unwrap();
        last.read_exact(&mut [0; 4]).unwrap();
        let (status, output) = server.stop();
        let mut rest = String::new();
        last.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, " words");
        assert!(status.success() && output.contains("stopped after 2 connections"), "{output}");
    }
}

#[test]
fn echo_runs_on_several_threads() {
    let server = Server::start(&["echo", "--threads", "3"]);
    assert!(server.banner.contains("3 threads"), "{}", server.banner);
    let streams: Vec<_> = (0..50).map(|_| connect(server.address)).collect();
    for (number, mut stream) in streams.iter().enumerate() {
        stream.write_all(&[number as u8; 100]).unwrap();
    }
    for (number, mut stream) in streams.iter().enumerate() {
        let mut answer = [0; 100];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [number as u8; 100]);
    }
    let (status, output) = server.stop();
    assert!(status.success() && output.contains("stopped after 50 connections"), "{output}");
}

#[test]
fn drop_closes_what_it_accepts() {
    let server = Server::start(&["drop"]);
    for _ in 0..20 {
        assert_eq!(connect(server.address).read(&mut [0; 8]).unwrap(), 0);
    }
    let (status, output) = server.stop();
    assert!(status.success() && output.contains("stopped after 20 connections"), "{output}");
}

#[test]
fn delay_answers_in_time_and_in_order_of_time() {
    let server = Server::start(&["delay"]);
    let start = Instant::now();
    let address = server.address;
    let (sender, order) = std::sync::mpsc::channel();
    for delay in [300, 200, 100] {
        let sender = sender.clone();
        thread::spawn(move || {
            let request =
                format!("GET /{delay}/after-{delay} HTTP/1.1\r\nConnection: close\r\n\r\n");
            sender.send((delay, ask(address, &request).unwrap(), start.elapsed())).unwrap();
        });
    }
    for expected in [100, 200, 300] {
        let (delay, answer, elapsed) = order.recv_timeout(common::DEADLINE).unwrap();
        assert_eq!(delay, expected);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\nafter-{delay}")), "{answer}");
        assert!(elapsed >= Duration::from_millis(delay));
    }
    let answer = ask(address, "GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("/1000/hello"), "{answer}");
    assert!(ask(address, "\r\n\0\r\n\r\n").unwrap().starts_with("HTTP/1.1 400"));

    // Two requests in one segment over one connection, one after the other.
    let request = "GET /5/one HTTP/1.1\r\n\r\nGET /0/two HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answer = ask(address, request).unwrap();
    assert!(answer.contains("one") && answer.ends_with("two"), "{answer}");

    // A request under way when ^C comes is answered; an idle connection is not waited for.
    let idle = connect(address);
    let mut waiting = connect(address);
    // Accepted for certain, since it was answered.
    waiting.write_all(b"GET /0/first HTTP/1.1\r\n\r\n").unwrap();
    let mut first = [0; 256];
    let count = waiting.read(&mut first).unwrap();
    assert!(first[..count].ends_with(b"first"), "{first:?}");
    waiting.write_all(b"GET /500/late HTTP/1.1\r\n\r\n").unwrap();
    let (status, output) = server.stop();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("late"), "{answer}");
    assert!(status.success(), "{output}");
    drop(idle);
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let server = Server::start(&["delay", "--grace", "3600"]);
    let mut waiting = connect(server.address);
    waiting.write_all(b"GET /0/x HTTP/1.1\r\n\r\nGET /3600000/never HTTP/1.1\r\n\r\n").unwrap();
    assert!(waiting.read(&mut [0; 256]).unwrap() > 0);
    server.signal(libc::SIGTERM);
    let (status, output) = server.stop();
    assert!(status.success() && output.contains("stopped after 1 connections"), "{output}");
}

#[test]
fn a_client_that_never_stops_asking_keeps_nobody_waiting() {
    let server = Server::start(&["delay"]);
    let greedy = connect(server.address);
    let (mut writer, mut reader) = (greedy.try_clone().unwrap(), greedy.try_clone().unwrap());
    // Both end when the server closes.
    let asking =
        thread::spawn(
            move || while writer.write_all(&b"GET /0/x HTTP/1.1\r\n\r\n".repeat(99)).is_ok() {},
        );
    let reading =
        thread::spawn(move || while reader.read(&mut [0; 65536]).is_ok_and(|count| count > 0) {});
    for _ in 0..5 {
        let answer =
            ask(server.address, "GET /1/me HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        assert!(answer.ends_with("me"), "{answer}");
    }
    let (status, _) = server.stop();
    assert!(status.success());
    asking.join().unwrap();
    reading.join().unwrap();
}

#[test]
fn an_answer_survives_what_the_client_sent_behind_its_request() {
    let server = Server::start(&["delay"]);
    let endless = format!("GET /1/{}", "x".repeat(30_000));
    let body = format!("POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    let behind = "GET /0/x HTTP/1.1\r\nConnection: close\r\n\r\nand so on".to_owned();
    for (request, status) in [(endless, "431"), (body, "405"), (behind, "200")] {
        let mut stream = connect(server.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}

#[test]
fn a_waiting_client_that_resets_is_forgotten() {
    let server = Server::start(&["delay", "--grace", "3600"]);
    let mut gone = connect(server.address);
    gone.write_all(b"GET /0/x HTTP/1.1\r\n\r\nGET /3600000/never HTTP/1.1\r\n\r\n").unwrap();
    assert!(gone.read(&mut [0; 256]).unwrap() > 0);
    set_linger_zero(&gone);
    drop(gone);
    // With the connection still there this would take the hour of grace.
    let (status, output) = server.stop();
    assert!(status.success() && output.contains("stopped after 1 connections"), "{output}");
}

/// Makes closing a reset.
fn set_linger_zero(stream: &std::net::TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the pointer and size are those of a live struct, which the call only reads.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            std::ptr::from_ref(&linger).cast(),
            size,
        )
    };
    assert_eq!(result, 0);
}

#[test]
fn out_of_descriptors_nobody_is_lost() {
    // A shell lowers the limit of the server alone.
    let program = env!("CARGO_BIN_EXE_wakeful");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("ulimit -n 32; exec {program} \"$@\""), "sh"]);
    let server = Server::start_with(&mut shell, &["echo"]);
    let mut streams: Vec<_> = (0..60).map(|_| connect(server.address)).collect();
    // With this one answered and all of them open, the rest cannot have been accepted.
    streams[15].write_all(b"I first").unwrap();
    streams[15].read_exact(&mut [0; 7]).unwrap();
    for mut stream in streams {
        stream.write_all(b"me too").unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"me too");
    }
    let (status, output) = server.stop();
    assert!(status.success() && output.contains("accepting had to pause"), "{output}");
}
