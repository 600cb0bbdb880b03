//! `PORT_SOURCE_TIMER`: timers that tell a port, each a timerfd.

use std::collections::HashMap;
use std::ffi::c_int;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Weak};

use super::port::Port;
use super::source::Subject;
use super::{SIGEV_PORT, port_notify};
use crate::fork::ForkMutex;
use crate::linux::{self, Control, Errno, Result, answer};

#[derive(Debug)]
pub(super) struct Timer {
    number: u64,
    fd: OwnedFd,
    pub(super) user: usize,
    /// Where its event stands in the queue: there is one at most.
    pub(super) queued: Option<u64>,
    /// How often it had expired before it was set anew, which its event tells all the same.
    before: u64,
    /// How often it had expired beyond once, when its event was retrieved.
    overrun: c_int,
}

/// The ports of all timers.
pub(crate) static TIMERS: ForkMutex<Option<HashMap<c_int, Weak<Port>>>> = ForkMutex::new(None);
static NEXT: AtomicI32 = AtomicI32::new(0);

/// What tells our timers from the system's own, whose numbers are small or addresses.
#[cfg(target_pointer_width = "64")]
const OURS: usize = 0x504f_0000_0000;
#[cfg(not(target_pointer_width = "64"))]
const OURS: usize = 0x5000_0000;
const NUMBERS: usize = 0x0fff_ffff;

impl Timer {
    /// How often it has expired since its event was retrieved last. It is to be armed again then.
    pub(super) fn retrieve(&mut self) -> Result<Option<c_int>> {
        let count = linux::count(&self.fd)?;
        self.queued = None;
        let count = mem::take(&mut self.before).saturating_add(count);
        let count = c_int::try_from(count).unwrap_or(c_int::MAX);
        self.overrun = count.saturating_sub(1);
        Ok((count > 0).then_some(count))
    }

    /// Its number, as the caller knows it.
    pub(super) fn object(&self, id: c_int) -> usize {
        OURS | id as usize
    }

    pub(super) fn arm(&self, epoll: i32, operation: Control) -> Result<()> {
        let events = libc::EPOLLIN | libc::EPOLLONESHOT;
        linux::control(epoll, operation, self.fd.as_raw_fd(), events, self.number)
    }
}

/// `int timer_create(clockid_t clock, struct sigevent *sigevent, timer_t *timer)`—A timer that tells a port, if its
/// notification is [`SIGEV_PORT`], its value then being the address of a [`port_notify`]; else the system's own call.
///
/// The timer's events have its number as their object, and how often it has expired since the last one. One event is
/// under way at a time.
///
/// # Errors
///
/// -1 with errno `EINVAL`: no such clock; `EBADF`, `EBADFD`: no port; `EAGAIN`: its slots are taken; `EFAULT`: nowhere
/// to write.
///
/// # Safety
///
/// As timer_create(2), and the value must be null or such an address.
pub unsafe fn timer_create(
    clock: libc::clockid_t,
    sigevent: *mut libc::sigevent,
    timer: *mut libc::timer_t,
) -> c_int {
    // SAFETY: as the caller promises.
    let event = unsafe { sigevent.as_ref() }.filter(|event| event.sigev_notify == SIGEV_PORT);
    let Some(event) = event else {
        // SAFETY: likewise.
        return unsafe { libc::timer_create(clock, sigevent, timer) };
    };
    // SAFETY: likewise.
    let notify = unsafe { event.sigev_value.sival_ptr.cast::<port_notify>().as_ref() };
    let created = notify.filter(|_| !timer.is_null()).ok_or(Errno(libc::EFAULT));
    answer(created.and_then(|notify| create(clock, notify)).map(|id| {
        // SAFETY: it is not null, and valid for the write as the caller promises.
        unsafe { *timer = (OURS | id as usize) as libc::timer_t };
        0
    }))
}

fn create(clock: libc::clockid_t, notify: &port_notify) -> Result<c_int> {
    let port = Port::find(notify.portnfy_port)?;
    let fd = linux::timerfd(clock)?;
    let id = NEXT.fetch_add(1, Ordering::Relaxed) & NUMBERS as c_int;
    port.with(|state| {
        state.take_slot(port.sources())?;
        let number = state.number();
        let user = notify.portnfy_user as usize;
        let timer = Timer { number, fd, user, queued: None, before: 0, overrun: 0 };
        timer.arm(port.sources(), Control::Add)?;
        state.subjects.insert(number, Subject::Timer(id));
        state.timers.insert(id, timer);
        Ok(())
    })?;
    TIMERS.lock().get_or_insert_default().insert(id, Arc::downgrade(&port));
    Ok(id)
}

/// The number of one of ours.
fn id_of(timer: libc::timer_t) -> Option<c_int> {
    let timer = timer as usize;
    (timer & !NUMBERS == OURS).then_some((timer & NUMBERS) as c_int)
}

fn port_of(id: c_int) -> Result<Arc<Port>> {
    let port = TIMERS.lock().as_ref().and_then(|timers| timers.get(&id)?.upgrade());
    port.ok_or(Errno(libc::EINVAL))
}

fn with<T>(id: c_int, act: impl FnOnce(&mut Timer) -> Result<T>) -> Result<T> {
    port_of(id)?.with(|state| act(state.timers.get_mut(&id).ok_or(Errno(libc::EINVAL))?))
}

/// `int timer_settime(timer_t timer, int flags, const struct itimerspec *new, struct itimerspec *old)`—Sets a timer;
/// with a first time of zero, stops it.
///
/// # Errors
///
/// -1 with errno `EINVAL`: no such timer or no valid time; `EFAULT`: no time.
///
/// # Safety
///
/// As timer_settime(2).
pub unsafe fn timer_settime(
    timer: libc::timer_t,
    flags: c_int,
    new: *const libc::itimerspec,
    old: *mut libc::itimerspec,
) -> c_int {
    let Some(id) = id_of(timer) else {
        // SAFETY: as the caller promises.
        return unsafe { libc::timer_settime(timer, flags, new, old) };
    };
    // SAFETY: as the caller promises.
    let new = unsafe { new.as_ref() }.ok_or(Errno(libc::EFAULT));
    answer(new.and_then(|new| {
        let port = port_of(id)?;
        port.with(|state| {
            // What it has expired until now is told, though it is set anew.
            state.harvest(port.sources())?;
            let timer = state.timers.get_mut(&id).ok_or(Errno(libc::EINVAL))?;
            if timer.queued.is_some() {
                timer.before = timer.before.saturating_add(linux::count(&timer.fd)?);
            }
            let before = linux::set_timer_raw(&timer.fd, flags, new)?;
            if !old.is_null() {
                // SAFETY: as the caller promises.
                unsafe { *old = before };
            }
            Ok(0)
        })
    }))
}

/// `int timer_gettime(timer_t timer, struct itimerspec *value)`—How long it is until it expires.
///
/// # Errors
///
/// -1 with errno `EINVAL`: no such timer; `EFAULT`: nowhere to write.
///
/// # Safety
///
/// As timer_gettime(2).
pub unsafe fn timer_gettime(timer: libc::timer_t, value: *mut libc::itimerspec) -> c_int {
    let Some(id) = id_of(timer) else {
        // SAFETY: as the caller promises.
        return unsafe { libc::timer_gettime(timer, value) };
    };
    if value.is_null() {
        return answer(Err(Errno(libc::EFAULT)));
    }
    answer(with(id, |timer| linux::timer_left(&timer.fd)).map(|left| {
        // SAFETY: it is not null, and valid as the caller promises.
        unsafe { *value = left };
        0
    }))
}

/// `int timer_getoverrun(timer_t timer)`—How often it had expired beyond once, when its last event was retrieved.
///
/// # Errors
///
/// -1 with errno `EINVAL`: no such timer.
///
/// # Safety
///
/// As timer_getoverrun(2).
pub unsafe fn timer_getoverrun(timer: libc::timer_t) -> c_int {
    match id_of(timer) {
        Some(id) => answer(with(id, |timer| Ok(timer.overrun))),
        // SAFETY: as the caller promises.
        None => unsafe { libc::timer_getoverrun(timer) },
    }
}

/// `int timer_delete(timer_t timer)`—Ends a timer, and drops its event if it was not retrieved yet.
///
/// # Errors
///
/// -1 with errno `EINVAL`: no such timer.
///
/// # Safety
///
/// As timer_delete(2).
pub unsafe fn timer_delete(timer: libc::timer_t) -> c_int {
    let Some(id) = id_of(timer) else {
        // SAFETY: as the caller promises.
        return unsafe { libc::timer_delete(timer) };
    };
    let port = TIMERS.lock().as_mut().and_then(|timers| timers.remove(&id));
    let port = port.and_then(|port| port.upgrade()).ok_or(Errno(libc::EINVAL));
    answer(port.and_then(|port| {
        port.with(|state| {
            let timer = state.timers.remove(&id).ok_or(Errno(libc::EINVAL))?;
            state.subjects.remove(&timer.number);
            state.drop_event(timer.queued);
            Ok(0)
        })
    }))
}
