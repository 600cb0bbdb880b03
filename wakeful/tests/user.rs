//! Queues of the program's own events: each item once, in order, and none is lost.

#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::thread;

use common::{Loop, every_backend};
use wakeful::user::{Events, Rejected};
use wakeful::{Interest, Token, Trigger};

const TOKEN: Token = Token(5);

every_backend! {
    fn readable_while_there_is_something(backend) {
        for trigger in [Trigger::Edge, Trigger::Level] {
            let mut events = Loop::new(backend);
            let interest = Interest::READABLE.with_trigger(trigger);
            let queue = Events::new(8).unwrap();
            let sender = queue.sender();
            let queue = events.registry().register_owned(queue, TOKEN, interest).unwrap();
            events.expect_silence();
            for round in 0..3 {
                for item in 0..5 {
                    sender.send((round, item)).unwrap();
                }
                events.expect_readable(TOKEN);
                assert_eq!(queue.len(), 5);
                let items: Vec<_> = queue.drain().collect();
                assert_eq!(items, Vec::from_iter((0..5).map(|item| (round, item))));
                assert!(queue.is_empty());
                events.expect_silence();
            }
        }
    }

    fn sent_before_it_is_registered(backend) {
        let mut events = Loop::new(backend);
        let queue = Events::new(8).unwrap();
        queue.sender().send("early").unwrap();
        let queue = events.registry().register_owned(queue, TOKEN, Interest::READABLE).unwrap();
        events.expect_readable(TOKEN);
        assert_eq!(queue.drain().next(), Some("early"));
    }

    /// What is not taken out of the iterator is not lost, and is reported anew.
    fn what_is_left_over_comes_again(backend) {
        let mut events = Loop::new(backend);
        let queue = Events::new(8).unwrap();
        let sender = queue.sender();
        let queue = events.registry().register_owned(queue, TOKEN, Interest::READABLE).unwrap();
        for item in 0..4 {
            sender.send(item).unwrap();
        }
        for item in 0..4 {
            events.expect_readable(TOKEN);
            let mut drain = queue.drain();
            assert_eq!(drain.next(), Some(item));
            if item == 1 {
                // Behind those that were there.
                sender.send(4).unwrap();
            }
        }
        events.expect_readable(TOKEN);
        assert_eq!(queue.drain().collect::<Vec<_>>(), [4]);
        events.expect_silence();
    }

    fn bounded_and_in_order_whatever_the_receiver_does(backend) {
        let mut events = Loop::new(backend);
        let queue = Events::new(4).unwrap();
        let sender = queue.sender();
        let queue = events.registry().register_owned(queue, TOKEN, Interest::READABLE).unwrap();
        let (mut sent, mut received) = (0, 0);
        for _ in 0..100 {
            let (mut first, mut second) = (queue.drain(), queue.drain());
            while sender.send(sent).is_ok() {
                sent += 1;
            }
            assert_eq!(queue.len(), 4);
            for item in first.next().into_iter().chain(second.next()) {
                assert_eq!(item, received);
                received += 1;
            }
        }
        events.expect_readable(TOKEN);
        assert_eq!(queue.drain().collect::<Vec<_>>(), Vec::from_iter(received..sent));
        events.expect_silence();
    }

    fn exactly_once_and_in_order_from_many_threads(backend) {
        const SENDERS: usize = 4;
        const ITEMS: usize = 5_000;

        let mut events = Loop::new(backend);
        let queue = Events::new(64).unwrap();
        let sender = queue.sender();
        let queue = events.registry().register_owned(queue, TOKEN, Interest::READABLE).unwrap();
        thread::scope(|scope| {
            for number in 0..SENDERS {
                let sender = sender.clone();
                scope.spawn(move || {
                    for item in 0..ITEMS {
                        let mut item = (number, item);
                        // The queue is small, so some find it full, and get their item back.
                        while let Err(Rejected::Full(rejected)) = sender.send(item) {
                            item = rejected;
                            thread::yield_now();
                        }
                    }
                });
            }
            let mut next = BTreeMap::new();
            let mut received = 0;
            while received < SENDERS * ITEMS {
                events.expect_readable(TOKEN);
                for (number, item) in queue.drain() {
                    let next = next.entry(number).or_insert(0);
                    assert_eq!(item, *next, "sender {number}");
                    *next += 1;
                    received += 1;
                }
            }
        });
        assert!(queue.is_empty());
    }

    /// The senders that are left do not keep its descriptor registered.
    fn a_receiver_that_is_gone(backend) {
        let mut events = Loop::new(backend);
        let mut queue = Events::new(8).unwrap();
        let sender = queue.sender();
        events.registry().register(&mut queue, TOKEN, Interest::READABLE).unwrap();
        let item = Arc::new(());
        sender.send(Arc::clone(&item)).unwrap();
        drop(queue);
        assert_eq!(Arc::strong_count(&item), 1);
        events.expect_silence();
        let error = sender.clone().send(item).unwrap_err();
        assert!(matches!(error, Rejected::Closed(_)), "{error}");
        events.expect_silence();
    }
}

#[test]
fn a_full_queue_gives_the_item_back() {
    let queue = Events::new(2).unwrap();
    let sender = queue.sender();
    sender.send("one").unwrap();
    sender.send("two").unwrap();
    let error = sender.send("three").unwrap_err();
    assert!(error.to_string().contains("drain"), "{error}");
    assert_eq!(error.into_inner(), "three");
    assert_eq!(queue.drain().count(), 2);
    sender.send("three").unwrap();
    let error = Events::<()>::new(0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn both_ends_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Events<Box<dyn Send>>>();
    crosses::<wakeful::user::Sender<Box<dyn Send>>>();
}
