//! Pipes: a one-way stream of bytes, between threads or with a child process.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

use wakeful_kernel::descriptor;

use crate::io_source::{IoSource, descriptor_owner, reads, writes};
use crate::rearm::Direction;

/// A new pipe, both ends non-blocking and close-on-exec.
///
/// # Errors
///
/// `EMFILE`, `ENFILE`.
///
/// ```
/// use std::io::{Read, Write};
/// use wakeful::pipe;
/// use wakeful::{Events, Interest, Poll, Token};
///
/// let mut poll = Poll::new()?;
/// let (mut sender, mut receiver) = pipe::new()?;
/// poll.registry().register(&mut receiver, Token(0), Interest::READABLE)?;
///
/// sender.write_all(b"hello")?;
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// let mut buffer = [0; 16];
/// assert_eq!(receiver.read(&mut buffer)?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn new() -> io::Result<(Sender, Receiver)> {
    let (reader, writer) = wakeful_kernel::pipe::pipe()?;
    Ok((Sender::from(writer), Receiver::from(reader)))
}

/// The writing end of a pipe.
///
/// When the last receiver is gone it is reported as an error and write-closed, and writing is
/// `BrokenPipe`.
pub struct Sender {
    inner: IoSource<File>,
}

/// The reading end of a pipe.
///
/// When the last sender is gone it is reported as read-closed, and reading ends with 0 bytes.
pub struct Receiver {
    inner: IoSource<File>,
}

descriptor_owner!(Sender, File);
descriptor_owner!(Receiver, File);
reads!(Receiver, &Receiver);
writes!(Sender, &Sender);

macro_rules! ends {
    ($($name:ident, $direction:expr;)+) => {$(
        impl $name {
            /// Switches between blocking and non-blocking calls, for all that share this end.
            ///
            /// # Errors
            ///
            /// Those of fcntl(2).
            pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                Ok(descriptor::set_nonblocking(self, nonblocking)?)
            }

            /// Runs an I/O operation of another library's on this descriptor.
            ///
            /// The operation must be tried on this very descriptor and must answer with
            /// `WouldBlock` when that would block, so that the poller hears of it.
            ///
            /// # Errors
            ///
            /// Those of the operation.
            pub fn try_io<F, T>(&self, operation: F) -> io::Result<T>
            where
                F: FnOnce() -> io::Result<T>,
            {
                self.inner.run($direction, |_| operation())
            }
        }
    )+};
}

ends! {
    Sender, Direction::Write;
    Receiver, Direction::Read;
}

/// A child's standard stream. It is not made non-blocking: see `set_nonblocking`.
macro_rules! from_child {
    ($($stream:ident => $name:ident),+) => {$(
        #[doc = "Not made non-blocking: call `set_nonblocking(true)` before registering it."]
        impl From<$stream> for $name {
            fn from(stream: $stream) -> $name {
                $name::from(OwnedFd::from(stream))
            }
        }
    )+};
}

from_child!(ChildStdin => Sender, ChildStdout => Receiver, ChildStderr => Receiver);
