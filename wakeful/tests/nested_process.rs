//! The end of a process under an edge, where it is told by a queue of the kernel's of its own, and elsewhere. In a file of
//! its own: the end of a child may interrupt the waits of other tests.

#![cfg(unix)]

mod common;

use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::{DEADLINE, Loop, every_backend};
use wakeful::process::{Exit, Outcome};
use wakeful::signal::Signal;
use wakeful::{Interest, Token};

const TOKEN: Token = Token(3);
const EDGE: Interest = Interest::READABLE;

/// As [`Loop::expect_readable`]: where a signal tells of the end of a process it may interrupt.
#[track_caller]
fn expect_despite_signals(events: &mut Loop, token: Token) {
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        match events.poll.poll(&mut events.events, Some(DEADLINE)) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
            Ok(()) if events.events.iter().any(|event| event.token() == token) => return,
            Ok(()) => {}
        }
    }
    panic!("no event of {token:?}");
}

every_backend! {
    fn the_end_of_a_process_stays(backend) {
        let mut events = Loop::new(backend);
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let mut exit = events.registry().register_owned(Exit::new(child).unwrap(), TOKEN, EDGE).unwrap();
        assert_eq!(exit.try_wait().unwrap(), None);
        exit.send_signal(Signal::TERMINATE).unwrap();
        let outcome = loop {
            expect_despite_signals(&mut events, TOKEN);
            if let Some(outcome) = exit.try_wait().unwrap() {
                break outcome;
            }
        };
        assert!(matches!(outcome, Outcome::Status(status) if !status.success()));
        for token in [Token(8), Token(9)] {
            exit.set_token(token).unwrap();
            expect_despite_signals(&mut events, token);
        }
    }
}
