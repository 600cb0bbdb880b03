//! What the whole suite needs: every test on every backend, and waits that end.
#![allow(dead_code, unreachable_pub, unused_macros, missing_docs, missing_debug_implementations)]

pub mod files;
#[cfg(target_os = "linux")]
pub mod sandbox;
pub mod subject;
pub mod watched;

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use wakeful::event::Event;
use wakeful::unix::pipe;
use wakeful::{Backend, Events, Interest, Poll, Registry, Token, Trigger};

/// No wait in a test lasts longer.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Long enough for an event that is wrongly on its way to arrive.
pub const QUIET: Duration = Duration::from_millis(15);

/// Makes a test of each function for each backend.
macro_rules! every_backend {
    ($($(#[$attribute:meta])* fn $name:ident($backend:ident) $body:block)+) => {$(
        $(#[$attribute])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn run($backend: wakeful::Backend) $body

            #[test]
            fn epoll() {
                crate::common::on(wakeful::Backend::Epoll, run);
            }

            #[test]
            fn kqueue() {
                crate::common::on(wakeful::Backend::Kqueue, run);
            }

            #[test]
            fn event_ports() {
                crate::common::on(wakeful::Backend::EventPorts, run);
            }

            #[test]
            fn poll() {
                crate::common::on(wakeful::Backend::Poll, run);
            }
        }
    )+};
}

#[allow(unused_imports)]
pub(crate) use every_backend;

/// No test lasts longer, whatever it waits for.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs a test where its backend exists, on a thread of its own, so that one that hangs fails.
pub fn on(backend: Backend, run: fn(Backend)) {
    if !Backend::available().contains(&backend) {
        return;
    }
    let (done, is_done) = mpsc::channel();
    let name = thread::current().name().unwrap_or("test").to_owned();
    let test = move || {
        // Dropped, and so disconnected, when the test ends in whatever way.
        let _done: mpsc::Sender<()> = done;
        run(backend);
    };
    let thread = thread::Builder::new().name(name).spawn(test).unwrap();
    if is_done.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The backend that is taken without asking.
pub fn best() -> Backend {
    Backend::available()[0]
}

/// A poller and its buffer.
pub struct Loop {
    pub poll: Poll,
    pub events: Events,
}

impl Loop {
    pub fn new(backend: Backend) -> Loop {
        Loop::with_capacity(backend, 64)
    }

    pub fn with_capacity(backend: Backend, capacity: usize) -> Loop {
        let poll = Poll::builder().backend(backend).build().unwrap();
        Loop { poll, events: Events::with_capacity(capacity) }
    }

    /// As it is after a first change of interest, from which a poller learns that there are such.
    pub fn after_a_change(mut self) -> Loop {
        let (_sender, receiver) = pipe::new().unwrap();
        let mut receiver =
            self.registry().register_owned(receiver, Token(0), Interest::READABLE).unwrap();
        receiver.set_interest(Interest::READABLE.with_trigger(Trigger::Level)).unwrap();
        assert!(self.poll(Duration::ZERO).is_empty());
        drop(receiver);
        self
    }

    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// One poll; answers with copies of its events.
    pub fn poll(&mut self, timeout: Duration) -> Vec<Event> {
        self.poll.poll(&mut self.events, Some(timeout)).unwrap();
        self.events.iter().copied().collect()
    }

    /// The first event of this token that satisfies the condition; others are dropped.
    #[track_caller]
    pub fn expect(&mut self, token: Token, condition: impl Fn(&Event) -> bool) -> Event {
        let start = Instant::now();
        let mut others = Vec::new();
        while start.elapsed() < DEADLINE {
            for event in self.poll(DEADLINE) {
                if event.token() == token && condition(&event) {
                    return event;
                }
                others.push(event);
            }
        }
        panic!("no event of {token:?} as expected, only {others:?}");
    }

    #[track_caller]
    pub fn expect_readable(&mut self, token: Token) -> Event {
        self.expect(token, Event::is_readable)
    }

    #[track_caller]
    pub fn expect_writable(&mut self, token: Token) -> Event {
        self.expect(token, Event::is_writable)
    }

    /// Nothing at all happens for a while.
    #[track_caller]
    pub fn expect_silence(&mut self) {
        let events = self.poll(QUIET);
        assert!(events.is_empty(), "silence expected, found {events:?}");
    }
}

/// Calls until it answers with `WouldBlock`, a bounded number of times.
#[track_caller]
pub fn until_would_block(mut operation: impl FnMut() -> std::io::Result<usize>) -> usize {
    let mut total = 0;
    for _ in 0..1_000_000 {
        match operation() {
            Ok(count) => total += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return total,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it never blocks");
}
