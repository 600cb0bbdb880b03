//! Every example, run to its end.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);

/// The binary that `cargo test` has built beside this test.
fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let path: PathBuf = profile.join("examples").join(name);
    assert!(path.exists(), "{path:?} is missing: run `cargo build --examples` first");
    let mut command = Command::new(path);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::piped());
    command
}

/// Waits for a good end, and gives the output.
#[track_caller]
fn finish(mut child: Child) -> String {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("it did not end");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    text
}

#[test]
fn tcp_server() {
    let text = finish(example("tcp_server").arg("127.0.0.1:0").spawn().unwrap());
    for line in ["Got an event for Token(0)", "Got an event for Token(1)", "Event"] {
        assert!(text.lines().any(|found| found == line), "{line:?} in {text}");
    }
}

#[test]
fn delayserver_is_answered_in_reverse() {
    // Nobody listens there, so it starts a server of its own.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = example("delayserver");
    command.env("HOST", nobody.to_string()).env("UNIT_MS", "100");
    let text = finish(command.spawn().unwrap());
    let mut order: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("RECEIVED: ")).collect();
    // An answer may come in pieces.
    order.dedup();
    assert_eq!(order, ["Token(4)", "Token(3)", "Token(2)", "Token(1)", "Token(0)"], "{text}");
    assert!(text.contains("request-0") && text.ends_with("FINISHED PROGRAM\n"), "{text}");
}

#[test]
fn stdinmonitoring_echoes_five_lines() {
    let mut child = example("stdinmonitoring").spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = String::new();
    for round in 1..=5 {
        read_until(&mut stdout, &mut text, &format!("round {round} of 5: blocking"));
        stdin.write_all(format!("line {round}\n").as_bytes()).unwrap();
        read_until(&mut stdout, &mut text, &format!("woke up\nread: line {round}"));
    }
    assert!(text.starts_with(&format!("pid {}", child.id())), "{text}");
    finish(child);
}

/// Reads on until the output contains `wanted`.
fn read_until(stdout: &mut impl Read, text: &mut String, wanted: &str) {
    let mut buffer = [0; 256];
    while !text.contains(wanted) {
        let count = stdout.read(&mut buffer).unwrap();
        assert!(count > 0, "{wanted:?} in {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

#[test]
fn stdinmonitoring_says_what_is_wrong_with_a_file() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let output = example("stdinmonitoring").stdin(file).output().unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("use a terminal or a pipe"), "{errors}");
}

#[test]
fn udp_echo() {
    let text = finish(example("udp_echo").spawn().unwrap());
    assert!(text.contains("\"datagram 4\" came back"), "{text}");
}

#[test]
fn epoll_experiments() {
    let text = finish(example("epoll_experiments").spawn().unwrap());
    assert!(text.contains("the eventfd counted 42"), "{text}");
    assert!(text.contains("edge: 1 event, then 0, and after another write 1"), "{text}");
    assert!(text.ends_with("all experiments went as expected\n"), "{text}");
}

#[test]
fn epoll_notes() {
    let mut child = example("epoll_notes").spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = String::new();
    for round in 1..=2 {
        stdin.write_all(format!("note {round}\n").as_bytes()).unwrap();
        read_until(&mut stdout, &mut text, &format!("note {round}"));
    }
    assert!(text.contains("armed again") && text.contains("room for 3 events"), "{text}");
    drop(stdin);
    stdout.read_to_string(&mut text).unwrap();
    finish(child);
}
