//! A program that uses mio directly: notify, which watches files.

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use drop_in::in_a_minute;
use notify::{EventKind, RecursiveMode, Watcher};

#[test]
fn files_are_watched() {
    in_a_minute(|| {
        let folder = tempfile::tempdir().unwrap();
        let (sender, events) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(sender).unwrap();
        watcher.watch(folder.path(), RecursiveMode::Recursive).unwrap();
        for number in 0..10 {
            let path = folder.path().join(number.to_string());
            fs::write(&path, b"new").unwrap();
            loop {
                let event = events.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
                if event.kind.is_create() && event.paths.contains(&path) {
                    break;
                }
            }
            fs::remove_file(&path).unwrap();
            loop {
                let event = events.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
                if matches!(event.kind, EventKind::Remove(_)) && event.paths.contains(&path) {
                    break;
                }
            }
        }
        // Its thread is woken by a mio waker, and ends.
        watcher.unwatch(folder.path()).unwrap();
    });
}
