//! The threads that carry operations out: alone in their process, so that they can be counted.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::thread;
use std::time::Instant;

use common::DEADLINE;
use common::files::{Desk, temporary};
use wakeful::file::{Backend, Operation, Queue};

fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("wakeful-file")).count()
}

#[test]
fn they_come_when_they_are_needed_and_go() {
    let _idle = Queue::<()>::new(1000, Backend::Pool).unwrap();
    assert_eq!(threads(), 0);
    let mut desks: Vec<_> = (0..4).map(|_| Desk::new(1000, Backend::Pool)).collect();
    let file = temporary();
    for desk in &mut desks {
        let mut batch = desk.queue.batch();
        for number in 0..1000 {
            let write = Operation::write(file.clone(), vec![1; 4096], number * 4096);
            batch.submit(write, ()).unwrap();
        }
    }
    let most = 4 * thread::available_parallelism().unwrap().get();
    let at_work = threads();
    assert!((1..=most).contains(&at_work), "{at_work}");
    for desk in &mut desks {
        for _ in 0..1000 {
            assert_eq!(desk.wait().count().unwrap(), 4096);
        }
    }
    assert!(threads() <= most);
    let start = Instant::now();
    while threads() > 0 {
        assert!(start.elapsed() < DEADLINE, "{} are left", threads());
        thread::sleep(common::QUIET);
    }
    // And come again.
    desks[0].queue.submit(Operation::sync_data(file), ()).unwrap();
    assert!(desks[0].wait().result.is_ok());
}
