//! How long single things take, one by one: for histograms, where a median says too little.

use std::time::{Duration, Instant};

use crate::workloads::{overshoots, round_trips};
use anyhow::Result;

/// So many of each.
const ROUND_TRIPS: usize = 20_000;
const WAITS: usize = 2000;

/// What was timed, by whom, and each time in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    pub(crate) what: String,
    pub(crate) of: Vec<(String, Vec<f64>)>,
}

/// All that there are.
pub(crate) fn all() -> Result<Vec<Latencies>> {
    let wait = Duration::from_micros(50);
    Ok(vec![
        Latencies {
            what: "waking a sleeping poller, there and back".to_owned(),
            of: round_trips(ROUND_TRIPS)?,
        },
        Latencies { what: "a wait of 50 µs: overshoot".to_owned(), of: overshoots(wait, WAITS)? },
    ])
}

/// Times each call, in microseconds.
pub(crate) fn samples(count: usize, mut once: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    (0..count)
        .map(|_| {
            let start = Instant::now();
            once()?;
            Ok(start.elapsed().as_nanos() as f64 / 1000.0)
        })
        .collect()
}
