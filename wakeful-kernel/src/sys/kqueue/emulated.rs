//! kqueue(2) on Linux, by `wakeful-emulation`.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::c_int;
use wakeful_emulation::kqueue;
pub use wakeful_emulation::kqueue::kevent;

/// What owns the descriptor of a kqueue, and tells the emulation when it closes it.
#[derive(Debug)]
pub(crate) struct Owner(ManuallyDrop<OwnedFd>);

impl Drop for Owner {
    fn drop(&mut self) {
        kqueue::close(self.0.as_raw_fd());
    }
}

impl AsFd for Owner {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Owner {
    fn as_raw_fd(&self) -> c_int {
        self.0.as_raw_fd()
    }
}

/// Given away, it is closed by somebody who does not tell, which the emulation finds out.
impl From<Owner> for OwnedFd {
    fn from(owner: Owner) -> OwnedFd {
        let mut owner = ManuallyDrop::new(owner);
        // SAFETY: the owner is not used again, not even dropped.
        unsafe { ManuallyDrop::take(&mut owner.0) }
    }
}

/// `kqueue1(O_CLOEXEC)`
pub(crate) fn create_cloexec() -> io::Result<Owner> {
    let fd = crate::error::check(kqueue::kqueue1(libc::O_CLOEXEC))?;
    // SAFETY: the call succeeded, so it is open, and nothing else owns it.
    Ok(Owner(ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(fd) })))
}

/// `kevent(kq, changes, n, events, m, timeout)`
///
/// # Safety
///
/// As kevent(2): the lists valid for so many structs, the timeout null or valid.
pub(crate) unsafe fn kevent_call(
    kq: c_int,
    changes: *const kevent,
    change_count: usize,
    events: *mut kevent,
    event_count: usize,
    timeout: *const libc::timespec,
) -> c_int {
    let (change_count, event_count) = (change_count as c_int, event_count as c_int);
    // SAFETY: as the caller promises.
    unsafe { kqueue::kevent(kq, changes, change_count, events, event_count, timeout) }
}
