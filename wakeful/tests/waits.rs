//! Waits: how long, what interrupts them, and what a small buffer does, on every backend.

#![cfg(unix)]

mod common;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{DEADLINE, Loop, every_backend};
use wakeful::{Backend, EdgeRule, Events, Interest, Poll, Support, Token, Trigger, Waker, pipe};

every_backend! {
    fn never_shorter_than_asked_for(backend) {
        let mut events = Loop::new(backend);
        let timeouts = [1, 50_000, 999_999, 1_000_000, 1_000_001, 3_500_000].map(Duration::from_nanos);
        for with_waker in [false, true] {
            let _waker = with_waker.then(|| Waker::new(events.registry(), Token(0)).unwrap());
            for timeout in timeouts {
                let start = Instant::now();
                assert!(events.poll(timeout).is_empty());
                assert!(start.elapsed() >= timeout, "{timeout:?} took {:?}", start.elapsed());
            }
        }
    }

    fn exact_below_a_millisecond(backend) {
        // The best of many is free of the machine's noise; rounded up to a millisecond it could not
        // be below one.
        let mut events = Loop::new(backend);
        let timeout = Duration::from_micros(100);
        let best = (0..200).map(|_| {
            let start = Instant::now();
            events.poll(timeout);
            start.elapsed()
        });
        let best = best.min().unwrap();
        assert!(best < Duration::from_micros(900), "{best:?}");
    }

    fn huge_timeouts_wait_for_the_event(backend) {
        for timeout in [Some(Duration::MAX), Some(Duration::from_millis(1 << 40)), None] {
            let mut events = Loop::new(backend);
            let waker = Waker::new(events.registry(), Token(0)).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(common::QUIET);
                    waker.wake().unwrap();
                });
                let start = Instant::now();
                events.poll.poll(&mut events.events, timeout).unwrap();
                assert!(start.elapsed() >= common::QUIET / 2, "{timeout:?} came back at once");
                assert_eq!(events.events.len(), 1);
            });
        }
    }

    fn no_capacity_is_an_error_that_says_so(backend) {
        let mut poll = Poll::builder().backend(backend).build().unwrap();
        let mut events = Events::with_capacity(0);
        let error = poll.poll(&mut events, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("Events::with_capacity(1)"), "{error}");
    }

    fn no_capacity_is_too_large(backend) {
        // More than the kernel takes at once, as far as there are addresses for it.
        let capacity = if usize::BITS < 64 { 1_000_000 } else { 200_000_000 };
        let mut events = Loop::with_capacity(backend, capacity);
        assert!(events.poll(Duration::ZERO).is_empty());
    }

    fn a_small_buffer_loses_nothing_and_favours_nobody(backend) {
        for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot] {
            let mut events = Loop::with_capacity(backend, 3);
            let ends: Vec<_> = (0..10)
                .map(|index| {
                    let (mut sender, receiver) = pipe::new().unwrap();
                    sender.write_all(b"x").unwrap();
                    let interest = Interest::READABLE.with_trigger(trigger);
                    let token = Token(index);
                    (sender, events.registry().register_owned(receiver, token, interest).unwrap())
                })
                .collect();
            let mut seen = BTreeSet::new();
            for _ in 0..4 {
                let found = events.poll(DEADLINE);
                assert!(found.len() <= 3);
                seen.extend(found.iter().map(|event| event.token()));
            }
            assert_eq!(seen.len(), 10, "{trigger:?}: {seen:?}");
            drop(ends);
        }
    }

    fn events_are_cleared_by_the_next_poll(backend) {
        let mut events = Loop::new(backend);
        let (mut sender, mut receiver) = pipe::new().unwrap();
        events.registry().register(&mut receiver, Token(0), Interest::READABLE).unwrap();
        sender.write_all(b"x").unwrap();
        events.expect_readable(Token(0));
        events.poll.poll(&mut events.events, Some(Duration::ZERO)).unwrap();
        assert!(events.events.is_empty() && events.events.iter().next().is_none());
    }

    fn a_thousand_at_once(backend) {
        let mut events = Loop::with_capacity(backend, 1024);
        let ends: Vec<_> = (0..1000)
            .map(|index| {
                let (mut sender, receiver) = pipe::new().unwrap();
                sender.write_all(b"x").unwrap();
                let interest = Interest::READABLE;
                (sender, events.registry().register_owned(receiver, Token(index), interest).unwrap())
            })
            .collect();
        let tokens: BTreeSet<_> = events.poll(DEADLINE).iter().map(|event| event.token()).collect();
        assert_eq!(tokens.len(), 1000);
        drop(ends);
    }

    fn capabilities_tell_the_truth(backend) {
        let poll = Poll::builder().backend(backend).build().unwrap();
        let capabilities = poll.capabilities();
        assert_eq!(capabilities.backend, backend);
        let has_edges = !matches!(backend, Backend::Poll | Backend::EventPorts);
        assert_eq!(capabilities.edge == Support::Native, has_edges);
        assert_eq!(capabilities.edge_rule == EdgeRule::EveryChange, has_edges);
        let keeps = backend != Backend::Poll;
        assert_eq!((capabilities.nests, capabilities.scales), (keeps, keeps));
        let has_ticks =
            cfg!(any(target_os = "netbsd", target_os = "openbsd", target_os = "dragonfly"));
        let is_coarse = capabilities.timeout_resolution >= Duration::from_millis(1);
        assert_eq!(is_coarse, has_ticks && backend == Backend::Kqueue, "{capabilities:?}");
    }
}

/// On illumos that is epoll, whose event ports are best but know no edges.
#[test]
fn a_backend_with_the_kernels_edges() {
    let edge = |poll: Poll| poll.capabilities().edge;
    let own = Backend::available().iter().take_while(|&&backend| backend != Backend::Poll);
    let has_edges = own
        .copied()
        .any(|backend| edge(Poll::builder().backend(backend).build().unwrap()) == Support::Native);
    let preferred = Poll::builder().kernel_edges().build().unwrap();
    assert_eq!(preferred.capabilities().edge == Support::Native, has_edges);
    // What is asked for by name goes before.
    let poll = Poll::builder().kernel_edges().backend(Backend::Poll).build().unwrap();
    assert_eq!(poll.capabilities().backend, Backend::Poll);
    assert_eq!(Poll::new().unwrap().capabilities().backend, Backend::available()[0]);
}

#[test]
fn backends_have_names() {
    for &backend in Backend::available() {
        assert_eq!(backend.to_string().parse::<Backend>().unwrap(), backend);
    }
    let error = "select".parse::<Backend>().unwrap_err();
    let names: Vec<_> = Backend::available().iter().map(|backend| backend.name()).collect();
    assert!(error.to_string().ends_with(&format!("use one of {}", names.join(", "))), "{error}");
}
