//! kqueue(2), with FreeBSD's names, layouts and constants.

mod abi;
mod clocks;
mod filter;
mod knote;
mod queue;
mod state;

use std::ffi::{c_int, c_uint};
use std::slice;

pub use abi::*;

pub(crate) use self::queue::{QUEUES, Queue};
pub use crate::aio::{aio_fsync, aio_read, aio_return, aio_write, lio_listio};
use crate::linux::{self, Errno, Result, answer};

/// `int kqueue(void)`—A new kqueue, which stays open at exec.
///
/// # Errors
///
/// -1 with errno `EMFILE`, `ENFILE` or `ENOMEM`.
///
/// ```
/// use wakeful_emulation::kqueue::{close, kqueue};
///
/// let queue = kqueue();
/// assert!(queue >= 0);
/// // SAFETY: it is ours, and not used again.
/// assert_eq!(unsafe { close(queue) }, 0);
/// ```
pub fn kqueue() -> c_int {
    answer(Queue::create(0))
}

/// `int kqueue1(int flags)`—A new kqueue; `O_CLOEXEC` closes it at exec.
///
/// # Errors
///
/// As [`kqueue`]; `EINVAL` for other flags.
pub fn kqueue1(flags: c_int) -> c_int {
    answer(match flags {
        0 => Queue::create(0),
        libc::O_CLOEXEC => Queue::create(libc::EPOLL_CLOEXEC),
        _ => Err(Errno(libc::EINVAL)),
    })
}

/// `int kqueuex(u_int flags)`—A new kqueue; `KQUEUE_CLOEXEC` closes it at exec.
///
/// # Errors
///
/// As [`kqueue`]; `EINVAL` for other flags.
pub fn kqueuex(flags: c_uint) -> c_int {
    answer(match flags {
        0 => Queue::create(0),
        KQUEUE_CLOEXEC => Queue::create(libc::EPOLL_CLOEXEC),
        _ => Err(Errno(libc::EINVAL)),
    })
}

/// `int close(int kq)`—Closes a kqueue and frees what belongs to it.
///
/// close(2) does as well, but nobody is told of it: what belongs to the kqueue is freed later then.
///
/// # Errors
///
/// -1 with errno `EBADF`: it is no kqueue.
///
/// # Safety
///
/// As close(2): whoever owns the descriptor gives it up.
pub unsafe fn close(kq: c_int) -> c_int {
    answer(Queue::close(kq).map(|()| 0))
}

/// `int kevent(int kq, const struct kevent *changelist, int nchanges, struct kevent *eventlist, int nevents,
/// const struct timespec *timeout)`—Makes changes, and waits for events.
///
/// The changes are made first, in their order. One that fails is reported in the event list with `EV_ERROR`,
/// its error in `data`; without room there, the call fails with that error, and the changes after it are not
/// made. If any was reported the call returns at once. `EV_RECEIPT` reports each, with 0 for
/// success. With no room for events the call returns when the changes are made.
///
/// # Errors
///
/// -1 with errno `EBADF`: no kqueue; `EFAULT`: a null list that is not empty; `EINVAL`: a negative count or no
/// valid timeout; `EINTR`: a signal handler ran, after the changes were made. Those of a change: `ENOENT`, to
/// change what is not there; `EINVAL`, no such filter or senseless flags; `EBADF`, no such descriptor.
///
/// # Safety
///
/// `changelist` must be null or valid for reads of `nchanges` structs, `eventlist` null or valid for writes of
/// `nevents`, `timeout` null or valid for the read of one. The lists may be the same.
pub unsafe fn kevent(
    kq: c_int,
    changelist: *const kevent,
    nchanges: c_int,
    eventlist: *mut kevent,
    nevents: c_int,
    timeout: *const libc::timespec,
) -> c_int {
    // SAFETY: as the caller promises.
    let timeout = unsafe { timeout.as_ref() };
    // Copied: the lists may be the same memory.
    // SAFETY: as the caller promises.
    let changes = list(changelist.cast_mut(), nchanges, |at, length| unsafe {
        slice::from_raw_parts(at, length).to_vec()
    });
    // SAFETY: as the caller promises; the changes have been read.
    let events =
        list(eventlist, nevents, |at, length| unsafe { slice::from_raw_parts_mut(at, length) });
    answer(changes.and_then(|changes| run(kq, &changes, events?, timeout)))
}

/// A list of C's: nothing, if it is empty.
fn list<T: Default>(
    at: *mut kevent,
    length: c_int,
    take: impl FnOnce(*mut kevent, usize) -> T,
) -> Result<T> {
    match usize::try_from(length) {
        Err(_) => Err(Errno(libc::EINVAL)),
        Ok(0) => Ok(T::default()),
        Ok(_) if at.is_null() => Err(Errno(libc::EFAULT)),
        Ok(length) => Ok(take(at, length)),
    }
}

fn run(
    kq: c_int,
    changes: &[kevent],
    events: &mut [kevent],
    timeout: Option<&libc::timespec>,
) -> Result<c_int> {
    let timeout = timeout.copied().map(linux::duration).transpose()?;
    let queue = Queue::find(kq)?;
    let mut reported = 0;
    if !changes.is_empty() {
        queue.harvest()?;
    }
    // One without a filter is passed over, as by FreeBSD.
    for change in changes.iter().filter(|change| change.filter != 0) {
        let result = queue.change(change);
        if result.is_ok() && change.flags & EV_RECEIPT == 0 {
            continue;
        }
        let error = result.err().map_or(0, |Errno(errno)| errno);
        match events.get_mut(reported) {
            Some(place) => {
                *place = kevent { flags: EV_ERROR, data: error.into(), ..*change };
                reported += 1;
            }
            // A receipt that finds no room is an end too.
            None if error == 0 => return Ok(0),
            None => return Err(Errno(error)),
        }
    }
    let count = if reported > 0 { reported } else { queue.scan(events, timeout)? };
    c_int::try_from(count).map_err(|_| Errno(libc::EINVAL))
}
