use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use crate::descriptor::{self, descriptor_owner};
use crate::error::check;
use crate::sys;

operation_error! {
    /// A timerfd could not be created.
    TimerFdError: "timerfd_create" {
        /// The clock it was to run on.
        clock: Clock,
    },
    advice: |error, errno| match errno {
        libc::EPERM if !matches!(error.clock, Clock::BootAlarm | Clock::RealtimeAlarm) => {
            "a sandbox refuses timerfds"
        }
        libc::EPERM => "the alarm clocks wake the machine from suspend, which needs CAP_WAKE_ALARM",
        _ => "",
    }
}

operation_error! {
    /// A timer could not be armed, disarmed or asked.
    TimerFdSetError: "timerfd_settime" {
        /// The descriptor.
        fd: RawFd,
    },
    advice: |_, errno| match errno {
        libc::EINVAL => "the time is later than time_t can say",
        _ => "",
    }
}

operation_error! {
    /// The expirations could not be read.
    TimerFdReadError: "read(timerfd)" {
        /// The descriptor.
        fd: RawFd,
    },
    advice: |_, errno| match errno {
        libc::ECANCELED => "the wall clock was set: compute the time anew and arm the timer again",
        _ => "",
    }
}

/// `CLOCK_*`—What a timer counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// Time since boot without suspend, never set. The clock of [`std::time::Instant`].
    Monotonic,
    /// Time since boot with suspend, never set.
    Boot,
    /// The wall clock, which can be set.
    Realtime,
    /// As `Boot`, and wakes the machine from suspend (needs CAP_WAKE_ALARM).
    BootAlarm,
    /// As `Realtime`, and wakes the machine from suspend (needs CAP_WAKE_ALARM).
    RealtimeAlarm,
}

impl Clock {
    fn id(self) -> libc::clockid_t {
        match self {
            Clock::Monotonic => libc::CLOCK_MONOTONIC,
            Clock::Boot => libc::CLOCK_BOOTTIME,
            Clock::Realtime => libc::CLOCK_REALTIME,
            Clock::BootAlarm => libc::CLOCK_BOOTTIME_ALARM,
            Clock::RealtimeAlarm => libc::CLOCK_REALTIME_ALARM,
        }
    }

    /// `clock_gettime(clock, &now)`—The time on this clock, since its epoch.
    ///
    /// What [`Expiry::At`] is measured against.
    #[doc(alias = "clock_gettime")]
    pub fn now(self) -> Duration {
        let mut now = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: `now` is valid for the write of one timespec.
        if unsafe { libc::clock_gettime(self.id(), now.as_mut_ptr()) } == -1 {
            // A kernel without the alarm clocks; no timer can be made on them either.
            return Duration::ZERO;
        }
        // SAFETY: clock_gettime(2) succeeded, so it has filled the timespec.
        duration(unsafe { now.assume_init() })
    }
}

/// When a timer goes off first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// This long from now. Zero is as soon as possible, not never.
    After(Duration),
    /// When the clock shows this time since its epoch; at once if it has.
    At(Duration),
    /// As `At`; and if the wall clock is set meanwhile, reads answer `ECANCELED`. On the realtime
    /// clocks only; on others as `At`.
    #[doc(alias = "TFD_TIMER_CANCEL_ON_SET")]
    AtUnlessClockSet(Duration),
}

/// `struct itimerspec`—What is left of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerState {
    /// Time until it goes off next; zero when it is disarmed.
    pub remaining: Duration,
    /// Its period; zero when it goes off once.
    pub interval: Duration,
}

/// `timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK)`—A timer of the kernel that can be waited for.
///
/// Readable once it has gone off, until it is read. An edge-triggered wait reports a periodic timer
/// once and then not before it has been read.
///
/// # References
/// - [timerfd_create(2)](https://man7.org/linux/man-pages/man2/timerfd_create.2.html)
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wakeful_kernel::linux::{Clock, Expiry, TimerFd};
/// use wakeful_kernel::poll::{PollFd, poll};
/// use wakeful_kernel::readiness::Readiness;
///
/// let timer = TimerFd::new(Clock::Monotonic)?;
/// timer.set(Expiry::After(Duration::from_millis(1)), None)?;
/// poll(&mut [PollFd::new(&timer, Readiness::IN)], Some(Duration::from_secs(1)))?;
/// assert_eq!(timer.read()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "timerfd")]
#[derive(Debug)]
pub struct TimerFd {
    fd: OwnedFd,
}

descriptor_owner!(TimerFd);

impl TimerFd {
    /// `timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK)`—Creates a timer, disarmed.
    ///
    /// # Errors
    ///
    /// `EPERM` for an alarm clock without CAP_WAKE_ALARM, `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(clock: Clock) -> Result<TimerFd, TimerFdError> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: the call takes integers.
        let fd = check(unsafe { sys::timerfd_create(clock.id(), flags) })
            .map_err(|source| TimerFdError { clock, source })?;
        // SAFETY: the call succeeded, so `fd` is an open descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(TimerFd { fd })
    }

    /// `timerfd_settime(self, flags, &new, &old)`—Arms the timer, in place of what it was set to.
    ///
    /// With an `interval` it goes off again after each of them. Expirations not read yet are
    /// discarded. Answers with what was left of the earlier setting.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an absolute time that time_t cannot hold. `ECANCELED` when the earlier setting was
    /// [`Expiry::AtUnlessClockSet`] and the clock was set; the new one is in force all the same.
    #[doc(alias = "timerfd_settime")]
    pub fn set(
        &self,
        first: Expiry,
        interval: Option<Duration>,
    ) -> Result<TimerState, TimerFdSetError> {
        if let Expiry::At(time) | Expiry::AtUnlessClockSet(time) = first {
            if duration(sys::timespec(time)) != time {
                let (fd, source) =
                    (self.fd.as_raw_fd(), io::Error::from_raw_os_error(libc::EINVAL));
                return Err(TimerFdSetError { fd, source });
            }
        }
        let (first, flags) = match first {
            Expiry::After(time) => (time, 0),
            Expiry::At(time) => (time, libc::TFD_TIMER_ABSTIME),
            Expiry::AtUnlessClockSet(time) => {
                (time, libc::TFD_TIMER_ABSTIME | sys::TFD_TIMER_CANCEL_ON_SET)
            }
        };
        // To the kernel, zero means disarmed.
        let first = first.max(Duration::from_nanos(1));
        self.set_time(first, interval.unwrap_or(Duration::ZERO), flags)
    }

    /// `timerfd_settime(self, 0, {0}, &old)`—Disarms the timer; answers with what was left.
    ///
    /// # Errors
    ///
    /// As [`set`](TimerFd::set).
    pub fn disarm(&self) -> Result<TimerState, TimerFdSetError> {
        self.set_time(Duration::ZERO, Duration::ZERO, 0)
    }

    fn set_time(
        &self,
        first: Duration,
        interval: Duration,
        flags: libc::c_int,
    ) -> Result<TimerState, TimerFdSetError> {
        let new = sys::itimerspec {
            it_interval: sys::timespec(interval),
            it_value: sys::timespec(first),
        };
        self.exchange(|fd, old| {
            // SAFETY: `new` lives until the call returns; `old` is valid for the write of one struct.
            unsafe { sys::timerfd_settime(fd, flags, ptr::from_ref(&new), old) }
        })
    }

    /// `timerfd_gettime(self, &now)`—What is left.
    ///
    /// # Errors
    ///
    /// None that the manual knows for an open timer.
    #[doc(alias = "timerfd_gettime")]
    pub fn state(&self) -> Result<TimerState, TimerFdSetError> {
        self.exchange(|fd, now| {
            // SAFETY: `now` is valid for the write of one struct.
            unsafe { sys::timerfd_gettime(fd, now) }
        })
    }

    fn exchange(
        &self,
        call: impl FnOnce(RawFd, *mut sys::itimerspec) -> libc::c_int,
    ) -> Result<TimerState, TimerFdSetError> {
        let fd = self.fd.as_raw_fd();
        let mut state = MaybeUninit::<sys::itimerspec>::uninit();
        check(call(fd, state.as_mut_ptr())).map_err(|source| TimerFdSetError { fd, source })?;
        // SAFETY: both calls fill the struct when they succeed.
        let state = unsafe { state.assume_init() };
        Ok(TimerState {
            remaining: duration(state.it_value),
            interval: duration(state.it_interval),
        })
    }

    /// `read(self, &count, 8)`—How often it went off since it was set or last read.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when it has not. `ECANCELED`: see [`Expiry::AtUnlessClockSet`].
    pub fn read(&self) -> Result<u64, TimerFdReadError> {
        let fd = self.fd.as_raw_fd();
        let mut count = [0; 8];
        // A timerfd is read in whole: eight bytes or an error.
        descriptor::read(&self.fd, &mut count)
            .map(|_| u64::from_ne_bytes(count))
            .map_err(|source| TimerFdReadError { fd, source })
    }
}

fn duration(time: libc::timespec) -> Duration {
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}
