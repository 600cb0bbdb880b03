//! Every example, run to its end.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use wakeful_kernel::linux::PidFd;
use wakeful_testing::{Isolated, Running};

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

/// Kills the child if what is returned still lives at the deadline, so that whoever reads from the
/// child or waits for it comes to an end.
fn watch_over(child: &Child) -> mpsc::Sender<()> {
    let (alive, ended) = mpsc::channel();
    let process = PidFd::open(child.id()).unwrap();
    thread::spawn(move || {
        if ended.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("the example did not end in time, and is killed");
            let _ = process.send_signal(libc::SIGKILL);
        }
    });
    alive
}

/// Waits for a good end, and gives the output.
#[track_caller]
fn finish(child: Running) -> String {
    let _watched = watch_over(&child);
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    text
}

#[test]
fn tcp_server() {
    let text = finish(example("tcp_server").arg("127.0.0.1:0").start());
    for line in ["Got an event for Token(0)", "Got an event for Token(1)", "Event"] {
        assert!(text.lines().any(|found| found == line), "{line:?} in {text}");
    }
}

#[test]
fn delayserver_is_answered_in_reverse() {
    // The port is taken and nobody listens there, so it starts a server of its own.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let nobody = socket.local_addr().unwrap().as_socket().unwrap();
    let mut command = example("delayserver");
    command.env("HOST", nobody.to_string()).env("UNIT_MS", "100");
    let text = finish(command.start());
    let mut order: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("RECEIVED: ")).collect();
    // An answer may come in pieces.
    order.dedup();
    assert_eq!(order, ["Token(4)", "Token(3)", "Token(2)", "Token(1)", "Token(0)"], "{text}");
    assert!(text.contains("request-0") && text.ends_with("FINISHED PROGRAM\n"), "{text}");
}

#[test]
fn stdinmonitoring_echoes_five_lines() {
    let mut child = example("stdinmonitoring").start();
    let _watched = watch_over(&child);
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
fn stdinmonitoring_sees_all_of_a_flood() {
    let mut child = example("stdinmonitoring").start();
    let _watched = watch_over(&child);
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = String::new();
    // More than one read takes; the writer keeps the pipe open.
    stdin.write_all(&[b'a'; 8000]).unwrap();
    read_until(&mut stdout, &mut text, "round 3 of 5: blocking");
    let longest = text.lines().filter_map(|line| line.strip_prefix("read: ")).map(str::len);
    assert_eq!(longest.sum::<usize>(), 8000);
    drop(stdin);
    read_until(&mut stdout, &mut text, "the end of standard input");
    finish(child);
}

#[test]
fn stdinmonitoring_says_what_is_wrong_with_a_file() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let child = example("stdinmonitoring").stdin(file).start();
    let _watched = watch_over(&child);
    let output = child.output().unwrap();
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("use a terminal or a pipe"), "{errors}");
}

#[test]
fn udp_echo() {
    let text = finish(example("udp_echo").start());
    assert!(text.contains("\"datagram 4\" came back"), "{text}");
}

#[test]
fn epoll_experiments() {
    let text = finish(example("epoll_experiments").start());
    assert!(text.contains("the eventfd counted 42"), "{text}");
    assert!(text.contains("edge: 1 event, then 0, and after another write 1"), "{text}");
    assert!(text.ends_with("all experiments went as expected\n"), "{text}");
}

#[test]
fn epoll_notes() {
    let mut child = example("epoll_notes").start();
    let _watched = watch_over(&child);
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

#[test]
fn timers_are_exactly_two_events() {
    let text = finish(example("timers").env("UNIT_MS", "50").start());
    assert!(text.ends_with("2 events\n"), "{text}");
    assert_eq!(text.matches("expired 1 time").count(), 2, "{text}");
}

#[test]
fn timers_of_kqueue_are_exactly_two_events() {
    let text = finish(example("kqueue_timers").env("UNIT_MS", "50").start());
    assert!(text.ends_with("2 events\n"), "{text}");
    assert_eq!(text.matches("expired 1 time").count(), 2, "{text}");
}

#[test]
fn kqueue_sees_exactly_one_event_of_a_file() {
    let text = finish(example("kqueue_filemonitoring").start());
    assert!(text.contains("WRITE | EXTEND") && text.ends_with("1 event\n"), "{text}");
}

#[test]
fn kqueue_tells_of_a_child_and_its_signal() {
    let text = finish(example("kqueue_process").start());
    assert!(text.contains(": exit status: 7\n") && text.contains(": 1 time\n"), "{text}");
}

#[test]
fn threads_call_through_kqueue() {
    let text = finish(example("kqueue_user").start());
    assert!(text.ends_with("4 threads have called\n"), "{text}");
}

#[test]
fn many_timers() {
    let text = finish(example("million_timers").arg("50000").start());
    assert!(text.contains("reported: 25000") && text.contains("cancelled: 25000"), "{text}");
    assert!(text.ends_with("every timer once, in the order of the deadlines\n"), "{text}");
}

#[test]
fn signals_are_counted() {
    let text = finish(example("signals").start());
    let count = |signal| -> u32 {
        let counts = text.lines().filter_map(|line| line.strip_suffix(signal));
        counts.map(|count| count.trim_end_matches(" × ").parse::<u32>().unwrap()).sum()
    };
    assert_eq!((count("SIGUSR1"), count("SIGTERM")), (2, 1), "{text}");
}

#[test]
fn child_exit() {
    let text = finish(example("child_exit").start());
    for line in ["child 0: exit status: 7", "child 1: signal: 15", "child 2: signal: 9"] {
        assert_eq!(text.matches(line).count(), 1, "{line:?} in {text}");
    }
}

#[test]
fn filemonitoring_sees_exactly_one_event() {
    let text = finish(example("filemonitoring").start());
    assert_eq!(text.matches("modified").count(), 1, "{text}");
    assert!(text.ends_with("1 event\n"), "{text}");
}

#[test]
fn copy_tree() {
    let text = finish(example("copy_tree").start());
    assert!(text.starts_with("200 files, 39087620 bytes"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    std::fs::create_dir_all(from.join("inner")).unwrap();
    std::fs::write(from.join("inner/file"), "content").unwrap();
    let copy = || example("copy_tree").args([&from, &to]).start();
    assert!(finish(copy()).starts_with("1 file, 7 bytes, copied and verified"));
    assert_eq!(std::fs::read(to.join("inner/file")).unwrap(), b"content");
    let output = copy().output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is there already"));
}

#[test]
fn user_events() {
    let text = finish(example("user_events").start());
    assert!(text.contains("40000 items from 4 threads"), "{text}");
    assert!(text.ends_with("each once, in the order of its sender\n"), "{text}");
}

#[test]
fn everything() {
    let text = finish(example("everything").start());
    assert!(text.ends_with("everything happened\n"), "{text}");
}

#[test]
fn event_port_stdin() {
    let mut child = example("event_port_stdin").start();
    child.stdin.take().unwrap().write_all(b"a line\n").unwrap();
    let text = finish(child);
    assert!(text.contains("Data available on stdin!\nread: a line\n"), "{text}");
}

#[test]
fn event_port_watch_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let mut child = example("event_port_watch_file").arg(&path).start();
    let _watched = watch_over(&child);
    let mut stdout = child.stdout.take().unwrap();
    let mut text = String::new();
    read_until(&mut stdout, &mut text, &format!("watching {path}\n"));
    file.as_file().write_all(b"more").unwrap();
    read_until(&mut stdout, &mut text, &format!("{path} Modified | Attrib\n"));
    drop(file);
    stdout.read_to_string(&mut text).unwrap();
    // Deleted while it was watched, or while it was about to be.
    let last = text.lines().last().unwrap();
    assert!(last.starts_with(&path), "{text}");
    assert!(last.ends_with("Delete") || last.ends_with("is gone"), "{text}");
    finish(child);
    let child = example("event_port_watch_file").start();
    let output = child.output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("PATH"));
}

#[test]
fn event_ports_otherwise() {
    let many = finish(example("event_port_many").start());
    let lines: Vec<_> = many.lines().map(|line| line.split_once(" events: ").unwrap().1).collect();
    assert_eq!(lines.len(), 3, "{many}");
    assert!(lines.contains(&"In | Out") && lines.contains(&"In"), "{many}");
    let errors = finish(example("event_port_errors").start());
    assert!(errors.contains("Failed to associate fd 99"), "{errors}");
    assert!(errors.contains("fd 99") && errors.contains("it is not open"), "{errors}");
    let timer = finish(example("event_port_timer").env("UNIT_MS", "20").start());
    assert!(timer.ends_with("while nobody looked\n") && timer.contains("user 23"), "{timer}");
    let raw = finish(example("event_port_raw").start());
    assert!(raw.ends_with("source 3: events 7, user 23\n"), "{raw}");
}
