use std::io;
use std::time::{Duration, Instant, SystemTime};

use wakeful_kernel::process::Generation;

use crate::io_source::{IoSource, source};
use crate::platform;
use crate::rearm::Direction;

/// What a [`Timer`] counts by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Clock {
    /// The clock of [`Instant`]: never set, and on Linux standing still while the machine is suspended.
    #[default]
    Monotonic,
    /// Never set, and going on while the machine is suspended.
    Boot,
    /// The clock of [`SystemTime`], which can be set.
    Wall,
}

/// A timer of the kernel: a source that is readable once it has expired.
///
/// Read how often it has with [`expirations`](Timer::expirations). A periodic timer that is not read in
/// time loses nothing: its expirations are counted. What one event tells is that there was at least
/// one; under an edge-triggered registration the next event comes only after they were read.
///
/// For many deadlines, [`Timers`](super::Timers) are cheaper. On Linux, the BSDs and macOS; a kqueue has no
/// [`Clock::Boot`], nor DragonFly's a [`Clock::Wall`].
///
/// In a forked child, setting it and reading it are errors that say so: the kernel's timer is the parent's. Dropping it
/// closes the child's descriptor and does nothing else.
///
/// ```
/// use std::time::Duration;
/// use wakeful::time::Timer;
/// use wakeful::{Events, Interest, Poll, Token};
///
/// let mut poll = Poll::new()?;
/// let timer = poll.registry().register_owned(Timer::new()?, Token(0), Interest::READABLE)?;
/// timer.set_interval(Duration::from_millis(1))?;
///
/// let mut events = Events::with_capacity(8);
/// let mut count = 0;
/// while count < 3 {
///     poll.poll(&mut events, None)?;
///     count += timer.expirations()?;
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Timer {
    inner: IoSource<platform::Timer>,
    clock: Clock,
    generation: Generation,
}

source!(Timer);

impl Timer {
    /// A timer on the monotonic clock, not set yet.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`; [`Unsupported`](io::ErrorKind::Unsupported) where there are
    /// none, or a sandbox refuses them: [`Timers`](super::Timers) need nothing of the kernel.
    pub fn new() -> io::Result<Timer> {
        Timer::with_clock(Clock::Monotonic)
    }

    /// A timer on a clock of choice, not set yet.
    ///
    /// # Errors
    ///
    /// As [`new`](Timer::new).
    pub fn with_clock(clock: Clock) -> io::Result<Timer> {
        let generation = Generation::current();
        Ok(Timer { inner: IoSource::new(platform::Timer::new(clock)?), clock, generation })
    }

    /// Expires once, after so long.
    ///
    /// Setting a timer, in this way or another, replaces what was set, and forgets the expirations that
    /// were not read.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn set_after(&self, delay: Duration) -> io::Result<()> {
        self.set(|timer| timer.set_after(delay, None))
    }

    /// Expires after each period, the first of which begins now.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): a period of zero. Those of the operating system.
    pub fn set_interval(&self, period: Duration) -> io::Result<()> {
        if period.is_zero() {
            return Err(invalid("a period of zero would expire without end: take at least 1 ns"));
        }
        self.set(|timer| timer.set_after(period, Some(period)))
    }

    /// Expires once at an instant, or at once if it has passed. For the monotonic clock.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): the timer runs on another clock. Those of the
    /// operating system.
    pub fn set_deadline(&self, deadline: Instant) -> io::Result<()> {
        if self.clock != Clock::Monotonic {
            return Err(invalid("an Instant is of the monotonic clock: create the timer with it"));
        }
        self.set(|timer| timer.set_after(deadline.saturating_duration_since(Instant::now()), None))
    }

    /// Expires once at a time of day, or at once if it has passed. For the wall clock.
    ///
    /// If that clock is set meanwhile, the timer is readable, and reading it is an error that
    /// [`clock_was_set`](Timer::clock_was_set) knows: reckon the time anew, and set the timer again.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): the timer runs on another clock, or the time is
    /// before 1970. Those of the operating system.
    pub fn set_at(&self, time: SystemTime) -> io::Result<()> {
        if self.clock != Clock::Wall {
            return Err(invalid(
                "a SystemTime is of the wall clock: create the timer with Clock::Wall",
            ));
        }
        let since_epoch = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(|_| invalid("the kernel's wall clock begins in 1970: take a later time"))?;
        self.set(|timer| timer.set_at(since_epoch))
    }

    /// Takes back what was set.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn disarm(&self) -> io::Result<()> {
        self.set(platform::Timer::disarm)
    }

    fn set(&self, set: impl FnOnce(&platform::Timer) -> io::Result<()>) -> io::Result<()> {
        self.generation.check("timer")?;
        let result = set(self.inner.get());
        // An expiration that was reported and not read is gone, so the next is an edge.
        self.inner.drained(Direction::Read);
        match result {
            // The clock was set under the earlier setting. The new one is in force all the same.
            Err(error) if Timer::clock_was_set(&error) => Ok(()),
            result => result,
        }
    }

    /// How often it expired since it was set or last read: never zero.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): it has not. An error that
    /// [`clock_was_set`](Timer::clock_was_set) knows: see [`set_at`](Timer::set_at).
    pub fn expirations(&self) -> io::Result<u64> {
        self.generation.check("timer")?;
        let result = self.inner.run(Direction::Read, platform::Timer::expirations);
        // One reading takes them all.
        self.inner.drained(Direction::Read);
        result
    }

    /// Whether this error of [`expirations`](Timer::expirations) says that the wall clock was set.
    pub fn clock_was_set(error: &io::Error) -> bool {
        error.raw_os_error() == Some(libc::ECANCELED)
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
