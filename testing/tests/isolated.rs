//! What the tests start does not depend on what started the tests, and does not outlive them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use wakeful_testing::Isolated;

const DEADLINE: Duration = Duration::from_secs(20);
/// Set where this test runs under a shell that ignores signals.
const INNER: &str = "WAKEFUL_TESTING_INNER";
const SIGNALS: [&str; 6] = ["INT", "TERM", "HUP", "QUIT", "PIPE", "USR1"];

#[test]
fn signals_are_not_ignored() {
    if std::env::var_os(INNER).is_some() {
        for signal in SIGNALS {
            let script = format!("kill -{signal} $$; sleep 60");
            let status = Command::new("sh").args(["-c", &script]).start().wait().unwrap();
            assert!(status.signal().is_some(), "{signal}: {status}");
        }
        return;
    }
    let test = std::env::current_exe().unwrap();
    let script =
        format!("trap '' {}; exec \"$0\" --exact signals_are_not_ignored", SIGNALS.join(" "));
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(test).env(INNER, "1").stdout(Stdio::piped());
    let output = shell.start().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Whether a process runs: one that was killed may be waiting for its parent to take notice.
fn runs(pid: &str) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap().stdout;
    state.first().is_some_and(|&state| state != b'Z')
}

#[test]
fn nothing_outlives_a_test_that_fails() {
    let (told, pids) = std::sync::mpsc::channel();
    let failing = thread::spawn(move || {
        let script = "sleep 60 & echo $!; echo $$; wait";
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).start();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(2);
        let pids: Vec<_> = lines.map(Result::unwrap).collect();
        assert!(pids.iter().all(|pid| runs(pid)));
        told.send(pids).unwrap();
        std::panic::resume_unwind(Box::new("as a test does that fails"));
    });
    let pids = pids.recv_timeout(DEADLINE).unwrap();
    assert!(failing.join().is_err());
    let start = Instant::now();
    while pids.iter().any(|pid| runs(pid)) {
        assert!(start.elapsed() < DEADLINE, "{pids:?} are still there");
        thread::sleep(Duration::from_millis(10));
    }
}
