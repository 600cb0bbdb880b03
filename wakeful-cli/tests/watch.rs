//! `wakeful watch` as a user meets it.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::waiting::Watch;
use common::{DEADLINE, run, wakeful, watch_over};
use serde_json::Value;
use wakeful_kernel::linux::PidFd;
use wakeful_testing::Isolated;

#[test]
fn every_kind_in_one_wait() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let mut child = Command::new("sh").args(["-c", "read line"]).stdin(Stdio::piped()).start();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let server_name = server.local_addr().unwrap().to_string();
    for backend in ::wakeful::Backend::available().iter().map(|backend| backend.name()) {
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
        let mut spawned =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).start();
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
        drop(child.stdin.take());
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

/// Whoever reads reads no more, and yet it ends when it is told to, or when its time is over.
#[test]
fn a_reader_that_sleeps() {
    for (limit, signal, status) in [("60", Some(libc::SIGTERM), 0), ("0.5", None, 124)] {
        let mut child = wakeful()
            .args(["watch", "--every", "50us", "--timeout", limit])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .start();
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

/// Thousands of directories, of which some are watched and some are not: it ends all the same.
#[test]
fn while_directories_are_listed() {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    for number in 0..15_000 {
        let path = format!("{}/{}/{}", number / 600, number / 25 % 24, number % 25);
        fs::create_dir_all(folder.path().join(path)).unwrap();
    }
    let start = |more: &[&str]| {
        let mut command = wakeful();
        command.args(["watch", "--recursive", "--file"]).arg(folder.path()).args(more);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let end = |child: Child| {
        let _watched = watch_over(&child);
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, errors) = end(start(&["--timeout", "20ms"]));
    assert_eq!(status, Some(124), "{errors}");
    assert!(!errors.contains("waiting"), "{errors}");

    for (signal, more, expected) in [(libc::SIGINT, "--json", 0), (libc::SIGTERM, "--once", 143)] {
        let child = start(&[more]);
        let begun = Instant::now();
        while watches_of(child.id()) < 100 {
            assert!(begun.elapsed() < DEADLINE);
            thread::sleep(Duration::from_millis(1));
        }
        PidFd::open(child.id()).unwrap().send_signal(signal).unwrap();
        let (status, errors) = end(child);
        assert_eq!(status, Some(expected), "{errors}");
        assert!(!errors.contains("waiting"), "{errors}");
    }
    // Left alone, it comes to its end.
    let mut watch = Watch::start_in(folder.path(), &["--file", ".", "--recursive", "--json"]);
    fs::write(folder.path().join("24/23/24/file"), "").unwrap();
    assert_eq!(watch.json()["path"], "./24/23/24/file");
    assert_eq!(watch.stop().0, Some(0));
}

/// How many directories a process watches by now.
fn watches_of(pid: u32) -> usize {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return 0;
    };
    let infos = descriptors.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    infos.map(|info| info.lines().filter(|line| line.starts_with("inotify wd")).count()).sum()
}
