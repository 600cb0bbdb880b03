//! POSIX asynchronous I/O: operations that are under way, whose ends a port or a kqueue tells.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::{check, check_size};
use crate::file::{Completed, Key, Operation, Output, Reason, Rejected};
use crate::process;
use crate::sys::aio as sys;

/// The C library of Linux looks once more at what has ended, to see whom to tell. Of those who are not told nobody else
/// knows when it has.
const GRACE: Duration = Duration::from_millis(100);

/// Those that one queue is told of, by the addresses of their control blocks.
pub(crate) struct Operations {
    running: Mutex<HashMap<usize, Running>>,
    /// In a forked child nothing of it is under way.
    forks: u32,
}

/// One that is under way, on the heap: the kernel, or the C library, uses it until it has ended.
struct Running(NonNull<Inner>);

struct Inner {
    control: MaybeUninit<libc::aiocb>,
    operation: Operation,
    user: usize,
}

// SAFETY: it owns what it points to, whose pointers are to its own buffer.
unsafe impl Send for Running {}

impl Running {
    fn control(&self) -> *mut libc::aiocb {
        // SAFETY: it is there until it is freed, once, by `free`.
        unsafe { (&raw mut (*self.0.as_ptr()).control).cast() }
    }

    fn file_number(&self) -> libc::c_int {
        // SAFETY: nobody changes the operation while it is under way.
        unsafe { (&raw const (*self.0.as_ptr()).operation).as_ref() }
            .and_then(Operation::file)
            .map_or(-1, |file| file.as_raw_fd())
    }

    fn user(&self) -> usize {
        // SAFETY: nobody changes it.
        unsafe { (*self.0.as_ptr()).user }
    }

    /// `None` while it is under way; else what came of it, which can be asked once.
    fn outcome(&self) -> Option<io::Result<usize>> {
        // SAFETY: it was begun, and its result was not asked for yet.
        match unsafe { libc::aio_error(self.control()) } {
            libc::EINPROGRESS => None,
            // SAFETY: likewise, and it has ended.
            0 => Some(check_size(unsafe { sys::aio_return(self.control()) })),
            errno => {
                // SAFETY: likewise.
                unsafe { sys::aio_return(self.control()) };
                Some(Err(io::Error::from_raw_os_error(errno)))
            }
        }
    }

    /// Gives back what it was made of.
    ///
    /// # Safety
    ///
    /// It has not begun, or has ended.
    unsafe fn free(self) -> (Operation, usize) {
        // SAFETY: it was made from a box, and nobody uses it any more, as the caller promises.
        let inner = unsafe { Box::from_raw(self.0.as_ptr()) };
        (inner.operation, inner.user)
    }

    /// Waits for its end.
    fn wait(&self) {
        while self.outcome().is_none() {
            let list = [self.control().cast_const()];
            // SAFETY: the list is of one control block, which is there.
            unsafe { libc::aio_suspend(list.as_ptr(), 1, std::ptr::null()) };
        }
    }
}

impl Operations {
    pub(crate) fn new() -> Operations {
        Operations { running: Mutex::default(), forks: process::forks() }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<usize, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, whose end is told as the `sigevent` says. What that points to must live until this returns.
    #[allow(clippy::unnecessary_cast)]
    pub(crate) fn begin(
        &self,
        operation: Operation,
        user: usize,
        event: libc::sigevent,
    ) -> Result<(), Rejected<usize>> {
        let reject =
            |operation, error| Err(Rejected { operation, user, reason: Reason::Failed(error) });
        let inner = Inner { control: MaybeUninit::zeroed(), operation, user };
        let running = Running(NonNull::from(Box::leak(Box::new(inner))));
        let (file, control) = (running.file_number(), running.control());
        // SAFETY: it was made just now, and nobody else has it.
        let operation = unsafe { &mut (*running.0.as_ptr()).operation };
        let (offset, bytes, length, call): (_, _, _, fn(_) -> _) = match operation {
            Operation::Read { buffer, offset, .. } => {
                (*offset, buffer.as_mut_ptr(), buffer.len(), |control| {
                    // SAFETY: the control block and the buffer are there until it has ended.
                    unsafe { sys::aio_read(control) }
                })
            }
            Operation::Write { buffer, offset, .. } => {
                (*offset, buffer.as_mut_ptr(), buffer.len(), |control| {
                    // SAFETY: likewise.
                    unsafe { sys::aio_write(control) }
                })
            }
            Operation::Sync { .. } => (0, std::ptr::null_mut(), 0, |control| {
                // SAFETY: likewise. For data alone it is more than is asked for.
                unsafe { sys::aio_fsync(libc::O_SYNC, control) }
            }),
            _ => {
                // SAFETY: it has not begun.
                let (operation, _) = unsafe { running.free() };
                return reject(operation, io::ErrorKind::Unsupported.into());
            }
        };
        let Ok(offset) = offset.try_into() else {
            // SAFETY: it has not begun.
            let (operation, _) = unsafe { running.free() };
            return reject(operation, io::Error::from_raw_os_error(libc::EINVAL));
        };
        // SAFETY: it is zeroed, which is a value of it: integers and pointers.
        unsafe {
            (*control).aio_fildes = file;
            (*control).aio_buf = bytes.cast();
            (*control).aio_nbytes = length;
            (*control).aio_offset = offset;
            (*control).aio_sigevent = event;
        }
        // Before it begins, so that whoever retrieves its event finds it.
        let mut all = self.running();
        match check(call(control)) {
            Ok(_) => {
                all.insert(control as usize, running);
                Ok(())
            }
            Err(error) => {
                // SAFETY: it did not begin.
                let (operation, _) = unsafe { running.free() };
                reject(operation, error)
            }
        }
    }

    /// One that has ended, by the address of its control block; once.
    pub(crate) fn finish(&self, address: usize) -> Option<Completed<usize>> {
        if self.forks != process::forks() {
            return None;
        }
        let mut all = self.running();
        // `None` also for an event made by hand, of one that is under way.
        let result = all.get(&address)?.outcome()?;
        let running = all.remove(&address)?;
        drop(all);
        // SAFETY: it has ended.
        let (operation, user) = unsafe { running.free() };
        let output = match operation {
            Operation::Sync { .. } => |_| Output::Done,
            _ => Output::Count,
        };
        // Which of many it was, its user says.
        Some(Completed::new(Key::new(0, 0), user, operation, result.map(output)))
    }

    /// `aio_cancel`—Asks for one to be given up, which ends in any case.
    pub(crate) fn cancel(&self, user: usize) {
        let all = self.running();
        for running in all.values().filter(|it| it.user() == user) {
            // SAFETY: it was begun, and its result was not asked for yet.
            unsafe { sys::aio_cancel(running.file_number(), running.control()) };
        }
    }
}

/// What is under way is cancelled; what cannot be keeps its file and its buffer until it has ended.
impl Drop for Operations {
    fn drop(&mut self) {
        let all = mem::take(self.running.get_mut().unwrap_or_else(PoisonError::into_inner));
        if self.forks != process::forks() {
            // A forked child has copies, which nobody uses.
            for running in all.into_values() {
                // SAFETY: nothing is under way here.
                drop(unsafe { running.free() });
            }
            return;
        }
        if all.is_empty() {
            return;
        }
        for running in all.values() {
            // SAFETY: it was begun, and its result was not asked for yet.
            unsafe { sys::aio_cancel(running.file_number(), running.control()) };
        }
        // If there is no thread for it, they are never freed.
        let waiter = thread::Builder::new().name("wakeful-leftover".to_owned());
        let _ = waiter.spawn(move || {
            all.values().for_each(Running::wait);
            thread::sleep(GRACE);
            for running in all.into_values() {
                // SAFETY: it has ended.
                drop(unsafe { running.free() });
            }
        });
    }
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations").field("count", &self.running().len()).finish()
    }
}

/// A `sigevent` that tells a kqueue.
// Only where there are kqueues.
#[allow(dead_code)]
pub(crate) fn telling_kqueue(kqueue: libc::c_int, user: usize) -> libc::sigevent {
    /// `SIGEV_KEVENT`
    const KEVENT: libc::c_int = 3;
    // SAFETY: the struct consists of integers and pointers, for which zero is valid.
    let mut event: libc::sigevent = unsafe { MaybeUninit::zeroed().assume_init() };
    event.sigev_notify = KEVENT;
    // `sigev_notify_kqueue` is another name for it.
    event.sigev_signo = kqueue;
    event.sigev_value.sival_ptr = user as *mut _;
    event
}

/// Whether a kqueue can be told.
// Only where there are kqueues.
#[allow(dead_code)]
pub(crate) const IS_THERE: bool = true;
