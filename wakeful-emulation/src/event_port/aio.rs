//! `PORT_SOURCE_AIO`: the C library's own asynchronous operations, whose end it tells by a function.

use std::ffi::{c_int, c_void};
use std::sync::{Arc, Weak};

use super::port::Port;
use super::state::{self, Pending};
use super::{PORT_SOURCE_AIO, SIGEV_PORT, port_notify};
use crate::linux::{Errno, Result, answer};

/// Where the end of an operation is told.
struct Ending {
    port: Weak<Port>,
    object: usize,
    user: usize,
}

/// `struct sigevent` with `SIGEV_THREAD`, which `libc` does not name whole.
#[repr(C)]
struct ThreadEvent {
    value: libc::sigval,
    signal: c_int,
    notify: c_int,
    function: extern "C" fn(libc::sigval),
    attributes: *mut c_void,
}

const _: () = assert!(size_of::<ThreadEvent>() <= size_of::<libc::sigevent>());

extern "C" fn tell(value: libc::sigval) {
    // SAFETY: it is what `redirect` made, for one operation, which ends once.
    let ending = unsafe { Box::from_raw(value.sival_ptr.cast::<Ending>()) };
    let Some(port) = ending.port.upgrade() else {
        return;
    };
    let event = state::event(PORT_SOURCE_AIO, 0, ending.object, ending.user);
    // Its slot was taken when it began.
    let _ = port.with(|state| Ok(state.queue(Pending::Whole { event, has_slot: true })));
}

/// Has a function called instead of a port told, which then tells it. The function's argument, if there is one.
///
/// # Safety
///
/// The value of a `SIGEV_PORT` must be null or the address of a [`port_notify`].
unsafe fn redirect(event: &mut libc::sigevent, object: usize) -> Result<Option<*mut Ending>> {
    if event.sigev_notify != SIGEV_PORT {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    let notify = unsafe { event.sigev_value.sival_ptr.cast::<port_notify>().as_ref() };
    let notify = notify.ok_or(Errno(libc::EFAULT))?;
    let port = Port::find(notify.portnfy_port)?;
    port.with(|state| {
        state.take_slot(port.sources())?;
        state.sent += 1;
        Ok(())
    })?;
    let user = notify.portnfy_user as usize;
    let ending = Box::into_raw(Box::new(Ending { port: Arc::downgrade(&port), object, user }));
    let thread = ThreadEvent {
        value: libc::sigval { sival_ptr: ending.cast() },
        signal: 0,
        notify: libc::SIGEV_THREAD,
        function: tell,
        attributes: std::ptr::null_mut(),
    };
    // SAFETY: the struct is as large at least, aligned as well, and made of integers and pointers.
    unsafe { std::ptr::from_mut(event).cast::<ThreadEvent>().write(thread) };
    Ok(Some(ending))
}

/// The operation did not begin: nobody will be told.
///
/// # Safety
///
/// It must be what `redirect` made, and used nowhere else.
unsafe fn forget(ending: *mut Ending) {
    // SAFETY: as the caller promises.
    let ending = unsafe { Box::from_raw(ending) };
    if let Some(port) = ending.port.upgrade() {
        let _ = port.with(|state| {
            state.sent -= 1;
            Ok(())
        });
    }
}

/// Begins an operation, after its notification was redirected.
///
/// # Safety
///
/// As aio_read(3), and as `redirect`.
unsafe fn begin(
    operation: *mut libc::aiocb,
    call: impl FnOnce(*mut libc::aiocb) -> c_int,
) -> c_int {
    // SAFETY: as the caller promises.
    let redirected = match unsafe { operation.as_mut() } {
        // SAFETY: likewise.
        Some(it) => unsafe { redirect(&mut it.aio_sigevent, operation as usize) },
        None => return answer(Err(Errno(libc::EFAULT))),
    };
    let ending = match redirected {
        Ok(ending) => ending,
        Err(error) => return answer(Err(error)),
    };
    let result = call(operation);
    if let (-1, Some(ending)) = (result, ending) {
        let errno = std::io::Error::last_os_error().raw_os_error();
        // SAFETY: the operation did not begin, so nobody else uses it.
        unsafe { forget(ending) };
        return answer(Err(Errno(errno.unwrap_or(libc::EIO))));
    }
    result
}

/// `int aio_read(struct aiocb *operation)`—Reads while the program goes on, and tells a port of the end, if the
/// notification is [`SIGEV_PORT`]; the event's object is then the address of the operation.
///
/// The notification is used up: it is to be set again before another operation is begun with the same struct.
///
/// # Errors
///
/// -1 with errno `EBADF`, `EBADFD`: no port; `EAGAIN`: its slots are taken; `EFAULT`: no operation or nowhere to tell;
/// else as aio_read(3).
///
/// # Safety
///
/// As aio_read(3): the struct and its buffer must be valid until the operation has ended. The value of a
/// `SIGEV_PORT` must be null or the address of a [`port_notify`], which is read by this call only.
pub unsafe fn aio_read(operation: *mut libc::aiocb) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { begin(operation, |operation| libc::aio_read(operation)) }
}

/// `int aio_write(struct aiocb *operation)`—As [`aio_read`], but writes.
///
/// # Errors
///
/// As there.
///
/// # Safety
///
/// As there.
pub unsafe fn aio_write(operation: *mut libc::aiocb) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { begin(operation, |operation| libc::aio_write(operation)) }
}

/// `int aio_fsync(int how, struct aiocb *operation)`—As [`aio_read`], but makes what was written durable.
///
/// # Errors
///
/// As there.
///
/// # Safety
///
/// As there.
pub unsafe fn aio_fsync(how: c_int, operation: *mut libc::aiocb) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { begin(operation, |operation| libc::aio_fsync(how, operation)) }
}

/// `int lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *sigevent)`—Begins several
/// operations, and tells a port of the end of each, and of all, as far as they ask for it by [`SIGEV_PORT`]. The object
/// of the event for all is the address of the list.
///
/// # Errors
///
/// As [`aio_read`], and as lio_listio(3).
///
/// # Safety
///
/// As lio_listio(3), and as [`aio_read`].
pub unsafe fn lio_listio(
    mode: c_int,
    list: *const *mut libc::aiocb,
    count: c_int,
    sigevent: *mut libc::sigevent,
) -> c_int {
    let length = if list.is_null() { 0 } else { usize::try_from(count).unwrap_or(0) };
    let operations = match length {
        0 => &[],
        // SAFETY: as the caller promises.
        length => unsafe { std::slice::from_raw_parts(list, length) },
    };
    // Which of them begin, the C library does not say, but it tells of the end of those.
    let mut endings = Vec::new();
    let mut redirect = |event: &mut libc::sigevent, object: usize| {
        // SAFETY: as the caller promises.
        unsafe { redirect(event, object) }.map(|ending| endings.extend(ending))
    };
    let mut redirected = Ok(());
    for &operation in operations {
        // SAFETY: as the caller promises.
        if let Some(it) = unsafe { operation.as_mut() } {
            redirected =
                redirected.and_then(|()| redirect(&mut it.aio_sigevent, operation as usize));
        }
    }
    // SAFETY: as the caller promises.
    let mut event = unsafe { sigevent.as_ref() }.copied();
    if let Some(event) = &mut event {
        redirected = redirected.and_then(|()| redirect(event, list as usize));
    }
    if let Err(error) = redirected {
        for ending in endings {
            // SAFETY: nothing began, so nobody else uses it.
            unsafe { forget(ending) };
        }
        return answer(Err(error));
    }
    let event = event.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: as the caller promises; the event is null or valid until the call returns, by when it was copied.
    unsafe { libc::lio_listio(mode, list, count, event) }
}
