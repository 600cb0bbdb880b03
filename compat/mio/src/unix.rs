//! Bare descriptors and pipes.

use std::io;
use std::os::fd::RawFd;

use crate::{Interest, Registry, Token, event};

/// A bare descriptor as a source. It owns nothing: whoever registers sees to it that the descriptor is
/// non-blocking, and is deregistered before it is closed.
///
/// Under poll(2) and event ports it is rechecked after each event: see `wakeful::unix::SourceFd`.
///
/// ```
/// use std::net::TcpListener;
/// use std::os::fd::AsRawFd;
/// use mio::unix::SourceFd;
/// use mio::{Interest, Poll, Token};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// listener.set_nonblocking(true)?;
/// let poll = Poll::new()?;
/// let descriptor = listener.as_raw_fd();
/// poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct SourceFd<'a>(pub &'a RawFd);

impl event::Source for SourceFd<'_> {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        registry.inner.register(&mut wakeful::unix::SourceFd(self.0), token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        registry.inner.reregister(&mut wakeful::unix::SourceFd(self.0), token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.inner.deregister(&mut wakeful::unix::SourceFd(self.0))
    }
}

pub mod pipe {
    //! Pipes, between threads or with a child process.

    use std::io;
    use std::process::{ChildStderr, ChildStdin, ChildStdout};

    use crate::io_source::{IoSource, delegate, io_type, reads, try_io, writes};

    /// A new pipe, both ends non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    pub fn new() -> io::Result<(Sender, Receiver)> {
        let (sender, receiver) = wakeful::pipe::new()?;
        Ok((Sender::from_wakeful(sender), Receiver::from_wakeful(receiver)))
    }

    /// The writing end of a pipe; write-closed once the last receiver is gone.
    pub struct Sender {
        inner: IoSource<wakeful::pipe::Sender>,
    }

    io_type!(Sender, wakeful::pipe::Sender);
    writes!(Sender, &Sender);

    impl Sender {
        delegate! {
            /// Switches between blocking and non-blocking calls.
            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
        }
        try_io!();
    }

    /// The reading end of a pipe; read-closed once the last sender is gone.
    pub struct Receiver {
        inner: IoSource<wakeful::pipe::Receiver>,
    }

    io_type!(Receiver, wakeful::pipe::Receiver);
    reads!(Receiver, &Receiver);

    impl Receiver {
        delegate! {
            /// Switches between blocking and non-blocking calls.
            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
        }
        try_io!();
    }

    impl From<ChildStdin> for Sender {
        /// It is not made non-blocking: see [`set_nonblocking`](Sender::set_nonblocking).
        fn from(stdin: ChildStdin) -> Sender {
            Sender::from_wakeful(stdin.into())
        }
    }

    impl From<ChildStdout> for Receiver {
        /// It is not made non-blocking: see [`set_nonblocking`](Receiver::set_nonblocking).
        fn from(stdout: ChildStdout) -> Receiver {
            Receiver::from_wakeful(stdout.into())
        }
    }

    impl From<ChildStderr> for Receiver {
        /// It is not made non-blocking: see [`set_nonblocking`](Receiver::set_nonblocking).
        fn from(stderr: ChildStderr) -> Receiver {
            Receiver::from_wakeful(stderr.into())
        }
    }
}
