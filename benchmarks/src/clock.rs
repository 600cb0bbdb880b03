//! Time that a thread or the process has spent on a processor.

use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// What a cost is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Of this thread: for what one thread does, whatever else the machine does meanwhile.
    Thread,
    /// Of all threads of this process.
    Process,
    /// As it passes, for what is about waiting.
    Wall,
}

impl Clock {
    pub(crate) fn now(self) -> Duration {
        match self {
            Clock::Thread => read(libc::CLOCK_THREAD_CPUTIME_ID),
            Clock::Process => read(libc::CLOCK_PROCESS_CPUTIME_ID),
            Clock::Wall => read(libc::CLOCK_MONOTONIC),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Clock::Thread => "processor time of the thread",
            Clock::Process => "processor time of the process",
            Clock::Wall => "time",
        }
    }
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the time is valid for the write of one struct.
    let result = unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    assert_eq!(result, 0, "every Linux has these clocks");
    // SAFETY: the call succeeded, so it was written.
    let time = unsafe { time.assume_init() };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Of a child that has ended, and been waited for.
pub(crate) fn of_children() -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: it is valid for the write of one struct.
    let result = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) };
    assert_eq!(result, 0);
    // SAFETY: the call succeeded, so it was written.
    let usage = unsafe { usage.assume_init() };
    let of = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}

/// Of another process.
pub(crate) fn of_process(process: u32) -> Result<Duration> {
    let mut clock = 0;
    // SAFETY: the clock is valid for the write of one number.
    let result = unsafe { libc::clock_getcpuclockid(process as libc::pid_t, &mut clock) };
    ensure!(result == 0, "process {process} has no clock");
    Ok(read(clock))
}

/// A deadline for what must not take for ever.
pub(crate) fn in_time() -> Instant {
    Instant::now() + Duration::from_secs(60)
}
