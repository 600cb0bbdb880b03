//! The writing end of a pipe that nobody reads any more before it is registered: as under epoll it is registered, and
//! reported as writable and in error, for each trigger.

mod common;

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::{DEADLINE, Loop, every_backend};
use wakeful::event::Event;
use wakeful::unix::{SourceFd, pipe};
use wakeful::{Interest, Token, Trigger};

const TOKEN: Token = Token(1);
const TRIGGERS: [Trigger; 4] =
    [Trigger::Edge, Trigger::Level, Trigger::Oneshot, Trigger::EdgeOneshot];

fn ended() -> pipe::Sender {
    let (sender, receiver) = pipe::new().unwrap();
    drop(receiver);
    sender
}

fn writable(trigger: Trigger) -> Interest {
    Interest::WRITABLE.with_trigger(trigger)
}

#[track_caller]
fn assert_ended(event: &Event) {
    assert!(event.is_writable() && event.is_error() && event.is_write_closed(), "{event:?}");
    assert!(!event.is_readable(), "{event:?}");
}

every_backend! {
    fn it_is_registered_and_reported(backend) {
        for trigger in TRIGGERS {
            let mut events = Loop::new(backend);
            let mut sender = ended();
            events.registry().register(&mut sender, TOKEN, writable(trigger)).unwrap();
            let again = events.registry().register(&mut sender, TOKEN, writable(trigger));
            assert_eq!(again.unwrap_err().raw_os_error(), Some(libc::EEXIST));
            for token in [TOKEN, Token(2), Token(3)] {
                let found = events.expect(token, Event::is_writable);
                assert_ended(&found);
                match trigger {
                    Trigger::Level => assert_ended(&events.expect(token, Event::is_writable)),
                    _ => events.expect_silence(),
                }
                let next = Token(token.0 + 1);
                events.registry().reregister(&mut sender, next, writable(trigger)).unwrap();
            }
            // By another trigger, and not at all.
            let level = writable(Trigger::Level);
            events.registry().reregister(&mut sender, TOKEN, level).unwrap();
            for _ in 0..3 {
                assert_ended(&events.expect(TOKEN, Event::is_writable));
            }
            assert!(sender.write_all(b"x").is_err());
            events.registry().deregister(&mut sender).unwrap();
            events.expect_silence();
            assert!(events.registry().deregister(&mut sender).is_err());
            events.registry().register(&mut sender, TOKEN, writable(trigger)).unwrap();
            assert_ended(&events.expect(TOKEN, Event::is_writable));
        }
    }

    /// The number is used again by something that is never writable, and by another such pipe.
    fn it_is_closed_without_a_word(backend) {
        for trigger in TRIGGERS {
            let mut events = Loop::new(backend);
            let fd = OwnedFd::from(ended());
            let number = fd.as_raw_fd();
            events.registry().register(&mut SourceFd(&number), TOKEN, writable(trigger)).unwrap();
            if trigger == Trigger::Level {
                events.expect(TOKEN, Event::is_writable);
            }
            drop(fd);
            events.expect_silence();
            let mut sender = ended();
            events.registry().register(&mut sender, Token(2), writable(trigger)).unwrap();
            assert_ended(&events.expect(Token(2), Event::is_writable));
        }
    }

    fn another_thread_waits_meanwhile(backend) {
        for trigger in TRIGGERS {
            let mut events = Loop::new(backend);
            let registry = events.registry().try_clone().unwrap();
            let waits = thread::spawn(move || events.poll(DEADLINE));
            thread::sleep(common::QUIET);
            let mut sender = ended();
            registry.register(&mut sender, TOKEN, writable(trigger)).unwrap();
            assert_ended(&waits.join().unwrap()[0]);
        }
    }

    fn an_outer_loop_hears_of_it(backend) {
        for trigger in TRIGGERS {
            let mut outer = Loop::new(common::best());
            let mut inner = Loop::new(backend);
            if !inner.poll.capabilities().nests {
                return;
            }
            outer.registry().register(&mut inner.poll, TOKEN, Interest::READABLE).unwrap();
            outer.expect_silence();
            let mut sender = ended();
            inner.registry().register(&mut sender, Token(2), writable(trigger)).unwrap();
            outer.expect_readable(TOKEN);
            assert_ended(&inner.expect(Token(2), Event::is_writable));
        }
    }

    /// A child that has ended before its standard input is registered.
    fn the_input_of_a_child(backend) {
        let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let stdin = OwnedFd::from(child.stdin.take().unwrap());
        assert!(child.wait().unwrap().success());
        let mut events = Loop::new(backend);
        let fd = stdin.as_raw_fd();
        events.registry().register(&mut SourceFd(&fd), TOKEN, Interest::WRITABLE).unwrap();
        assert_ended(&events.expect(TOKEN, Event::is_writable));
        events.registry().deregister(&mut SourceFd(&fd)).unwrap();
        assert!(events.poll(Duration::ZERO).is_empty());
    }
}
