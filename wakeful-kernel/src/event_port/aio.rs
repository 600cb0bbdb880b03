use std::collections::HashMap;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{EventPort, PortEvent, SubmitError};
use crate::error::check;
use crate::sys::event_port as port;

/// An asynchronous operation: what to do to a file, at which offset, and with which bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `aio_read`—Fills the buffer, as far as there is something, from this offset on.
    Read(u64),
    /// `aio_write`—Writes the buffer, from this offset on.
    Write(u64),
    /// `aio_fsync`—Makes durable what was written. The buffer is left as it is.
    Sync,
}

/// An operation that has ended, with what it was given.
#[derive(Debug)]
pub struct Completion {
    /// How many bytes were read or written.
    pub result: io::Result<usize>,
    /// Its file.
    pub file: OwnedFd,
    /// Its buffer.
    pub buffer: Vec<u8>,
}

/// The operations that are under way, by the address of their control blocks.
#[derive(Default)]
pub(super) struct Operations(Mutex<HashMap<usize, Box<Running>>>);

struct Running {
    /// The kernel, or the C library, uses it until the operation has ended.
    control: MaybeUninit<libc::aiocb>,
    file: OwnedFd,
    buffer: Vec<u8>,
}

// SAFETY: the pointers in it are to its own buffer, and to what the C library keeps for every thread.
unsafe impl Send for Running {}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations").field("count", &self.lock().len()).finish()
    }
}

impl Operations {
    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Box<Running>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventPort {
    /// `aio_read`, `aio_write` or `aio_fsync` with `SIGEV_PORT`—Begins an operation, whose file and buffer the port owns
    /// until it has ended. Its event is of the source [`Aio`](super::EventSource::Aio);
    /// [`completion`](EventPort::completion) answers with what came of it.
    ///
    /// # Errors
    ///
    /// With the file and the buffer: `EAGAIN`, too many are under way, or the port has no more slots; `EINVAL`, no
    /// such offset.
    #[doc(alias = "aio_read")]
    #[doc(alias = "aio_write")]
    #[doc(alias = "aio_fsync")]
    #[allow(clippy::unnecessary_cast)]
    pub fn submit(
        &self,
        file: impl Into<OwnedFd>,
        operation: Operation,
        buffer: Vec<u8>,
        user: usize,
    ) -> Result<(), SubmitError> {
        let notify =
            port::port_notify { portnfy_port: self.as_raw_fd(), portnfy_user: user as *mut _ };
        let file = file.into();
        let mut running = Box::new(Running { control: MaybeUninit::zeroed(), file, buffer });
        let (offset, length) = match operation {
            Operation::Read(offset) | Operation::Write(offset) => (offset, running.buffer.len()),
            Operation::Sync => (0, 0),
        };
        let Ok(offset) = libc::off_t::try_from(offset) else {
            let source = io::Error::from_raw_os_error(libc::EINVAL);
            return Err(SubmitError { file: running.file, buffer: running.buffer, source });
        };
        let (fd, bytes) = (running.file.as_raw_fd(), running.buffer.as_mut_ptr());
        let control = running.control.as_mut_ptr();
        // SAFETY: it is zeroed, which is a value of it: integers and pointers.
        unsafe {
            (*control).aio_fildes = fd;
            (*control).aio_buf = bytes.cast();
            (*control).aio_nbytes = length;
            (*control).aio_offset = offset;
            (*control).aio_sigevent = super::telling(&notify);
        }
        // Before it begins, so that whoever retrieves its event finds it.
        let mut operations = self.operations.lock();
        // SAFETY: the control block and the buffer stay where they are, in boxes of this port, until the operation
        // has ended; what the notification points to is read by the call only.
        let begun = check(unsafe {
            match operation {
                Operation::Read(_) => port::aio_read(control),
                Operation::Write(_) => port::aio_write(control),
                Operation::Sync => port::aio_fsync(libc::O_SYNC, control),
            }
        });
        match begun {
            Ok(_) => {
                operations.insert(control as usize, running);
                Ok(())
            }
            Err(source) => {
                let Running { file, buffer, .. } = *running;
                Err(SubmitError { file, buffer, source })
            }
        }
    }

    /// `aio_error`, `aio_return`—What came of an operation, if the event is about one that was
    /// [submitted](EventPort::submit) here; once.
    #[doc(alias = "aio_return")]
    pub fn completion(&self, event: &PortEvent) -> Option<Completion> {
        if event.source != super::EventSource::Aio {
            return None;
        }
        let mut operations = self.operations.lock();
        let running = operations.get_mut(&event.object)?;
        let result = outcome(running.control.as_mut_ptr());
        // An event made by hand, of one that is under way.
        let result = result?;
        let Running { file, buffer, .. } = *operations.remove(&event.object)?;
        Some(Completion { result, file, buffer })
    }
}

/// `None` while it is under way.
fn outcome(control: *mut libc::aiocb) -> Option<io::Result<usize>> {
    // SAFETY: it is that of an operation that was begun, and whose result was not asked for yet.
    match unsafe { libc::aio_error(control) } {
        libc::EINPROGRESS => None,
        // SAFETY: likewise, and it has ended.
        0 => Some(crate::error::check_size(unsafe { libc::aio_return(control) })),
        errno => {
            // SAFETY: likewise.
            unsafe { libc::aio_return(control) };
            Some(Err(io::Error::from_raw_os_error(errno)))
        }
    }
}

/// What is under way is cancelled; what cannot be is left to itself, with its file and its buffer.
impl Drop for Operations {
    fn drop(&mut self) {
        for (_, mut running) in self.lock().drain() {
            let control = running.control.as_mut_ptr();
            // SAFETY: it is that of an operation that was begun, and whose result was not asked for yet.
            unsafe { libc::aio_cancel(running.file.as_raw_fd(), control) };
            if outcome(control).is_none() {
                std::mem::forget(running);
            }
        }
    }
}
