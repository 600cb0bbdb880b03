//! Short waits: how much longer they take than they should.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use wakeful_kernel::linux::{Clock as KernelClock, Expiry, TimerFd, set_timer_slack};

use super::sockets::RawEpoll;
use crate::clock::Clock;
use crate::latency::samples;
use crate::row::Row;

pub(super) fn rows() -> Vec<Row> {
    let waits = [50, 250].map(Duration::from_micros);
    waits.into_iter().flat_map(|wait| [with_slack(wait), without_slack(wait)]).collect()
}

fn with_slack(wait: Duration) -> Row {
    Row::new(format!("a wait of {} µs: overshoot", wait.as_micros()), "wait")
        .clock(Clock::Wall)
        .measured("wakeful", poller, move |(poll, events), count| {
            mean(wait, count, || Ok(poll.poll(events, Some(wait))?))
        })
        .measured(
            "mio",
            || Ok((mio::Poll::new()?, mio::Events::with_capacity(8))),
            move |(poll, events), count| mean(wait, count, || Ok(poll.poll(events, Some(wait))?)),
        )
        .goal("mio", 0.10)
        .remark(
            "mio waits for whole milliseconds, and so the longer for the shorter waits; more than half of wakeful's are the \
             50 µs by which the kernel lets a thread be late by default: see without timer slack",
        )
}

fn without_slack(wait: Duration) -> Row {
    Row::new(format!("a wait of {} µs, without timer slack: overshoot", wait.as_micros()), "wait")
        .clock(Clock::Wall)
        .measured("wakeful", poller, move |(poll, events), count| {
            set_timer_slack(Some(Duration::ZERO))?;
            let result = mean(wait, count, || Ok(poll.poll(events, Some(wait))?));
            set_timer_slack(None)?;
            result
        })
        .measured("timerfd", timer, move |(epoll, timer), count| {
            mean(wait, count, || {
                timer.set(Expiry::After(wait), None)?;
                epoll.wait(-1)?;
                Ok(())
            })
        })
        .goal("timerfd", 1.2)
        .remark(
            "by default a thread's waits may take 50 µs longer, for wakeful as for every other, but not \
             those of a timerfd; here the thread has asked for exact ones by one call of set_timer_slack",
        )
}

fn poller() -> Result<(wakeful::Poll, wakeful::Events)> {
    Ok((wakeful::Poll::new()?, wakeful::Events::with_capacity(8)))
}

fn timer() -> Result<(RawEpoll, TimerFd)> {
    let (epoll, timer) = (RawEpoll::new(8)?, TimerFd::new(KernelClock::Monotonic)?);
    epoll.add(timer.as_raw_fd(), libc::EPOLLIN | libc::EPOLLET, 0)?;
    Ok((epoll, timer))
}

/// Of each, one by one, beyond the wait.
pub(crate) fn overshoots(wait: Duration, count: usize) -> Result<Vec<(String, Vec<f64>)>> {
    let (mut poll, mut events) = (wakeful::Poll::new()?, wakeful::Events::with_capacity(8));
    let wakeful = samples(count, || Ok(poll.poll(&mut events, Some(wait))?))?;
    let (mut poll, mut events) = (mio::Poll::new()?, mio::Events::with_capacity(8));
    let mio = samples(count, || Ok(poll.poll(&mut events, Some(wait))?))?;
    let beyond = |all: Vec<f64>| all.into_iter().map(|it| it - wait.as_micros() as f64).collect();
    Ok(vec![("wakeful".to_owned(), beyond(wakeful)), ("mio".to_owned(), beyond(mio))])
}

/// The overshoot of all together, so that the harness, which divides, has that of each.
fn mean(wait: Duration, count: usize, mut once: impl FnMut() -> Result<()>) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for _ in 0..count {
        let start = Instant::now();
        once()?;
        total += start.elapsed().saturating_sub(wait);
    }
    Ok(total.max(Duration::from_nanos(1)))
}
