use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use wakeful_kernel::descriptor;

use crate::SourceError;
use crate::event::source_by_descriptor;
use crate::io_source::IoSource;
use crate::platform;
use crate::rearm::{self, Direction};

/// What to do about a descriptor that the kernel does not wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fallback {
    /// Report it as ready, for reading and writing, as select(2) and poll(2) do. Reading from a disk may
    /// block all the same.
    AlwaysReady,
    /// Have a thread read it, ahead of whoever reads this, as far as a socket's buffer goes, and report
    /// what has been read. It is always writable, but where a file is written to is where the thread has come
    /// to, unless it is open for appending. The thread ends at the end of the file, or after the read during
    /// which the source was dropped or taken apart; what it has read ahead is lost then.
    HelperThread,
}

/// Any descriptor's owner as a source: a terminal, a socket of another library's, an open device.
///
/// Reads and writes through it are tried on the descriptor itself, which is not made non-blocking, since
/// that would concern everyone who shares the open file: a shell, for standard input. Read once after an
/// event, or call [`set_nonblocking`](FdSource::set_nonblocking) and read until `WouldBlock`.
///
/// # Files and devices that never block
///
/// | | epoll | kqueue | event ports, poll(2) |
/// |---|---|---|---|
/// | Regular file | `EPERM` | readable unless its offset is its end, and writable | `EPERM` |
/// | Directory | `EPERM` | as a regular file | `EPERM` |
/// | `/dev/null`, `/dev/zero` | `EPERM` | `EPERM`, or always ready, as the system has it | always ready |
/// | `/proc/mounts` and its like | as poll(2) has it | as a regular file | `EPERM` |
///
/// With [`with_fallback`](FdSource::with_fallback) the files, directories and devices can be
/// registered on every backend, and are what their [`Fallback`] makes of them. Otherwise read and
/// write them without waiting.
///
/// ```
/// use std::fs::File;
/// use std::io::Read;
/// use wakeful::unix::{Fallback, FdSource};
/// use wakeful::{Events, Interest, Poll, Token};
///
/// let mut poll = Poll::new()?;
/// let file = FdSource::with_fallback(File::open("/proc/self/exe")?, Fallback::HelperThread)?;
/// let mut file = poll.registry().register_owned(file, Token(0), Interest::READABLE)?;
///
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// assert!(events.iter().any(|event| event.is_readable()));
/// let mut start = [0; 4];
/// file.read_exact(&mut start)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct FdSource<T: AsFd> {
    inner: IoSource<Way<T>>,
}

/// What is waited for.
struct Way<T> {
    owner: T,
    instead: Option<Instead>,
}

/// A descriptor that can be waited for in the place of one that cannot.
enum Instead {
    /// Readable, because something was sent to it, and writable; and the end from which that was sent.
    Ready {
        stream: UnixStream,
        _other: UnixStream,
    },
    Helper(Helper),
}

/// What a thread reads comes out of here.
struct Helper {
    stream: UnixStream,
    /// What ended it, if not the end of the file.
    error: Arc<Mutex<Option<io::Error>>>,
}

impl<T: AsFd> AsFd for Way<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.instead {
            None => self.owner.as_fd(),
            Some(Instead::Ready { stream, .. }) => stream.as_fd(),
            Some(Instead::Helper(helper)) => helper.stream.as_fd(),
        }
    }
}

impl<T: AsFd> FdSource<T> {
    /// A source of this descriptor. If it cannot be waited for, registering it is an error.
    pub fn new(owner: T) -> FdSource<T> {
        FdSource { inner: IoSource::new(Way { owner, instead: None }) }
    }

    /// A source of this descriptor, whether or not it can be waited for.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`; those of starting a thread. The error gives the owner back.
    pub fn with_fallback(owner: T, fallback: Fallback) -> Result<FdSource<T>, SourceError<T>> {
        match Instead::of(owner.as_fd(), fallback) {
            Ok(instead) => Ok(FdSource { inner: IoSource::new(Way { owner, instead }) }),
            Err(error) => Err(SourceError::new(owner, error)),
        }
    }

    /// What is done instead of waiting for the descriptor itself, if it cannot be waited for.
    pub fn fallback(&self) -> Option<Fallback> {
        self.inner.get().instead.as_ref().map(|instead| match instead {
            Instead::Ready { .. } => Fallback::AlwaysReady,
            Instead::Helper(_) => Fallback::HelperThread,
        })
    }

    /// The owner of the descriptor.
    pub fn get_ref(&self) -> &T {
        &self.inner.get().owner
    }

    /// Gives the owner of the descriptor back.
    pub fn into_inner(self) -> T {
        if self.fallback().is_some() {
            // That of the owner stays open.
            rearm::closing(self.inner.raw_fd());
        }
        self.inner.into_inner().owner
    }

    /// Switches between blocking and non-blocking calls, for all that share the open file.
    ///
    /// # Errors
    ///
    /// Those of fcntl(2).
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        Ok(descriptor::set_nonblocking(self.get_ref(), nonblocking)?)
    }

    /// Runs an operation of the owner's: one that is neither a read nor a write, such as to receive a
    /// message.
    ///
    /// It must be tried on this very descriptor and must answer with `WouldBlock` when that would block, so
    /// that the poller hears of it. With a [`Fallback`] that is not what is waited for.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    pub fn try_io<R>(&self, operation: impl FnOnce(&T) -> io::Result<R>) -> io::Result<R> {
        self.inner.run(Direction::Any, |way| operation(&way.owner))
    }
}

impl<T: AsFd> Read for &FdSource<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len();
        self.inner.transfer(
            Direction::Read,
            || length,
            |way| match &way.instead {
                Some(Instead::Helper(helper)) => helper.read(buffer),
                _ => descriptor::read(&way.owner, buffer),
            },
        )
    }
}

impl<T: AsFd> Write for &FdSource<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = |way: &Way<T>| descriptor::write(&way.owner, bytes);
        self.inner.transfer(Direction::Write, || bytes.len(), write)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: AsFd> Read for FdSource<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl<T: AsFd> Write for FdSource<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

impl Instead {
    /// `None` if the descriptor itself can be waited for.
    fn of(fd: BorrowedFd<'_>, fallback: Fallback) -> io::Result<Option<Instead>> {
        if platform::can_be_waited_for(fd)? {
            return Ok(None);
        }
        Ok(Some(match fallback {
            Fallback::AlwaysReady => {
                let (stream, mut other) = UnixStream::pair()?;
                other.write_all(&[1])?;
                Instead::Ready { stream, _other: other }
            }
            Fallback::HelperThread => Instead::Helper(Helper::start(fd.try_clone_to_owned()?)?),
        }))
    }
}

impl Helper {
    fn start(fd: OwnedFd) -> io::Result<Helper> {
        let (stream, other) = UnixStream::pair()?;
        stream.set_nonblocking(true)?;
        let error = Arc::new(Mutex::new(None));
        let found = Arc::clone(&error);
        let forward = move || {
            if let Err(error) = forward(&fd, &other) {
                // Before the stream is closed, which is how it is found.
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
            drop(other);
        };
        thread::Builder::new().name("wakeful-reader".to_owned()).spawn(forward)?;
        Ok(Helper { stream, error })
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&self.stream).read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            if let Some(error) = self.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(error);
            }
        }
        Ok(count)
    }
}

/// Reads to the end, and writes what it reads until nobody wants it any more.
fn forward(fd: &OwnedFd, mut stream: &UnixStream) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = match descriptor::read(fd, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if stream.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
            return Ok(());
        }
    }
}

source_by_descriptor!([T: AsFd] FdSource<T>, |source| source.inner.raw_fd(), owned);

/// The descriptor to wait for, which is not the owner's if there is a [`Fallback`].
impl<T: AsFd> AsFd for FdSource<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// As [`AsFd`].
impl<T: AsFd> AsRawFd for FdSource<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.raw_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for FdSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FdSource")
            .field("owner", self.get_ref())
            .field("fallback", &self.fallback())
            .finish()
    }
}
