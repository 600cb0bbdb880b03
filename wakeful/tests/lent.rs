//! A poller whose descriptor is lent out while it waits. One processor for both threads, of which the one that
//! polls gives way, so that the outer loop is nearly always the first to see what happens.

#![cfg(target_os = "linux")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::os::fd::AsRawFd;
use std::thread;

use common::{Loop, QUIET, every_backend};
use wakeful::unix::{SourceFd, pipe};
use wakeful::{Backend, Interest, Token};

fn on_one_processor() {
    // SAFETY: all zeros is the empty set, the others are calls with a set or a struct that is only read.
    unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, mem::size_of_val(&set), &mut set), 0);
        let first = (0..libc::CPU_SETSIZE as usize).find(|&number| libc::CPU_ISSET(number, &set));
        libc::CPU_ZERO(&mut set);
        libc::CPU_SET(first.unwrap(), &mut set);
        assert_eq!(libc::sched_setaffinity(0, mem::size_of_val(&set), &set), 0);
    }
}

fn after_all_others() {
    // SAFETY: the struct is only read.
    unsafe {
        let parameter: libc::sched_param = mem::zeroed();
        assert_eq!(libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameter), 0);
    }
}

every_backend! {
    /// The outer loop's kernel has no edges: it is silent until it hears that the inner was drained.
    fn an_outer_loop_hears_of_what_comes_after_the_wait(backend) {
        on_one_processor();
        // On a busy machine it can happen that nothing is shown.
        let _ = (0..5).any(|_| is_heard(backend));
    }
}

/// False if the outer loop came too late to see the first.
fn is_heard(backend: Backend) -> bool {
    let mut outer = Loop::new(Backend::Poll);
    let mut inner = Loop::new(backend);
    if !inner.poll.capabilities().nests {
        return true;
    }
    let registry = inner.registry().try_clone().unwrap();
    let (mut sender, mut receiver) = pipe::new().unwrap();
    registry.register(&mut receiver, Token(1), Interest::READABLE).unwrap();
    let thread = thread::spawn(move || {
        after_all_others();
        inner.expect_readable(Token(1));
        let mut buffer = [0; 8];
        assert_eq!(receiver.read(&mut buffer).unwrap(), 1);
        assert_eq!(receiver.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        (inner, receiver)
    });
    thread::sleep(QUIET);
    let fd = registry.as_raw_fd();
    outer.registry().register(&mut SourceFd(&fd), Token(2), Interest::READABLE).unwrap();
    sender.write_all(b"x").unwrap();
    let is_seen = !outer.poll(QUIET).is_empty();
    let _inner = thread.join().unwrap();
    sender.write_all(b"x").unwrap();
    outer.expect_readable(Token(2));
    is_seen
}
