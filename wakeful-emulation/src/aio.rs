//! Asynchronous operations: the C library's own, whose end it tells by a function, which tells a port or a kqueue.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Weak};

use crate::event_port::{Port, SIGEV_PORT, port_notify};
use crate::fork::ForkMutex;
use crate::kqueue::{EVFILT_AIO, EVFILT_LIO, Queue, SIGEV_KEVENT};
use crate::linux::{Errno, Result, answer};

/// What is to be told of the ends of operations.
pub(crate) static ENDINGS: ForkMutex<Option<Endings>> = ForkMutex::new(None);

#[derive(Debug, Default)]
pub(crate) struct Endings {
    /// By the addresses of control blocks, or of lists of such. They stay after the end: a control block that is used again
    /// has our function in it, instead of the port.
    objects: HashMap<usize, Ending>,
    /// Which object it is about, by what the function is called with: an address may be another operation's by then.
    under_way: HashMap<usize, usize>,
    /// The list that an operation was begun with, if a kqueue reports its end, and how many
    /// operations of each list have results that were not taken: until then a kqueue reports the
    /// list.
    lists: HashMap<usize, usize>,
    left: HashMap<usize, usize>,
    next: usize,
}

impl Endings {
    /// The result of an operation is taken: what a kqueue reports no more, the operation and
    /// perhaps its list.
    fn take(&mut self, object: usize) -> [Option<(usize, Told)>; 2] {
        let list = self.lists.remove(&object).filter(|list| {
            let left = self.left.get_mut(list);
            left.is_some_and(|left| {
                *left = left.saturating_sub(1);
                *left == 0
            })
        });
        if let Some(list) = list {
            self.left.remove(&list);
        }
        [Some(object), list].map(|object| {
            let told = &self.objects.get(&object?)?.told;
            matches!(told, Told::Kqueue(..)).then(|| Some((object?, told.clone())))?
        })
    }
}

/// When there are so many, those are looked for whose ports are gone.
const MANY: usize = 4096;

#[derive(Clone, Debug)]
struct Ending {
    told: Told,
    /// What the function is called with.
    number: usize,
}

/// Who is told.
#[derive(Clone, Debug)]
enum Told {
    Port(Weak<Port>, usize),
    /// The filter is that of an operation or of a list.
    Kqueue(Weak<Queue>, usize, i16),
}

impl Told {
    /// Whom a notification names, if it is one for us. The filter is that of a kqueue's event.
    ///
    /// # Safety
    ///
    /// The value of a `SIGEV_PORT` must be null or the address of a [`port_notify`].
    unsafe fn by(event: &libc::sigevent, filter: i16) -> Result<Option<Told>> {
        match event.sigev_notify {
            SIGEV_PORT => {
                // SAFETY: as the caller promises.
                let notify = unsafe { event.sigev_value.sival_ptr.cast::<port_notify>().as_ref() };
                let notify = notify.ok_or(Errno(libc::EFAULT))?;
                let port = Port::find(notify.portnfy_port)?;
                Ok(Some(Told::Port(Arc::downgrade(&port), notify.portnfy_user as usize)))
            }
            SIGEV_KEVENT => {
                // As FreeBSD has it: sigev_notify_kqueue is another name for this.
                let queue = Queue::find(event.sigev_signo)?;
                let user = event.sigev_value.sival_ptr as usize;
                Ok(Some(Told::Kqueue(Arc::downgrade(&queue), user, filter)))
            }
            _ => Ok(None),
        }
    }

    fn is_there(&self) -> bool {
        match self {
            Told::Port(port, _) => port.strong_count() > 0,
            Told::Kqueue(queue, ..) => queue.strong_count() > 0,
        }
    }

    fn prepare(&self, object: usize) -> Result<()> {
        match self {
            Told::Port(port, _) => port.upgrade().ok_or(Errno::BADF)?.expect_operation(),
            Told::Kqueue(queue, user, filter) => {
                queue.upgrade().ok_or(Errno::BADF)?.expect_operation((object, *filter), *user)
            }
        }
    }

    fn tell(&self, object: usize) {
        match self {
            Told::Port(port, user) => {
                if let Some(port) = port.upgrade() {
                    port.operation_ended(object, *user);
                }
            }
            Told::Kqueue(queue, _, filter) => {
                if let Some(queue) = queue.upgrade() {
                    queue.operation_ended((object, *filter));
                }
            }
        }
    }

    /// There is nothing to tell.
    fn undo(&self, object: usize) {
        match self {
            Told::Port(port, _) => {
                if let Some(port) = port.upgrade() {
                    port.forget_operation();
                }
            }
            Told::Kqueue(queue, _, filter) => {
                if let Some(queue) = queue.upgrade() {
                    queue.forget_operation((object, *filter));
                }
            }
        }
    }
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
    let number = value.sival_ptr as usize;
    let ending = ENDINGS.lock().as_mut().and_then(|endings| {
        let object = endings.under_way.remove(&number)?;
        let ending = endings.objects.get(&object).filter(|ending| ending.number == number)?;
        Some((object, ending.told.clone()))
    });
    if let Some((object, told)) = ending {
        told.tell(object);
    }
}

/// What was redirected before, for this object.
fn redirected_before(event: &libc::sigevent, object: usize) -> Option<Told> {
    // SAFETY: the struct is as large at least, aligned as well, and made of integers and pointers.
    let thread = unsafe { std::ptr::from_ref(event).cast::<ThreadEvent>().read() };
    let is_ours = thread.notify == libc::SIGEV_THREAD
        && thread.function.is_some_and(|it| std::ptr::fn_addr_eq(it, tell as Function));
    let number = thread.value.sival_ptr as usize;
    let endings = ENDINGS.lock();
    let ending = endings.as_ref().filter(|_| is_ours)?.objects.get(&object);
    ending.filter(|ending| ending.number == number).map(|ending| ending.told.clone())
}

/// What was redirected, and what it was before.
struct Redirected {
    object: usize,
    number: usize,
    before: libc::sigevent,
}

/// Has a function called, which then tells whom it was to tell.
///
/// # Safety
///
/// The value of a `SIGEV_PORT` must be null or the address of a [`port_notify`].
unsafe fn redirect(
    event: &mut libc::sigevent,
    object: usize,
    filter: i16,
) -> Result<Option<Redirected>> {
    // SAFETY: as the caller promises.
    let told = unsafe { Told::by(event, filter) }?;
    let Some(told) = told.or_else(|| redirected_before(event, object)) else {
        return Ok(None);
    };
    told.prepare(object)?;
    let mut endings = ENDINGS.lock();
    let endings = endings.get_or_insert_default();
    if endings.objects.len() >= MANY {
        endings.objects.retain(|_, ending| ending.told.is_there());
    }
    endings.next = endings.next.wrapping_add(1);
    let number = endings.next;
    endings.under_way.insert(number, object);
    endings.objects.insert(object, Ending { told, number });
    let before = *event;
    let thread = ThreadEvent {
        value: libc::sigval { sival_ptr: number as *mut c_void },
        signal: 0,
        notify: libc::SIGEV_THREAD,
        function: Some(tell),
        attributes: std::ptr::null_mut(),
    };
    // SAFETY: the struct is as large at least, aligned as well, and made of integers and pointers.
    unsafe { std::ptr::from_mut(event).cast::<ThreadEvent>().write(thread) };
    Ok(Some(Redirected { object, number, before }))
}

/// The operation did not begin: nobody will be told. How the notification is to be, to be tried again.
fn undo(redirected: Redirected) -> libc::sigevent {
    let Redirected { object, number, before } = redirected;
    let told = ENDINGS.lock().as_mut().and_then(|endings| {
        endings.under_way.remove(&number)?;
        let ending = endings.objects.get_mut(&object).filter(|it| it.number == number)?;
        if before.sigev_notify == libc::SIGEV_THREAD {
            // By its earlier number it is known again.
            ending.number = before.sigev_value.sival_ptr as usize;
        }
        Some(ending.told.clone())
    });
    if let Some(told) = told {
        told.undo(object);
    }
    before
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
        Some(it) => unsafe { redirect(&mut it.aio_sigevent, operation as usize, EVFILT_AIO) },
        None => return answer(Err(Errno(libc::EFAULT))),
    };
    let redirected = match redirected {
        Ok(redirected) => redirected,
        Err(error) => return answer(Err(error)),
    };
    let result = call(operation);
    if let (-1, Some(redirected)) = (result, redirected) {
        let errno = std::io::Error::last_os_error().raw_os_error();
        // SAFETY: the caller's struct, which was not null.
        unsafe { (*operation).aio_sigevent = undo(redirected) };
        return answer(Err(Errno(errno.unwrap_or(libc::EIO))));
    }
    result
}

/// `int aio_read(struct aiocb *operation)`—Reads while the program goes on, and tells a port or a kqueue of the end, if
/// the notification is [`SIGEV_PORT`] or [`SIGEV_KEVENT`]; the event's object is then the address of the operation.
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

/// `ssize_t aio_return(struct aiocb *operation)`—What an operation has come to, once it has ended. After that a kqueue
/// reports it no more.
///
/// # Errors
///
/// As aio_return(3).
///
/// # Safety
///
/// As aio_return(3).
pub unsafe fn aio_return(operation: *mut libc::aiocb) -> libc::ssize_t {
    let object = operation as usize;
    let told = ENDINGS.lock().as_mut().map(|endings| endings.take(object));
    for (object, told) in told.into_iter().flatten().flatten() {
        told.undo(object);
    }
    // SAFETY: as the caller promises.
    unsafe { libc::aio_return(operation) }
}

/// A kqueue reports a list until the results of all its operations are taken.
fn remember_list(list: usize, operations: &[*mut libc::aiocb]) {
    let mut endings = ENDINGS.lock();
    let endings = endings.get_or_insert_default();
    let objects = operations.iter().filter(|it| !it.is_null()).map(|&it| it as usize);
    for object in objects {
        endings.lists.insert(object, list);
    }
    let count = endings.lists.values().filter(|&&of| of == list).count();
    endings.left.insert(list, count);
}

/// `int lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent
/// *sigevent)`—Begins several operations, and tells a port or a kqueue of the end of each, and of
/// all, as far as they ask for it by [`SIGEV_PORT`] or [`SIGEV_KEVENT`]. The object of the event
/// for all is the address of the list; a kqueue reports it by `EVFILT_LIO` until all results are
/// taken.
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
    let redirect = |event: &mut libc::sigevent, object: usize, filter: i16| {
        // SAFETY: as the caller promises.
        unsafe { redirect(event, object, filter) }
    };
    let mut redirected = Vec::new();
    let mut begin = || -> Result<()> {
        for &operation in operations {
            // SAFETY: as the caller promises.
            match unsafe { operation.as_mut() } {
                Some(it) if it.aio_lio_opcode != libc::LIO_NOP => {
                    let one = redirect(&mut it.aio_sigevent, operation as usize, EVFILT_AIO)?;
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
    let event_is_of_kqueue = event.is_some_and(|event| event.sigev_notify == SIGEV_KEVENT);
    if let (Ok(()), Some(event)) = (prepared, &mut event) {
        match redirect(event, list as usize, EVFILT_LIO) {
            Ok(all) => {
                if all.is_some() && event_is_of_kqueue {
                    remember_list(list as usize, operations);
                }
                redirected.extend(all.map(|all| (None, all)));
            }
            Err(error) => prepared = Err(error),
        }
    }
    let undo_all = |redirected: Vec<(Option<*mut libc::aiocb>, Redirected)>| {
        for (operation, one) in redirected {
            let before = undo(one);
            if let Some(operation) = operation {
                // SAFETY: the caller's struct, of an operation that did not begin.
                unsafe { (*operation).aio_sigevent = before };
            }
        }
    };
    if let Err(error) = prepared {
        undo_all(redirected);
        return answer(Err(error));
    }
    let event = event.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: as the caller promises; the event is null or valid until the call returns, by when it was copied.
    let result = unsafe { libc::lio_listio(mode, list, count, event) };
    let errno = std::io::Error::last_os_error().raw_os_error();
    if result == -1 {
        // With EINVAL none has begun. Otherwise of those that have the library tells.
        if errno == Some(libc::EINVAL) {
            undo_all(redirected);
        }
        return answer(Err(Errno(errno.unwrap_or(libc::EIO))));
    }
    result
}
