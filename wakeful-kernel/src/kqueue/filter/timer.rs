use std::time::{Duration, SystemTime};

use super::{Description, Filter, Subject};
use crate::kqueue::{BuildError, System};

/// `EVFILT_TIMER`—A time is over.
///
/// What is finer than the system's finest unit is rounded up: never early. Adding a
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

/// Longer than anyone waits, and short enough for every kernel to add it to its clock.
const LONGEST: Duration = Duration::from_secs(1_000_000_000);

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
                // Not every kernel takes zero.
                time.clamp(Duration::from_nanos(1), LONGEST)
            }
            When::Every(period) => period.clamp(Duration::from_nanos(1), LONGEST),
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

/// Whole milliseconds as such, since older kernels know no other unit, and the rest in the coarsest unit that says
/// it exactly; what cannot be said exactly is rounded up.
fn amount(system: &System, time: Duration) -> (u32, i64) {
    let units = &system.timer;
    let coarsest_first = [
        (Some(units.milliseconds), 1_000_000),
        (units.microseconds, 1_000),
        (units.nanoseconds, 1),
        (units.seconds, 1_000_000_000),
    ];
    let available = || coarsest_first.iter().filter_map(|&(unit, length)| Some((unit?, length)));
    let in_units_of = |(unit, length): (u32, u128)| {
        let amount = i64::try_from(time.as_nanos().div_ceil(length)).ok()?;
        // Kernels count nanoseconds in 63 bits whatever the unit, and some their number in 31.
        let is_safe = length == 1 || amount < i64::from(i32::MAX);
        is_safe.then_some((unit, amount))
    };
    let exact = available().filter(|&(_, length)| time.as_nanos() % length == 0);
    let rounded = available().filter(|&(_, length)| time.as_nanos() % length != 0).rev();
    let longest = (units.seconds.unwrap_or(units.milliseconds), i64::from(i32::MAX));
    exact.chain(rounded).find_map(in_units_of).unwrap_or(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kqueue::system::{APPLE, DRAGONFLY, FREEBSD, NETBSD};

    #[test]
    fn each_time_in_a_unit_that_says_it() {
        let (ms, us, ns) = (Duration::from_millis, Duration::from_micros, Duration::from_nanos);
        for (system, time, expected) in [
            (&FREEBSD, ms(1500), (2, 1500)),
            (&FREEBSD, us(1500), (4, 1500)),
            (&FREEBSD, ns(1501), (8, 1501)),
            (&NETBSD, ms(20), (0, 20)),
            (&NETBSD, us(1), (2, 1)),
            (&APPLE, ns(7), (4, 7)),
            (&DRAGONFLY, us(1500), (0, 2)),
            (&DRAGONFLY, ns(1), (0, 1)),
            (&FREEBSD, LONGEST, (8, 1_000_000_000 * 1_000_000_000)),
            (&FREEBSD, Duration::MAX, (1, i64::from(i32::MAX))),
            (&DRAGONFLY, Duration::MAX, (0, i64::from(i32::MAX))),
        ] {
            assert_eq!(amount(system, time), expected, "{} {time:?}", system.name);
        }
    }
}
