use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ChildStderr, ChildStdout, Stdio};

use serde_json::Value;
use wakeful_kernel::linux::PidFd;
use wakeful_testing::{Isolated, Running};

use super::{wakeful, watch_over};

/// A running `wakeful watch`; killed if it takes too long, and if the test fails.
pub struct Watch {
    pub child: Running,
    pub output: BufReader<ChildStdout>,
    pub errors: BufReader<ChildStderr>,
}

impl Watch {
    pub fn start(arguments: &[&str]) -> Watch {
        Watch::start_in(Path::new("."), arguments)
    }

    /// It waits when this returns.
    pub fn start_in(folder: &Path, arguments: &[&str]) -> Watch {
        let mut child = wakeful()
            .arg("watch")
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .start();
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

    pub fn line(&mut self) -> String {
        let _watched = watch_over(&self.child);
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    pub fn json(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    pub fn signal(&self, signal: i32) {
        PidFd::open(self.child.id()).unwrap().send_signal(signal).unwrap();
    }

    /// The exit status, and what else was printed, on both.
    pub fn end(mut self) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        let _watched = watch_over(&self.child);
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        self.errors.read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code(), text)
    }

    pub fn stop(self) -> (Option<i32>, String) {
        self.signal(libc::SIGINT);
        self.end()
    }
}
