//! Operations that block hold up nobody but their own queue, and that until they are cancelled.

#![cfg(unix)]

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use common::files::{Desk, fifo, on_each, temporary};
use common::{DEADLINE, QUIET};
use wakeful::file::{self, Backend, Key, Operation, Queue};

/// How long an operation is given to begin: other tests block the threads that there are, and the pool
/// takes a while to notice that.
const BEGUN: Duration = Duration::from_millis(1500);

/// As many as there are threads if nothing blocks.
fn usual() -> usize {
    4 * thread::available_parallelism().unwrap().get()
}

/// Waits for the other end of a FIFO, on a thread. A ring opens it without waiting.
fn open(path: &Path) -> Operation {
    Operation::open(path, file::OpenOptions::new().read(true)).unwrap()
}

fn submit_opens(queue: &Queue<usize>, path: &Path, count: usize) -> Vec<Key> {
    (0..count).map(|number| queue.submit(open(path), number).unwrap()).collect()
}

/// Ends what waits for the other end of the FIFO.
fn release(path: &Path) {
    drop(OpenOptions::new().read(true).write(true).open(path).unwrap());
    let end = Instant::now() + DEADLINE;
    let mut writing = OpenOptions::new();
    writing.write(true).custom_flags(libc::O_NONBLOCK);
    // Those that are opened now are closed at once, and then there is nobody to write to.
    while writing.open(path).is_ok() {
        assert!(Instant::now() < end, "somebody keeps it open");
        thread::sleep(QUIET);
    }
}

#[test]
fn another_queue_goes_on() {
    on_each(|backend| {
        let (_folder, path) = fifo();
        let blocked = Queue::new(512, backend).unwrap();
        submit_opens(&blocked, &path, 3 * usual());
        let mut desk = Desk::new(8, backend);
        for number in 0..20 {
            desk.queue.submit(Operation::sync_all(temporary()), number).unwrap();
            assert_eq!(desk.wait().user, number, "{backend}");
        }
        drop(blocked);
        release(&path);
    });
}

#[test]
fn among_several_that_block() {
    on_each(|backend| {
        let (_folder, path) = fifo();
        let blocked: Vec<_> = (0..6)
            .map(|_| {
                let queue = Queue::new(512, backend).unwrap();
                submit_opens(&queue, &path, 2 * usual());
                queue
            })
            .collect();
        let mut desks: Vec<_> = (0..3).map(|_| Desk::new(8, backend)).collect();
        for number in 0..3 {
            for desk in &mut desks {
                desk.queue.submit(Operation::sync_all(temporary()), number).unwrap();
            }
            for desk in &mut desks {
                assert_eq!(desk.wait().user, number, "{backend}");
            }
        }
        drop(blocked);
        release(&path);
    });
}

#[test]
fn dropped_queues_leave_nothing_behind() {
    on_each(|backend| {
        let (_folder, path) = fifo();
        for _ in 0..10 {
            let queue = Queue::new(512, backend).unwrap();
            submit_opens(&queue, &path, 2 * usual());
            drop(queue);
        }
        let mut desk = Desk::new(8, backend);
        desk.queue.submit(Operation::sync_all(temporary()), 1).unwrap();
        assert_eq!(desk.wait().user, 1, "{backend}");
        release(&path);
    });
}

#[test]
fn cancelled_they_end_at_once() {
    on_each(|backend| {
        let (_folder, path) = fifo();
        let mut desk = Desk::new(512, backend);
        for _ in 0..3 {
            let count = 2 * usual();
            let keys = submit_opens(&desk.queue, &path, count);
            if backend == Backend::Pool {
                // Most of them have begun by then.
                thread::sleep(QUIET);
            }
            for &key in &keys {
                desk.queue.cancel(key).unwrap();
            }
            let mut users = Vec::new();
            for _ in 0..count {
                let done = desk.wait();
                users.push(done.user);
                let Operation::Open { path: of, .. } = &done.operation else {
                    panic!("{:?}", done.operation)
                };
                assert_eq!(of.to_bytes(), path.to_str().unwrap().as_bytes());
                // A ring has opened it.
                assert!(done.is_cancelled() || backend == Backend::IoUring, "{backend}: {done:?}");
            }
            users.sort_unstable();
            assert_eq!(users, Vec::from_iter(0..count));
            assert!(desk.queue.is_empty());
        }
        // The queue has its threads again.
        desk.queue.submit(Operation::sync_all(temporary()), 7).unwrap();
        assert_eq!(desk.wait().user, 7);
        release(&path);
        assert!(desk.queue.completion().is_none());
    });
}

#[test]
fn what_has_begun_is_detached() {
    let (_folder, path) = fifo();
    let mut desk = Desk::new(8, Backend::Pool);
    let key = desk.queue.submit(open(&path), 1).unwrap();
    thread::sleep(BEGUN);
    desk.queue.cancel(key).unwrap();
    let done = desk.wait();
    assert!(done.is_cancelled() && done.is_detached(), "{done:?}");
    // Cancelled before it began, it does not.
    let keys = submit_opens(&desk.queue, &path, 1 + usual().min(6));
    let mut batch = desk.queue.batch();
    let held = batch.submit(Operation::remove_file(&path).unwrap(), 100).unwrap();
    desk.queue.cancel(held).unwrap();
    let done = desk.queue.completion().unwrap();
    assert!(done.user == 100 && done.is_cancelled() && !done.is_detached(), "{done:?}");
    drop(batch);
    for &key in &keys {
        desk.queue.cancel(key).unwrap();
        assert!(desk.wait().is_cancelled());
    }
    assert!(path.exists());
    release(&path);
}

#[test]
fn a_chain_ends_where_it_is_cancelled() {
    let (_folder, path) = fifo();
    let mut desk = Desk::new(8, Backend::Pool);
    let file = temporary();
    let write = |number| (Operation::write(file.clone(), vec![1; 3], 0), number);
    let chain = [(open(&path), 0), write(1), write(2), write(3)];
    let keys = desk.queue.submit_chain(chain).unwrap();
    thread::sleep(BEGUN);
    desk.queue.cancel(keys[2]).unwrap();
    for number in [2, 3] {
        let done = desk.wait();
        assert!(done.user == number && done.is_cancelled() && !done.is_detached(), "{done:?}");
        assert_eq!(done.operation.into_buffer().unwrap().into_vec(), [1; 3]);
    }
    assert_eq!(desk.queue.len(), 2);
    desk.queue.cancel(keys[0]).unwrap();
    let (first, second) = (desk.wait(), desk.wait());
    assert!(first.user == 0 && first.is_detached() && first.is_cancelled(), "{first:?}");
    assert!(second.user == 1 && !second.is_detached() && second.is_cancelled(), "{second:?}");
    release(&path);
    assert_eq!(file.metadata().unwrap().len(), 0);
}

/// A device that blocks whoever reads it, where there is one that can be read at an offset.
#[test]
#[cfg(target_os = "linux")]
fn a_buffer_that_is_in_use_is_not_given_back() {
    use std::io::{Seek, SeekFrom};
    let Ok(mut log) = std::fs::File::open("/dev/kmsg") else {
        return;
    };
    log.seek(SeekFrom::End(0)).unwrap();
    let log = std::sync::Arc::new(log);
    // Asynchronous I/O knows no threads of ours.
    for backend in [Backend::IoUring, Backend::Pool] {
        let Ok(queue) = Queue::new(512, backend) else {
            continue;
        };
        let read = || Operation::read(log.clone(), vec![0; 10_000], 0);
        let keys: Vec<_> =
            (0..3 * usual()).map(|number| queue.submit(read(), number).unwrap()).collect();
        thread::sleep(BEGUN);
        let mut desk = Desk::new(8, backend);
        desk.queue.submit(Operation::sync_all(temporary()), 7).unwrap();
        assert_eq!(desk.wait().user, 7, "{backend}");
        for &key in &keys {
            queue.cancel(key).unwrap();
        }
        let end = Instant::now() + DEADLINE;
        let mut count = 0;
        while count < keys.len() {
            assert!(Instant::now() < end, "{backend}: {count}");
            for done in queue.completions() {
                count += 1;
                // Unless somebody has logged something.
                if done.is_cancelled() {
                    let is_detached = done.is_detached();
                    let length = done.operation.into_buffer().unwrap().len();
                    assert_eq!(length, if is_detached { 0 } else { 10_000 }, "{backend}");
                    assert!(!is_detached || backend == Backend::Pool);
                }
            }
            thread::sleep(QUIET);
        }
    }
}
