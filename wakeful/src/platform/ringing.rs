//! Making a descriptor readable, for certain.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use wakeful_kernel::poll::{PollFd, poll};
use wakeful_kernel::readiness::Readiness;

/// An error that lasts longer is the caller's.
const ATTEMPTS: usize = 8;

/// Makes a descriptor readable by `ring`.
///
/// An error of `ring` while the descriptor is readable is none: a full pipe and a full counter say
/// `EAGAIN`. Any other is followed by further attempts.
///
/// # Errors
///
/// The last of `ring`'s: the descriptor is not readable.
#[inline]
pub(crate) fn make_readable(
    fd: BorrowedFd<'_>,
    ring: impl FnMut() -> io::Result<()>,
) -> io::Result<()> {
    let mut ring = ring;
    match ring() {
        Ok(()) => Ok(()),
        Err(error) => try_again(fd, ring, error),
    }
}

#[cold]
fn try_again(
    fd: BorrowedFd<'_>,
    mut ring: impl FnMut() -> io::Result<()>,
    mut error: io::Error,
) -> io::Result<()> {
    for _ in 1..ATTEMPTS {
        if is_readable(fd) {
            return Ok(());
        }
        match ring() {
            Ok(()) => return Ok(()),
            Err(another) => error = another,
        }
    }
    if is_readable(fd) { Ok(()) } else { Err(error) }
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(&fd, Readiness::IN)];
    poll(&mut fds, Some(Duration::ZERO)).is_ok() && fds[0].readiness().contains(Readiness::IN)
}
