//! Wakers: none is lost, many coexist, and what was written before is seen after.

#![cfg(unix)]

mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use common::{DEADLINE, Loop, every_backend};
use wakeful::unix::SourceFd;
use wakeful::{Interest, Token, Trigger, Waker, pipe};
use wakeful_kernel::poll::{self as kernel_poll, PollFd};
use wakeful_kernel::readiness::Readiness;

const TOKEN: Token = Token(3);

/// The number by which the epoll backend tells its eventfd. Callers may use it too.
const EVENTFD_TOKEN: Token = Token(0xfd57_a3e1_9c44_b2d3_u64 as usize);

every_backend! {
    fn wakes_a_sleeping_poller(backend) {
        let mut events = Loop::new(backend);
        let waker = Waker::new(events.registry(), TOKEN).unwrap();
        events.expect_silence();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(common::QUIET);
                waker.wake().unwrap();
            });
            let found = events.poll(DEADLINE);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].token() == TOKEN && found[0].is_readable());
        });
        events.expect_silence();
    }

    fn the_first_waker_may_come_while_the_poller_sleeps(backend) {
        let mut events = Loop::new(backend);
        let registry = events.registry().try_clone().unwrap();
        let thread = thread::spawn(move || {
            thread::sleep(common::QUIET);
            let waker = Waker::new(&registry, TOKEN).unwrap();
            waker.wake().unwrap();
            waker
        });
        events.expect_readable(TOKEN);
        thread.join().unwrap();
    }

    fn wakes_before_a_poll_coalesce(backend) {
        let mut events = Loop::new(backend);
        let waker = Waker::new(events.registry(), TOKEN).unwrap();
        for _ in 0..3 {
            for _ in 0..1000 {
                waker.wake().unwrap();
            }
            assert_eq!(events.poll(DEADLINE).len(), 1);
            events.expect_silence();
        }
    }

    fn a_thousand_wakers_each_report(backend) {
        let mut events = Loop::with_capacity(backend, 64);
        let wakers: Vec<_> =
            (0..1000).map(|index| Waker::new(events.registry(), Token(index)).unwrap()).collect();
        for round in 0..3 {
            thread::scope(|scope| {
                for part in wakers.chunks(250) {
                    scope.spawn(move || part.iter().for_each(|waker| waker.wake().unwrap()));
                }
            });
            let mut seen = BTreeSet::new();
            while seen.len() < 1000 {
                let found = events.poll(DEADLINE);
                assert!(!found.is_empty(), "round {round}: {} of 1000", seen.len());
                seen.extend(found.iter().map(|event| event.token()));
            }
            events.expect_silence();
        }
    }

    fn none_is_lost_under_a_stream(backend) {
        // Each thread counts up and wakes; the poller has to see the last count of each.
        const COUNT: usize = 20_000;
        let mut events = Loop::new(backend);
        let counters: Vec<_> = (0..3).map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let threads: Vec<_> = counters
            .iter()
            .enumerate()
            .map(|(index, counter)| {
                let waker = Waker::new(events.registry(), Token(index)).unwrap();
                let counter = Arc::clone(counter);
                thread::spawn(move || {
                    for _ in 0..COUNT {
                        // Relaxed: the wake-up itself has to publish it.
                        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                        waker.wake().unwrap();
                        if counter.load(Ordering::Relaxed) % 64 == 0 {
                            thread::yield_now();
                        }
                    }
                    waker
                })
            })
            .collect();
        let mut seen = vec![0; 3];
        let start = Instant::now();
        while seen.iter().any(|&count| count < COUNT) {
            assert!(start.elapsed() < 3 * DEADLINE, "stuck at {seen:?}");
            let found = events.poll(DEADLINE);
            assert!(!found.is_empty() || start.elapsed() < DEADLINE, "stuck at {seen:?}");
            for event in found {
                let index = event.token().0;
                seen[index] = counters[index].load(Ordering::Relaxed);
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
    }

    fn dropped_after_waking_still_reports(backend) {
        let mut events = Loop::new(backend);
        for round in 0..3 {
            let waker = Waker::new(events.registry(), Token(round)).unwrap();
            waker.wake().unwrap();
            drop(waker);
            // Its place may not be taken before its report.
            let other = Waker::new(events.registry(), Token(100)).unwrap();
            let found = events.poll(DEADLINE);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].token(), Token(round));
            drop(other);
        }
        events.expect_silence();
    }

    fn dropped_while_its_report_waits_frees_its_place_once(backend) {
        let mut events = Loop::with_capacity(backend, 1);
        let wakers: Vec<_> =
            (0..2).map(|index| Waker::new(events.registry(), Token(index)).unwrap()).collect();
        wakers.iter().for_each(|waker| waker.wake().unwrap());
        let mut first = Vec::new();
        while first.is_empty() {
            first = events.poll(DEADLINE);
        }
        // The other's report waits. It wakes again, and is dropped.
        let other = 1 - first[0].token().0;
        wakers[other].wake().unwrap();
        drop(wakers);
        for _ in 0..6 {
            let found = events.poll(std::time::Duration::ZERO);
            assert!(found.iter().all(|event| event.token() == Token(other)), "{found:?}");
        }
        let left = Waker::new(events.registry(), Token(100)).unwrap();
        let right = Waker::new(events.registry(), Token(200)).unwrap();
        left.wake().unwrap();
        events.expect_readable(Token(100));
        right.wake().unwrap();
        events.expect_readable(Token(200));
    }

    fn the_first_waker_ends_the_very_wait_it_came_in(backend) {
        let mut events = Loop::new(backend);
        let registry = events.registry().try_clone().unwrap();
        let thread = thread::spawn(move || {
            thread::sleep(common::QUIET);
            Waker::new(&registry, TOKEN).unwrap().wake().unwrap();
        });
        events.poll.poll(&mut events.events, None).unwrap();
        assert_eq!(events.events.iter().map(|event| event.token()).collect::<Vec<_>>(), [TOKEN]);
        thread.join().unwrap();
    }

    fn a_wait_after_more_wake_ups_than_half_the_room_is_a_wait(backend) {
        let mut events = Loop::with_capacity(backend, 2);
        let wakers: Vec<_> =
            (0..2).map(|index| Waker::new(events.registry(), Token(index)).unwrap()).collect();
        wakers.iter().for_each(|waker| waker.wake().unwrap());
        assert_eq!(events.poll(DEADLINE).len(), 2);
        let start = Instant::now();
        assert!(events.poll(common::QUIET).is_empty());
        assert!(start.elapsed() >= common::QUIET);
    }

    fn an_outer_loop_hears_of_wake_ups_left_over(backend) {
        let mut inner = Loop::with_capacity(backend, 2);
        let wakers: Vec<_> =
            (0..5).map(|index| Waker::new(inner.registry(), Token(index)).unwrap()).collect();
        let mut outer = Loop::new(common::best());
        let level = Interest::READABLE.with_trigger(Trigger::Level);
        outer.registry().register(&mut inner.poll, Token(0), level).unwrap();
        wakers.iter().for_each(|waker| waker.wake().unwrap());
        let mut seen = BTreeSet::new();
        while seen.len() < 5 {
            outer.expect_readable(Token(0));
            seen.extend(inner.poll(std::time::Duration::ZERO).iter().map(|event| event.token()));
        }
        outer.expect_silence();
    }

    fn a_callers_token_alone_wakes_nobody(backend) {
        let mut events = Loop::new(backend);
        let (_sender, mut receiver) = pipe::new().unwrap();
        events.registry().register(&mut receiver, EVENTFD_TOKEN, Interest::READABLE).unwrap();
        let start = Instant::now();
        events.expect_silence();
        assert!(start.elapsed() >= common::QUIET);
    }

    fn outlives_its_poller(backend) {
        let events = Loop::new(backend);
        let waker = Waker::new(events.registry(), TOKEN).unwrap();
        drop(events);
        waker.wake().unwrap();
    }

    fn neither_wakers_nor_descriptors_starve(backend) {
        for capacity in [1, 2, 3] {
            let mut events = Loop::with_capacity(backend, capacity);
            let level = Interest::READABLE.with_trigger(Trigger::Level);
            let ends: Vec<_> = (0..3)
                .map(|index| {
                    let (mut sender, receiver) = pipe::new().unwrap();
                    sender.write_all(b"x").unwrap();
                    let token = Token(index);
                    (sender, events.registry().register_owned(receiver, token, level).unwrap())
                })
                .collect();
            let wakers: Vec<_> =
                (3..6).map(|index| Waker::new(events.registry(), Token(index)).unwrap()).collect();
            let mut seen = [0; 6];
            for _ in 0..60 {
                wakers.iter().for_each(|waker| waker.wake().unwrap());
                for event in events.poll(DEADLINE) {
                    seen[event.token().0] += 1;
                }
            }
            assert!(seen.iter().all(|&count| count >= 3), "capacity {capacity}: {seen:?}");
            drop(ends);
        }
    }

    fn a_buffer_for_one_stays_one(backend) {
        let mut events = Loop::with_capacity(backend, 1);
        let (mut sender, receiver) = pipe::new().unwrap();
        let level = Interest::READABLE.with_trigger(Trigger::Level);
        let _receiver = events.registry().register_owned(receiver, Token(0), level).unwrap();
        sender.write_all(b"x").unwrap();
        let wakers: Vec<_> =
            (1..4).map(|token| Waker::new(events.registry(), Token(token)).unwrap()).collect();
        let mut seen = [0; 4];
        for _ in 0..40 {
            wakers.iter().for_each(|waker| waker.wake().unwrap());
            let found = events.poll(DEADLINE);
            assert_eq!((found.len(), events.events.capacity()), (1, 1));
            seen[found[0].token().0] += 1;
        }
        assert!(seen.iter().all(|&count| count >= 5), "{seen:?}");
    }

    fn an_outer_loop_hears_of_wake_ups(backend) {
        let mut inner = Loop::new(backend);
        let waker = Waker::new(inner.registry(), TOKEN).unwrap();
        let is_ready = |inner: &Loop| {
            let mut fds = [PollFd::new(&inner.poll, Readiness::IN)];
            kernel_poll::poll(&mut fds, Some(common::QUIET)).unwrap() == 1
        };
        // Awake, then handed out: the wake-up from before is heard of too.
        inner.expect_silence();
        waker.wake().unwrap();
        assert!(is_ready(&inner), "woken before the descriptor was lent");
        inner.expect_readable(TOKEN);
        for _ in 0..3 {
            assert!(!is_ready(&inner), "reported");
            waker.wake().unwrap();
            assert!(is_ready(&inner), "woken after the descriptor was lent");
            inner.expect_readable(TOKEN);
        }
    }

    fn a_poll_is_a_source(backend) {
        let mut outer = Loop::new(common::best());
        let mut inner = Loop::new(backend);
        let waker = Waker::new(inner.registry(), Token(1)).unwrap();
        outer.registry().register(&mut inner.poll, Token(0), Interest::READABLE).unwrap();
        for _ in 0..3 {
            outer.expect_silence();
            thread::scope(|scope| {
                scope.spawn(|| waker.wake().unwrap());
                outer.expect_readable(Token(0));
            });
            inner.expect_readable(Token(1));
        }
        if inner.poll.capabilities().nests {
            let (mut sender, mut receiver) = pipe::new().unwrap();
            inner.registry().register(&mut receiver, Token(2), Interest::READABLE).unwrap();
            sender.write_all(b"x").unwrap();
            outer.expect_readable(Token(0));
            inner.expect_readable(Token(2));
        }
        outer.registry().deregister(&mut inner.poll).unwrap();
    }

    fn every_token_is_the_callers(backend) {
        for (waker_first, is_bare) in [(true, false), (false, false), (true, true), (false, true)] {
            let mut events = Loop::new(backend);
            let first = waker_first.then(|| Waker::new(events.registry(), TOKEN).unwrap());
            let (mut sender, mut receiver) = pipe::new().unwrap();
            let (fd, registry) = (receiver.as_raw_fd(), events.registry());
            let result = match is_bare {
                true => registry.register(&mut SourceFd(&fd), EVENTFD_TOKEN, Interest::READABLE),
                false => registry.register(&mut receiver, EVENTFD_TOKEN, Interest::READABLE),
            };
            result.unwrap();
            let waker = first.unwrap_or_else(|| Waker::new(events.registry(), TOKEN).unwrap());
            events.expect_silence();
            for _ in 0..3 {
                sender.write_all(b"x").unwrap();
                events.expect_readable(EVENTFD_TOKEN);
                common::until_would_block(|| std::io::Read::read(&mut receiver, &mut [0; 8]));
                thread::scope(|scope| {
                    scope.spawn(|| {
                        thread::sleep(common::QUIET);
                        waker.wake().unwrap();
                    });
                    let found = events.poll(DEADLINE);
                    assert_eq!(found.len(), 1, "{found:?}");
                    assert_eq!(found[0].token(), TOKEN);
                });
                events.expect_silence();
            }
            let own = Waker::new(events.registry(), EVENTFD_TOKEN).unwrap();
            own.wake().unwrap();
            events.expect_readable(EVENTFD_TOKEN);
        }
    }
}

#[test]
fn the_lent_descriptor_is_that_of_the_kernels_queue() {
    let events = Loop::new(common::best());
    assert_eq!(events.poll.as_fd().as_raw_fd(), events.registry().as_raw_fd());
    let mut outer = Loop::new(common::best());
    let fd = events.poll.as_raw_fd();
    outer.registry().register(&mut SourceFd(&fd), Token(0), Interest::READABLE).unwrap();
    outer.expect_silence();
    let (mut sender, mut receiver) = pipe::new().unwrap();
    events.registry().register(&mut receiver, Token(1), Interest::READABLE).unwrap();
    sender.write_all(b"x").unwrap();
    outer.expect_readable(Token(0));
}
