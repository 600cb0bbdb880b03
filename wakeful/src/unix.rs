//! What only Unix has: descriptors as sources, and pipes.

use std::os::fd::RawFd;

use crate::event::source_by_descriptor;

pub use crate::fd_source::{Fallback, FdSource};
pub use crate::pipe;

/// A bare descriptor as a source, for those that belong to something else: another library's
/// socket, a terminal, an inherited pipe.
///
/// It owns nothing. Whoever registers sees to it that the descriptor is non-blocking, and is
/// deregistered before it is closed.
///
/// # Edges on event ports and poll(2)
///
/// Where the drain rule is [`EdgeRule::AfterWouldBlock`](crate::EdgeRule::AfterWouldBlock) the
/// poller does not see when a bare descriptor is drained. After each event of an edge trigger it
/// rechecks the descriptor, by one poll(2) for all that are due: before the next wait, and then at
/// intervals that double from 62 µs to
/// [`Capabilities::edge_recheck`](crate::Capabilities::edge_recheck). A drained one is waited for
/// again. One that is still ready may have been drained and filled again. It is reported once more
/// at once if the number of unread bytes has changed, after 1 ms if it was drained promptly before,
/// and otherwise after 32 ms or more. So no event is lost, and some are spurious. A descriptor that
/// stays ready, as for writing most do, is reported about eight times a second; all such
/// descriptors of a poller wake it together. [`Registered::rearm`](crate::Registered::rearm) or
/// `reregister` after `WouldBlock` spares the recheck. Level and one-shot triggers need none.
///
/// # Limitations
///
/// What never blocks can be registered or not, as the backend has it; see
/// [`FdSource`](FdSource#files-and-devices-that-never-block).
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

source_by_descriptor!(['fd] SourceFd<'fd>, |source| *source.0, bare);
