//! pipe(2): a one-way stream of bytes between two descriptors.

use std::os::fd::{FromRawFd, OwnedFd};

use crate::error::check;
use crate::sys;

operation_error! {
    /// A pipe could not be created.
    CreateError: "pipe2", advice: |_, errno| match errno {
        libc::EMFILE => "this process is at its limit of open files: close some or raise RLIMIT_NOFILE",
        _ => "",
    }
}

/// `pipe2(fds, O_CLOEXEC | O_NONBLOCK)`—Creates a pipe; answers with (reading end, writing end).
///
/// Both ends are close-on-exec and non-blocking. Where the system has no pipe2 (macOS) the flags are
/// set right after the creation, and a process forked in between by another thread inherits them
/// unset.
///
/// # References
/// - [Linux](https://man7.org/linux/man-pages/man2/pipe.2.html)
/// - [FreeBSD](https://man.freebsd.org/cgi/man.cgi?query=pipe&sektion=2)
/// - [illumos](https://illumos.org/man/2/pipe)
///
/// # Errors
///
/// Those of pipe2(2): `EMFILE`, `ENFILE`.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use std::io::{Read, Write};
///
/// let (reader, writer) = wakeful_kernel::pipe::pipe()?;
/// File::from(writer).write_all(b"ready")?;
/// let mut text = String::new();
/// File::from(reader).read_to_string(&mut text)?;
/// assert_eq!(text, "ready");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "pipe2")]
pub fn pipe() -> Result<(OwnedFd, OwnedFd), CreateError> {
    let mut fds = [-1; 2];
    // SAFETY: `fds` is valid for the write of two integers, all that the call does.
    check(unsafe { sys::pipe_cloexec_nonblock(&mut fds) })
        .map_err(|source| CreateError { source })?;
    // SAFETY: the call succeeded, so both numbers are open descriptors that nothing else owns.
    let reader = unsafe { OwnedFd::from_raw_fd(fds[0]) };
    // SAFETY: as above.
    let writer = unsafe { OwnedFd::from_raw_fd(fds[1]) };
    Ok((reader, writer))
}
