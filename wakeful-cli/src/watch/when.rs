//! Spans and points of time, as people write them.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp, ToSpan, Zoned, civil};

/// Every clock can count that far.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// `250ms`, `1m30s`, `2h`, or a number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().map(Duration::try_from_secs_f64);
    let parsed = match seconds {
        Some(Ok(duration)) => Some(duration),
        Some(Err(_)) => None,
        None => text.parse::<SignedDuration>().ok().and_then(|it| Duration::try_from(it).ok()),
    };
    match parsed {
        Some(duration) if duration <= LONGEST => Ok(duration),
        Some(_) => Err("that is longer than a hundred years".to_owned()),
        None => Err("write it as 250ms, 1m30s, 2h, or as a number of seconds".to_owned()),
    }
}

/// A duration that is not zero.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("a period of zero would be over without end".to_owned()),
        period => Ok(period),
    }
}

/// `14:30`, today or else tomorrow; `2030-01-31T14:30`, here; `2030-01-31T14:30:00Z`.
pub(super) fn time(text: &str) -> Result<SystemTime, String> {
    after(&Zoned::now(), text).ok_or_else(|| {
        "write it as 14:30, 14:30:15, 2030-01-31T14:30 or 2030-01-31T14:30:00Z".to_owned()
    })
}

fn after(now: &Zoned, text: &str) -> Option<SystemTime> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.into());
    }
    let here = |time: civil::DateTime| time.to_zoned(now.time_zone().clone()).ok();
    // First: a time of day is found in these too.
    if let Ok(local) = text.parse::<civil::DateTime>() {
        return Some(here(local)?.timestamp().into());
    }
    let time = text.parse::<civil::Time>().ok()?;
    let today = here(now.date().to_datetime(time))?;
    let tomorrow = || here(now.date().checked_add(1.day()).ok()?.to_datetime(time));
    let next = if today > *now { today } else { tomorrow()? };
    Some(next.timestamp().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("1m30s"), Ok(90_000));
        assert_eq!(millis("2h"), Ok(7_200_000));
        assert_eq!(millis("1.5"), Ok(1500));
        assert_eq!(millis("0"), Ok(0));
        for text in ["", "-1", "-5s", "soon", "nan", "inf", "1e300", "1e12"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
        assert!(period("0ms").is_err());
    }

    #[test]
    fn times() {
        let now: Zoned = "2026-11-21T12:00:00+01:00[Europe/Berlin]".parse().unwrap();
        let at = |text: &str| {
            let time = Timestamp::try_from(after(&now, text)?).unwrap();
            Some(time.to_string())
        };
        assert_eq!(at("14:30").as_deref(), Some("2026-11-21T13:30:00Z"));
        assert_eq!(at("11:59:59").as_deref(), Some("2026-11-22T10:59:59Z"));
        assert_eq!(at("2030-07-31T14:30").as_deref(), Some("2030-07-31T12:30:00Z"));
        assert_eq!(at("2030-01-31T14:30:00Z").as_deref(), Some("2030-01-31T14:30:00Z"));
        for text in ["", "noon", "25:00"] {
            assert_eq!(at(text), None, "{text:?}");
        }
    }
}
