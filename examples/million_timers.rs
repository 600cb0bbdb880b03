//! A million deadlines in one poller, half of which are cancelled, beside std's binary heap.
//!
//! ```sh
//! cargo run --release --example million_timers [COUNT]
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wakeful::{Events, Poll, Token};

fn main() -> ExitCode {
    wakeful_examples::end(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).unwrap_or_else(|| "1000000".to_owned());
    let count: usize =
        count.parse().map_err(|_| format!("COUNT is a number of timers, not {count:?}"))?;
    // In the past, so that nobody has to wait for them.
    let start = Instant::now();
    let spread = Duration::from_secs(60);
    let first = start.checked_sub(spread).ok_or("the clock has not come so far")?;
    let deadlines: Vec<Instant> = random(count).map(|part| first + spread.mul_f64(part)).collect();

    let mut poll = Poll::new()?;
    let mut keys = Vec::with_capacity(count);
    let timed = Instant::now();
    for (number, &deadline) in deadlines.iter().enumerate() {
        keys.push(poll.timers().insert(deadline, Token(number))?);
    }
    tell("inserted", count, timed.elapsed());
    let timed = Instant::now();
    let cancelled = keys.iter().step_by(2).filter(|&&key| poll.timers().cancel(key)).count();
    tell("cancelled", cancelled, timed.elapsed());

    let mut events = Events::with_capacity(1024);
    let mut reported = Vec::with_capacity(count);
    let timed = Instant::now();
    while !poll.timers().is_empty() {
        poll.poll(&mut events, Some(Duration::ZERO))?;
        reported.extend(events.iter().map(|event| event.token()));
    }
    tell("reported", reported.len(), timed.elapsed());

    let timed = Instant::now();
    let mut heap: BinaryHeap<_> = deadlines.iter().copied().zip(0..).map(Reverse).collect();
    let mut expired = 0;
    while let Some(Reverse((_, number))) = heap.pop() {
        // A heap cannot cancel, so it is asked what was.
        let number: usize = number;
        expired += number % 2;
    }
    tell("expired by a binary heap", expired, timed.elapsed());

    let in_order = reported.windows(2).all(|pair| deadlines[pair[0].0] <= deadlines[pair[1].0]);
    if !in_order || reported.len() + cancelled != count {
        return Err("timers were lost, or out of order".into());
    }
    println!("every timer once, in the order of the deadlines");
    Ok(())
}

fn tell(what: &str, count: usize, time: Duration) {
    println!("{what}: {count}, {} ns each", time.as_nanos() / count.max(1) as u128);
}

/// Numbers from 0 to 1 (Marsaglia's xorshift).
fn random(count: usize) -> impl Iterator<Item = f64> {
    let mut state = 88_172_645_463_325_252_u64;
    (0..count).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
}
