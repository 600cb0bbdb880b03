//! Wake-ups of one waker before its report are one event, whatever the room and whoever else wakes.

#![cfg(target_os = "linux")]

mod common;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{DEADLINE, Loop, every_backend};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wakeful::event::Event;
use wakeful::{Backend, Events, Interest, Token, Trigger, Waker, pipe};

/// The descriptor that is always ready.
const PIPE: Token = Token(usize::MAX);

#[derive(Clone, Debug)]
enum Step {
    Wake(usize),
    /// Drops the waker and creates another, under the next token.
    Replace(usize),
    /// Polls with so much room.
    Poll(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4_usize).prop_map(Step::Wake),
        1 => (0..4_usize).prop_map(Step::Replace),
        4 => prop_oneof![1..4_usize, 1..16_usize].prop_map(Step::Poll),
    ]
}

/// Each report is of a waker that woke since its last report, and each that woke is reported.
fn follow(backend: Backend, steps: &[Step], with_pipe: bool) {
    let mut events = Loop::new(backend);
    let (mut sender, mut receiver) = pipe::new().unwrap();
    let level = Interest::READABLE.with_trigger(Trigger::Level);
    if with_pipe {
        sender.write_all(b"x").unwrap();
        events.registry().register(&mut receiver, PIPE, level).unwrap();
    }
    let mut pending = Vec::new();
    let mut wakers: Vec<_> = (0..4)
        .map(|token| {
            pending.push(false);
            (token, Waker::new(events.registry(), Token(token)).unwrap())
        })
        .collect();
    let registry = events.registry().try_clone().unwrap();
    let mut poll = |pending: &mut Vec<bool>, room| {
        let mut found = Events::with_capacity(room);
        events.poll.poll(&mut found, Some(Duration::ZERO)).unwrap();
        for token in found.iter().map(Event::token).filter(|&token| token != PIPE) {
            assert!(std::mem::take(&mut pending[token.0]), "{token:?} was reported already");
        }
    };
    for step in steps {
        match *step {
            Step::Wake(index) => {
                let (token, waker) = &wakers[index];
                waker.wake().unwrap();
                pending[*token] = true;
            }
            Step::Replace(index) => {
                // Its place may be given to the next, and with it no report.
                let token = pending.len();
                pending.push(false);
                wakers[index] = (token, Waker::new(&registry, Token(token)).unwrap());
            }
            Step::Poll(room) => poll(&mut pending, room),
        }
    }
    for _ in 0..8 + 4 * pending.len() {
        poll(&mut pending, 2);
    }
    assert!(!pending.contains(&true), "{pending:?} are lost");
}

every_backend! {
    fn each_report_is_of_a_new_wake_up(backend) {
        let config = ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() };
        let strategy = (vec(step(), 0..60), any::<bool>());
        TestRunner::new(config)
            .run(&strategy, |(steps, with_pipe)| {
                follow(backend, &steps, with_pipe);
                Ok(())
            })
            .unwrap();
    }

    /// One is left over for want of room, wakes again, and is reported by a poll with room for it twice.
    fn a_wake_up_before_a_report_that_is_due_is_part_of_it(backend) {
        for first_too in [false, true] {
            let mut events = Loop::new(backend);
            let wakers: Vec<_> =
                (0..4).map(|token| Waker::new(events.registry(), Token(token)).unwrap()).collect();
            let wakers = &wakers[usize::from(!first_too)..];
            wakers.iter().for_each(|waker| waker.wake().unwrap());
            let mut one = Events::with_capacity(1);
            let mut seen = vec![0; 4];
            while seen.iter().sum::<usize>() == 0 {
                events.poll.poll(&mut one, Some(Duration::ZERO)).unwrap();
                one.iter().for_each(|event| seen[event.token().0] += 1);
            }
            let late = |index: usize, seen: &[usize]| seen[index + usize::from(!first_too)] == 0;
            for (index, waker) in wakers.iter().enumerate().filter(|&(index, _)| late(index, &seen)) {
                waker.wake().unwrap_or_else(|error| panic!("{index}: {error}"));
            }
            for _ in 0..3 {
                events.poll(Duration::ZERO).iter().for_each(|event| seen[event.token().0] += 1);
            }
            let expected = if first_too { [1, 1, 1, 1] } else { [0, 1, 1, 1] };
            assert_eq!(seen, expected);
        }
    }

    /// Threads that wake without pause: no poll reports one of them twice, and none reports more than there were
    /// wake-ups.
    fn no_poll_reports_a_waker_twice(backend) {
        for capacity in [1, 2, 3, 16] {
            let mut events = Loop::with_capacity(backend, capacity);
            let (mut sender, mut receiver) = pipe::new().unwrap();
            sender.write_all(b"x").unwrap();
            let level = Interest::READABLE.with_trigger(Trigger::Level);
            events.registry().register(&mut receiver, PIPE, level).unwrap();
            let wakers: Vec<_> =
                (0..3).map(|token| Waker::new(events.registry(), Token(token)).unwrap()).collect();
            let counts: Vec<_> = (0..3).map(|_| AtomicUsize::new(0)).collect();
            let stop = AtomicBool::new(false);
            let mut reported = [0; 3];
            thread::scope(|scope| {
                for (waker, count) in wakers.iter().zip(&counts) {
                    scope.spawn(|| {
                        while !stop.load(Ordering::Relaxed) {
                            count.fetch_add(1, Ordering::SeqCst);
                            waker.wake().unwrap();
                            thread::yield_now();
                        }
                    });
                }
                for _ in 0..3_000 {
                    let mut found: Vec<_> = events.poll(DEADLINE).iter().map(Event::token).collect();
                    let count = found.len();
                    found.sort();
                    found.dedup();
                    if found.len() < count {
                        stop.store(true, Ordering::Relaxed);
                        panic!("one of {found:?} was reported twice by one poll");
                    }
                    for Token(index) in found.into_iter().filter(|&token| token != PIPE) {
                        reported[index] += 1;
                    }
                }
                stop.store(true, Ordering::Relaxed);
            });
            for (reported, count) in reported.iter().zip(&counts) {
                assert!(*reported <= count.load(Ordering::SeqCst));
            }
        }
    }
}
