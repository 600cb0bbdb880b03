//! Trigger × direction × kind of source, on every backend.

#![cfg(unix)]

mod common;

use common::subject::Subject;
use common::{Loop, every_backend};
use wakeful::{Interest, Token, Trigger};

const TOKEN: Token = Token(usize::MAX);

fn readers() -> impl Iterator<Item = Subject> {
    Subject::all().into_iter().filter(|subject| subject.reads).inspect(announce)
}

fn writers() -> impl Iterator<Item = Subject> {
    Subject::all().into_iter().filter(|subject| subject.writes).inspect(announce)
}

/// Of ours, and without boundaries between what is written.
fn is_stream(subject: &Subject) -> bool {
    ["tcp", "unix stream", "pipe receiver", "pipe sender"].contains(&subject.name)
}

/// The last line before a failure tells which kind it was.
fn announce(subject: &Subject) {
    println!("{}", subject.name);
}

every_backend! {
    fn edge_reading(backend) {
        for mut subject in readers() {
            let mut events = Loop::new(backend);
            let interest = Interest::READABLE;
            events.registry().register(&mut *subject.source, TOKEN, interest).unwrap();
            events.expect_silence();
            for _ in 0..3 {
                subject.make_readable();
                events.expect_readable(TOKEN);
                events.expect_silence();
                subject.drain();
                subject.rearm_if_bare(events.registry(), TOKEN, interest);
                events.expect_silence();
            }
        }
    }

    fn edge_ready_before_registration(backend) {
        for mut subject in readers() {
            let mut events = Loop::new(backend);
            subject.make_readable();
            events.registry().register(&mut *subject.source, TOKEN, Interest::READABLE).unwrap();
            events.expect_readable(TOKEN);
            events.expect_silence();
            events.registry().reregister(&mut *subject.source, TOKEN, Interest::READABLE).unwrap();
            events.expect_readable(TOKEN);
        }
    }

    fn level_reading(backend) {
        for mut subject in readers() {
            let mut events = Loop::new(backend);
            let interest = Interest::READABLE.with_trigger(Trigger::Level);
            events.registry().register(&mut *subject.source, TOKEN, interest).unwrap();
            for _ in 0..3 {
                events.expect_silence();
                subject.make_readable();
                events.expect_readable(TOKEN);
                events.expect_readable(TOKEN);
                subject.drain();
            }
        }
    }

    fn oneshot_reading(backend) {
        for trigger in [Trigger::Oneshot, Trigger::EdgeOneshot] {
            for mut subject in readers() {
                let mut events = Loop::new(backend);
                let interest = Interest::READABLE.with_trigger(trigger);
                events.registry().register(&mut *subject.source, TOKEN, interest).unwrap();
                subject.make_readable();
                events.expect_readable(TOKEN);
                events.expect_silence();
                subject.make_readable();
                events.expect_silence();
                // Draining arms an edge, never a one-shot.
                subject.drain();
                subject.make_readable();
                events.expect_silence();
                events.registry().reregister(&mut *subject.source, TOKEN, interest).unwrap();
                events.expect_readable(TOKEN);
                events.expect_silence();
            }
        }
    }

    fn edge_writing(backend) {
        for mut subject in writers() {
            let mut events = Loop::new(backend);
            let interest = Interest::WRITABLE;
            events.registry().register(&mut *subject.source, TOKEN, interest).unwrap();
            events.expect_writable(TOKEN);
            events.expect_silence();
            if !subject.fills {
                continue;
            }
            for _ in 0..2 {
                subject.fill();
                subject.rearm_if_bare(events.registry(), TOKEN, interest);
                subject.make_writable();
                events.expect_writable(TOKEN);
            }
        }
    }

    fn level_writing(backend) {
        for mut subject in writers() {
            let mut events = Loop::new(backend);
            let interest = Interest::WRITABLE.with_trigger(Trigger::Level);
            events.registry().register(&mut *subject.source, TOKEN, interest).unwrap();
            events.expect_writable(TOKEN);
            events.expect_writable(TOKEN);
            if subject.fills && subject.name != "tcp" {
                // A TCP socket may get room again by itself, when the peer's kernel acknowledges.
                subject.fill();
                events.expect_silence();
                subject.make_writable();
                events.expect_writable(TOKEN);
            }
        }
    }

    fn oneshot_writing(backend) {
        for trigger in [Trigger::Oneshot, Trigger::EdgeOneshot] {
            for mut subject in writers() {
                let mut events = Loop::new(backend);
                let interest = Interest::WRITABLE.with_trigger(trigger);
                events.registry().register(&mut *subject.source, TOKEN, interest).unwrap();
                events.expect_writable(TOKEN);
                events.expect_silence();
                events.registry().reregister(&mut *subject.source, TOKEN, interest).unwrap();
                events.expect_writable(TOKEN);
                events.expect_silence();
            }
        }
    }

    /// Who reads less than there was room for need not read on to know that it was all.
    fn a_short_read_drains(backend) {
        for mut subject in readers().filter(is_stream) {
            let mut events = Loop::new(backend);
            let interest = Interest::READABLE;
            events.registry().register(&mut *subject.source, TOKEN, interest).unwrap();
            for _ in 0..3 {
                subject.make_readable();
                events.expect_readable(TOKEN);
                let read = subject.source.read(&mut [0; 64]).unwrap();
                assert!(0 < read && read < 64, "{read}");
                events.expect_silence();
            }
        }
    }

    /// Who wrote less than there was need not write on to know that it is full.
    fn a_short_write_fills(backend) {
        let much = vec![0; 64 << 20];
        for mut subject in writers().filter(is_stream) {
            let mut events = Loop::new(backend);
            let interest = Interest::WRITABLE;
            events.registry().register(&mut *subject.source, TOKEN, interest).unwrap();
            for _ in 0..3 {
                events.expect_writable(TOKEN);
                let written = subject.source.write(&much).unwrap();
                assert!(written < much.len());
                subject.make_writable();
            }
        }
    }

    fn both_directions_at_once(backend) {
        for mut subject in writers().filter(|subject| subject.reads) {
            let mut events = Loop::new(backend);
            let both = Interest::READABLE | Interest::WRITABLE;
            events.registry().register(&mut *subject.source, TOKEN, both).unwrap();
            let event = events.expect_writable(TOKEN);
            assert!(!event.is_readable(), "{event:?}");
            subject.make_readable();
            events.expect_readable(TOKEN);
            subject.drain();
            subject.rearm_if_bare(events.registry(), TOKEN, both);
            subject.make_readable();
            events.expect_readable(TOKEN);
        }
    }

    fn a_direction_not_asked_for_is_not_reported(backend) {
        for mut subject in writers().filter(|subject| subject.reads) {
            let mut events = Loop::new(backend);
            let registry = events.registry();
            registry.register(&mut *subject.source, TOKEN, Interest::ERROR).unwrap();
            subject.make_readable();
            events.expect_silence();
            let readable = Interest::READABLE.with_trigger(Trigger::Level);
            events.registry().reregister(&mut *subject.source, TOKEN, readable).unwrap();
            let event = events.expect_readable(TOKEN);
            assert!(!event.is_writable(), "{event:?}");
        }
    }

    fn deregistered_is_silent(backend) {
        for mut subject in readers() {
            let mut events = Loop::new(backend);
            let level = Interest::READABLE.with_trigger(Trigger::Level);
            events.registry().register(&mut *subject.source, TOKEN, level).unwrap();
            subject.make_readable();
            events.expect_readable(TOKEN);
            events.registry().deregister(&mut *subject.source).unwrap();
            events.expect_silence();
            let error = events.registry().deregister(&mut *subject.source).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
            let error =
                events.registry().reregister(&mut *subject.source, TOKEN, level).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        }
    }
}
