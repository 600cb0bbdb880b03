//! What all of it was measured on.

use std::fs;
use std::thread;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) kernel: String,
    pub(crate) load: String,
    /// Seconds since 1970.
    pub(crate) time: u64,
    pub(crate) wakeful: String,
}

impl Machine {
    pub(crate) fn this() -> Machine {
        let line = |path: &str, start: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(start)).unwrap_or("unknown");
            line.rsplit(": ").next().unwrap_or(line).to_owned()
        };
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Machine {
            processor: line("/proc/cpuinfo", "model name"),
            processors: thread::available_parallelism().map_or(1, usize::from),
            kernel: line("/proc/sys/kernel/osrelease", ""),
            load: line("/proc/loadavg", ""),
            time: since.as_secs(),
            wakeful: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// As ISO 8601 has it (Howard Hinnant's civil_from_days).
    pub(crate) fn date(&self) -> String {
        let days = (self.time / 86_400) as i64 + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        format!("{year:04}-{month:02}-{day:02}")
    }

    pub(crate) fn described(&self) -> String {
        format!(
            "{}, {} ({} processors), Linux {}, load {}",
            self.date(),
            self.processor,
            self.processors,
            self.kernel,
            self.load,
        )
    }
}

/// Ten thousand connections have two ends each, and there are several candidates.
const ENOUGH: u64 = 70_000;

/// As many descriptors as this user may have, and, for root, enough. How many that are.
pub(crate) fn raise_limits() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is valid for the write of one struct.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return 0;
    }
    for most in [ENOUGH.max(limit.rlim_max), limit.rlim_max] {
        let wanted = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the limit is valid for the read of one struct.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) } == 0 {
            return most as usize;
        }
    }
    limit.rlim_cur as usize
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn dates() {
        let mut machine = Machine::this();
        for (time, date) in
            [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_795_219_200, "2026-11-21")]
        {
            machine.time = time;
            assert_eq!(machine.date(), date);
        }
    }
}
