//! A timer of the kernel, and deadlines in user space.

use std::time::{Duration, Instant};

use wakeful::event::Event;
use wakeful::time::Timer;
use wakeful::{Interest, Registered};

use super::{Act, Stage};

const PERIOD: Duration = Duration::from_millis(15);
const PERIODS: u64 = 3;
const DEADLINES: usize = 3;

/// The timer is the first source, the deadlines those after it.
const TIMER: usize = 0;

struct Time {
    timer: Registered<Timer>,
    periods: u64,
    due: [Instant; DEADLINES],
    passed: usize,
}

pub(super) fn begin(stage: &mut Stage<'_>) -> anyhow::Result<Box<dyn Act>> {
    let timer =
        stage.registry.register_owned(Timer::new()?, stage.token(TIMER), Interest::READABLE)?;
    timer.set_interval(PERIOD)?;
    let now = Instant::now();
    let due = [1, 2, 3].map(|number| now + number * PERIOD / 2);
    // The last one first.
    for (number, &deadline) in due.iter().enumerate().rev() {
        let token = stage.token(TIMER + 1 + number);
        stage.timers.insert(deadline, token)?;
    }
    stage.say(format_args!("a timer every {PERIOD:?}, and {DEADLINES} deadlines"))?;
    Ok(Box::new(Time { timer, periods: 0, due, passed: 0 }))
}

impl Act for Time {
    fn name(&self) -> &'static str {
        "time"
    }

    fn promise(&self) -> &'static str {
        "a timer of the kernel is counted, and deadlines pass in their order"
    }

    fn ready(&mut self, _: &Event, source: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        if source == TIMER {
            self.periods += self.timer.expirations()?;
            stage.say(format_args!("periods of the timer so far: {}", self.periods))?;
            if self.periods >= PERIODS {
                self.timer.disarm()?;
            }
            return Ok(());
        }
        let number = source - TIMER - 1;
        anyhow::ensure!(number == self.passed, "deadline {number} before {}", self.passed);
        self.passed += 1;
        let late = self.due[number].elapsed();
        stage.say(format_args!("deadline {} passed {late:.1?} ago", number + 1))?;
        Ok(())
    }

    fn missing(&self) -> String {
        let periods = PERIODS.saturating_sub(self.periods);
        match (periods, DEADLINES - self.passed) {
            (0, 0) => String::new(),
            (periods, deadlines) => format!("{periods} periods, {deadlines} deadlines"),
        }
    }
}
