//! What only Unix has: descriptors as sources, and pipes.

use std::os::fd::RawFd;

use crate::event::source_by_descriptor;

pub use crate::fd_source::{Fallback, FdSource};
pub use crate::pipe;

/// A bare descriptor as a source, for those that belong to something else: another library's
/// socket, a terminal, an inherited pipe.
///
/// It owns nothing. Whoever registers sees to it that the descriptor is non-blocking, and is
/// deregistered before it is closed. Under a backend whose drain rule is
/// [`EdgeRule::AfterWouldBlock`](crate::EdgeRule::AfterWouldBlock) an edge-triggered descriptor must be
/// reregistered after `WouldBlock`.
///
/// Regular files, directories and, under epoll, /dev/null are refused with `EPERM`: they never
/// block, so read or write them without waiting, or see [`FdSource::with_fallback`].
///
/// ```
/// use std::os::fd::AsRawFd;
/// use std::os::unix::net::UnixStream;
/// use wakeful::unix::SourceFd;
/// use wakeful::{Interest, Poll, Token};
///
/// let poll = Poll::new()?;
/// let (left, _right) = UnixStream::pair()?;
/// left.set_nonblocking(true)?;
/// poll.registry().register(&mut SourceFd(&left.as_raw_fd()), Token(0), Interest::READABLE)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct SourceFd<'fd>(pub &'fd RawFd);

source_by_descriptor!(['fd] SourceFd<'fd>, |source| *source.0);
