//! `wakeful watch` as a user meets it.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, run, wakeful, watch_over};
use serde_json::Value;
use wakeful_kernel::linux::PidFd;

/// A running `wakeful watch`; killed if it takes too long.
struct Watch {
    child: Child,
    output: BufReader<ChildStdout>,
    errors: BufReader<ChildStderr>,
}

impl Watch {
    fn start(arguments: &[&str]) -> Watch {
        Watch::start_in(Path::new("."), arguments)
    }

    /// It waits when this returns.
    fn start_in(folder: &Path, arguments: &[&str]) -> Watch {
        let mut child = wakeful()
            .arg("watch")
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let errors = BufReader::new(child.stderr.take().unwrap());
        let mut watch = Watch { child, output, errors };
        let mut banner = String::new();
        while !banner.ends_with("wakeful: waiting\n") {
            let _watched = watch_over(&watch.child);
            assert!(watch.errors.read_line(&mut banner).unwrap() > 0, "{banner}");
        }
        watch
    }

    fn line(&mut self) -> String {
        let _watched = watch_over(&self.child);
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    fn json(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn signal(&self, signal: i32) {
        PidFd::open(self.child.id()).unwrap().send_signal(signal).unwrap();
    }

    /// The exit status, and what else was printed, on both.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        let _watched = watch_over(&self.child);
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        self.errors.read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code(), text)
    }

    fn stop(self) -> (Option<i32>, String) {
        self.signal(libc::SIGINT);
        self.end()
    }
}

#[test]
fn every_kind_in_one_wait() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let mut child =
        Command::new("sh").args(["-c", "read line"]).stdin(Stdio::piped()).spawn().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let server_name = server.local_addr().unwrap().to_string();
    for backend in ["epoll", "poll"] {
        let pid = child.id().to_string();
        // Taken from what it says of itself.
        let mut command = wakeful();
        command.env("WAKEFUL_BACKEND", backend).current_dir(folder.path());
        command.args([
            "watch",
            "--json",
            "--file",
            "file",
            "--every",
            "100ms",
            "--at",
            "2020-01-01T00:00",
        ]);
        command.args(["--signal", "USR1", "--pid", &pid, "--stdin", "--listen", "127.0.0.1:0"]);
        command.args(["--connect", &server_name]);
        let spawned =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut spawned = spawned.unwrap();
        let output = BufReader::new(spawned.stdout.take().unwrap());
        let mut errors = BufReader::new(spawned.stderr.take().unwrap());
        let mut banner = String::new();
        let watched = watch_over(&spawned);
        while !banner.ends_with("waiting\n") {
            assert!(errors.read_line(&mut banner).unwrap() > 0, "{banner}");
        }
        drop(watched);
        let mut watch = Watch { child: spawned, output, errors };
        let listening = banner.lines().find_map(|line| line.strip_prefix("wakeful: listening on "));

        fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join("file"))
            .unwrap()
            .write_all(b"more")
            .unwrap();
        watch.signal(libc::SIGUSR1);
        let peer = TcpStream::connect(listening.unwrap()).unwrap();
        watch.child.stdin.as_mut().unwrap().write_all("a l\u{ef}ne\n".as_bytes()).unwrap();
        if backend == "epoll" {
            drop(child.stdin.take());
        }
        let mut missing =
            vec!["file", "every", "at", "signal", "pid", "stdin", "listen", "connect"];
        while !missing.is_empty() {
            let json = watch.json();
            let source = json["source"].as_str().unwrap();
            match source {
                "file" => {
                    assert_eq!((&json["kind"], &json["path"]), (&"modified".into(), &"file".into()))
                }
                "every" => assert!(json["count"].as_u64() > Some(0)),
                "signal" => {
                    assert_eq!((&json["name"], &json["count"]), (&"SIGUSR1".into(), &1.into()))
                }
                "pid" => assert_eq!(json["pid"].to_string(), pid),
                "stdin" => assert_eq!(json["text"], "a l\u{ef}ne"),
                "listen" => assert_eq!(json["peer"], peer.local_addr().unwrap().to_string()),
                "connect" => assert_eq!(
                    (&json["kind"], &json["address"]),
                    (&"connected".into(), &server_name.clone().into())
                ),
                _ => {}
            }
            missing.retain(|&it| it != source);
        }
        let (status, rest) = watch.stop();
        assert_eq!(status, Some(0), "{rest}");
    }
    child.wait().unwrap();
}

/// As an editor saves: the file is another one after it.
#[test]
fn a_saved_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "0").unwrap();
    let mut watch = Watch::start_in(folder.path(), &["--file", "file", "--json"]);
    for number in 1..4 {
        fs::write(folder.path().join("new"), number.to_string()).unwrap();
        fs::rename(folder.path().join("new"), folder.path().join("file")).unwrap();
        let json = watch.json();
        assert_eq!((&json["kind"], &json["path"]), (&"renamed-to".into(), &"file".into()));
    }
    let (status, rest) = watch.stop();
    assert_eq!((status, rest.as_str()), (Some(0), ""));
}

#[test]
fn a_tree_without_what_git_ignores() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("src/deep")).unwrap();
    fs::create_dir_all(path("target")).unwrap();
    fs::create_dir_all(path(".git")).unwrap();
    fs::write(path(".gitignore"), "target\n").unwrap();
    let mut watch = Watch::start_in(
        folder.path(),
        &["--file", ".", "--recursive", "--ignore", "*.swp", "--json"],
    );
    for name in ["target/a", ".git/a", "src/deep/a.swp", "src/deep/a.rs"] {
        fs::write(path(name), "").unwrap();
    }
    fs::create_dir_all(path("src/new/target")).unwrap();
    fs::write(path("src/new/target/a"), "").unwrap();
    fs::write(path("src/new/last"), "").unwrap();
    let mut seen = Vec::new();
    while !seen.iter().any(|path| path == "./src/new/last") {
        seen.push(watch.json()["path"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen[0], "./src/deep/a.rs");
    assert!(!seen.iter().any(|path| path.contains("target") || path.contains(".swp")), "{seen:?}");
    assert_eq!(watch.stop().0, Some(0));

    let mut watch =
        Watch::start_in(folder.path(), &["--file", ".", "--recursive", "--no-gitignore", "--json"]);
    fs::write(path("target/b"), "").unwrap();
    assert_eq!(watch.json()["path"], "./target/b");
    assert_eq!(watch.stop().0, Some(0));
}

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
    let mut child = Command::new("true").spawn().unwrap();
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

/// Whoever reads reads no more, and yet it ends when it is told to, or when its time is over.
#[test]
fn a_reader_that_sleeps() {
    for (limit, signal, status) in [("60", Some(libc::SIGTERM), 0), ("0.5", None, 124)] {
        let mut child = wakeful()
            .args(["watch", "--every", "50us", "--timeout", limit])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Kept open, and full before long.
        let _output = child.stdout.take();
        thread::sleep(Duration::from_millis(700));
        if let Some(signal) = signal {
            PidFd::open(child.id()).unwrap().send_signal(signal).unwrap();
        }
        let _watched = watch_over(&child);
        assert_eq!(child.wait().unwrap().code(), Some(status));
    }
}

/// A flood of changes keeps it from nothing.
#[test]
fn a_flood_of_changes() {
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch::start_in(folder.path(), &["--file", ".", "--json"]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let paths: Vec<_> = (0..20).map(|it| folder.path().join(it.to_string())).collect();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for path in &paths {
                    let _ = fs::write(path, "text");
                }
            }
        });
        for _ in 0..1000 {
            watch.line();
        }
        let start = Instant::now();
        let (status, _) = watch.stop();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(status, Some(0));
        assert!(start.elapsed() < DEADLINE / 6, "{:?}", start.elapsed());
    });
}

/// The command ends with it, in whatever way it ends.
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

/// Directories are followed by their path too.
#[test]
fn a_directory_that_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("d")).unwrap();
    let mut watch = Watch::start_in(folder.path(), &["--file", "d", "--recursive", "--json"]);
    let mut until = |kind: &str, path: &str| loop {
        let json = watch.json();
        if json["kind"] == kind && json["path"] == path {
            break;
        }
    };
    for _ in 0..2 {
        fs::remove_dir(path("d")).unwrap();
        until("gone", "d");
        fs::create_dir(path("d")).unwrap();
        until("created", "d");
        fs::write(path("d/file"), "").unwrap();
        until("created", "d/file");
        fs::rename(path("d"), path("away")).unwrap();
        until("moved", "d");
        fs::write(path("away/file"), "more").unwrap();
        fs::create_dir(path("d")).unwrap();
        until("created", "d");
        fs::write(path("d/other"), "").unwrap();
        until("created", "d/other");
        fs::remove_dir_all(path("away")).unwrap();
        fs::remove_file(path("d/other")).unwrap();
        until("removed", "d/other");
    }
    assert_eq!(watch.stop().0, Some(0));
}

/// Names that are no text, or more than a line.
#[test]
fn odd_names_and_lines() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch::start_in(folder.path(), &["--file", ".", "--json"]);
    let name = std::ffi::OsStr::from_bytes(b"a\xff");
    fs::create_dir(folder.path().join(name)).unwrap();
    assert_eq!(watch.json()["path_hex"], "2e2f61ff");
    assert_eq!(watch.stop().0, Some(0));

    let mut watch = Watch::start_in(folder.path(), &["--file", "."]);
    fs::create_dir(folder.path().join("a\n\x1b[31mb")).unwrap();
    assert!(watch.line().ends_with("created      ./a\\n\\u{1b}[31mb\n"));
    assert_eq!(watch.stop().0, Some(0));

    // Longer than a variable of the environment can be.
    let mut watch = Watch::start(&["--stdin", "--json", "--", "true"]);
    let mut stdin = watch.child.stdin.take().unwrap();
    let writer = thread::spawn(move || stdin.write_all(&[1; 300_000]));
    let (status, output) = watch.end();
    assert_eq!(status, Some(0), "{output}");
    writer.join().unwrap().unwrap();
    let texts = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let length: usize = texts.map(|json| json["text"].as_str().map_or(0, str::len)).sum();
    assert_eq!(length, 300_000);
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

#[test]
fn a_server_comes_and_goes() {
    // A port that nobody listens to: it was somebody's a moment ago.
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let mut watch = Watch::start(&["--connect", &address.to_string(), "--json"]);
    for _ in 0..2 {
        let listener = TcpListener::bind(address).unwrap();
        assert_eq!(watch.json()["kind"], "connected");
        let (peer, _) = listener.accept().unwrap();
        drop(listener);
        drop(peer);
        assert_eq!(watch.json()["kind"], "closed");
    }
    assert_eq!(watch.stop().0, Some(0));
}

#[test]
fn an_inherited_descriptor() {
    let program = env!("CARGO_BIN_EXE_wakeful");
    let script = format!("printf 'one\\ntwo' | {program} watch --fd 5 --json 5<&0 </dev/null");
    let (status, output, _) = run(Command::new("sh").args(["-c", &script]));
    assert!(status.success());
    let texts: Vec<_> =
        output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
    assert_eq!(texts.len(), 3, "{output}");
    assert_eq!(
        (&texts[0]["fd"], &texts[0]["text"], &texts[1]["text"]),
        (&5.into(), &"one".into(), &"two".into())
    );
    assert_eq!(texts[2]["kind"], "end");
    // A regular file, which no kernel waits for.
    let script = format!("{program} watch --stdin --json </etc/passwd");
    let (status, output, _) = run(Command::new("sh").args(["-c", &script]));
    assert!(status.success() && output.lines().count() > 1, "{output}");
}

#[test]
fn its_help_fits_a_screen() {
    let (status, help, _) = run(wakeful().args(["watch", "-h"]).env("COLUMNS", "80"));
    assert!(status.success());
    assert!(help.lines().count() <= 24, "{} lines", help.lines().count());
    assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let (status, text, _) = run(wakeful().args(["completions", shell]));
        assert!(status.success() && text.contains("debounce"), "{shell}");
    }
    for arguments in [&["man"][..], &["man", "watch"]] {
        let (status, text, _) = run(wakeful().args(arguments));
        assert!(status.success() && text.contains(".TH WAKEFUL"), "{text}");
    }
    let (status, _, errors) = run(wakeful().args(["man", "nonsense"]));
    assert!(status.code() == Some(1) && errors.contains("serve"), "{errors}");
}

#[test]
fn whoever_reads_may_have_seen_enough() {
    let program = env!("CARGO_BIN_EXE_wakeful");
    let script = format!("{program} watch --every 5ms | head -2");
    let (status, output, _) = run(Command::new("sh").args(["-c", &script]));
    assert!(status.success() && output.lines().count() == 2, "{output}");
}
