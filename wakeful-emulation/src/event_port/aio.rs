//! `PORT_SOURCE_AIO`: the C library's own asynchronous operations, whose end it tells by a function.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Weak};

use super::port::Port;
use super::state::{self, Pending};
use super::{PORT_SOURCE_AIO, SIGEV_PORT, port_notify};
use crate::fork::ForkMutex;
use crate::linux::{Errno, Result, answer};

/// Where the ends of operations are told, by the addresses of their control blocks, or of lists of such.
///
/// They stay after the end: a control block that is used again has our function in it, instead of the port.
pub(crate) static ENDINGS: ForkMutex<Option<HashMap<usize, Ending>>> = ForkMutex::new(None);

/// When there are so many, those are looked for whose ports are gone.
const MANY: usize = 4096;

#[derive(Debug)]
pub(crate) struct Ending {
    port: Weak<Port>,
    user: usize,
    is_under_way: bool,
}

type Function = extern "C" fn(libc::sigval);

/// `struct sigevent` with `SIGEV_THREAD`, which `libc` does not name whole.
#[repr(C)]
struct ThreadEvent {
    value: libc::sigval,
    signal: c_int,
    notify: c_int,
    function: Option<Function>,
    attributes: *mut c_void,
}

const _: () = assert!(size_of::<ThreadEvent>() <= size_of::<libc::sigevent>());

extern "C" fn tell(value: libc::sigval) {
    let object = value.sival_ptr as usize;
    let (port, user) = match ENDINGS.lock().as_mut().and_then(|all| all.get_mut(&object)) {
        Some(ending) if ending.is_under_way => {
            ending.is_under_way = false;
            (ending.port.upgrade(), ending.user)
        }
        _ => return,
    };
    if let Some(port) = port {
        let event = state::event(PORT_SOURCE_AIO, 0, object, user);
        // Its slot was taken when it began.
        let _ = port.with(|state| Ok(state.queue(Pending::Whole { event, has_slot: true })));
    }
}

/// Whether a notification is one that was redirected before, for this object.
fn is_redirected(event: &libc::sigevent, object: usize) -> bool {
    // SAFETY: the struct is as large at least, aligned as well, and made of integers and pointers.
    let thread = unsafe { std::ptr::from_ref(event).cast::<ThreadEvent>().read() };
    thread.notify == libc::SIGEV_THREAD
        && thread.function.is_some_and(|it| std::ptr::fn_addr_eq(it, tell as Function))
        && thread.value.sival_ptr as usize == object
}

/// What was redirected, and what it was before.
struct Redirected {
    object: usize,
    before: libc::sigevent,
}

/// Has a function called instead of a port told, which then tells it.
///
/// # Safety
///
/// The value of a `SIGEV_PORT` must be null or the address of a [`port_notify`].
unsafe fn redirect(event: &mut libc::sigevent, object: usize) -> Result<Option<Redirected>> {
    let (port, user) = if event.sigev_notify == SIGEV_PORT {
        // SAFETY: as the caller promises.
        let notify = unsafe { event.sigev_value.sival_ptr.cast::<port_notify>().as_ref() };
        let notify = notify.ok_or(Errno(libc::EFAULT))?;
        (Port::find(notify.portnfy_port)?, notify.portnfy_user as usize)
    } else if is_redirected(event, object) {
        let all = ENDINGS.lock();
        let Some(ending) = all.as_ref().and_then(|all| all.get(&object)) else {
            return Ok(None);
        };
        (ending.port.upgrade().ok_or(Errno::BADF)?, ending.user)
    } else {
        return Ok(None);
    };
    port.with(|state| {
        state.take_slot(port.sources())?;
        state.sent += 1;
        Ok(())
    })?;
    let ending = Ending { port: Arc::downgrade(&port), user, is_under_way: true };
    let mut all = ENDINGS.lock();
    let all = all.get_or_insert_default();
    if all.len() >= MANY {
        all.retain(|_, ending| ending.port.strong_count() > 0);
    }
    all.insert(object, ending);
    let before = *event;
    let thread = ThreadEvent {
        value: libc::sigval { sival_ptr: object as *mut c_void },
        signal: 0,
        notify: libc::SIGEV_THREAD,
        function: Some(tell),
        attributes: std::ptr::null_mut(),
    };
    // SAFETY: the struct is as large at least, aligned as well, and made of integers and pointers.
    unsafe { std::ptr::from_mut(event).cast::<ThreadEvent>().write(thread) };
    Ok(Some(Redirected { object, before }))
}

/// The operation did not begin: nobody will be told.
fn forget(redirected: &Redirected) {
    let port = match ENDINGS.lock().as_mut().and_then(|all| all.get_mut(&redirected.object)) {
        Some(ending) if ending.is_under_way => {
            ending.is_under_way = false;
            ending.port.upgrade()
        }
        _ => None,
    };
    if let Some(port) = port {
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
    let redirected = match redirected {
        Ok(redirected) => redirected,
        Err(error) => return answer(Err(error)),
    };
    let result = call(operation);
    if let (-1, Some(redirected)) = (result, redirected) {
        let errno = std::io::Error::last_os_error().raw_os_error();
        forget(&redirected);
        // SAFETY: the caller's struct, which was not null; as it was, to be tried again.
        unsafe { (*operation).aio_sigevent = redirected.before };
        return answer(Err(Errno(errno.unwrap_or(libc::EIO))));
    }
    result
}

/// `int aio_read(struct aiocb *operation)`—Reads while the program goes on, and tells a port of the end, if the
/// notification is [`SIGEV_PORT`]; the event's object is then the address of the operation.
///
/// The notification in the struct is changed, so that it tells this port of the operations that are begun with it,
/// until it is set anew.
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
    let redirect = |event: &mut libc::sigevent, object: usize| {
        // SAFETY: as the caller promises.
        unsafe { redirect(event, object) }
    };
    let mut redirected = Vec::new();
    let mut begin = || -> Result<()> {
        for &operation in operations {
            // SAFETY: as the caller promises.
            match unsafe { operation.as_mut() } {
                Some(it) if it.aio_lio_opcode != libc::LIO_NOP => {
                    let one = redirect(&mut it.aio_sigevent, operation as usize)?;
                    redirected.extend(one.map(|one| (Some(operation), one)));
                }
                _ => {}
            }
        }
        Ok(())
    };
    let mut prepared = begin();
    // SAFETY: as the caller promises.
    let mut event = unsafe { sigevent.as_ref() }.copied().filter(|_| mode == libc::LIO_NOWAIT);
    if let (Ok(()), Some(event)) = (prepared, &mut event) {
        match redirect(event, list as usize) {
            Ok(all) => redirected.extend(all.map(|all| (None, all))),
            Err(error) => prepared = Err(error),
        }
    }
    let undo = |(operation, one): &(Option<*mut libc::aiocb>, Redirected)| {
        forget(one);
        if let Some(operation) = operation {
            // SAFETY: the caller's struct, of an operation that did not begin.
            unsafe { (**operation).aio_sigevent = one.before };
        }
    };
    if let Err(error) = prepared {
        redirected.iter().for_each(undo);
        return answer(Err(error));
    }
    let event = event.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: as the caller promises; the event is null or valid until the call returns, by when it was copied.
    let result = unsafe { libc::lio_listio(mode, list, count, event) };
    let errno = std::io::Error::last_os_error().raw_os_error();
    if result == -1 {
        // With EINVAL none has begun. Otherwise of those that have the library tells.
        let is_none = errno == Some(libc::EINVAL);
        redirected.iter().filter(|_| is_none).for_each(undo);
        return answer(Err(Errno(errno.unwrap_or(libc::EIO))));
    }
    result
}
