//! Waits beside a ring of operations on files: the kernel interrupts threads for the ring's sake, and no wait tells.

#![cfg(target_os = "linux")]
// As if on another system there is no ring.
#![cfg(not(any(wakeful_emulate = "freebsd", wakeful_emulate = "illumos")))]

mod common;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, Loop, QUIET, every_backend};
use wakeful::file::{Backend, Operation, Queue};
use wakeful::{Interest, Token, Trigger, Waker};
use wakeful_kernel::linux::may_be_interrupted;
use wakeful_kernel::pipe::pipe;

const QUEUE: Token = Token(1);
const WAKER: Token = Token(2);

/// `None` where there is no io_uring, with a word.
fn ring() -> Option<Queue<()>> {
    match Queue::new(8, Backend::IoUring) {
        Ok(queue) => Some(queue),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// A read that does not end before something is written.
fn read_of_a_pipe(queue: &Queue<()>) -> File {
    let (reader, writer) = pipe().unwrap();
    queue.submit(Operation::read(Arc::new(File::from(reader)), vec![0; 8], 0), ()).unwrap();
    File::from(writer)
}

/// One that ends at once.
fn read_of_a_file(queue: &Queue<()>) {
    let file = Arc::new(File::open("/proc/self/exe").unwrap());
    queue.submit(Operation::read(file, vec![0; 8], 0), ()).unwrap();
    while queue.completion().is_none() {
        thread::yield_now();
    }
}

/// Nothing is to be reported for so long.
#[track_caller]
fn wait_in_full(events: &mut Loop, timeout: Duration) {
    let start = Instant::now();
    let found = events.poll(timeout);
    assert!(found.is_empty() && start.elapsed() >= timeout, "{found:?} in {:?}", start.elapsed());
}

/// Until no ring may interrupt this thread, with waits that do not tell of it.
#[track_caller]
fn until_all_have_gone(events: &mut Loop) {
    let start = Instant::now();
    while may_be_interrupted() {
        assert!(start.elapsed() < DEADLINE, "a ring does not go");
        wait_in_full(events, QUIET);
    }
}

every_backend! {
    fn no_wait_is_interrupted(backend) {
        let mut events = Loop::new(backend);
        let level = Interest::READABLE.with_trigger(Trigger::Level);
        for round in 0..12 {
            let Some(queue) = ring() else { return };
            let queue = events.registry().register_owned(queue, QUEUE, level).unwrap();
            read_of_a_file(&queue);
            let writer = read_of_a_pipe(&queue);
            wait_in_full(&mut events, QUIET);
            if round % 3 < 2 {
                thread::scope(|scope| {
                    scope.spawn(|| {
                        thread::sleep(QUIET);
                        (&writer).write_all(b"x").unwrap();
                    });
                    events.expect_readable(QUEUE);
                });
                assert_eq!(queue.completions().count(), 1);
                wait_in_full(&mut events, QUIET);
            }
            // Or with something under way.
            drop(queue);
            wait_in_full(&mut events, if round % 2 == 0 { 10 * QUIET } else { QUIET });
        }
        if backend == wakeful::Backend::Epoll {
            until_all_have_gone(&mut events);
        }
    }

    fn a_ring_of_another_thread_is_no_matter(backend) {
        let mut events = Loop::new(backend);
        let Some(queue) = ring() else { return };
        // Created here, used and dropped there.
        thread::scope(|scope| {
            scope.spawn(move || {
                read_of_a_file(&queue);
                let _writer = read_of_a_pipe(&queue);
                thread::sleep(2 * QUIET);
            });
            for _ in 0..20 {
                assert!(!may_be_interrupted());
                wait_in_full(&mut events, QUIET);
            }
        });
    }

    fn several_threads_with_one_ring(backend) {
        let Some(queue) = ring() else { return };
        let queue = Arc::new(queue);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let submitters: Vec<_> = (0..2)
                .map(|_| {
                    let (queue, stop) = (Arc::clone(&queue), &stop);
                    scope.spawn(move || {
                        let mut events = Loop::new(backend);
                        read_of_a_pipe(&queue);
                        read_of_a_pipe(&queue);
                        drop(queue);
                        while !stop.load(Ordering::Relaxed) {
                            wait_in_full(&mut events, 2 * QUIET);
                        }
                    })
                })
                .collect();
            thread::sleep(4 * QUIET);
            // It goes on a third thread, or with the last of them.
            drop(queue);
            thread::sleep(20 * QUIET);
            stop.store(true, Ordering::Relaxed);
            submitters.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    fn a_signal_interrupts_all_the_same(backend) {
        static HANDLED: AtomicUsize = AtomicUsize::new(0);
        extern "C" fn handler(_: libc::c_int) {
            HANDLED.fetch_add(1, Ordering::SeqCst);
        }
        // SAFETY: the handler only adds to an atomic, which is async-signal-safe.
        unsafe { libc::signal(libc::SIGUSR2, handler as *const () as libc::sighandler_t) };
        let mut events = Loop::new(backend);
        let waker = Waker::new(events.registry(), WAKER).unwrap();
        let Some(queue) = ring() else { return };
        let _writer = read_of_a_pipe(&queue);
        // SAFETY: it takes nothing and cannot fail.
        let poller = unsafe { libc::pthread_self() };
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    thread::sleep(QUIET / 3);
                    // SAFETY: the thread waits for this one.
                    unsafe { libc::pthread_kill(poller, libc::SIGUSR2) };
                }
            });
            let result = events.poll.poll(&mut events.events, Some(DEADLINE));
            stop.store(true, Ordering::Relaxed);
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Interrupted);
        });
        waker.wake().unwrap();
        events.expect_readable(WAKER);
    }
}

/// One call serves again on this thread, and a thread that ends leaves nothing behind.
#[test]
fn a_thread_without_rings_is_not_marked() {
    let mut events = Loop::new(wakeful::Backend::Epoll);
    let Some(queue) = ring() else { return };
    assert!(!may_be_interrupted(), "created, not used");
    read_of_a_file(&queue);
    assert!(!may_be_interrupted(), "all has ended at once");
    let writer = read_of_a_pipe(&queue);
    assert!(may_be_interrupted(), "something is under way");
    thread::scope(|scope| {
        scope.spawn(|| assert!(!may_be_interrupted(), "that is another thread's"));
    });
    drop(writer);
    drop(queue);
    assert!(may_be_interrupted(), "it has not gone");
    until_all_have_gone(&mut events);
    thread::spawn(|| drop(ring().map(|queue| read_of_a_pipe(&queue)))).join().unwrap();
    assert!(!may_be_interrupted());
    wait_in_full(&mut events, 10 * QUIET);
}

/// The ring's last use of a descriptor of ours.
#[test]
fn a_ring_that_has_gone_keeps_no_descriptor() {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let thread = thread::spawn(move || {
        let mut events = Loop::new(wakeful::Backend::Epoll);
        let Some(queue) = ring() else { return };
        drop(queue);
        let before = count();
        for _ in 0..100 {
            let Some(queue) = ring() else { return };
            let writer: OwnedFd = read_of_a_pipe(&queue).into();
            drop((queue, writer));
        }
        until_all_have_gone(&mut events);
        // Other tests have descriptors of their own.
        assert!(count() < before + 60);
    });
    thread.join().unwrap();
}
