//! The functions by the names that C calls them, as the headers under c/include declare them.

use std::ffi::{c_int, c_uint, c_void};

use crate::event_port::{self, port_event};
use crate::kqueue::{self, kevent};
#[cfg(target_env = "gnu")]
use crate::linux;

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

/// `int port_create(void)`—See [`event_port::port_create`].
#[unsafe(export_name = "port_create")]
extern "C" fn c_port_create() -> c_int {
    event_port::port_create()
}

/// `int port_associate(int port, int source, uintptr_t object, int events, void *user)`—See [`event_port::port_associate`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "port_associate")]
unsafe extern "C" fn c_port_associate(
    port: c_int,
    source: c_int,
    object: usize,
    events: c_int,
    user: *mut c_void,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::port_associate(port, source, object, events, user) }
}

/// `int port_dissociate(int port, int source, uintptr_t object)`—See [`event_port::port_dissociate`].
#[unsafe(export_name = "port_dissociate")]
extern "C" fn c_port_dissociate(port: c_int, source: c_int, object: usize) -> c_int {
    event_port::port_dissociate(port, source, object)
}

/// `int port_send(int port, int events, void *user)`—See [`event_port::port_send`].
#[unsafe(export_name = "port_send")]
extern "C" fn c_port_send(port: c_int, events: c_int, user: *mut c_void) -> c_int {
    event_port::port_send(port, events, user)
}

/// `int port_sendn(int ports[], int errors[], uint_t nent, int events, void *user)`—See [`event_port::port_sendn`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "port_sendn")]
unsafe extern "C" fn c_port_sendn(
    ports: *const c_int,
    errors: *mut c_int,
    nent: c_uint,
    events: c_int,
    user: *mut c_void,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::port_sendn(ports, errors, nent, events, user) }
}

/// `int port_alert(int port, int flags, int events, void *user)`—See [`event_port::port_alert`].
#[unsafe(export_name = "port_alert")]
extern "C" fn c_port_alert(port: c_int, flags: c_int, events: c_int, user: *mut c_void) -> c_int {
    event_port::port_alert(port, flags, events, user)
}

/// `int port_get(int port, port_event_t *event, timespec_t *timeout)`—See [`event_port::port_get`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "port_get")]
unsafe extern "C" fn c_port_get(
    port: c_int,
    event: *mut port_event,
    timeout: *const libc::timespec,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::port_get(port, event, timeout) }
}

/// `int port_getn(int port, port_event_t list[], uint_t max, uint_t *nget, timespec_t *timeout)`—See [`event_port::port_getn`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "port_getn")]
unsafe extern "C" fn c_port_getn(
    port: c_int,
    list: *mut port_event,
    max: c_uint,
    nget: *mut c_uint,
    timeout: *const libc::timespec,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::port_getn(port, list, max, nget, timeout) }
}

/// `int timer_create(clockid_t clock, struct sigevent *sigevent, timer_t *timer)`—See [`event_port::timer_create`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "wakeful_timer_create")]
unsafe extern "C" fn c_timer_create(
    clock: libc::clockid_t,
    sigevent: *mut libc::sigevent,
    timer: *mut libc::timer_t,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::timer_create(clock, sigevent, timer) }
}

/// `int timer_settime(timer_t timer, int flags, const struct itimerspec *new, struct itimerspec *old)`—See [`event_port::timer_settime`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "wakeful_timer_settime")]
unsafe extern "C" fn c_timer_settime(
    timer: libc::timer_t,
    flags: c_int,
    new: *const libc::itimerspec,
    old: *mut libc::itimerspec,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::timer_settime(timer, flags, new, old) }
}

/// `int timer_gettime(timer_t timer, struct itimerspec *value)`—See [`event_port::timer_gettime`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "wakeful_timer_gettime")]
unsafe extern "C" fn c_timer_gettime(timer: libc::timer_t, value: *mut libc::itimerspec) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::timer_gettime(timer, value) }
}

/// `int timer_getoverrun(timer_t timer)`—See [`event_port::timer_getoverrun`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "wakeful_timer_getoverrun")]
unsafe extern "C" fn c_timer_getoverrun(timer: libc::timer_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::timer_getoverrun(timer) }
}

/// `int timer_delete(timer_t timer)`—See [`event_port::timer_delete`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "wakeful_timer_delete")]
unsafe extern "C" fn c_timer_delete(timer: libc::timer_t) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::timer_delete(timer) }
}

/// `int aio_read(struct aiocb *operation)`—See [`event_port::aio_read`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "wakeful_aio_read")]
unsafe extern "C" fn c_aio_read(operation: *mut libc::aiocb) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::aio_read(operation) }
}

/// `int aio_write(struct aiocb *operation)`—See [`event_port::aio_write`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "wakeful_aio_write")]
unsafe extern "C" fn c_aio_write(operation: *mut libc::aiocb) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::aio_write(operation) }
}

/// `ssize_t aio_return(struct aiocb *operation)`—See [`event_port::aio_return`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "wakeful_aio_return")]
unsafe extern "C" fn c_aio_return(operation: *mut libc::aiocb) -> libc::ssize_t {
    // SAFETY: as the caller promises.
    unsafe { event_port::aio_return(operation) }
}

/// `int aio_fsync(int how, struct aiocb *operation)`—See [`event_port::aio_fsync`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "wakeful_aio_fsync")]
unsafe extern "C" fn c_aio_fsync(how: c_int, operation: *mut libc::aiocb) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::aio_fsync(how, operation) }
}

/// `int lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *sigevent)`—See [`event_port::lio_listio`].
///
/// # Safety
///
/// As there.
#[unsafe(export_name = "wakeful_lio_listio")]
unsafe extern "C" fn c_lio_listio(
    mode: c_int,
    list: *const *mut libc::aiocb,
    count: c_int,
    sigevent: *mut libc::sigevent,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { event_port::lio_listio(mode, list, count, sigevent) }
}

/// `int sigaction(int signum, const struct sigaction *act, struct sigaction *oldact)`—The C
/// library's, in front of which this one goes on counting the signals of `EVFILT_SIGNAL`.
///
/// # Safety
///
/// As sigaction(2).
#[cfg(target_env = "gnu")]
#[unsafe(export_name = "sigaction")]
unsafe extern "C" fn c_sigaction(
    number: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { linux::set_action(number, new, old) }
}

/// `sighandler_t signal(int signum, sighandler_t handler)`—As `sigaction`: the handler stays, and
/// calls are restarted.
///
/// # Safety
///
/// As signal(2).
#[cfg(target_env = "gnu")]
#[unsafe(export_name = "signal")]
unsafe extern "C" fn c_signal(number: c_int, handler: libc::sighandler_t) -> libc::sighandler_t {
    if handler == libc::SIG_ERR {
        linux::set_errno(linux::Errno(libc::EINVAL));
        return libc::SIG_ERR;
    }
    // SAFETY: the struct consists of integers, a set of bits, and a pointer that may be null.
    let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
    new.sa_sigaction = handler;
    new.sa_flags = libc::SA_RESTART;
    let mut old = new;
    // SAFETY: the set is valid, and both structs are.
    let result = unsafe {
        libc::sigaddset(&mut new.sa_mask, number);
        linux::set_action(number, &new, &mut old)
    };
    if result == 0 { old.sa_sigaction } else { libc::SIG_ERR }
}
