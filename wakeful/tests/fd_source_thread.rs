//! The helper thread of a descriptor ends with its source. Alone, so that there is no other such thread.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::Read;
use std::time::{Duration, Instant};

use wakeful::unix::{Fallback, FdSource};

const DEADLINE: Duration = Duration::from_secs(10);

/// Dropped in the middle of a file without end, its thread ends.
#[test]
fn nobody_wants_the_rest() {
    let threads = || {
        let names = fs::read_dir("/proc/self/task").unwrap().map(|task| {
            let name = task.unwrap().path().join("comm");
            fs::read_to_string(name).unwrap_or_default()
        });
        names.filter(|name| name.trim() == "wakeful-reader").count()
    };
    let zeros = FdSource::with_fallback(File::open("/dev/zero").unwrap(), Fallback::HelperThread);
    let zeros = zeros.unwrap();
    let start = Instant::now();
    while (&zeros).read(&mut [0; 8]).is_err() {
        assert!(start.elapsed() < DEADLINE);
    }
    assert!(threads() > 0);
    drop(zeros);
    while threads() > 0 {
        assert!(start.elapsed() < DEADLINE, "the thread does not end");
        std::thread::yield_now();
    }
}
