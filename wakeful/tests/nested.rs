//! A poller in a poller, and sources that are a queue of the kernel's of their own: edges of the outer one.
//!
//! What is queued in an inner kqueue is queued once: until it was asked, nothing new of the same kind is an edge.

mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use common::{Loop, every_backend};
use wakeful::unix::{SourceFd, pipe};
use wakeful::{Backend, EdgeRule, Interest, Token, Trigger, Waker};

const OUTER: Token = Token(7);
const READABLE: Interest = Interest::READABLE;

/// An outer poller of this system's best kind, with an edge for an inner one; nothing if there is no such nesting.
fn nested(backend: Backend, capacity: usize) -> Option<(Loop, Loop)> {
    let outer = Loop::new(common::best());
    let mut inner = Loop::with_capacity(backend, capacity);
    if !inner.poll.capabilities().nests {
        return None;
    }
    outer.registry().register(&mut inner.poll, OUTER, READABLE).unwrap();
    Some((outer, inner))
}

every_backend! {
    fn one_poll_of_the_inner_and_the_next_is_an_edge(backend) {
        for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot, Trigger::EdgeOneshot] {
            let Some((mut outer, mut inner)) = nested(backend, 8) else {
                return;
            };
            let interest = READABLE.with_trigger(trigger);
            let (mut sender, mut receiver) = pipe::new().unwrap();
            inner.registry().register(&mut receiver, Token(1), interest).unwrap();
            for round in 0..4 {
                sender.write_all(b"x").unwrap();
                // Spurious ones are allowed, and end.
                let mut found = Vec::new();
                while found.is_empty() {
                    outer.expect_readable(OUTER);
                    found = inner.poll(Duration::ZERO);
                }
                assert_eq!(found.len(), 1, "{trigger:?}, round {round}");
                common::until_would_block(|| receiver.read(&mut [0; 8]));
                if matches!(trigger, Trigger::Oneshot | Trigger::EdgeOneshot) {
                    inner.registry().reregister(&mut receiver, Token(1), interest).unwrap();
                }
            }
        }
    }

    /// With room for one event, each poll may leave something, which is an edge of its own.
    fn what_a_poll_leaves_is_an_edge(backend) {
        let Some((mut outer, mut inner)) = nested(backend, 1) else {
            return;
        };
        let rule = outer.poll.capabilities().edge_rule;
        // epoll tells of nothing that it has told already; event ports in a kqueue are not of this world.
        if backend != Backend::Kqueue || rule == EdgeRule::AfterWouldBlock {
            return;
        }
        let mut pipes = Vec::new();
        for number in 0..5 {
            let (sender, mut receiver) = pipe::new().unwrap();
            inner.registry().register(&mut receiver, Token(number), READABLE).unwrap();
            pipes.push((sender, receiver));
        }
        for _ in 0..3 {
            for (sender, _) in &mut pipes {
                sender.write_all(b"x").unwrap();
            }
            let mut seen = BTreeSet::new();
            while seen.len() < pipes.len() {
                outer.expect_readable(OUTER);
                for event in inner.poll(Duration::ZERO) {
                    seen.insert(event.token());
                    let (_, receiver) = &mut pipes[event.token().0];
                    common::until_would_block(|| receiver.read(&mut [0; 8]));
                }
            }
        }
    }

    fn every_wake_up_is_an_edge(backend) {
        let Some((mut outer, mut inner)) = nested(backend, 1) else {
            return;
        };
        let wakers = [1, 2].map(|token| Waker::new(inner.registry(), Token(token)).unwrap());
        let fd = inner.poll.as_raw_fd();
        for asked in [false, false, true, false, true, true] {
            for waker in &wakers {
                waker.wake().unwrap();
                outer.expect_readable(OUTER);
                if asked {
                    inner.poll(Duration::ZERO);
                }
                if outer.poll.capabilities().edge_rule == EdgeRule::AfterWouldBlock {
                    outer.registry().reregister(&mut SourceFd(&fd), OUTER, READABLE).unwrap();
                }
            }
        }
    }

    /// As under a kernel that knows no better: it is readable, and never writable.
    fn a_poller_is_registered_for_both_directions(backend) {
        let mut outer = Loop::new(backend);
        let mut inner = Loop::new(backend);
        let both = READABLE | Interest::WRITABLE | Interest::PRIORITY;
        outer.registry().register(&mut inner.poll, OUTER, both).unwrap();
        let waker = Waker::new(inner.registry(), Token(1)).unwrap();
        outer.registry().reregister(&mut inner.poll, OUTER, both).unwrap();
        waker.wake().unwrap();
        let event = outer.expect_readable(OUTER);
        assert!(!event.is_writable() && !event.is_error(), "{event:?}");
        outer.registry().deregister(&mut inner.poll).unwrap();
        outer.registry().register(&mut inner.poll, OUTER, both).unwrap();
    }
}
