//! Waiting: epoll_wait(2) for whole milliseconds, epoll_pwait2(2) for the rest.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libc::c_int;

use super::{Epoll, Event, WaitError};
use crate::signal::SignalSet;
use crate::sys;

/// EP_MAX_EVENTS: asked for more, the kernel answers `EINVAL`.
const MOST_EVENTS: usize = c_int::MAX as usize / size_of::<sys::epoll_event>();

/// Cleared when the kernel, or the sandbox around it, refuses epoll_pwait2(2).
static HAS_PWAIT2: AtomicBool = AtomicBool::new(true);

/// The finest timeout that [`Epoll::wait`] can tell apart: a nanosecond with epoll_pwait2(2), which is
/// tried once, else a millisecond. Finer timeouts are rounded up.
pub fn resolution() -> Duration {
    static PROBE: Once = Once::new();
    PROBE.call_once(|| {
        // On an epoll of its own, so that no event is lost. What fails for want of descriptors is
        // left to the first wait to find out.
        if let Ok(epoll) = Epoll::new() {
            let _ = epoll.wait(&mut Vec::<Event>::with_capacity(1), Some(Duration::from_nanos(1)));
        }
    });
    if HAS_PWAIT2.load(Ordering::Relaxed) {
        Duration::from_nanos(1)
    } else {
        Duration::from_millis(1)
    }
}

impl Epoll {
    /// `epoll_wait(self, events, capacity, timeout)`, or `epoll_pwait2` for a timeout that is not
    /// whole milliseconds—Waits for events.
    ///
    /// Appends to `events`, into the room left up to its capacity, and answers with how many were
    /// added: 0 when the timeout passed first. `None` waits without end, `Some(Duration::ZERO)` not
    /// at all. The wait is never shorter than asked for, except that one longer than 24.8 days on a
    /// kernel without epoll_pwait2 (before 5.11) ends after 24.8 days.
    ///
    /// Each descriptor takes one entry, whatever it is ready for. If more are ready than there is
    /// room, the rest come first in the next wait.
    ///
    /// # Errors
    ///
    /// `EINTR` when a signal handler ran, `EINVAL` when there is no room for an event.
    #[doc(alias = "epoll_pwait2")]
    #[inline]
    pub fn wait<T>(
        &self,
        events: &mut Vec<Event<T>>,
        timeout: Option<Duration>,
    ) -> Result<usize, WaitError> {
        self.wait_with_mask(events, timeout, None)
    }

    /// `epoll_pwait(self, events, capacity, timeout, mask)`, or `epoll_pwait2`—Waits with another
    /// signal mask in force, set and restored atomically.
    ///
    /// With a signal blocked otherwise and let through here, its handler can only run during the
    /// wait, which then answers `EINTR`: no signal is missed between a check and the wait.
    ///
    /// # Errors
    ///
    /// As [`wait`](Epoll::wait).
    #[doc(alias = "epoll_pwait")]
    #[inline]
    pub fn wait_with_mask<T>(
        &self,
        events: &mut Vec<Event<T>>,
        timeout: Option<Duration>,
        mask: Option<&SignalSet>,
    ) -> Result<usize, WaitError> {
        match (timeout, timeout.map_or(Some(-1), whole_ms)) {
            (Some(timeout), None) => self.wait_exactly(events, timeout, mask),
            (_, timeout_ms) => self.wait_ms(events, timeout_ms.unwrap_or(-1), mask),
        }
    }

    /// Kept out of the way of the waits without end, of which servers are made.
    #[inline(never)]
    fn wait_exactly<T>(
        &self,
        events: &mut Vec<Event<T>>,
        timeout: Duration,
        mask: Option<&SignalSet>,
    ) -> Result<usize, WaitError> {
        if HAS_PWAIT2.load(Ordering::Relaxed) {
            match self.wait_ns(events, timeout, mask) {
                // ENOSYS before Linux 5.11; EPERM from sandboxes older than the call.
                Err(error)
                    if matches!(error.source.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) =>
                {
                    HAS_PWAIT2.store(false, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        let timeout_ms = timeout.as_nanos().div_ceil(1_000_000);
        self.wait_ms(events, c_int::try_from(timeout_ms).unwrap_or(c_int::MAX), mask)
    }

    /// `epoll_pwait(self, events, capacity, timeout_ms, mask)`—Waits for whole milliseconds; a
    /// negative number waits without end. With no mask it is `epoll_wait`.
    ///
    /// # Errors
    ///
    /// As [`wait`](Epoll::wait).
    #[doc(alias = "epoll_wait")]
    #[inline]
    pub fn wait_ms<T>(
        &self,
        events: &mut Vec<Event<T>>,
        timeout_ms: c_int,
        mask: Option<&SignalSet>,
    ) -> Result<usize, WaitError> {
        let epoll = self.fd.as_raw_fd();
        append(events, |buffer, capacity| match mask {
            // SAFETY: `append` hands over a buffer valid for writes of `capacity` structs.
            None => unsafe { sys::epoll_wait(epoll, buffer, capacity, timeout_ms) },
            // SAFETY: as above, and the mask is borrowed for the whole call.
            Some(mask) => unsafe {
                sys::epoll_pwait(epoll, buffer, capacity, timeout_ms, mask.as_raw())
            },
        })
    }

    /// `epoll_pwait2(self, events, capacity, timeout, mask)`—Waits to the nanosecond, without the
    /// fallback of [`wait`](Epoll::wait).
    ///
    /// The kernel adds the [timer slack](crate::linux::set_timer_slack) of the thread, 50 µs by default.
    ///
    /// # Errors
    ///
    /// As [`wait`](Epoll::wait); `ENOSYS` before Linux 5.11, and on illumos.
    #[doc(alias = "epoll_pwait2")]
    pub fn wait_ns<T>(
        &self,
        events: &mut Vec<Event<T>>,
        timeout: Duration,
        mask: Option<&SignalSet>,
    ) -> Result<usize, WaitError> {
        let epoll = self.fd.as_raw_fd();
        let timeout = sys::kernel_timespec {
            // The kernel clamps what its clock cannot hold, so the maximum means without end.
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        append(events, |buffer, capacity| {
            let mask = mask.map_or(ptr::null(), |mask| ptr::from_ref(mask.as_raw()));
            // SAFETY: `append` hands over a buffer valid for writes of `capacity` structs; the
            // timespec and the mask, if any, live until the call returns.
            unsafe { sys::epoll_pwait2(epoll, buffer, capacity, ptr::from_ref(&timeout), mask) }
        })
    }
}

/// The timeout as epoll_wait(2) takes it, if it can: whole milliseconds, at most 24.8 days.
#[inline]
fn whole_ms(timeout: Duration) -> Option<c_int> {
    let nanos = timeout.subsec_nanos();
    let ms = timeout.as_secs().checked_mul(1000)?.checked_add(u64::from(nanos / 1_000_000))?;
    if nanos % 1_000_000 == 0 { c_int::try_from(ms).ok() } else { None }
}

/// Lets `fill` write into the spare room of `events`, and takes over what it wrote.
#[inline]
fn append<T>(
    events: &mut Vec<Event<T>>,
    fill: impl FnOnce(*mut sys::epoll_event, c_int) -> c_int,
) -> Result<usize, WaitError> {
    const {
        assert!(size_of::<Event<T>>() == size_of::<sys::epoll_event>());
        assert!(align_of::<Event<T>>() == align_of::<sys::epoll_event>());
    }
    let room = events.spare_capacity_mut();
    let capacity = room.len().min(MOST_EVENTS);
    let filled = fill(room.as_mut_ptr().cast(), capacity as c_int);
    if filled < 0 {
        return Err(WaitError { capacity, source: io::Error::last_os_error() });
    }
    // The kernel never answers with more than it was given room for; `min` makes that certain.
    let added = (filled as usize).min(capacity);
    // SAFETY: the kernel has initialised `added` structs behind the present length, and Event is
    // laid out as they are: `repr(C)`, packed where they are, the same fields in the same order
    // (size and alignment are asserted above, the offset of `data` follows from them).
    unsafe { events.set_len(events.len() + added) };
    Ok(added)
}
