//! Event ports: the queue of illumos and Solaris, its whole vocabulary.
//!
//! An [`EventPort`] is a queue of [`PortEvent`]s, from several sources:
//!
//! | Source | By | Events |
//! |---|---|---|
//! | descriptors | [`EventPort::associate_fd`] | [`PollEvents`] |
//! | files | [`EventPort::associate_file`] | [`FileEvents`] |
//! | timers | [`EventPort::timer`] | how often it has expired |
//! | asynchronous operations | [`EventPort::submit`] | [`EventPort::completion`] |
//! | the program | [`EventPort::send`], [`EventPort::send_n`] | its own |
//! | alerts | [`EventPort::set_alert`] | its own |
//!
//! **An association is for one event.** After that it has to be made again, which looks at once whether there is
//! something to tell. So several threads may wait at one port, and what one is told of, no other is.
//!
//! On Linux this module is there with the feature `emulation`, over the crate `wakeful-emulation`.
//!
//! # What to know
//!
//! - Descriptors are known by their number and file: closing one ends its association, and drops its event.
//! - Files are known by the address of their [`FileObj`], which the port owns meanwhile. Its times are compared when
//!   it is associated: what happened since they were looked at is told at once, so that nothing is missed between
//!   an event and the next association.
//! - What was told may be over by the time it is retrieved.
//! - A port is itself a descriptor: readable while there are events. It is closed at exec.
//!
//! # References
//! - [port_create(3C)](https://illumos.org/man/3C/port_create),
//!   [port_associate(3C)](https://illumos.org/man/3C/port_associate), [port_get(3C)](https://illumos.org/man/3C/port_get)
//!
//! # Examples
//!
//! ```
//! use std::io::Write;
//! use std::os::fd::AsRawFd;
//! use std::os::unix::net::UnixStream;
//! use wakeful_kernel::event_port::{EventPort, PollEvents};
//!
//! let port = EventPort::new()?;
//! let (mut sender, receiver) = UnixStream::pair()?;
//! port.associate_fd(receiver.as_raw_fd(), PollEvents::IN, 23)?;
//! sender.write_all(b"hello")?;
//!
//! let event = port.get(None)?;
//! assert_eq!(event.as_fd(), Some(receiver.as_raw_fd()));
//! assert_eq!(event.poll_events(), Some(PollEvents::IN));
//! assert_eq!(event.user, 23);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Calls of the system are unsafe, those of the emulation in part.
#![allow(unused_unsafe)]

mod aio;
mod error;
mod events;
mod file;
mod path;
mod timer;

use std::collections::HashMap;
use std::ffi::{c_int, c_uint};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

pub use libc::{
    POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND,
    POLLWRNORM,
};

pub use self::error::{
    AlertError, AssociateFdError, AssociateFileError, DissociateFdError, DissociateFileError,
    ExtractFileObjError, FileObjError, GetError, GetNError, PortCreateError, RefreshError,
    SendError, SendNError, TimerError,
};
pub use self::events::{EventSource, FileEvents, PollEvents, PortEvent, RawEvent};
pub use self::file::FileObj;
pub use self::path::FilePath;
pub use self::timer::{Clock, Timer};
use crate::aio::Operations;
use crate::error::check;
pub use crate::sys::event_port as sys;
pub use crate::sys::event_port::{
    FILE_ACCESS, FILE_ATTRIB, FILE_DELETE, FILE_EXCEPTION, FILE_MODIFIED, FILE_NOFOLLOW,
    FILE_RENAME_FROM, FILE_RENAME_TO, FILE_TRUNC, MOUNTEDOVER, PORT_SOURCE_AIO, PORT_SOURCE_ALERT,
    PORT_SOURCE_FD, PORT_SOURCE_FILE, PORT_SOURCE_MQ, PORT_SOURCE_TIMER, PORT_SOURCE_USER,
    UNMOUNTED,
};

/// `port_create()`—A queue of events.
///
/// All of its methods take `&self`, and any number of threads may use it at the same time.
#[derive(Debug)]
pub struct EventPort {
    /// First, so that the port is gone before what belongs to it.
    fd: sys::Owner,
    /// The file objects that are associated, or whose events are retrieved right now, by their addresses.
    files: Mutex<HashMap<usize, Associated>>,
    operations: OnceLock<Box<Operations>>,
}

#[derive(Debug)]
struct Associated {
    file: FileObj,
    /// How many events of it are still to be seen here.
    awaited: usize,
}

impl AsFd for EventPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for EventPort {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Longer timeouts are cut to this, about three years.
const LONGEST: Duration = Duration::from_secs(100_000_000);

impl EventPort {
    /// `port_create()`, `fcntl(F_SETFD, FD_CLOEXEC)`—A new port.
    ///
    /// # Errors
    ///
    /// `EMFILE`; `EAGAIN`: project.max-port-ids is reached.
    #[doc(alias = "port_create")]
    pub fn new() -> Result<EventPort, PortCreateError> {
        let fd = sys::create_cloexec().map_err(PortCreateError)?;
        Ok(EventPort { fd, files: Mutex::default(), operations: OnceLock::new() })
    }

    /// Its descriptor.
    pub fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    fn files(&self) -> MutexGuard<'_, HashMap<usize, Associated>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `port_associate(self, PORT_SOURCE_FD, fd, events, user)`—Waits for a descriptor, for one event.
    ///
    /// One that is associated is associated anew: an event that was not retrieved is dropped, and looked for again.
    /// Safe for any number: the kernel ties the association to the open file behind it.
    ///
    /// # Errors
    ///
    /// `EBADFD`: it is not open; `EAGAIN`: process.max-port-events is reached; `EINVAL`: it is the port itself.
    #[doc(alias = "port_associate")]
    pub fn associate_fd(
        &self,
        fd: RawFd,
        events: PollEvents,
        user: usize,
    ) -> Result<(), AssociateFdError> {
        let (port, source) = (self.as_raw_fd(), sys::PORT_SOURCE_FD);
        // SAFETY: the object is a number.
        check(unsafe {
            sys::port_associate(port, source, fd as usize, events.bits(), user as *mut _)
        })
        .map(drop)
        .map_err(|source| AssociateFdError { fd, source })
    }

    /// `port_dissociate(self, PORT_SOURCE_FD, fd)`—Waits for it no more, and drops an event that was not retrieved.
    ///
    /// # Errors
    ///
    /// `ENOENT`: it is not associated, or its event was retrieved; `EBADFD`: it is not open; `EACCES`: another process
    /// has associated it.
    #[doc(alias = "port_dissociate")]
    pub fn dissociate_fd(&self, fd: RawFd) -> Result<(), DissociateFdError> {
        // SAFETY: the object is a number.
        check(unsafe { sys::port_dissociate(self.as_raw_fd(), sys::PORT_SOURCE_FD, fd as usize) })
            .map(drop)
            .map_err(|source| DissociateFdError { fd, source })
    }

    /// `port_associate(self, PORT_SOURCE_FILE, file_obj, events, user)`—Waits for something to happen to a file, for one
    /// event; at once if its times are not those of the object.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `EACCES` and what else a path may meet with; `EINVAL`: events that cannot be asked for; `EAGAIN`:
    /// process.max-port-events is reached; `ENOTSUP`: the file system does not tell.
    pub fn associate_file(
        &self,
        file_obj: &FileObj,
        events: FileEvents,
        user: usize,
    ) -> Result<(), AssociateFileError> {
        let nofollow = if file_obj.is_followed() { 0 } else { sys::FILE_NOFOLLOW };
        let events = events.bits() | nofollow;
        let mut files = self.files();
        let address = file_obj.address();
        if let Some(associated) = files.get_mut(&address) {
            // Whether its event is still to come, or is being retrieved by somebody, this tells.
            if self.end_file(address).is_ok() {
                associated.awaited -= 1;
            }
        }
        let (port, source) = (self.as_raw_fd(), sys::PORT_SOURCE_FILE);
        let result = file_obj.with(|object| {
            // SAFETY: the object is locked, and its name lives as long as it.
            check(unsafe { sys::port_associate(port, source, object, events, user as *mut _) })
        });
        let file = file_obj.clone();
        let associated = files.entry(address).or_insert_with(|| Associated { file, awaited: 0 });
        associated.awaited += usize::from(result.is_ok());
        if associated.awaited == 0 {
            files.remove(&address);
        }
        result
            .map(drop)
            .map_err(|source| AssociateFileError { path: file_obj.path().clone(), source })
    }

    /// `port_dissociate(self, PORT_SOURCE_FILE, file_obj)`—Waits for it no more, and drops an event that was not
    /// retrieved.
    ///
    /// # Errors
    ///
    /// `ENOENT`: it is not associated, or its event was retrieved; `EINVAL`: no file ever was.
    pub fn dissociate_file(&self, file_obj: &FileObj) -> Result<(), DissociateFileError> {
        let mut files = self.files();
        let address = file_obj.address();
        self.end_file(address)
            .map_err(|source| DissociateFileError { path: file_obj.path().clone(), source })?;
        self.seen(&mut files, address);
        Ok(())
    }

    fn end_file(&self, address: usize) -> io::Result<()> {
        // SAFETY: the address is a name here, which is not followed.
        check(unsafe { sys::port_dissociate(self.as_raw_fd(), sys::PORT_SOURCE_FILE, address) })
            .map(drop)
    }

    /// An event of a file object was seen: it is the port's no more, if no other is to come.
    fn seen(&self, files: &mut HashMap<usize, Associated>, address: usize) -> Option<FileObj> {
        let associated = files.get_mut(&address)?;
        associated.awaited = associated.awaited.saturating_sub(1);
        let file = associated.file.clone();
        if associated.awaited == 0 {
            files.remove(&address);
            // Once the object is gone nobody could name what is left of the association, which takes up a slot.
            let _ = self.end_file(address);
        }
        Some(file)
    }

    /// `port_send(self, events, user)`—Queues an event of the program's own. Async-signal-safe on illumos.
    ///
    /// # Errors
    ///
    /// `EAGAIN`: process.max-port-events is reached.
    #[doc(alias = "port_send")]
    pub fn send(&self, events: i32, user: usize) -> Result<(), SendError> {
        // SAFETY: the user is a number.
        check(unsafe { sys::port_send(self.as_raw_fd(), events, user as *mut _) })
            .map(drop)
            .map_err(SendError)
    }

    /// `port_sendn(ports, errors, n, events, user)`—Queues an event in each of several ports, with one call.
    ///
    /// # Errors
    ///
    /// Which failed, and why; the others have it. `EINVAL`: the list is empty.
    #[doc(alias = "port_sendn")]
    pub fn send_n(ports: &[&EventPort], events: i32, user: usize) -> Result<(), SendNError> {
        let mut list: Vec<c_int> = ports.iter().map(|port| port.as_raw_fd()).collect();
        let mut errors = vec![0; list.len()];
        let (at, errors_at, count) = (list.as_mut_ptr(), errors.as_mut_ptr(), list.len() as c_uint);
        // SAFETY: both lists are as long as is said.
        let sent = unsafe { sys::port_sendn(at, errors_at, count, events, user as *mut _) };
        let failed = |source| SendNError { sent: 0, errors: Vec::new(), source };
        let sent = check(sent).map_err(failed)? as usize;
        if sent == ports.len() {
            return Ok(());
        }
        let errors = errors.iter().enumerate().filter(|&(_, &errno)| errno != 0);
        let errors: Vec<_> =
            errors.map(|(at, &errno)| (at, io::Error::from_raw_os_error(errno))).collect();
        let first = errors.first().and_then(|(_, error)| error.raw_os_error());
        let source = io::Error::from_raw_os_error(first.unwrap_or(libc::EIO));
        Err(SendNError { sent, errors, source })
    }

    /// `port_alert(self, PORT_ALERT_SET, events, user)`—Enters alert mode: every wait ends at once, with this event alone,
    /// again and again. What it tells is replaced if it is in alert mode already.
    ///
    /// # Errors
    ///
    /// `EINVAL`: no events.
    #[doc(alias = "port_alert")]
    pub fn set_alert(&self, events: i32, user: usize) -> Result<(), AlertError> {
        self.alert(sys::PORT_ALERT_SET, events, user)
    }

    /// `port_alert(self, PORT_ALERT_UPDATE, events, user)`—Enters alert mode, if it is not in it.
    ///
    /// # Errors
    ///
    /// `EBUSY`: it is. `EINVAL`: no events.
    pub fn try_alert(&self, events: i32, user: usize) -> Result<(), AlertError> {
        self.alert(sys::PORT_ALERT_UPDATE, events, user)
    }

    fn alert(&self, flags: c_int, events: i32, user: usize) -> Result<(), AlertError> {
        if events == 0 {
            return Err(AlertError { source: io::Error::from_raw_os_error(libc::EINVAL) });
        }
        // SAFETY: the user is a number.
        check(unsafe { sys::port_alert(self.as_raw_fd(), flags, events, user as *mut _) })
            .map(drop)
            .map_err(|source| AlertError { source })
    }

    /// `port_alert(self, PORT_ALERT_SET, 0, NULL)`—Leaves alert mode.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn clear_alert(&self) -> Result<(), AlertError> {
        let flags = sys::PORT_ALERT_SET;
        // SAFETY: the user may be null.
        check(unsafe { sys::port_alert(self.as_raw_fd(), flags, 0, std::ptr::null_mut()) })
            .map(drop)
            .map_err(|source| AlertError { source })
    }

    /// `port_getn(self, NULL, 0, &count, NULL)`—How many events are queued.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn pending(&self) -> Result<usize, GetNError> {
        let mut count = 0;
        let (list, timeout) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the list is empty, the count valid, and the timeout null.
        check(unsafe { sys::port_getn(self.as_raw_fd(), list, 0, &mut count, timeout) })
            .map_err(GetNError)?;
        Ok(count as usize)
    }

    /// `port_getn(self, &event, 1, 1, timeout)`—Waits for one event; without end if there is no timeout.
    ///
    /// # Errors
    ///
    /// `ETIME`: nothing happened in that time ([`GetError::is_timeout`]); `EINTR`: a signal handler ran.
    #[doc(alias = "port_get")]
    pub fn get(&self, timeout: Option<Duration>) -> Result<PortEvent, GetError> {
        let mut raw = Vec::with_capacity(1);
        // port_get itself would leave the event unwritten when the timeout is zero.
        let got = self.get_some_raw(&mut raw, 1, 1, timeout);
        got.map_err(|GetNError(source)| GetError(source))?;
        match raw.pop() {
            Some(event) => Ok(self.event(event)),
            None => Err(GetError(io::Error::from_raw_os_error(libc::ETIME))),
        }
    }

    /// `port_getn(self, events, max, 1, timeout)`—Waits for one event at least, and retrieves all that there are, up to so
    /// many. None, if nothing happened in the time.
    ///
    /// # Errors
    ///
    /// `EINTR`: a signal handler ran; `EINVAL`: `max` is zero.
    #[doc(alias = "port_getn")]
    pub fn get_n(
        &self,
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<PortEvent>, GetNError> {
        self.get_at_least(1, max, timeout)
    }

    /// `port_getn(self, events, max, wanted, timeout)`—Waits for so many events, and retrieves up to `max`; fewer than
    /// are wanted, if the time is over before.
    ///
    /// # Errors
    ///
    /// `EINTR`: a signal handler ran, and nothing was retrieved; `EINVAL`: `max` is zero, or more are wanted.
    pub fn get_at_least(
        &self,
        wanted: usize,
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<Vec<PortEvent>, GetNError> {
        // As many as could be queued are room enough.
        let mut raw = Vec::with_capacity(max.min(1024).max(wanted.min(65_536)));
        self.get_some_raw(&mut raw, wanted, max, timeout)?;
        Ok(raw.into_iter().map(|event| self.event(event)).collect())
    }

    /// `port_getn(self, events, max, wanted, timeout)`—As [`get_at_least`](EventPort::get_at_least), without a
    /// detour: behind what is in the list, as far as there is room.
    ///
    /// How many were added. The file objects of the events are not handed over.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn get_raw(
        &self,
        events: &mut Vec<RawEvent>,
        wanted: usize,
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<usize, GetNError> {
        let before = events.len();
        let count = self.get_some_raw(events, wanted, max, timeout)?;
        if events.get(before..).is_some_and(|new| new.iter().any(is_of_file)) {
            let mut files = self.files();
            for event in events.iter().skip(before).filter(|event| is_of_file(event)) {
                self.seen(&mut files, event.object());
            }
        }
        Ok(count)
    }

    fn get_some_raw(
        &self,
        events: &mut Vec<RawEvent>,
        wanted: usize,
        max: usize,
        timeout: Option<Duration>,
    ) -> Result<usize, GetNError> {
        let room = events.spare_capacity_mut();
        let capacity = room.len().min(max);
        let invalid = || GetNError(io::Error::from_raw_os_error(libc::EINVAL));
        // With no room the call would count, and without wanting something answer at once.
        if capacity == 0 || wanted == 0 || wanted > capacity {
            return Err(invalid());
        }
        let max = c_uint::try_from(capacity).unwrap_or(c_uint::MAX);
        let mut count = c_uint::try_from(wanted).map_err(|_| invalid())?;
        let mut timeout = timeout.map(|timeout| crate::sys::timespec(timeout.min(LONGEST)));
        let timeout = timeout.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
        let list = room.as_mut_ptr().cast();
        // SAFETY: the list is valid for so many structs, RawEvent being a transparent one; the count is valid, and
        // the timeout null or valid until the call returns.
        let result = unsafe { sys::port_getn(self.as_raw_fd(), list, max, &mut count, timeout) };
        match check(result) {
            Ok(_) => {}
            // What there was until then is there.
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => {}
            Err(error) => return Err(GetNError(error)),
        }
        let count = (count as usize).min(capacity);
        // SAFETY: the kernel has written so many structs behind the present length.
        unsafe { events.set_len(events.len() + count) };
        Ok(count)
    }

    fn event(&self, raw: RawEvent) -> PortEvent {
        let file = match is_of_file(&raw) {
            true => self.seen(&mut self.files(), raw.object()),
            false => None,
        };
        PortEvent::new(raw, file)
    }
}

fn is_of_file(event: &RawEvent) -> bool {
    event.source() == EventSource::File
}

/// A `sigevent` that tells a port. What it points to must live as long as it is used.
fn telling(notify: &sys::port_notify) -> libc::sigevent {
    // SAFETY: the struct consists of integers and pointers, for which zero is valid.
    let mut event: libc::sigevent = unsafe { MaybeUninit::zeroed().assume_init() };
    event.sigev_notify = sys::SIGEV_PORT;
    event.sigev_value.sival_ptr = std::ptr::from_ref(notify).cast_mut().cast();
    event
}
