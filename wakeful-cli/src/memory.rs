//! How much memory this process occupies.

use std::fmt;
use std::fs;

/// A number of bytes, printed in the unit that suits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ ..1024 => write!(f, "{bytes} bytes"),
            bytes @ 1024..1_048_576 => write!(f, "{:.1} KiB", bytes as f64 / 1024.0),
            bytes => write!(f, "{:.1} MiB", bytes as f64 / 1_048_576.0),
        }
    }
}

/// The memory in use now, and the most that ever was; `None` where /proc does not tell.
///
/// Without the pages of files: those of the program itself, which come as it is run, and do not go.
pub(crate) fn resident() -> Option<(Bytes, Bytes)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    };
    let of_files = field("RssFile:")?;
    let without_files = |bytes: u64| Bytes(bytes.saturating_sub(of_files));
    Some((without_files(field("VmRSS:")?), without_files(field("VmHWM:")?)))
}
