//! Interests that change, and such as do not: a server that asks for room to write before each answer, and no more after it.

use std::io::Read;

use anyhow::Result;

use super::sockets::{Kind, Socket};
use crate::row::Row;

const MESSAGE: &[u8] = b"ping";

pub(super) fn rows() -> Vec<Row> {
    let toggling = |kind: Kind, of_mio| {
        Row::new(format!("write interest on and off, {}", kind.name()), "hop")
            .counted()
            .candidate("wakeful", move || Wakeful::new(kind), |it, count| it.run(count, true))
            .candidate(
                "without toggling",
                move || Wakeful::new(kind),
                |it, count| it.run(count, false),
            )
            .candidate("mio", move || Mio::new(kind), |it, count| it.run(count, true))
            .goal("mio", of_mio)
            .goal("without toggling", 1.03)
            .remark("each change is a system call, as with mio: none is put off until the wait, so that its errors are told \
                     where they arise and another thread's wait sees it at once")
    };
    let redundant = Row::new("the same interest again", "call")
        .counted()
        .candidate("wakeful", || Wakeful::new(Kind::Unix), Wakeful::again)
        .candidate("mio", || Mio::new(Kind::Unix), Mio::again)
        .goal("mio", 0.05);
    vec![toggling(Kind::Unix, 0.80), toggling(Kind::Tcp, 0.90), redundant]
}

struct Wakeful {
    poll: wakeful::Poll,
    events: wakeful::Events,
    left: Socket,
    right: wakeful::Registered<wakeful::net::UnixStream>,
}

impl Wakeful {
    fn new(kind: Kind) -> Result<Wakeful> {
        let (left, right) = kind.pair()?;
        let poll = wakeful::Poll::new()?;
        let right = wakeful::net::UnixStream::from(right);
        let interest = wakeful::Interest::READABLE;
        let right = poll.registry().register_owned(right, wakeful::Token(0), interest)?;
        Ok(Wakeful { poll, events: wakeful::Events::with_capacity(64), left: left.into(), right })
    }

    fn run(&mut self, count: usize, toggles: bool) -> Result<()> {
        use wakeful::Interest;
        let mut buffer = [0; 64];
        for _ in 0..count {
            self.left.send(MESSAGE)?;
            self.poll.poll(&mut self.events, None)?;
            if toggles {
                self.right.set_interest(Interest::READABLE | Interest::WRITABLE)?;
            }
            assert_eq!((&*self.right).read(&mut buffer)?, MESSAGE.len());
            if toggles {
                self.right.set_interest(Interest::READABLE)?;
            }
        }
        Ok(())
    }

    fn again(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.right.set_interest(std::hint::black_box(wakeful::Interest::READABLE))?;
        }
        Ok(())
    }
}

struct Mio {
    poll: mio::Poll,
    events: mio::Events,
    left: Socket,
    right: mio::net::UnixStream,
}

impl Mio {
    fn new(kind: Kind) -> Result<Mio> {
        let (left, right) = kind.pair()?;
        let poll = mio::Poll::new()?;
        let mut right = mio::net::UnixStream::from_std(right.into());
        poll.registry().register(&mut right, mio::Token(0), mio::Interest::READABLE)?;
        Ok(Mio { poll, events: mio::Events::with_capacity(64), left: left.into(), right })
    }

    fn run(&mut self, count: usize, toggles: bool) -> Result<()> {
        use mio::Interest;
        let mut buffer = [0; 64];
        for _ in 0..count {
            self.left.send(MESSAGE)?;
            self.poll.poll(&mut self.events, None)?;
            if toggles {
                let both = Interest::READABLE | Interest::WRITABLE;
                self.poll.registry().reregister(&mut self.right, mio::Token(0), both)?;
            }
            assert_eq!(self.right.read(&mut buffer)?, MESSAGE.len());
            if toggles {
                let one = Interest::READABLE;
                self.poll.registry().reregister(&mut self.right, mio::Token(0), one)?;
            }
        }
        Ok(())
    }

    fn again(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            let interest = std::hint::black_box(mio::Interest::READABLE);
            self.poll.registry().reregister(&mut self.right, mio::Token(0), interest)?;
        }
        Ok(())
    }
}
