//! One message at a time between two sockets on one thread: write, wait, read.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use anyhow::Result;

use super::foreign::{Libevent, Libuv};
use super::pairs::{MESSAGE, MioPair, WakefulPair};
use super::sockets::{Kind, RawEpoll, Socket};
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    Kind::ALL.into_iter().map(row).collect()
}

fn row(kind: Kind) -> Row {
    Row::new(format!("ping-pong, {}", kind.name()), "hop")
        .counted()
        .fresh()
        .parts(8)
        .candidate("wakeful", move || WakefulPair::new(kind), WakefulPair::run)
        .candidate("raw epoll", move || Raw::new(kind), Raw::run)
        .candidate("mio", move || MioPair::new(kind), MioPair::run)
        .candidate("polling", move || Polling::new(kind), Polling::run)
        .candidate("calloop", move || Calloop::new(kind), Calloop::run)
        .candidate("libevent", move || Libevent::new(kind), Libevent::run)
        .candidate("libuv", move || Libuv::new(kind), Libuv::run)
        .candidate("no poller", move || kind.pair(), send_and_receive)
        .goal("mio", 1.0)
        .goal("raw epoll", 1.02)
        .goal("polling", 0.65)
        .remark(
            "a poll of wakeful asks for timers, wakers and changes of interest in some fifty instructions, where mio's has \
             none of them: about a hundredth of a hop; polling makes eight system calls a hop, the others three, but over \
             TCP two of them are most of the cost: not even without a poller would it be 0.65",
        )
}

/// What is left without waiting: the message is there.
fn send_and_receive((left, right): &mut (OwnedFd, OwnedFd), count: usize) -> Result<()> {
    let mut buffer = [0; 64];
    let (left, right) = (Socket::from(left.try_clone()?), Socket::from(right.try_clone()?));
    for _ in 0..count {
        left.send(MESSAGE)?;
        assert_eq!(right.receive(&mut buffer)?, MESSAGE.len());
    }
    Ok(())
}

struct Raw {
    epoll: RawEpoll,
    left: Socket,
    right: Socket,
}

impl Raw {
    fn new(kind: Kind) -> Result<Raw> {
        let (left, right) = kind.pair()?;
        let epoll = RawEpoll::new(64)?;
        epoll.add(right.as_raw_fd(), libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET, 0)?;
        Ok(Raw { epoll, left: left.into(), right: right.into() })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        let mut buffer = [0; 64];
        for _ in 0..count {
            self.left.send(MESSAGE)?;
            for _ in 0..self.epoll.wait(-1)? {
                assert_eq!(self.right.receive(&mut buffer)?, MESSAGE.len());
            }
        }
        Ok(())
    }
}

struct Polling {
    poller: polling::Poller,
    events: polling::Events,
    left: Socket,
    right: Socket,
}

impl Polling {
    fn new(kind: Kind) -> Result<Polling> {
        let (left, right) = kind.pair()?;
        let (left, right): (Socket, Socket) = (left.into(), right.into());
        let poller = polling::Poller::new()?;
        // SAFETY: the poller is dropped first.
        unsafe { poller.add(&right, polling::Event::readable(0))? };
        Ok(Polling { poller, events: polling::Events::new(), left, right })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        let mut buffer = [0; 64];
        for _ in 0..count {
            self.left.send(MESSAGE)?;
            self.events.clear();
            self.poller.wait(&mut self.events, None)?;
            for _ in self.events.iter() {
                assert_eq!(self.right.receive(&mut buffer)?, MESSAGE.len());
                // One-shot, its default.
                self.poller.modify(&self.right, polling::Event::readable(0))?;
            }
        }
        Ok(())
    }
}

struct Calloop {
    events: calloop::EventLoop<'static, ()>,
    left: Socket,
}

impl Calloop {
    fn new(kind: Kind) -> Result<Calloop> {
        let (left, right) = kind.pair()?;
        let events = calloop::EventLoop::try_new()?;
        let right = Socket::from(right);
        let source =
            calloop::generic::Generic::new(right, calloop::Interest::READ, calloop::Mode::Edge);
        events
            .handle()
            .insert_source(source, |_, right, ()| {
                let mut buffer = [0; 64];
                right.receive(&mut buffer)?;
                Ok(calloop::PostAction::Continue)
            })
            .map_err(|error| error.error)?;
        Ok(Calloop { events, left: left.into() })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.left.send(MESSAGE)?;
            self.events.dispatch(None::<Duration>, &mut ())?;
        }
        Ok(())
    }
}
