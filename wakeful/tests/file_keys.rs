//! The key of an operation means nothing to any other queue.

#![cfg(unix)]

mod common;

use std::collections::HashSet;
use std::fs::OpenOptions;

use common::files::{Desk, fifo, on_each, temporary};
use wakeful::file::{self, Operation};

#[test]
fn of_another_queue() {
    on_each(|backend| {
        let (mut one, mut other) = (Desk::new(8, backend), Desk::new(8, backend));
        let (_folder, path) = fifo();
        let open = || Operation::open(&path, file::OpenOptions::new().read(true)).unwrap();
        let key = one.queue.submit(open(), 1).unwrap();
        let foreign = other.queue.submit(open(), 2).unwrap();
        assert_ne!(key, foreign, "{backend}");
        one.queue.cancel(foreign).unwrap();
        other.queue.cancel(key).unwrap();
        // Threads wait for the other end of the FIFO; a ring opens it at once.
        let _both_ends = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        assert!(one.wait().result.is_ok(), "{backend}");
        assert!(other.wait().result.is_ok(), "{backend}");
    });
}

#[test]
fn no_two_are_equal() {
    on_each(|backend| {
        let file = temporary();
        let mut keys = HashSet::new();
        for _ in 0..3 {
            let mut desk = Desk::new(2, backend);
            for _ in 0..50 {
                let key = desk.queue.submit(Operation::metadata_of(file.clone()), ()).unwrap();
                assert!(keys.insert(key), "{backend}: {key:?}");
                assert_eq!(desk.wait().key, key);
            }
        }
    });
}
