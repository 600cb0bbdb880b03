use std::time::{Duration, SystemTime};

use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_TIMER`—A time is over.
///
/// The finest unit that the system has is taken, and what is finer still is rounded up: never early. Adding a
/// timer that there is sets it anew. Reported with [`Mode::Clear`](crate::kqueue::Mode::Clear), whichever mode is
/// asked for, and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    id: usize,
    when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    After(Duration),
    Every(Duration),
    At(SystemTime),
}

impl Timer {
    /// Once, when so much time has passed, by a number of the caller's.
    pub fn after(id: usize, time: Duration) -> Timer {
        Timer { id, when: When::After(time) }
    }

    /// Again and again. A period of nothing is one of the least there is.
    pub fn every(id: usize, period: Duration) -> Timer {
        Timer { id, when: When::Every(period) }
    }

    /// `NOTE_ABSTIME`—Once, at a time of day, even if the clock is set. Not on DragonFly.
    #[doc(alias = "NOTE_ABSTIME")]
    #[doc(alias = "NOTE_ABSOLUTE")]
    pub fn at(id: usize, time: SystemTime) -> Timer {
        Timer { id, when: When::At(time) }
    }
}

impl Subject for Timer {
    fn describe(&self, system: &System) -> Result<Description, BuildError> {
        let mut description = Description::new(system, Filter::Timer, self.id)?;
        let time = match self.when {
            When::After(time) => {
                description.is_once = true;
                time
            }
            When::Every(period) => period.max(Duration::from_nanos(1)),
            When::At(time) => {
                let missing = Some("time of day");
                let error = BuildError { filter: Filter::Timer, missing };
                description.fflags = system.timer.absolute.ok_or(error)?;
                description.is_once = true;
                // Before 1970 it is over in any case.
                time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
            }
        };
        let (unit, amount) = amount(system, time);
        description.fflags |= unit;
        description.data = amount;
        Ok(description)
    }
}

/// In the finest unit in which the number can be said.
fn amount(system: &System, time: Duration) -> (u32, i64) {
    let units = &system.timer;
    let finest_first = [
        (units.nanoseconds, 1),
        (units.microseconds, 1_000),
        (Some(units.milliseconds), 1_000_000),
        (units.seconds, 1_000_000_000),
    ];
    let mut available = finest_first.iter().filter_map(|&(unit, length)| Some((unit?, length)));
    let fits = available.find_map(|(unit, length)| {
        let amount = i64::try_from(time.as_nanos().div_ceil(length)).ok()?;
        // Kernels count nanoseconds in 63 bits whatever the unit, and some their number in 31.
        let is_safe = length == 1 || amount < i64::from(i32::MAX);
        is_safe.then_some((unit, amount))
    });
    fits.unwrap_or((units.seconds.unwrap_or(units.milliseconds), i64::from(i32::MAX)))
}
