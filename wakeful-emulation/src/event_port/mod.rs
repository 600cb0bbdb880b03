//! Event ports: port_create(3C), with illumos' names, layouts and constants.

mod abi;
mod port;
mod source;
mod state;
mod timer;
mod waiter;

use std::ffi::{c_int, c_uint, c_void};

pub use abi::*;
pub use timer::{timer_create, timer_delete, timer_getoverrun, timer_gettime, timer_settime};

use self::port::{Got, Wait};
pub(crate) use self::port::{PORTS, Port};
pub(crate) use self::timer::TIMERS;
pub use crate::aio::{aio_fsync, aio_read, aio_return, aio_write, lio_listio};
use crate::linux::{Errno, answer};

/// `int port_create(void)`—A new port, which stays open at exec.
///
/// # Errors
///
/// -1 with errno `EMFILE`: no descriptor is left; `EAGAIN`: there are 8192 ports already.
///
/// ```
/// use wakeful_emulation::event_port::{close, port_create};
///
/// let port = port_create();
/// assert!(port >= 0);
/// // SAFETY: it is ours, and not used again.
/// assert_eq!(unsafe { close(port) }, 0);
/// ```
pub fn port_create() -> c_int {
    answer(Port::create())
}

/// `int close(int port)`—Closes a port, frees what belongs to it, and ends the waits of others with `EBADFD`.
///
/// close(2) does as well, but nobody is told of it: that happens later then.
///
/// # Errors
///
/// -1 with errno `EBADF`: it is no port.
///
/// # Safety
///
/// As close(2): whoever owns the descriptor gives it up.
pub unsafe fn close(port: c_int) -> c_int {
    answer(Port::close(port).map(|()| 0))
}

/// `int port_associate(int port, int source, uintptr_t object, int events, void *user)`—Waits for a descriptor
/// (`PORT_SOURCE_FD`) or a file (`PORT_SOURCE_FILE`): for one event, after which it is to be associated again.
///
/// What is associated already is associated anew: an event that was not retrieved yet is dropped, and looked for
/// again.
///
/// # Errors
///
/// -1 with errno `EBADF`: `port` is not open; `EBADFD`: it is no port, or the descriptor is not open; `EINVAL`: no
/// such source or events; `EAGAIN`: 65,536 slots are taken; `EFAULT`: no file object. Of files `ENOENT`, `EACCES`
/// and what else their path may meet with.
///
/// # Safety
///
/// With `PORT_SOURCE_FILE` the object must be null or the address of a [`file_obj`] whose name is null or a string
/// that ends with a zero. Both are read by this call only.
pub unsafe fn port_associate(
    port: c_int,
    source: c_int,
    object: usize,
    events: c_int,
    user: *mut c_void,
) -> c_int {
    answer(Port::find(port).and_then(|port| {
        match source {
            PORT_SOURCE_FD => port.associate_descriptor(object, events, user as usize)?,
            PORT_SOURCE_FILE => {
                // SAFETY: as the caller promises.
                let file = unsafe { source::Wanted::read(object) };
                port.associate_file(object, file, events, user as usize)?;
            }
            _ => return Err(Errno(libc::EINVAL)),
        }
        Ok(0)
    }))
}

/// `int port_dissociate(int port, int source, uintptr_t object)`—Ends an association, and drops its event if it was
/// not retrieved yet.
///
/// # Errors
///
/// -1 with errno `EBADF`, `EBADFD`: as [`port_associate`]; `ENOENT`: it is not associated, or its event was
/// retrieved; `EINVAL`: no such source, or none of this source was ever associated.
pub fn port_dissociate(port: c_int, source: c_int, object: usize) -> c_int {
    answer(Port::find(port).and_then(|port| {
        match source {
            PORT_SOURCE_FD => port.dissociate_descriptor(object)?,
            PORT_SOURCE_FILE => port.dissociate_file(object)?,
            _ => return Err(Errno(libc::EINVAL)),
        }
        Ok(0)
    }))
}

/// `int port_send(int port, int events, void *user)`—Queues an event of the program's own.
///
/// # Errors
///
/// -1 with errno `EBADF`, `EBADFD`: no port; `EAGAIN`: 65,536 slots are taken.
pub fn port_send(port: c_int, events: c_int, user: *mut c_void) -> c_int {
    answer(Port::find(port).and_then(|port| port.send(events, user as usize)).map(|()| 0))
}

/// `int port_sendn(int ports[], int errors[], uint_t nent, int events, void *user)`—Queues an event of the program's
/// own in each of several ports. Answers with in how many.
///
/// # Errors
///
/// -1 with errno `EINVAL`: none is named. If some fail, their errors are in `errors`, zeros for the others; it is not
/// written to otherwise.
///
/// # Safety
///
/// Both must be valid for `nent` numbers, `errors` for writes.
pub unsafe fn port_sendn(
    ports: *const c_int,
    errors: *mut c_int,
    nent: c_uint,
    events: c_int,
    user: *mut c_void,
) -> c_int {
    if nent == 0 || ports.is_null() {
        return answer(Err(Errno(if nent == 0 { libc::EINVAL } else { libc::EFAULT })));
    }
    // SAFETY: as the caller promises.
    let ports = unsafe { std::slice::from_raw_parts(ports, nent as usize) };
    let send = |&port: &c_int| {
        let sent = Port::find(port).and_then(|port| port.send(events, user as usize));
        sent.map_or_else(|Errno(errno)| errno, |()| 0)
    };
    let results: Vec<c_int> = ports.iter().map(send).collect();
    let failed = results.iter().filter(|&&errno| errno != 0).count();
    if failed > 0 && !errors.is_null() {
        // SAFETY: as the caller promises.
        unsafe { errors.copy_from_nonoverlapping(results.as_ptr(), results.len()) };
    }
    answer(c_int::try_from(results.len() - failed).map_err(|_| Errno(libc::EINVAL)))
}

/// `int port_alert(int port, int flags, int events, void *user)`—Enters alert mode, in which every wait ends at once,
/// with this event alone; without events, leaves it.
///
/// # Errors
///
/// -1 with errno `EBADF`, `EBADFD`: no port; `EINVAL`: both flags; `EBUSY`: `PORT_ALERT_UPDATE` of a port that is in
/// alert mode.
pub fn port_alert(port: c_int, flags: c_int, events: c_int, user: *mut c_void) -> c_int {
    answer(Port::find(port).and_then(|port| port.alert(flags, events, user as usize)).map(|()| 0))
}

/// `int port_get(int port, port_event_t *event, const timespec_t *timeout)`—Waits for one event.
///
/// With a timeout of zero and nothing queued it answers 0, and leaves the event as it was.
///
/// # Errors
///
/// -1 with errno `EBADF`, `EBADFD`: no port, or it was closed meanwhile; `ETIME`: the time is over; `EINTR`: a signal
/// handler ran; `EFAULT`: nowhere to write; `EINVAL`: no valid timeout.
///
/// # Safety
///
/// `event` must be null or valid for the write of a struct, `timeout` null or valid for the read of one.
pub unsafe fn port_get(
    port: c_int,
    event: *mut port_event,
    timeout: *const libc::timespec,
) -> c_int {
    // SAFETY: as the caller promises.
    let timeout = unsafe { timeout.as_ref() }.copied();
    // SAFETY: likewise.
    let room = unsafe { event.as_mut() }.map(std::slice::from_mut);
    answer(Port::find(port).and_then(|port| {
        let got = port.get(room.ok_or(Errno(libc::EFAULT))?, Wait { wanted: 1, timeout })?;
        // Its partial result would be nothing.
        if got.is_time_over { Err(Errno(libc::ETIME)) } else { Ok(0) }
    }))
}

/// `int port_getn(int port, port_event_t list[], uint_t max, uint_t *nget, const timespec_t *timeout)`—Waits for
/// `*nget` events, and retrieves up to `max`. With a `max` of zero, tells how many there are.
///
/// # Errors
///
/// As [`port_get`]; `ETIME` comes with what there was until then. `EINVAL` also if more are wanted than there is room
/// for.
///
/// # Safety
///
/// `list` must be null or valid for writes of `max` structs, `nget` null or valid, `timeout` null or valid for the
/// read of one.
pub unsafe fn port_getn(
    port: c_int,
    list: *mut port_event,
    max: c_uint,
    nget: *mut c_uint,
    timeout: *const libc::timespec,
) -> c_int {
    // SAFETY: as the caller promises.
    let timeout = unsafe { timeout.as_ref() }.copied();
    // SAFETY: likewise.
    let Some(nget) = (unsafe { nget.as_mut() }) else {
        return answer(Err(Errno(libc::EINVAL)));
    };
    let wanted = *nget as usize;
    answer(Port::find(port).and_then(|port| {
        if max == 0 {
            *nget = port.count()? as c_uint;
            return Ok(0);
        }
        if *nget > max {
            return Err(Errno(libc::EINVAL));
        }
        if list.is_null() {
            return Err(Errno(libc::EFAULT));
        }
        if wanted == 0 {
            return Ok(0);
        }
        // SAFETY: as the caller promises.
        let room = unsafe { std::slice::from_raw_parts_mut(list, max as usize) };
        let Got { count, is_time_over } = port.get(room, Wait { wanted, timeout })?;
        *nget = count as c_uint;
        if is_time_over { Err(Errno(libc::ETIME)) } else { Ok(0) }
    }))
}
