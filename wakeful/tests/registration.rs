//! Registrations: their beginning and end, from any thread, in the middle of a batch, and `Registered`.

#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::subject::{self, tcp_pair};
use common::{DEADLINE, Loop, every_backend, until_would_block};
use wakeful::event::{Event, Source};
use wakeful::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use wakeful::unix::SourceFd;
use wakeful::{Events, Interest, Poll, Registered, Registry, Token, Trigger, Waker, pipe};

const LEVEL: Interest = Interest::READABLE.with_trigger(Trigger::Level);

/// By a number that no other test of this process is going to take when it is closed.
fn elsewhere(fd: impl Into<OwnedFd>) -> OwnedFd {
    // SAFETY: the call takes integers.
    let number = unsafe { libc::fcntl(fd.into().as_raw_fd(), libc::F_DUPFD_CLOEXEC, 700) };
    assert!(number >= 700);
    // SAFETY: the call succeeded, so it is open, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

every_backend! {
    fn a_second_registration_is_refused(backend) {
        let events = Loop::new(backend);
        let (_sender, mut receiver) = pipe::new().unwrap();
        events.registry().register(&mut receiver, Token(0), Interest::READABLE).unwrap();
        let error =
            events.registry().register(&mut receiver, Token(1), Interest::READABLE).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
        // Two pollers are no trouble.
        let other = Loop::new(backend);
        other.registry().register(&mut receiver, Token(1), Interest::READABLE).unwrap();
    }

    fn from_another_thread_while_polling(backend) {
        let mut events = Loop::new(backend);
        let registry = events.registry().try_clone().unwrap();
        let polling = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&polling);
        let thread = thread::spawn(move || {
            while !flag.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            thread::sleep(common::QUIET);
            let (mut sender, receiver) = pipe::new().unwrap();
            // Registered under a poll that is asleep with nothing to wait for …
            let mut receiver = registry.register_owned(receiver, Token(1), LEVEL).unwrap();
            thread::sleep(common::QUIET);
            // … and made ready, re-registered, and made ready again.
            receiver.set_token(Token(2)).unwrap();
            thread::sleep(common::QUIET);
            sender.write_all(b"x").unwrap();
            (sender, receiver)
        });
        polling.store(true, Ordering::SeqCst);
        let event = events.expect_readable(Token(2));
        assert_eq!(event.token(), Token(2));
        let (_sender, receiver) = thread.join().unwrap();
        drop(receiver);
        events.expect_silence();
    }

    fn registered_ready_while_the_poller_sleeps(backend) {
        let mut events = Loop::new(backend);
        let registry = events.registry().try_clone().unwrap();
        let thread = thread::spawn(move || {
            let (mut sender, mut receiver) = pipe::new().unwrap();
            sender.write_all(b"x").unwrap();
            thread::sleep(common::QUIET);
            registry.register(&mut receiver, Token(1), LEVEL).unwrap();
            (sender, receiver)
        });
        events.expect_readable(Token(1));
        thread.join().unwrap();
    }

    fn deregistered_by_another_thread_is_never_reported_later(backend) {
        let mut events = Loop::new(backend);
        for _ in 0..200 {
            let (mut sender, receiver) = pipe::new().unwrap();
            let receiver = events.registry().register_owned(receiver, Token(1), LEVEL).unwrap();
            let thread = thread::spawn(move || {
                sender.write_all(b"x").unwrap();
                let result = receiver.deregister().map(drop);
                result.unwrap();
                sender
            });
            // It may be reported while this goes on …
            let _ = events.poll(std::time::Duration::ZERO);
            let sender = thread.join().unwrap();
            // … but not by a poll that begins afterwards.
            let late = events.poll(std::time::Duration::ZERO);
            assert!(late.is_empty(), "{late:?}");
            drop(sender);
        }
    }

    /// What is ready when it is registered is reported in the order of the registrations, whatever
    /// was reported before: libraries that wait for two descriptors count on it.
    fn what_is_ready_comes_in_the_order_of_registration(backend) {
        let mut events = Loop::new(backend);
        let (mut sender, mut receiver) = pipe::new().unwrap();
        let (mut other, _kept) = pipe::new().unwrap();
        let once = |interest: Interest| interest.with_trigger(Trigger::Oneshot);
        for _ in 0..3 {
            // A direction that was waited for before.
            events.registry().register(&mut sender, Token(0), once(Interest::WRITABLE)).unwrap();
            events.expect_writable(Token(0));
            events.registry().deregister(&mut sender).unwrap();
            sender.write_all(b"x").unwrap();
            events.registry().register(&mut receiver, Token(1), once(Interest::READABLE)).unwrap();
            events.registry().register(&mut other, Token(2), once(Interest::WRITABLE)).unwrap();
            let tokens: Vec<_> =
                events.poll(DEADLINE).iter().map(|event| event.token().0).collect();
            assert_eq!(tokens, [1, 2]);
            events.registry().deregister(&mut receiver).unwrap();
            events.registry().deregister(&mut other).unwrap();
        }
    }

    fn a_number_that_changes_hands_during_a_wait_is_not_mistaken(backend) {
        let mut events = Loop::new(backend);
        let registry = events.registry().try_clone().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        let thread = thread::spawn(move || {
            for _ in 0..3000 {
                let (mut sender, receiver) = pipe::new().unwrap();
                let receiver = registry.register_owned(receiver, Token(1), LEVEL).unwrap();
                sender.write_all(b"x").unwrap();
                drop((receiver, sender));
                // The same numbers, in all likelihood; and nothing to read.
                let (sender, receiver) = pipe::new().unwrap();
                let receiver = registry.register_owned(receiver, Token(2), LEVEL).unwrap();
                thread::yield_now();
                drop(receiver);
                drop(sender);
            }
            flag.store(true, Ordering::SeqCst);
        });
        while !over.load(Ordering::SeqCst) {
            let found = events.poll(std::time::Duration::from_millis(1));
            assert!(found.iter().all(|event| event.token() == Token(1)), "{found:?}");
        }
        thread.join().unwrap();
    }

    fn deregistered_and_closed_in_the_middle_of_a_batch(backend) {
        let mut events = Loop::new(backend);
        let mut ends: Vec<_> = (0..10)
            .map(|index| {
                let (mut sender, receiver) = pipe::new().unwrap();
                sender.write_all(b"x").unwrap();
                let receiver =
                    events.registry().register_owned(receiver, Token(index), LEVEL).unwrap();
                Some((sender, receiver))
            })
            .collect();
        let batch = events.poll(DEADLINE);
        assert_eq!(batch.len(), 10);
        // The first event's handler closes all the others; new pipes take their numbers over.
        let survivor = batch[0].token();
        for (index, end) in ends.iter_mut().enumerate() {
            if Token(index) != survivor {
                *end = None;
            }
        }
        let strangers: Vec<_> = (0..9).map(|_| pipe::new().unwrap()).collect();
        for (sender, _) in &strangers {
            (&mut &*sender).write_all(b"x").unwrap();
        }
        for _ in 0..3 {
            let later = events.poll(DEADLINE);
            assert!(later.iter().all(|event| event.token() == survivor), "{later:?}");
        }
    }

    fn closed_without_deregistering_is_forgotten(backend) {
        let mut events = Loop::new(backend);
        for round in 0..50 {
            // The same numbers again and again, under another token each time.
            let (mut stream, mut peer) = tcp_pair();
            events.registry().register(&mut stream, Token(round), LEVEL).unwrap();
            peer.write_all(b"x").unwrap();
            events.expect_readable(Token(round));
            drop(stream);
            let (bystander, mut other_peer) = tcp_pair();
            other_peer.write_all(b"x").unwrap();
            events.expect_silence_briefly();
            drop(bystander);
        }
    }

    fn a_bare_descriptor_closed_without_deregistering_makes_room(backend) {
        let mut events = Loop::new(backend);
        let (left, _right) = std::os::unix::net::UnixStream::pair().unwrap();
        let left = elsewhere(left);
        let fd = left.as_raw_fd();
        events.registry().register(&mut SourceFd(&fd), Token(0), LEVEL).unwrap();
        drop(left);
        events.expect_silence_briefly();
        // Whatever takes the number over can be registered.
        let (left, mut right) = std::os::unix::net::UnixStream::pair().unwrap();
        let left = elsewhere(left);
        let fd = left.as_raw_fd();
        events.registry().register(&mut SourceFd(&fd), Token(1), LEVEL).unwrap();
        right.write_all(b"x").unwrap();
        events.expect_readable(Token(1));
    }

    fn tokens_come_back_in_full_width(backend) {
        let mut events = Loop::new(backend);
        for token in [0, 1, usize::MAX, usize::MAX - 1, usize::MAX / 2 + 1, 0xdead_beef] {
            let (mut sender, receiver) = pipe::new().unwrap();
            let _receiver =
                events.registry().register_owned(receiver, Token(token), LEVEL).unwrap();
            sender.write_all(b"x").unwrap();
            assert_eq!(events.expect_readable(Token(token)).token(), Token(token));
        }
    }

    fn registered_deregisters_on_drop_before_the_descriptor_is_closed(backend) {
        let mut events = Loop::new(backend);
        let (mut sender, receiver) = pipe::new().unwrap();
        // With a duplicate alive, closing would not end the registration.
        let duplicate = receiver.as_fd().try_clone_to_owned().unwrap();
        let receiver = events.registry().register_owned(receiver, Token(0), LEVEL).unwrap();
        sender.write_all(b"x").unwrap();
        events.expect_readable(Token(0));
        drop(receiver);
        events.expect_silence();
        drop(duplicate);
    }

    fn registered_gives_the_source_back(backend) {
        let mut events = Loop::new(backend);
        let (mut sender, receiver) = pipe::new().unwrap();
        let receiver = events.registry().register_owned(receiver, Token(0), LEVEL).unwrap();
        let mut receiver = receiver.deregister().unwrap();
        sender.write_all(b"x").unwrap();
        events.expect_silence();
        assert_eq!(receiver.read(&mut [0; 8]).unwrap(), 1);

        if events.poll.capabilities().regular_files {
            return;
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"kept").unwrap();
        let bare = subject::Bare(file.into());
        let error = events.registry().register_owned(bare, Token(0), LEVEL).unwrap_err();
        assert_eq!(error.io_error().raw_os_error(), Some(libc::EPERM));
        assert!(error.to_string().contains("not permitted"), "{error}");
        assert!(error.into_source().as_fd_is_open());
    }

    fn registered_sets_interest_and_token(backend) {
        let mut events = Loop::new(backend);
        let (stream, mut peer) = UnixStream::pair().unwrap();
        let mut stream = events.registry().register_owned(stream, Token(0), LEVEL).unwrap();
        events.expect_silence();
        stream.set_interest(Interest::WRITABLE.with_trigger(Trigger::Level)).unwrap();
        events.expect_writable(Token(0));
        stream.set_token(Token(9)).unwrap();
        events.expect_writable(Token(9));
        stream.set_interest(LEVEL).unwrap();
        assert_eq!((stream.token(), stream.interest()), (Token(9), LEVEL));
        peer.write_all(b"x").unwrap();
        events.expect_readable(Token(9));
    }

    fn setting_the_same_interest_does_not_arm(backend) {
        let mut events = Loop::new(backend);
        let (mut sender, receiver) = pipe::new().unwrap();
        let interest = Interest::READABLE.with_trigger(Trigger::Oneshot);
        let mut receiver = events.registry().register_owned(receiver, Token(0), interest).unwrap();
        sender.write_all(b"x").unwrap();
        events.expect_readable(Token(0));
        receiver.set_interest(interest).unwrap();
        events.expect_silence();
        receiver.rearm(Interest::READABLE).unwrap();
        events.expect_readable(Token(0));
    }

    fn rearm_is_per_direction(backend) {
        let mut events = Loop::new(backend);
        let (stream, mut peer) = UnixStream::pair().unwrap();
        peer.write_all(b"x").unwrap();
        let both = (Interest::READABLE | Interest::WRITABLE).with_trigger(Trigger::Oneshot);
        let mut stream = events.registry().register_owned(stream, Token(0), both).unwrap();
        let event = events.expect_readable(Token(0));
        assert!(event.is_writable(), "{event:?}");
        for _ in 0..2 {
            stream.rearm(Interest::WRITABLE).unwrap();
            assert!(!events.expect_writable(Token(0)).is_readable());
            events.expect_silence();
            stream.rearm(Interest::READABLE).unwrap();
            assert!(!events.expect_readable(Token(0)).is_writable());
            events.expect_silence();
        }
        assert_eq!(stream.interest(), both);
    }

    fn rearm_reports_what_was_left_undrained(backend) {
        let mut events = Loop::new(backend);
        let (mut sender, receiver) = pipe::new().unwrap();
        let mut receiver =
            events.registry().register_owned(receiver, Token(0), Interest::READABLE).unwrap();
        sender.write_all(b"much").unwrap();
        events.expect_readable(Token(0));
        receiver.read_exact(&mut [0; 1]).unwrap();
        events.expect_silence();
        receiver.rearm(Interest::READABLE).unwrap();
        events.expect_readable(Token(0));
    }

    fn one_source_in_two_pollers_is_edged_in_both(backend) {
        let mut left = Loop::new(backend);
        let mut right = Loop::new(backend);
        let (mut sender, mut receiver) = pipe::new().unwrap();
        left.registry().register(&mut receiver, Token(1), Interest::READABLE).unwrap();
        right.registry().register(&mut receiver, Token(2), Interest::READABLE).unwrap();
        for _ in 0..3 {
            sender.write_all(b"x").unwrap();
            left.expect_readable(Token(1));
            right.expect_readable(Token(2));
            until_would_block(|| receiver.read(&mut [0; 8]));
        }
    }

    fn sources_delegate(backend) {
        /// A source made of a source, as the documentation shows.
        struct Inbox(pipe::Receiver);

        impl Source for Inbox {
            fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> std::io::Result<()> {
                self.0.register(registry, token, interest)
            }
            fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> std::io::Result<()> {
                self.0.reregister(registry, token, interest)
            }
            fn deregister(&mut self, registry: &Registry) -> std::io::Result<()> {
                self.0.deregister(registry)
            }
        }

        let mut events = Loop::new(backend);
        let (mut sender, receiver) = pipe::new().unwrap();
        let inbox: Box<dyn Source> = Box::new(Inbox(receiver));
        let inbox = events.registry().register_owned(inbox, Token(0), LEVEL).unwrap();
        sender.write_all(b"x").unwrap();
        // The trigger passed through.
        events.expect_readable(Token(0));
        events.expect_readable(Token(0));
        drop(inbox);
        events.expect_silence();
    }
}

/// Waits that are short enough to be made many times.
trait Briefly {
    fn expect_silence_briefly(&mut self);
}

impl Briefly for Loop {
    #[track_caller]
    fn expect_silence_briefly(&mut self) {
        let events = self.poll(std::time::Duration::from_millis(1));
        assert!(events.is_empty(), "silence expected, found {events:?}");
    }
}

trait IsOpen {
    fn as_fd_is_open(&self) -> bool;
}

impl IsOpen for subject::Bare {
    fn as_fd_is_open(&self) -> bool {
        wakeful_kernel::descriptor::Identity::of(self.0.as_raw_fd()).is_ok()
    }
}

#[test]
fn what_crosses_threads() {
    fn unwinds<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    unwinds::<Poll>();
    unwinds::<Registry>();
    unwinds::<Waker>();
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    fn both<T: Send + Sync>() {}
    both::<Poll>();
    both::<Registry>();
    both::<Waker>();
    both::<Events>();
    both::<Event>();
    both::<Registered<TcpStream>>();
    both::<TcpListener>();
    both::<UdpSocket>();
    both::<UnixListener>();
    both::<UnixDatagram>();
    both::<pipe::Sender>();
    send::<SourceFd<'static>>();
    sync::<SourceFd<'static>>();
}

#[test]
fn sockets_and_events_have_the_size_of_the_originals() {
    assert_eq!(size_of::<TcpStream>(), size_of::<std::net::TcpStream>());
    assert_eq!(size_of::<TcpListener>(), size_of::<std::net::TcpListener>());
    assert_eq!(size_of::<UdpSocket>(), size_of::<std::net::UdpSocket>());
    assert_eq!(size_of::<UnixStream>(), size_of::<std::os::unix::net::UnixStream>());
    assert_eq!(size_of::<UnixListener>(), size_of::<std::os::unix::net::UnixListener>());
    assert_eq!(size_of::<UnixDatagram>(), size_of::<std::os::unix::net::UnixDatagram>());
    assert_eq!(size_of::<pipe::Sender>(), size_of::<std::fs::File>());
    #[cfg(target_os = "linux")]
    assert_eq!(size_of::<Event>(), size_of::<libc::epoll_event>());
    assert_eq!(size_of::<Option<Interest>>(), 1);
    // A registration of our own beside its source: a pointer, a token, an interest, and padding.
    assert_eq!(size_of::<Registered<TcpStream>>(), 2 * size_of::<usize>() + 8);
}

#[test]
fn interests_join_part_and_print() {
    let all = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
    assert_eq!(format!("{all:?}"), "READABLE | WRITABLE | PRIORITY");
    assert_eq!(format!("{:?}", Interest::ERROR), "ERROR");
    assert!(all.is_readable() && all.is_writable() && all.is_priority());
    assert!(!Interest::ERROR.is_readable() && !all.is_aio() && !all.is_lio());
    let mut interest = Interest::READABLE;
    interest |= Interest::WRITABLE;
    assert_eq!(interest.remove(Interest::READABLE), Some(Interest::WRITABLE));
    for trigger in [Trigger::Edge, Trigger::Level, Trigger::Oneshot, Trigger::EdgeOneshot] {
        let with = interest.with_trigger(trigger);
        assert_eq!(with.trigger(), trigger);
        assert_eq!(with.remove(Interest::READABLE).map(Interest::trigger), Some(trigger));
        assert_eq!(with.remove(interest), None, "a trigger alone is nothing to wait for");
    }
}
