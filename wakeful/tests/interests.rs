//! Interests that change: at once where somebody waits, with the next poll where nobody does.

#![cfg(unix)]

mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{Loop, QUIET, every_backend};
use wakeful::event::{Event, Source};
use wakeful::net::UnixStream;
use wakeful::{Backend, Interest, Registered, SourceError, Token, Trigger};

const READABLE: Interest = Interest::READABLE.with_trigger(Trigger::Level);
const WRITABLE: Interest = Interest::WRITABLE.with_trigger(Trigger::Level);

/// A stream that is writable and has nothing to read, in a poller that this thread has polled.
fn stream(backend: Backend) -> (Loop, Registered<UnixStream>, UnixStream) {
    stream_in(Loop::new(backend).after_a_change())
}

fn stream_in(mut events: Loop) -> (Loop, Registered<UnixStream>, UnixStream) {
    let (stream, peer) = UnixStream::pair().unwrap();
    let stream = events.registry().register_owned(stream, Token(0), READABLE).unwrap();
    events.expect_silence();
    (events, stream, peer)
}

/// And back here, where it is not yet known that this thread polls.
fn change_while_another_waits(
    (mut events, mut stream, _peer): (Loop, Registered<UnixStream>, UnixStream),
) {
    let thread = thread::spawn(move || {
        events.expect_writable(Token(0));
        events
    });
    thread::sleep(QUIET);
    stream.set_interest(WRITABLE).unwrap();
    let mut events = thread.join().unwrap();
    stream.set_interest(READABLE).unwrap();
    events.expect_silence();
}

/// By a number that is nobody's, and that no other test of this process takes in between.
fn at(number: RawFd, stream: UnixStream) -> UnixStream {
    // SAFETY: the call takes integers, and the number is nobody's.
    assert_eq!(unsafe { libc::dup3(stream.as_raw_fd(), number, libc::O_CLOEXEC) }, number);
    // SAFETY: the call succeeded, so it is open, and nothing else owns it.
    UnixStream::from(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A poller with streams that are all writable.
struct World {
    events: Loop,
    streams: Vec<(Registered<UnixStream>, UnixStream)>,
    random: u64,
}

impl World {
    fn new(backend: Backend) -> World {
        let events = Loop::with_capacity(backend, 256);
        let mut world = World { events, streams: Vec::new(), random: 88_172_645_463_325_252 };
        world.streams = (0..12).map(|index| world.stream(index)).collect();
        world
    }

    fn stream(&self, index: usize) -> (Registered<UnixStream>, UnixStream) {
        let (stream, peer) = UnixStream::pair().unwrap();
        let registry = self.events.registry();
        (registry.register_owned(stream, Token(index), READABLE).unwrap(), peer)
    }

    fn draw(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random as usize
    }

    /// Some changes, and sometimes a poll.
    fn turn(mut self) -> World {
        for _ in 0..self.draw() % 20 {
            let (index, choice) = (self.draw() % self.streams.len(), self.draw());
            let stream = &mut self.streams[index].0;
            match choice % 12 {
                0 => stream.set_token(Token(choice / 12 % 1000 * 12 + index)).unwrap(),
                1 => stream.rearm(stream.interest()).unwrap(),
                2 => {
                    let new = self.stream(index);
                    self.streams[index] = new;
                }
                _ => {
                    let all = [READABLE, WRITABLE, READABLE | WRITABLE];
                    stream.set_interest(all[choice / 12 % 3].with_trigger(Trigger::Level)).unwrap();
                }
            }
        }
        if self.draw() % 2 == 0 {
            let events = self.events.poll(Duration::ZERO);
            assert!(events.iter().all(Event::is_writable), "{events:?}");
            let found: BTreeSet<_> = events.iter().map(Event::token).collect();
            let registered = self.streams.iter().map(|(stream, _)| stream);
            let writable = registered.filter(|stream| stream.interest().is_writable());
            assert_eq!(found, writable.map(Registered::token).collect());
        }
        self
    }
}

every_backend! {
    fn a_change_counts_for_the_next_poll(backend) {
        let (mut events, mut stream, mut peer) = stream(backend);
        stream.set_interest(WRITABLE).unwrap();
        assert_eq!(stream.interest(), WRITABLE);
        let event = events.expect_writable(Token(0));
        assert!(!event.is_readable(), "{event:?}");
        stream.set_interest(READABLE).unwrap();
        events.expect_silence();
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(0));
    }

    fn of_several_changes_the_last_counts(backend) {
        let (mut events, mut stream, _peer) = stream(backend);
        stream.set_interest(WRITABLE).unwrap();
        if events.poll.capabilities().priority {
            stream.set_interest(Interest::PRIORITY.with_trigger(Trigger::Level)).unwrap();
        }
        stream.set_interest(WRITABLE | Interest::READABLE).unwrap();
        events.expect_writable(Token(0));
        stream.set_interest(WRITABLE).unwrap();
        stream.set_interest(READABLE).unwrap();
        events.expect_silence();
    }

    fn a_change_that_is_taken_back_has_no_effect(backend) {
        let (mut events, mut stream, mut peer) = stream(backend);
        for _ in 0..3 {
            stream.set_interest(WRITABLE | Interest::READABLE).unwrap();
            stream.set_interest(READABLE).unwrap();
            events.expect_silence();
        }
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(0));
    }

    fn edges_that_are_asked_for_anew(backend) {
        let (mut events, mut stream, mut peer) = stream(backend);
        stream.set_interest(Interest::READABLE).unwrap();
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(0));
        stream.set_interest(Interest::READABLE | Interest::WRITABLE).unwrap();
        let event = events.expect_writable(Token(0));
        assert!(event.is_readable(), "not drained: {event:?}");
    }

    fn what_was_withdrawn_and_is_asked_for_again_is_told_anew(backend) {
        let (mut events, mut stream, mut peer) = stream(backend);
        let (read, write) = (Interest::READABLE, Interest::WRITABLE);
        stream.set_interest(read | write).unwrap();
        events.expect_writable(Token(0));
        // Written without a `WouldBlock`; and there is more to write before the next poll.
        (&*stream).write_all(b"first").unwrap();
        stream.set_interest(read).unwrap();
        stream.set_interest(read | write).unwrap();
        events.expect_writable(Token(0));
        stream.set_interest(READABLE | WRITABLE).unwrap();
        stream.set_interest(read | write).unwrap();
        events.expect_writable(Token(0));
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 5);
    }

    fn many_change_in_turns(backend) {
        let mut events = Loop::with_capacity(backend, 256);
        let mut streams: Vec<_> = (0..64)
            .map(|index| {
                let (stream, peer) = UnixStream::pair().unwrap();
                let stream =
                    events.registry().register_owned(stream, Token(index), READABLE).unwrap();
                (stream, peer)
            })
            .collect();
        events.expect_silence();
        for round in 0..6 {
            for (stream, _) in &mut streams {
                stream.set_interest(WRITABLE).unwrap();
            }
            // Some take it back, from the first to the last or the other way round.
            let takes_back = |index: usize| index % 3 == round % 3;
            let mut indices: Vec<_> = (0..streams.len()).filter(|&it| takes_back(it)).collect();
            if round % 2 == 0 {
                indices.reverse();
            }
            for index in indices {
                streams[index].0.set_interest(READABLE).unwrap();
            }
            let mut found: Vec<_> =
                events.poll(common::DEADLINE).iter().map(|event| event.token().0).collect();
            found.sort_unstable();
            let expected: Vec<_> = (0..streams.len()).filter(|&it| !takes_back(it)).collect();
            assert_eq!(found, expected, "round {round}");
            for (stream, _) in &mut streams {
                stream.set_interest(READABLE).unwrap();
            }
            events.expect_silence();
        }
    }

    fn by_another_thread_during_a_wait(backend) {
        let (mut events, mut stream, peer) = stream(backend);
        let thread = thread::spawn(move || {
            thread::sleep(QUIET);
            stream.set_interest(WRITABLE).unwrap();
            (stream, peer)
        });
        events.expect_writable(Token(0));
        thread.join().unwrap();
    }

    fn by_the_thread_that_polled_while_another_waits(backend) {
        change_while_another_waits(stream(backend));
    }

    fn the_first_of_all_while_another_waits(backend) {
        change_while_another_waits(stream_in(Loop::new(backend)));
    }

    fn put_off_here_and_polled_elsewhere(backend) {
        let (mut events, mut stream, _peer) = stream(backend);
        stream.set_interest(WRITABLE).unwrap();
        thread::spawn(move || events.expect_writable(Token(0))).join().unwrap();
    }

    fn changed_again_elsewhere(backend) {
        let (mut events, mut stream, peer) = stream(backend);
        stream.set_interest(WRITABLE).unwrap();
        let thread = thread::spawn(move || {
            stream.set_interest(READABLE).unwrap();
            (stream, peer)
        });
        let (_stream, mut peer) = thread.join().unwrap();
        events.expect_silence();
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(0));
    }

    fn a_new_token_and_a_new_interest_at_once(backend) {
        let (mut events, mut stream, _peer) = stream(backend);
        stream.set_interest(WRITABLE).unwrap();
        stream.set_token(Token(1)).unwrap();
        events.expect_writable(Token(1));
        stream.set_interest(READABLE).unwrap();
        stream.set_interest(WRITABLE).unwrap();
        assert_eq!(events.expect_writable(Token(1)).token(), Token(1));
    }

    fn armed_anew_with_the_new_interest(backend) {
        let (mut events, mut stream, _peer) = stream(backend);
        stream.set_interest(Interest::WRITABLE).unwrap();
        stream.rearm(Interest::WRITABLE).unwrap();
        events.expect_writable(Token(0));
        events.expect_silence();
        stream.rearm(Interest::WRITABLE).unwrap();
        events.expect_writable(Token(0));
    }

    fn one_shots_change_as_well(backend) {
        let (mut events, mut stream, mut peer) = stream(backend);
        let once = |interest: Interest| interest.with_trigger(Trigger::Oneshot);
        stream.set_interest(WRITABLE).unwrap();
        stream.set_interest(once(Interest::WRITABLE)).unwrap();
        events.expect_writable(Token(0));
        events.expect_silence();
        stream.set_interest(once(Interest::READABLE)).unwrap();
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(0));
        stream.set_interest(WRITABLE).unwrap();
        events.expect_writable(Token(0));
    }

    fn a_change_goes_with_its_registration(backend) {
        let (mut events, mut stream, mut peer) = stream(backend);
        stream.set_interest(WRITABLE).unwrap();
        let mut stream = stream.deregister().map_err(SourceError::into_source).unwrap();
        events.registry().register(&mut stream, Token(1), READABLE).unwrap();
        events.expect_silence();
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(1));
        events.registry().deregister(&mut stream).unwrap();
    }

    fn a_change_goes_with_its_descriptor(backend) {
        let mut events = Loop::new(backend).after_a_change();
        let number = 900 + backend as i32;
        let (first, _first_peer) = UnixStream::pair().unwrap();
        let mut first =
            events.registry().register_owned(at(number, first), Token(0), READABLE).unwrap();
        events.expect_silence();
        first.set_interest(WRITABLE).unwrap();
        drop(first);
        let (second, mut peer) = UnixStream::pair().unwrap();
        let second = events.registry().register_owned(at(number, second), Token(1), READABLE).unwrap();
        assert_eq!(second.as_fd().as_raw_fd(), number);
        events.expect_silence();
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(1));
    }

    fn a_change_does_not_outlive_a_registration_that_was_forgotten(backend) {
        let mut events = Loop::new(backend).after_a_change();
        let number = 1000 + backend as i32;
        let (first, _first_peer) = UnixStream::pair().unwrap();
        let mut first = at(number, first);
        let mut registered =
            events.registry().register_owned(&mut first, Token(0), READABLE).unwrap();
        events.expect_silence();
        registered.set_interest(WRITABLE).unwrap();
        std::mem::forget(registered);
        drop(first);
        let (second, mut peer) = UnixStream::pair().unwrap();
        let _second = events.registry().register_owned(at(number, second), Token(1), READABLE).unwrap();
        events.expect_silence();
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(1));
    }

    fn a_thread_begins_to_poll_while_another_changes(backend) {
        let (mut events, mut stream, _peer) = stream(backend);
        let (give, given) = mpsc::channel::<Loop>();
        let (give_back, given_back) = mpsc::channel();
        let thread = thread::spawn(move || {
            for mut events in given {
                events.expect_writable(Token(0));
                give_back.send(events).unwrap();
            }
        });
        for round in 0..500 {
            events.poll(Duration::ZERO);
            give.send(events).unwrap();
            for _ in 0..round * 7 % 400 {
                std::hint::spin_loop();
            }
            stream.set_interest(WRITABLE).unwrap();
            events = given_back.recv_timeout(common::DEADLINE).expect("the change is lost");
            stream.set_interest(READABLE).unwrap();
        }
        drop(give);
        thread.join().unwrap();
    }

    /// What is reported is what is wanted, whatever happened before, and on which thread.
    fn any_changes_on_any_threads(backend) {
        let mut world = World::new(backend);
        for _ in 0..300 {
            let elsewhere = world.draw() % 3 == 0;
            world = if elsewhere {
                thread::spawn(move || world.turn()).join().unwrap()
            } else {
                world.turn()
            };
        }
    }

    fn an_outer_loop_sees_changes_without_a_poll_of_the_inner(backend) {
        let (mut inner, mut stream, _peer) = stream(backend);
        if !inner.poll.capabilities().nests {
            return;
        }
        // Put off, and applied when the descriptor is lent out.
        stream.set_interest(WRITABLE).unwrap();
        let mut outer = Loop::new(backend);
        outer.registry().register(&mut inner.poll, Token(7), READABLE).unwrap();
        outer.expect_readable(Token(7));
        inner.expect_writable(Token(0));
        stream.set_interest(READABLE).unwrap();
        outer.expect_silence();
        // And not put off any more.
        stream.set_interest(WRITABLE).unwrap();
        outer.expect_readable(Token(7));
        outer.registry().deregister(&mut inner.poll).unwrap();
    }

    fn a_source_of_sources_changes_at_once(backend) {
        struct Two(UnixStream, UnixStream);
        impl Source for Two {
            fn register(
                &mut self,
                registry: &wakeful::Registry,
                token: Token,
                interest: Interest,
            ) -> std::io::Result<()> {
                self.0.register(registry, token, interest)?;
                self.1.register(registry, token, interest)
            }
            fn reregister(
                &mut self,
                registry: &wakeful::Registry,
                token: Token,
                interest: Interest,
            ) -> std::io::Result<()> {
                self.0.reregister(registry, token, interest)?;
                self.1.reregister(registry, token, interest)
            }
            fn deregister(&mut self, registry: &wakeful::Registry) -> std::io::Result<()> {
                self.0.deregister(registry)?;
                self.1.deregister(registry)
            }
        }
        let mut events = Loop::new(backend);
        let ((one, _peer), (other, mut peer)) =
            (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let two = Two(one, other);
        assert!(two.descriptor().is_none() && two.1.descriptor().is_some());
        let mut two = events.registry().register_owned(two, Token(0), WRITABLE).unwrap();
        events.expect_writable(Token(0));
        two.set_interest(READABLE).unwrap();
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(0));
        assert_eq!((&two.1).read(&mut [0; 8]).unwrap(), 1);
    }
}
