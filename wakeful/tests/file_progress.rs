//! What becomes of operations on files that follow one another, are given up, or are left.

#![cfg(unix)]

mod common;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use common::files::{Desk, on_each, temporary};
use wakeful::file::{Operation, Queue, Reason};
use wakeful::{Events, Poll};

#[test]
fn chains_go_in_order_and_end_at_a_failure() {
    on_each(|backend| {
        let mut desk = Desk::new(64, backend);
        let file = temporary();
        // Each moves what the one before has written: out of order, nothing would be there to read.
        for _ in 0..20 {
            file.set_len(0).unwrap();
            let write = |text: &[u8], at| Operation::write(file.clone(), text.to_vec(), at);
            let read = |at| Operation::read(file.clone(), vec![0; 3], at);
            let chain = [
                (write(b"abc", 0), 0),
                (read(0), 1),
                (write(b"def", 3), 2),
                (Operation::sync_data(file.clone()), 3),
                (read(3), 4),
            ];
            assert_eq!(desk.queue.submit_chain(chain).unwrap().len(), 5);
            for number in 0..5 {
                let done = desk.wait();
                assert_eq!(done.user, number, "{backend}");
                assert!(done.result.is_ok());
                match number {
                    1 => assert_eq!(done.operation.into_buffer().unwrap().into_vec(), b"abc"),
                    4 => assert_eq!(done.operation.into_buffer().unwrap().into_vec(), b"def"),
                    _ => {}
                }
            }
        }
        // A read that finds less than it was to.
        let chain = [
            (Operation::read(file.clone(), vec![0; 100], 0), 0),
            (Operation::write(file.clone(), b"never".to_vec(), 0), 1),
            (Operation::sync_all(file.clone()), 2),
        ];
        desk.queue.submit_chain(chain).unwrap();
        let done: Vec<_> = (0..3).map(|_| desk.wait()).collect();
        assert_eq!(done[0].count().unwrap(), 6);
        assert!(done[1].is_cancelled() && done[2].is_cancelled(), "{backend}: {done:?}");
        assert_eq!(file.metadata().unwrap().len(), 6);
        // Others do not wait for it.
        desk.queue.submit(Operation::sync_all(file), 9).unwrap();
        assert_eq!(desk.wait().user, 9);
        assert!(desk.queue.submit_chain([]).unwrap().is_empty());
    });
}

/// What is refused as soon as the kernel sees it ends the chain where it stands, and not before.
#[test]
fn chains_with_members_that_are_refused() {
    on_each(|backend| {
        let mut desk = Desk::new(8, backend);
        let file = temporary();
        let long = "x".repeat(5000);
        let vectors = (0..1025).map(|_| vec![0].into()).collect();
        let refused = [
            (Operation::metadata("").unwrap(), libc::ENOENT),
            (Operation::remove_file(&long).unwrap(), libc::ENAMETOOLONG),
            (Operation::read_vectored(file.clone(), vectors, 0), libc::EINVAL),
        ];
        for (operation, errno) in refused {
            let chain = [
                (Operation::write(file.clone(), b"hello".to_vec(), 0), 0),
                (operation, 1),
                (Operation::sync_data(file.clone()), 2),
            ];
            desk.queue.submit_chain(chain).unwrap();
            let done: Vec<_> = (0..3).map(|_| desk.wait()).collect();
            assert_eq!(done[0].count().unwrap(), 5, "{backend}");
            let error = done[1].result.as_ref().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno), "{backend}");
            assert!(done[2].is_cancelled(), "{backend}");
        }
    });
}

/// The kernel interrupts epoll_wait(2) for work with a ring; that is no signal.
#[test]
fn waits_are_not_interrupted() {
    on_each(|backend| {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(8);
        let file = temporary();
        for round in 0..30 {
            let queue = Queue::new(8, backend).unwrap();
            let chain = [
                (Operation::write(file.clone(), vec![1; 100_000], 0), ()),
                (Operation::sync_all(file.clone()), ()),
            ];
            queue.submit_chain(chain).unwrap();
            // Registered nowhere, and gone in the middle, every second time.
            let kept = (round % 2 == 0).then_some(queue);
            let start = Instant::now();
            poll.poll(&mut events, Some(common::QUIET)).unwrap();
            assert!(events.is_empty() && start.elapsed() >= common::QUIET, "{backend}");
            drop(kept);
        }
    });
}

/// A value whose destructor panics, while the kernel is at work.
#[test]
fn a_value_that_panics_when_it_is_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as it is to");
        }
    }
    on_each(|backend| {
        let file = temporary();
        let queue = Queue::new(8, backend).unwrap();
        let read = Operation::read(file.clone(), vec![0; 4096], 0);
        queue.submit(read, Some(Bomb)).unwrap();
        for _ in 0..7 {
            let write = Operation::write(file.clone(), vec![1; 100_000], 0);
            queue.submit(write, None).unwrap();
        }
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(queue)));
        assert!(panicked.is_err());
        let deadline = Instant::now() + common::DEADLINE;
        while Arc::strong_count(&file) > 1 {
            assert!(Instant::now() < deadline, "{backend} has leaked");
            thread::sleep(common::QUIET);
        }
    });
}

/// A forked child is refused, also if another thread was in the middle of something, and closes nothing of its own.
#[test]
fn in_a_forked_child() {
    on_each(|backend| {
        let file = temporary();
        let queue = Arc::new(Queue::new(64, backend).unwrap());
        let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let busy = {
            let (queue, file, is_over) = (queue.clone(), file.clone(), is_over.clone());
            thread::spawn(move || {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = queue.submit(Operation::read(file.clone(), vec![0; 64], 0), ());
                    drop(queue.completion());
                }
            })
        };
        let closing = std::mem::ManuallyDrop::new(Queue::new(1, backend).unwrap());
        closing.submit(Operation::close(file.try_clone().unwrap()), ()).unwrap();
        thread::sleep(common::QUIET);
        for _ in 0..20 {
            // SAFETY: the child calls what may be called with glibc, and ends.
            match unsafe { libc::fork() } {
                0 => {
                    // SAFETY: the process ends by it, if it hangs.
                    unsafe { libc::alarm(5) };
                    let own =
                        File::open("/").map(std::os::fd::IntoRawFd::into_raw_fd).unwrap_or(-1);
                    let rejected = queue.submit(Operation::sync_all(file.clone()), ());
                    let mut is_fine =
                        matches!(rejected, Err(it) if matches!(it.reason, Reason::Failed(_)));
                    is_fine &= queue.completion().is_none() && queue.is_empty();
                    drop(std::mem::ManuallyDrop::into_inner(closing));
                    // SAFETY: it is a number.
                    is_fine &= unsafe { libc::fcntl(own, libc::F_GETFD) } != -1;
                    // SAFETY: no destructor of the parent's is to run here.
                    unsafe { libc::_exit(if is_fine { 0 } else { 1 }) };
                }
                child => {
                    let mut status = 0;
                    // SAFETY: the status is valid for the write.
                    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                    assert_eq!(status, 0, "{backend}");
                }
            }
        }
        drop(std::mem::ManuallyDrop::into_inner(closing));
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        busy.join().unwrap();
    });
}

#[test]
fn a_file_that_a_cancelled_chain_did_not_close() {
    on_each(|backend| {
        let mut desk = Desk::new(8, backend);
        let full = temporary();
        let (reader, writer) = wakeful_kernel::pipe::pipe().unwrap();
        let chain =
            [(Operation::read(full, vec![0; 8], 0), 0), (Operation::close(File::from(writer)), 1)];
        desk.queue.submit_chain(chain).unwrap();
        desk.wait();
        let done = desk.wait();
        assert!(done.is_cancelled());
        let Operation::Close { file: Some(file) } = done.operation else {
            panic!("it was closed by {backend}")
        };
        let writer = OwnedFd::from(file);
        assert_eq!(wakeful_kernel::descriptor::write(&writer, b"x").unwrap(), 1);
        drop(reader);
    });
}

#[test]
fn cancelled_it_ends_all_the_same() {
    on_each(|backend| {
        let mut desk = Desk::new(100, backend);
        let file = temporary();
        let keys: Vec<_> = (0..100)
            .map(|number| {
                let write = Operation::write(file.clone(), vec![1; 100_000], number * 100_000);
                desk.queue.submit(write, number).unwrap()
            })
            .collect();
        for &key in &keys {
            desk.queue.cancel(key).unwrap();
        }
        let mut users: Vec<_> = (0..100)
            .map(|_| {
                let done = desk.wait();
                assert!(done.is_cancelled() || done.count().unwrap() == 100_000, "{done:?}");
                done.user
            })
            .collect();
        users.sort_unstable();
        assert_eq!(users, Vec::from_iter(0..100));
        // Long over.
        for key in keys {
            desk.queue.cancel(key).unwrap();
        }
        desk.queue.submit(Operation::sync_data(file), 100).unwrap();
        assert!(desk.wait().result.is_ok());
    });
}

#[test]
fn dropped_with_a_thousand_under_way() {
    on_each(|backend| {
        let file = temporary();
        let counted = Arc::new(());
        for _ in 0..5 {
            let queue = Queue::new(1000, backend).unwrap();
            let mut batch = queue.batch();
            for number in 0..500 {
                let write = Operation::write(file.clone(), vec![7; 4096], number * 4096);
                batch.submit(write, counted.clone()).unwrap();
                let read = Operation::read(file.clone(), vec![0; 4096], number * 4096);
                batch.submit(read, counted.clone()).unwrap();
            }
            batch.flush().unwrap();
            drop(batch);
            drop(queue);
        }
        // What is not given up keeps its file until it has ended, and then lets go.
        let deadline = Instant::now() + common::DEADLINE;
        while Arc::strong_count(&file) > 1 || Arc::strong_count(&counted) > 1 {
            assert!(Instant::now() < deadline, "{backend} has leaked");
            thread::sleep(common::QUIET);
        }
    });
}

#[test]
fn from_many_threads() {
    on_each(|backend| {
        let queue = Arc::new(Queue::new(64, backend).unwrap());
        let file = temporary();
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let (queue, file) = (queue.clone(), file.clone());
                thread::spawn(move || {
                    let deadline = Instant::now() + common::DEADLINE;
                    let mut accepted = 0;
                    while accepted < 500 {
                        assert!(Instant::now() < deadline, "{queue:?}");
                        let write = Operation::write(file.clone(), vec![0; 64], accepted * 64);
                        accepted += u64::from(queue.submit(write, number).is_ok());
                        // Another thread's, perhaps; and one that has not ended yet may be in the way.
                        if queue.completion().is_none() {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let deadline = Instant::now() + common::DEADLINE;
        while !queue.is_empty() {
            assert!(Instant::now() < deadline, "{backend}: {queue:?}");
            queue.completions().for_each(drop);
        }
    });
}
