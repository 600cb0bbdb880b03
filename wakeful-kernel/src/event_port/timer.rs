use std::mem::MaybeUninit;
use std::time::{Duration, SystemTime};

use super::{EventPort, TimerError};
use crate::error::check;
use crate::sys;
use crate::sys::event_port as port;

/// Whose time a timer goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`—It never jumps.
    Monotonic,
    /// `CLOCK_REALTIME`—The time of day, which may be set.
    Realtime,
}

/// `timer_t`—A timer that tells a port, until it is dropped.
///
/// It has one event under way at a time, of the source [`Timer`](super::EventSource::Timer), with
/// [`id`](Timer::id) as its object and how often it has expired since the last one as its events.
#[derive(Debug)]
pub struct Timer {
    timer: port::timer_t,
}

// SAFETY: it is the name of something in the kernel, which any thread may use.
unsafe impl Send for Timer {}
// SAFETY: likewise.
unsafe impl Sync for Timer {}

impl EventPort {
    /// `timer_create(clock, SIGEV_PORT, &timer)`—A timer that tells this port, not set yet.
    ///
    /// # Errors
    ///
    /// `EAGAIN`: the system has no more timers, or the port no more slots.
    #[doc(alias = "timer_create")]
    pub fn timer(&self, clock: Clock, user: usize) -> Result<Timer, TimerError> {
        let notify =
            port::port_notify { portnfy_port: self.as_raw_fd(), portnfy_user: user as *mut _ };
        let mut event = super::telling(&notify);
        let mut timer = MaybeUninit::uninit();
        let clock = match clock {
            Clock::Monotonic => libc::CLOCK_MONOTONIC,
            Clock::Realtime => libc::CLOCK_REALTIME,
        };
        // SAFETY: the event, and what it points to, live until the call returns; the timer is valid for the write.
        check(unsafe { port::timer_create(clock, &mut event, timer.as_mut_ptr()) })
            .map_err(|source| TimerError { source })?;
        // SAFETY: the call succeeded, so it was written.
        Ok(Timer { timer: unsafe { timer.assume_init() } })
    }
}

impl Timer {
    /// What its events have as their object.
    pub fn id(&self) -> usize {
        self.timer as usize
    }

    /// `timer_settime(timer, 0, {period, first})`—Expires after a time, and again and again if there is a period.
    ///
    /// A time of zero is over at once.
    ///
    /// # Errors
    ///
    /// None that is known.
    #[doc(alias = "timer_settime")]
    pub fn set(&self, first: Duration, period: Option<Duration>) -> Result<(), TimerError> {
        self.set_with(0, first.max(Duration::from_nanos(1)), period.unwrap_or_default())
    }

    /// `timer_settime(timer, TIMER_ABSTIME, {0, time})`—Expires at a time of day. The clock must be
    /// [`Realtime`](Clock::Realtime).
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn set_at(&self, time: SystemTime) -> Result<(), TimerError> {
        let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = time.max(Duration::from_nanos(1));
        self.set_with(libc::TIMER_ABSTIME, time, Duration::ZERO)
    }

    /// `timer_settime(timer, 0, {0, 0})`—Stops it.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn stop(&self) -> Result<(), TimerError> {
        self.set_with(0, Duration::ZERO, Duration::ZERO)
    }

    fn set_with(&self, flags: i32, first: Duration, period: Duration) -> Result<(), TimerError> {
        // A time may be as late as a time_t can say.
        let first = if flags & libc::TIMER_ABSTIME == 0 { first.min(LONGEST) } else { first };
        let value = libc::itimerspec {
            it_value: sys::timespec(first),
            it_interval: sys::timespec(period.min(LONGEST)),
        };
        // SAFETY: the setting is valid for the read, and the last argument may be null.
        check(unsafe { port::timer_settime(self.timer, flags, &value, std::ptr::null_mut()) })
            .map(drop)
            .map_err(|source| TimerError { source })
    }

    /// `timer_gettime(timer)`—How long it is until it expires; zero if it is not set.
    ///
    /// # Errors
    ///
    /// None that is known.
    #[doc(alias = "timer_gettime")]
    pub fn left(&self) -> Result<Duration, TimerError> {
        let mut value = MaybeUninit::<libc::itimerspec>::zeroed();
        // SAFETY: it is valid for the write.
        check(unsafe { port::timer_gettime(self.timer, value.as_mut_ptr()) })
            .map_err(|source| TimerError { source })?;
        // SAFETY: it was zeroed, which is a value of it, and written.
        let left = unsafe { value.assume_init() }.it_value;
        let seconds = u64::try_from(left.tv_sec).unwrap_or(0);
        Ok(Duration::new(seconds, u32::try_from(left.tv_nsec).unwrap_or(0)))
    }

    /// `timer_getoverrun(timer)`—How often it had expired beyond once, when its last event was retrieved.
    ///
    /// # Errors
    ///
    /// None that is known.
    #[doc(alias = "timer_getoverrun")]
    pub fn overrun(&self) -> Result<u32, TimerError> {
        // SAFETY: the timer is there until it is dropped.
        let count = check(unsafe { port::timer_getoverrun(self.timer) });
        count.map(|count| count as u32).map_err(|source| TimerError { source })
    }
}

/// Longer than anyone waits, and short enough for every time_t.
const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: it is there, and nobody uses it again. One whose port was closed is gone, which is an error here.
        unsafe { port::timer_delete(self.timer) };
    }
}
