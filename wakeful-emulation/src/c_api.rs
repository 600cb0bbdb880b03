//! The functions by the names that C calls them, as c/include/sys/event.h declares them.

use std::ffi::{c_int, c_uint};

use crate::kqueue::{self, kevent};

/// `int kqueue(void)`—See [`kqueue::kqueue`].
#[unsafe(export_name = "kqueue")]
extern "C" fn c_kqueue() -> c_int {
    kqueue::kqueue()
}

/// `int kqueue1(int flags)`—See [`kqueue::kqueue1`].
#[unsafe(export_name = "kqueue1")]
extern "C" fn c_kqueue1(flags: c_int) -> c_int {
    kqueue::kqueue1(flags)
}

/// `int kqueuex(u_int flags)`—See [`kqueue::kqueuex`].
#[unsafe(export_name = "kqueuex")]
extern "C" fn c_kqueuex(flags: c_uint) -> c_int {
    kqueue::kqueuex(flags)
}

/// `int kevent(int kq, const struct kevent *changelist, int nchanges, struct kevent *eventlist, int nevents,
/// const struct timespec *timeout)`—See [`kqueue::kevent`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "kevent")]
unsafe extern "C" fn c_kevent(
    kq: c_int,
    changelist: *const kevent,
    nchanges: c_int,
    eventlist: *mut kevent,
    nevents: c_int,
    timeout: *const libc::timespec,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { kqueue::kevent(kq, changelist, nchanges, eventlist, nevents, timeout) }
}
