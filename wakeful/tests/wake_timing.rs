//! Wake-ups and timeouts: a wait ends when something is to be reported, or in time, and never in vain.

#![cfg(unix)]

mod common;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, Loop, QUIET, every_backend};
use wakeful::unix::SourceFd;
use wakeful::{EdgeRule, Interest, Token, Trigger, Waker, pipe};
use wakeful_kernel::descriptor;

const WAKER: Token = Token(0);
const PIPE: Token = Token(1);

every_backend! {
    /// The kernel's wake-up object finds no room beside what it woke the poller for, and is left over.
    fn a_wake_up_without_room_ends_no_later_wait(backend) {
        for capacity in [1, 2] {
            let mut events = Loop::with_capacity(backend, capacity);
            let (mut sender, mut receiver) = pipe::new().unwrap();
            let once = Interest::READABLE.with_trigger(Trigger::Oneshot);
            events.registry().register(&mut receiver, PIPE, once).unwrap();
            let waker = Waker::new(events.registry(), WAKER).unwrap();
            for _ in 0..3 {
                sender.write_all(b"x").unwrap();
                waker.wake().unwrap();
                let mut found = Vec::new();
                while found.len() < 2 {
                    // Not once does it find nothing, though it does not wait.
                    let batch = events.poll(Duration::ZERO);
                    assert!(!batch.is_empty(), "after {found:?}");
                    found.extend(batch.iter().map(|event| event.token()));
                }
                found.sort();
                assert_eq!(found, [WAKER, PIPE]);
                let start = Instant::now();
                events.expect_silence();
                assert!(start.elapsed() >= QUIET, "{:?}", start.elapsed());
                descriptor::read(&receiver, &mut [0; 8]).unwrap();
                events.registry().reregister(&mut receiver, PIPE, once).unwrap();
            }
        }
    }

    /// Wakers that are reported together with others call the kernel late, or for nothing.
    fn wake_ups_from_all_sides_end_no_wait_in_vain(backend) {
        let mut events = Loop::new(backend);
        let (sender, mut receiver) = pipe::new().unwrap();
        let level = Interest::READABLE.with_trigger(Trigger::Level);
        events.registry().register(&mut receiver, PIPE, level).unwrap();
        let wakers: Vec<_> =
            (2..4).map(|token| Waker::new(events.registry(), Token(token)).unwrap()).collect();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for waker in &wakers {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        waker.wake().unwrap();
                        thread::yield_now();
                    }
                });
            }
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = descriptor::write(&sender, b"x");
                    thread::yield_now();
                }
            });
            for _ in 0..20_000 {
                let found = events.poll(DEADLINE);
                if found.is_empty() {
                    stop.store(true, Ordering::Relaxed);
                    panic!("a wait ended early, and found nothing");
                }
                if found.iter().any(|event| event.token() == PIPE) {
                    descriptor::read(&receiver, &mut [0; 64]).unwrap();
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    }

    fn a_waker_without_event_ends_one_wait(backend) {
        for capacity in [1, 64] {
            let mut events = Loop::with_capacity(backend, capacity);
            let waker = Waker::without_event(events.registry()).unwrap();
            for _ in 0..3 {
                waker.wake().unwrap();
                waker.wake().unwrap();
                events.poll.poll(&mut events.events, None).unwrap();
                assert!(events.events.is_empty());
                let start = Instant::now();
                events.expect_silence();
                assert!(start.elapsed() >= QUIET);
            }
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(QUIET);
                    waker.wake().unwrap();
                });
                events.poll.poll(&mut events.events, None).unwrap();
                assert!(events.events.is_empty());
            });
        }
    }

    /// It takes no room, and keeps no other waker from being reported.
    fn a_waker_without_event_beside_what_there_is(backend) {
        let mut events = Loop::with_capacity(backend, 2);
        let (mut sender, mut receiver) = pipe::new().unwrap();
        let level = Interest::READABLE.with_trigger(Trigger::Level);
        events.registry().register(&mut receiver, PIPE, level).unwrap();
        let waker = Waker::new(events.registry(), WAKER).unwrap();
        let ends = Waker::without_event(events.registry()).unwrap();
        // The first poll begins with what the wakers have left in the kernel.
        events.poll(Duration::ZERO);
        sender.write_all(b"x").unwrap();
        for _ in 0..3 {
            waker.wake().unwrap();
            ends.wake().unwrap();
            let mut found: Vec<_> =
                events.poll(DEADLINE).iter().map(|event| event.token()).collect();
            found.sort();
            assert_eq!(found, [WAKER, PIPE]);
        }
    }

    /// An outer loop that sleeps on the descriptor, edge-triggered, without polling in between.
    fn once_lent_out_every_wake_up_reaches_the_kernel(backend) {
        let mut inner = Loop::new(backend);
        let mut outer = Loop::new(common::best());
        let waker = Waker::new(inner.registry(), WAKER).unwrap();
        let ends = Waker::without_event(inner.registry()).unwrap();
        let fd = inner.poll.as_raw_fd();
        outer.registry().register(&mut SourceFd(&fd), PIPE, Interest::READABLE).unwrap();
        for _ in 0..3 {
            for waker in [&waker, &ends] {
                waker.wake().unwrap();
                outer.expect_readable(PIPE);
                // Where an edge is told again only when the source was drained, which it is not.
                if outer.poll.capabilities().edge_rule == EdgeRule::AfterWouldBlock {
                    let registry = outer.registry();
                    registry.reregister(&mut SourceFd(&fd), PIPE, Interest::READABLE).unwrap();
                }
            }
        }
        assert_eq!(inner.poll(DEADLINE).len(), 1);
        // What is left over in the kernel ends no wait in vain.
        inner.expect_silence();
        waker.wake().unwrap();
        outer.expect_readable(PIPE);
        inner.expect_readable(WAKER);
    }

    /// Registrations of other threads end the kernel's wait on some backends, with nothing, or with events of what is
    /// deregistered by then.
    fn registrations_do_not_prolong_a_wait(backend) {
        for is_ready in [false, true] {
            let mut events = Loop::new(backend);
            let registry = events.registry().try_clone().unwrap();
            let stop = AtomicBool::new(false);
            let end = Instant::now() + 2 * DEADLINE;
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) && Instant::now() < end {
                        let (mut sender, mut receiver) = pipe::new().unwrap();
                        if is_ready {
                            sender.write_all(b"x").unwrap();
                        }
                        registry.register(&mut receiver, PIPE, Interest::READABLE).unwrap();
                        registry.deregister(&mut receiver).unwrap();
                        thread::sleep(QUIET / 10);
                    }
                });
                let mut is_right = true;
                for _ in 0..3 {
                    let start = Instant::now();
                    let found = events.poll(20 * QUIET);
                    let took = start.elapsed();
                    is_right &= took < DEADLINE && (!found.is_empty() || took >= 20 * QUIET);
                    is_right &= found.iter().all(|event| is_ready && event.token() == PIPE);
                }
                stop.store(true, Ordering::Relaxed);
                assert!(is_right);
            });
        }
    }

    /// Writing it to a source that is registered re-arms that source, and so comes back to the poller.
    fn a_poller_can_be_written_to_its_own_source(backend) {
        let events = Loop::new(backend);
        let (mut sender, _receiver) = pipe::new().unwrap();
        events.registry().register(&mut sender, PIPE, Interest::WRITABLE).unwrap();
        let waker = Waker::new(events.registry(), WAKER).unwrap();
        for _ in 0..100_000 {
            let written = write!(sender, "{:?} {:?} {waker:?}", events.poll, events.registry());
            if written.is_err() {
                return;
            }
        }
        panic!("the pipe never fills");
    }
}
