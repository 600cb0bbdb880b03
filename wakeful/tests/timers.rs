//! The deadlines of a poller: met, never early, in order, and fair to everything else.

#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, Loop, QUIET, every_backend};
use wakeful::{Events, Interest, Poll, Token, Trigger, Waker, pipe};

const MS: Duration = Duration::from_millis(1);

/// Polls without a timeout until so many events have come.
fn collect(poll: &mut Poll, count: usize) -> Vec<Token> {
    let mut events = Events::with_capacity(64);
    let mut tokens = Vec::new();
    while tokens.len() < count {
        poll.poll(&mut events, None).unwrap();
        assert!(!events.is_empty());
        tokens.extend(events.iter().map(|event| event.token()));
    }
    tokens
}

every_backend! {
    fn reported_in_order_and_never_early(backend) {
        let mut poll = Poll::builder().backend(backend).build().unwrap();
        let start = Instant::now();
        // All within a few milliseconds, in an order of their own.
        let deadlines: BTreeMap<usize, Instant> = (0..500)
            .map(|index| (index, start + Duration::from_nanos(index as u64 * 7_919_777 % 20_000_000)))
            .collect();
        for (&index, &deadline) in &deadlines {
            poll.timers().insert(deadline, Token(index)).unwrap();
        }
        let mut events = Events::with_capacity(64);
        let mut last = start;
        for _ in 0..deadlines.len() {
            if poll.timers().is_empty() {
                break;
            }
            poll.poll(&mut events, None).unwrap();
            let now = Instant::now();
            for event in &events {
                let deadline = deadlines[&event.token().0];
                assert!(deadline <= now, "early by {:?}", deadline - now);
                assert!(last <= deadline, "out of order");
                assert!(event.is_readable());
                last = deadline;
            }
        }
        assert!(poll.timers().is_empty());
    }

    fn keys_of_another_poller(backend) {
        let (mut events, mut other) = (Loop::new(backend), Loop::new(backend));
        let soon = Instant::now() + MS;
        let timer = events.poll.timers().insert(soon, Token(0)).unwrap();
        let foreign = other.poll.timers().insert(soon, Token(1)).unwrap();
        assert_ne!(timer, foreign);
        let timers = events.poll.timers();
        assert!(!timers.contains(foreign) && !timers.cancel(foreign));
        assert!(!timers.reset(foreign, soon + DEADLINE * 2));
        // Nor one of a poller that is gone, nor in one that has none.
        drop(other);
        assert!(!Loop::new(backend).poll.timers().cancel(foreign));
        assert_eq!(collect(&mut events.poll, 1), [Token(0)]);
    }

    fn cancelled_and_reset(backend) {
        let mut events = Loop::new(backend);
        let timers = events.poll.timers();
        let soon = Instant::now() + MS;
        let cancelled = timers.insert(soon, Token(0)).unwrap();
        let later = timers.insert(soon, Token(1)).unwrap();
        let sooner = timers.insert_after(DEADLINE * 2, Token(2)).unwrap();
        assert!(timers.cancel(cancelled));
        assert!(!timers.cancel(cancelled) && !timers.reset(cancelled, soon));
        assert!(timers.reset(later, soon + 20 * MS));
        assert!(timers.reset(sooner, soon + 2 * MS));
        assert_eq!(timers.len(), 2);
        assert_eq!(collect(&mut events.poll, 2), [Token(2), Token(1)]);
        assert!(Instant::now() >= soon + 20 * MS);
        let timers = events.poll.timers();
        assert!(!timers.contains(later) && !timers.cancel(later) && !timers.reset(sooner, soon));
        assert!(timers.is_empty() && timers.next_deadline().is_none());
        events.expect_silence();
    }

    fn a_wait_ends_at_whichever_comes_first(backend) {
        let mut events = Loop::new(backend);
        events.poll.timers().insert_after(DEADLINE * 2, Token(0)).unwrap();
        let start = Instant::now();
        events.expect_silence();
        assert!(start.elapsed() >= QUIET);
        assert!(events.poll(Duration::ZERO).is_empty());
        // A deadline that has passed does not wait, and reports what is due.
        events.poll.timers().insert(start, Token(1)).unwrap();
        events.poll.poll_deadline(&mut events.events, Some(start)).unwrap();
        assert_eq!(events.events.len(), 1);
        let deadline = Instant::now() + QUIET;
        events.poll.poll_deadline(&mut events.events, Some(deadline)).unwrap();
        assert!(events.events.is_empty() && Instant::now() >= deadline);
        events.poll.timers().insert_after(MS, Token(2)).unwrap();
        events.poll.poll_deadline(&mut events.events, None).unwrap();
        assert_eq!(events.events.iter().next().unwrap().token(), Token(2));
    }

    fn descriptors_and_wakers_end_a_wait_for_a_timer(backend) {
        let mut events = Loop::new(backend);
        let timer = events.poll.timers().insert_after(DEADLINE * 2, Token(0)).unwrap();
        let (mut sender, mut receiver) = pipe::new().unwrap();
        events.registry().register(&mut receiver, Token(1), Interest::READABLE).unwrap();
        let waker = Waker::new(events.registry(), Token(2)).unwrap();
        let ends = Waker::without_event(events.registry()).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(QUIET);
                sender.write_all(b"x").unwrap();
            });
            assert_eq!(collect(&mut events.poll, 1), [Token(1)]);
            scope.spawn(|| {
                thread::sleep(QUIET);
                waker.wake().unwrap();
            });
            assert_eq!(collect(&mut events.poll, 1), [Token(2)]);
            scope.spawn(|| {
                thread::sleep(QUIET);
                ends.wake().unwrap();
            });
            events.poll.poll(&mut events.events, None).unwrap();
            assert!(events.events.is_empty());
        });
        assert!(events.poll.timers().cancel(timer));
    }

    /// What finds no room comes later, each once, and nobody is kept waiting by the others.
    fn a_small_buffer_loses_nothing_and_starves_nobody(backend) {
        for capacity in [1, 2, 3, 7] {
            let mut events = Loop::with_capacity(backend, capacity);
            let past = Instant::now();
            let (mut sender, mut receiver) = pipe::new().unwrap();
            sender.write_all(b"x").unwrap();
            let level = Interest::READABLE.with_trigger(Trigger::Level);
            events.registry().register(&mut receiver, Token(1000), level).unwrap();
            let waker = Waker::new(events.registry(), Token(1001)).unwrap();
            for index in 0..100 {
                events.poll.timers().insert(past, Token(index)).unwrap();
            }
            let mut seen = BTreeMap::new();
            let mut polls = 0;
            while !events.poll.timers().is_empty() {
                waker.wake().unwrap();
                for event in events.poll(DEADLINE) {
                    *seen.entry(event.token()).or_insert(0) += 1;
                }
                polls += 1;
                assert!(polls <= 400, "capacity {capacity}: {} left", events.poll.timers().len());
            }
            assert!((0..100).all(|index| seen.get(&Token(index)) == Some(&1)), "{seen:?}");
            for token in [Token(1000), Token(1001)] {
                let count = seen.get(&token).copied().unwrap_or_default();
                assert!(count >= polls / 8, "capacity {capacity}: {token:?} {count} of {polls}");
            }
        }
    }

    fn slack_gathers(backend) {
        let mut poll = Poll::builder().backend(backend).build().unwrap();
        let first = Instant::now() + 500 * MS;
        poll.timers().set_slack(100 * MS);
        for index in 0..10 {
            poll.timers().insert(first + index * MS, Token(index as usize)).unwrap();
        }
        assert_eq!(poll.timers().next_deadline(), Some(first + 100 * MS));
        let mut events = Events::with_capacity(64);
        poll.poll(&mut events, None).unwrap();
        assert!(Instant::now() >= first + 100 * MS);
        let tokens: Vec<_> = events.iter().map(|event| event.token().0).collect();
        assert_eq!(tokens, Vec::from_iter(0..10));
    }

    fn those_that_have_passed_keep_their_order(backend) {
        let mut poll = Poll::builder().backend(backend).build().unwrap();
        let now = Instant::now();
        for index in [3, 1, 2] {
            poll.timers().insert(now - index * MS, Token(index as usize)).unwrap();
        }
        assert_eq!(collect(&mut poll, 3), [Token(3), Token(2), Token(1)]);
    }

    /// Many short timers, one after another, as timeouts that are pushed on with every request.
    fn reset_without_end(backend) {
        let mut events = Loop::new(backend);
        let key = events.poll.timers().insert_after(DEADLINE, Token(0)).unwrap();
        for _ in 0..10_000 {
            assert!(events.poll.timers().reset(key, Instant::now() + DEADLINE));
            assert!(events.poll(Duration::ZERO).is_empty());
        }
        assert!(events.poll.timers().reset(key, Instant::now() + QUIET));
        assert_eq!(collect(&mut events.poll, 1), [Token(0)]);
    }
}

#[test]
fn delays_beyond_the_clock_are_errors_that_say_so() {
    let mut poll = Poll::new().unwrap();
    let error = poll.timers().insert_after(Duration::MAX, Token(0)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("clock"), "{error}");
    // As far as the clock reaches, and no timer ever comes of it.
    let years = Duration::from_secs(100 * 365 * 86_400);
    poll.timers().insert_after(years, Token(0)).unwrap();
    let mut events = Events::with_capacity(8);
    poll.poll(&mut events, Some(QUIET)).unwrap();
    assert!(events.is_empty());
}
