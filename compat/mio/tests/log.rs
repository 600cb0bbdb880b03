//! With the feature `log`, registrations are traced.

#![cfg(feature = "log")]

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};
use mio::net::UdpSocket;
use mio::{Interest, Poll, Token};

struct Recorder(Mutex<Vec<String>>);

impl Log for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() == Level::Trace && record.target().starts_with("mio") {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

static RECORDER: Recorder = Recorder(Mutex::new(Vec::new()));

#[test]
fn registrations_are_traced() {
    log::set_logger(&RECORDER).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let poll = Poll::new().unwrap();
    let mut socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    poll.registry().register(&mut socket, Token(3), Interest::READABLE).unwrap();
    poll.registry().reregister(&mut socket, Token(4), Interest::WRITABLE).unwrap();
    poll.registry().deregister(&mut socket).unwrap();
    let traces = RECORDER.0.lock().unwrap();
    assert_eq!(traces.len(), 3, "{traces:?}");
    assert!(traces[0].contains("Token(3)") && traces[0].contains("READABLE"), "{traces:?}");
    assert!(traces[1].contains("Token(4)") && traces[1].contains("WRITABLE"), "{traces:?}");
}
