//! How `wakeful watch` runs a command, ends, and with which status.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::waiting::Watch;
use common::{DEADLINE, run, wakeful, watch_over};
use serde_json::Value;
use wakeful_kernel::linux::PidFd;
use wakeful_testing::Isolated;

#[test]
fn exit_statuses() {
    let status =
        |arguments: &[&str]| run(wakeful().arg("watch").args(arguments).stdin(Stdio::null()));
    let code = |arguments: &[&str]| status(arguments).0.code();
    assert_eq!(code(&["--every", "10ms", "--once"]), Some(0));
    assert_eq!(code(&["--every", "1h", "--timeout", "20ms"]), Some(124));
    assert_eq!(code(&["--at", "2020-01-01T00:00"]), Some(0), "nothing more can come");
    assert_eq!(code(&["--stdin"]), Some(0));
    assert_eq!(code(&["--every", "10ms", "-1", "--", "sh", "-c", "exit 7"]), Some(7));
    assert_eq!(code(&["--every", "10ms", "-1", "--", "sh", "-c", "kill -TERM $$"]), Some(143));
    assert_eq!(code(&["--every", "1h", "--timeout", "20ms", "--", "true"]), Some(124));
    assert_eq!(
        code(&["--every", "10ms", "--timeout", "100ms", "--restart", "--", "sleep", "60"]),
        Some(124)
    );
    for (arguments, word) in [
        (&[][..], "--file"),
        (&["--once"], "--file"),
        (&["--every", "soon"], "250ms"),
        (&["--every", "0"], "zero"),
        (&["--at", "noon"], "14:30"),
        (&["--signal", "NOSUCH"], "SIGUSR1"),
        (&["--listen", "nowhere"], "IP:PORT"),
        (&["--every", "1s", "--restart"], "COMMAND"),
        (&["--recursive", "--stdin"], "--file"),
    ] {
        let (status, _, errors) = status(arguments);
        assert_eq!(status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(word), "{word:?} in {errors}");
    }
    for (arguments, word) in [
        (&["--file", "/no/such/file"][..], "/no/such/file"),
        (&["--pid", "0"], "1 to 2147483647"),
        (&["--fd", "77"], "no such descriptor is open"),
        (&["--signal", "9"], "SIGTERM"),
        (&["--file", ".", "--ignore", "a{b"], "a{b"),
        (&["--connect", "no.such.host.invalid:1"], "no.such.host"),
    ] {
        let (status, _, errors) = status(arguments);
        assert_eq!(status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains(word), "{word:?} in {errors}");
    }
    for (program, expected) in [("/no/such/program", 127), ("/etc/passwd", 126)] {
        let (status, _, errors) = status(&["--every", "10ms", "--", program]);
        assert_eq!(status.code(), Some(expected), "{errors}");
        assert!(errors.contains(program), "{errors}");
    }
    // One that has ended has ended.
    let mut child = Command::new("true").start();
    child.wait().unwrap();
    assert_eq!(code(&["--pid", &child.id().to_string()]), Some(0));
    // A parent that ignores SIGCHLD takes no status away.
    let program = env!("CARGO_BIN_EXE_wakeful");
    let script = format!("trap '' CHLD; exec {program} watch --every 10ms -1 -- sh -c 'exit 7'");
    assert_eq!(run(Command::new("sh").args(["-c", &script])).0.code(), Some(7));
    let (status, _, _) = run(wakeful().args(["watch", "--every", "10ms", "-1"]).stderr(full()));
    assert_eq!(status.code(), Some(0));
}

/// A file that takes nothing.
fn full() -> fs::File {
    fs::OpenOptions::new().write(true).open("/dev/full").unwrap()
}

#[test]
fn interrupted() {
    let watch = Watch::start(&["--every", "1h"]);
    assert_eq!(watch.stop(), (Some(0), String::new()));
    let watch = Watch::start(&["--every", "1h", "--once"]);
    assert_eq!(watch.stop().0, Some(130), "what was to come did not");
    let watch = Watch::start(&["--every", "1h", "--once"]);
    watch.signal(libc::SIGTERM);
    assert_eq!(watch.end().0, Some(143));
    // A signal that is waited for ends nothing.
    let mut watch = Watch::start(&["--signal", "INT", "--json"]);
    watch.signal(libc::SIGINT);
    assert_eq!(watch.json()["name"], "SIGINT");
    watch.signal(libc::SIGTERM);
    assert_eq!(watch.end().0, Some(0));
    // A command that does not end by itself is ended; one that refuses is killed the second time.
    let mut watch = Watch::start(&[
        "--every",
        "10ms",
        "--",
        "sh",
        "-c",
        "trap '' TERM; echo begun; exec sleep 60",
    ]);
    assert_eq!(watch.line(), "begun\n");
    let start = Instant::now();
    watch.signal(libc::SIGINT);
    thread::sleep(Duration::from_millis(100));
    watch.signal(libc::SIGINT);
    assert_eq!(watch.end().0, Some(0));
    assert!(start.elapsed() < Duration::from_millis(1500), "not given its two seconds");

    // Asked for the first time, it is to end, not killed: whatever it is that is not waited for any more.
    let script = "trap 'echo ended; exit 3' TERM; echo begun; while :; do sleep 0.05; done";
    let mut watch = Watch::start(&["--every", "10ms", "-1", "--", "sh", "-c", script]);
    assert_eq!(watch.line(), "begun\n");
    let (status, rest) = watch.stop();
    assert!(status == Some(130) && rest.contains("ended"), "{status:?} {rest}");
    // The terminal is gone. Even a command that is stopped is asked to end.
    let script = "trap 'echo ended; exit 3' TERM; echo begun; kill -STOP $$; sleep 60";
    let mut watch = Watch::start(&["--every", "1h", "--restart", "--", "sh", "-c", script]);
    assert_eq!(watch.line(), "begun\n");
    let start = Instant::now();
    watch.signal(libc::SIGHUP);
    let (status, rest) = watch.end();
    assert_eq!((status, rest.trim()), (Some(0), "ended"));
    assert!(start.elapsed() < Duration::from_millis(1500));
}

/// As nohup(1) and a shell's background jobs have it: what was ignored before stays ignored.
#[test]
fn ignored_signals_end_nothing() {
    let program = env!("CARGO_BIN_EXE_wakeful");
    let script = format!("trap '' INT HUP; exec {program} watch --every 20ms");
    let mut shell = Command::new("sh");
    let mut child = shell.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped()).start();
    let _watched = watch_over(&child);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().is_some());
    for signal in [libc::SIGINT, libc::SIGHUP] {
        PidFd::open(child.id()).unwrap().send_signal(signal).unwrap();
        // A signal that ended it would do so within one of these.
        assert_eq!(lines.by_ref().take(10).count(), 10);
    }
    PidFd::open(child.id()).unwrap().send_signal(libc::SIGTERM).unwrap();
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn nothing_is_left_behind() {
    let program = env!("CARGO_BIN_EXE_wakeful");
    let folder = tempfile::tempdir().unwrap();
    let groups = folder.path().join("groups");
    // With a child that does not listen.
    let command = "echo $$ >> groups; (trap '' TERM; exec sleep 60) & sleep 60";
    let script = format!(
        "{program} watch --every 20ms --json --restart --debounce 1h -- sh -c '{command}' | head -2"
    );
    let (status, output, _) =
        run(Command::new("sh").args(["-c", &script]).current_dir(folder.path()));
    assert!(status.success() && output.lines().count() == 2, "{output}");
    for group in fs::read_to_string(groups).unwrap().lines() {
        let start = Instant::now();
        while wakeful_kernel::process::signal_group(group.parse().unwrap(), 0).is_ok() {
            assert!(start.elapsed() < DEADLINE / 6, "{group} is still there");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_command_runs_once_for_a_burst() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo \"$WAKEFUL_EVENT\"";
    let mut watch = Watch::start_in(
        folder.path(),
        &["--file", ".", "--debounce", "300ms", "--", "sh", "-c", script],
    );
    for number in 0..20 {
        fs::write(folder.path().join(format!("{number}")), "").unwrap();
    }
    let mut runs = 0;
    let mut run_for = |path: &str| loop {
        let event: Value = serde_json::from_str(&watch.line()).unwrap();
        runs += 1;
        if event["path"] == path {
            break;
        }
    };
    run_for("./19");
    fs::write(folder.path().join("again"), "").unwrap();
    run_for("./again");
    // On a busy machine a burst may fall apart.
    assert!(runs < 10, "{runs} runs");
    // The events are on standard error, because the output is the command's.
    let (status, rest) = watch.stop();
    assert_eq!(status, Some(0));
    assert!(rest.contains("created      ./19"), "{rest}");
}

#[test]
fn what_happens_meanwhile_runs_it_again() {
    let mut watch = Watch::start(&[
        "--stdin",
        "--debounce",
        "0",
        "--json",
        "--",
        "sh",
        "-c",
        "echo run; sleep 0.3",
    ]);
    let mut stdin = watch.child.stdin.take().unwrap();
    stdin.write_all(b"first\n").unwrap();
    while watch.line() != "run\n" {}
    stdin.write_all(b"second\n").unwrap();
    stdin.write_all(b"third\n").unwrap();
    while watch.line() != "run\n" {}
    // Once for both, and once more for the end of the input.
    drop(stdin);
    let (status, rest) = watch.end();
    assert_eq!(status, Some(0));
    assert!(rest.matches("run\n").count() <= 1, "{rest}");
}

#[test]
fn a_command_is_restarted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    // With a child of its own, which is to end too.
    let script = "echo $$; sleep 60 & wait";
    let mut watch = Watch::start_in(
        folder.path(),
        &["--file", "file", "--restart", "--debounce", "20ms", "--", "sh", "-c", script],
    );
    let mut groups = vec![watch.line()];
    for _ in 0..2 {
        fs::write(folder.path().join("file"), "more").unwrap();
        groups.push(watch.line());
    }
    let (status, _) = watch.stop();
    assert_eq!(status, Some(0));
    for group in groups {
        let group = group.trim().parse().unwrap();
        let start = Instant::now();
        while wakeful_kernel::process::signal_group(group, 0).is_ok() {
            assert!(start.elapsed() < DEADLINE, "{group} is still there");
            thread::sleep(Duration::from_millis(5));
        }
    }
}
