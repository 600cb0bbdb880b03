//! Two connected sockets, one of which is registered: with wakeful, and with mio.

use std::io::Read;

use anyhow::Result;

use super::sockets::{Kind, Socket};

pub(super) const MESSAGE: &[u8] = b"ping";

pub(super) struct WakefulPair {
    pub(super) poll: wakeful::Poll,
    pub(super) events: wakeful::Events,
    pub(super) left: Socket,
    pub(super) right: wakeful::Registered<wakeful::net::UnixStream>,
}

impl WakefulPair {
    pub(super) fn new(kind: Kind) -> Result<WakefulPair> {
        let (left, right) = kind.pair()?;
        let poll = wakeful::Poll::new()?;
        let right = wakeful::net::UnixStream::from(right);
        let interest = wakeful::Interest::READABLE;
        let right = poll.registry().register_owned(right, wakeful::Token(0), interest)?;
        Ok(WakefulPair {
            poll,
            events: wakeful::Events::with_capacity(64),
            left: left.into(),
            right,
        })
    }

    /// As many messages, each waited for.
    pub(super) fn run(&mut self, count: usize) -> Result<()> {
        let mut buffer = [0; 64];
        for _ in 0..count {
            self.left.send(MESSAGE)?;
            self.poll.poll(&mut self.events, None)?;
            for event in &self.events {
                debug_assert!(event.is_readable());
                // Less than was asked for: drained.
                assert_eq!((&*self.right).read(&mut buffer)?, MESSAGE.len());
            }
        }
        Ok(())
    }
}

pub(super) struct MioPair {
    pub(super) poll: mio::Poll,
    pub(super) events: mio::Events,
    pub(super) left: Socket,
    pub(super) right: mio::net::UnixStream,
}

impl MioPair {
    pub(super) fn new(kind: Kind) -> Result<MioPair> {
        let (left, right) = kind.pair()?;
        let poll = mio::Poll::new()?;
        let mut right = mio::net::UnixStream::from_std(right.into());
        poll.registry().register(&mut right, mio::Token(0), mio::Interest::READABLE)?;
        Ok(MioPair { poll, events: mio::Events::with_capacity(64), left: left.into(), right })
    }

    /// As many messages, each waited for.
    pub(super) fn run(&mut self, count: usize) -> Result<()> {
        let mut buffer = [0; 64];
        for _ in 0..count {
            self.left.send(MESSAGE)?;
            self.poll.poll(&mut self.events, None)?;
            for event in &self.events {
                debug_assert!(event.is_readable());
                assert_eq!(self.right.read(&mut buffer)?, MESSAGE.len());
            }
        }
        Ok(())
    }
}
