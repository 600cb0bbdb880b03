//! A burst of signals, told as events.

use std::time::Duration;

use anyhow::Result;
use wakeful::signal::{Signal, Signals};

use crate::row::Row;

/// As many are raised before anybody looks.
const BURST: usize = 100;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("signals in bursts of 100", "signal")
            .candidate("wakeful", Wakeful::new, Wakeful::run)
            .candidate("signal-hook", Hook::new, Hook::run)
            .goal("signal-hook", 1.0)
            .remark("wakeful counts each of them, signal-hook-mio tells that there were some"),
    ]
}

fn raise(signal: i32) {
    // SAFETY: a handler is there, which is async-signal-safe.
    unsafe { libc::raise(signal) };
}

struct Wakeful {
    poll: wakeful::Poll,
    events: wakeful::Events,
    signals: wakeful::Registered<Signals>,
}

impl Wakeful {
    fn new() -> Result<Wakeful> {
        let poll = wakeful::Poll::new()?;
        let signals = Signals::new([Signal::USER1])?;
        let (token, interest) = (wakeful::Token(0), wakeful::Interest::READABLE);
        let signals = poll.registry().register_owned(signals, token, interest)?;
        Ok(Wakeful { poll, events: wakeful::Events::with_capacity(8), signals })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        let (mut left, mut seen) = (count, 0);
        while left > 0 {
            let burst = left.min(BURST);
            (0..burst).for_each(|_| raise(libc::SIGUSR1));
            left -= burst;
            self.poll.poll(&mut self.events, Some(Duration::from_secs(10)))?;
            seen += self.signals.pending().iter().map(|it| it.count as usize).sum::<usize>();
        }
        assert_eq!(seen, count);
        Ok(())
    }
}

struct Hook {
    poll: mio::Poll,
    events: mio::Events,
    signals: signal_hook_mio::v1_0::Signals,
}

impl Hook {
    fn new() -> Result<Hook> {
        let poll = mio::Poll::new()?;
        let mut signals = signal_hook_mio::v1_0::Signals::new([libc::SIGUSR2])?;
        poll.registry().register(&mut signals, mio::Token(0), mio::Interest::READABLE)?;
        Ok(Hook { poll, events: mio::Events::with_capacity(8), signals })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let burst = left.min(BURST);
            (0..burst).for_each(|_| raise(libc::SIGUSR2));
            left -= burst;
            self.poll.poll(&mut self.events, Some(Duration::from_secs(10)))?;
            assert!(self.signals.pending().count() > 0);
        }
        Ok(())
    }
}
