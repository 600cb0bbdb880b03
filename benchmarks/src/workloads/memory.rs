//! What a registration takes of the program's own memory, and what a wait costs that has nothing to report.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::sockets::{Kind, RawEpoll};
use crate::clock::Clock;
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("a wait with nothing to report, with a timer and a waker", "wait")
            .counted()
            .candidate("wakeful", Idle::new, |idle, count| {
                for _ in 0..count {
                    idle.poll.poll(&mut idle.events, Some(Duration::ZERO))?;
                }
                Ok(())
            })
            .candidate("raw epoll", || RawEpoll::new(8), |epoll, count| {
                for _ in 0..count {
                    epoll.wait(0)?;
                }
                Ok(())
            }),
        Row::new("memory of a registration", "registration")
            .clock(Clock::Wall)
            .at_most(1000)
            .measured("wakeful", || Ok(()), |(), count| bytes(count))
            .remark("bytes, where others have ns: what the C library counts as allocated, beside the socket itself"),
    ]
}

struct Idle {
    poll: wakeful::Poll,
    events: wakeful::Events,
    _waker: wakeful::Waker,
}

impl Idle {
    fn new() -> Result<Idle> {
        let mut poll = wakeful::Poll::new()?;
        let waker = wakeful::Waker::new(poll.registry(), wakeful::Token(0))?;
        let later = Instant::now() + Duration::from_secs(100_000);
        poll.timers().insert(later, wakeful::Token(1))?;
        Ok(Idle { poll, events: wakeful::Events::with_capacity(8), _waker: waker })
    }
}

/// As a duration, which is what rows count.
fn bytes(count: usize) -> Result<Duration> {
    let poll = wakeful::Poll::new()?;
    let mut sockets = Vec::new();
    for _ in 0..count {
        let (left, right) = Kind::Unix.pair()?;
        sockets.push((left, wakeful::net::UnixStream::from(right)));
    }
    let before = allocated();
    for (_, socket) in &mut sockets {
        poll.registry().register(socket, wakeful::Token(0), wakeful::Interest::READABLE)?;
    }
    let bytes = allocated().saturating_sub(before);
    Ok(Duration::from_nanos(bytes as u64).max(Duration::from_nanos(1)))
}

/// By the C library, in this process.
fn allocated() -> usize {
    // SAFETY: the call takes nothing.
    unsafe { libc::mallinfo2() }.uordblks
}
