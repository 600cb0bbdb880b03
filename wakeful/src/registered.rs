use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Deref;
use std::os::fd::AsRawFd;

use wakeful_kernel::guard::{Guard, LastWord};

use crate::backend::Adapter;
use crate::deferred::Change;
use crate::event::Source;
use crate::{Interest, Registry, Token, Trigger};

/// A source together with its registration.
///
/// It deregisters when it is dropped, before the source is closed, so no later poll can report a
/// source that is gone, nor a descriptor number that means something else by then. It remembers its
/// interest, so that setting the same one again makes no system call.
///
/// In a forked child dropping it closes the child's copy of the source and leaves the registration to the parent.
/// Everything else that is about the registration is an error there.
///
/// It dereferences to the source; all of wakeful's own read and write through shared references.
///
/// ```
/// use std::io::{Read, Write};
/// use wakeful::unix::pipe;
/// use wakeful::{Events, Interest, Poll, Token};
///
/// let mut poll = Poll::new()?;
/// let (mut sender, receiver) = pipe::new()?;
/// let mut receiver = poll.registry().register_owned(receiver, Token(0), Interest::READABLE)?;
///
/// sender.write_all(b"hello")?;
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// let mut text = [0; 5];
/// receiver.read_exact(&mut text)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Registered<S: Source> {
    inner: Guard<Registration<S>>,
}

struct Registration<S: Source> {
    source: S,
    registry: Registry,
    token: Token,
    interest: Interest,
}

impl<S: Source> LastWord for Registration<S> {
    fn last_word(&mut self) {
        // In a forked child the registration is the parent's, which keeps it.
        if !self.registry.shared().is_ours() {
            return;
        }
        // It may have been deregistered by hand; there is nobody to tell.
        let _ = self.registry.deregister(&mut self.source);
    }
}

impl<S: Source> Registered<S> {
    /// Registers `source`; see [`Registry::register`].
    ///
    /// # Errors
    ///
    /// Those of the registration. The error gives the source back.
    pub fn new(
        registry: &Registry,
        mut source: S,
        token: Token,
        interest: Interest,
    ) -> Result<Registered<S>, SourceError<S>> {
        match registry.register(&mut source, token, interest) {
            Ok(()) => {
                let registry = registry.share();
                let inner = Guard::new(Registration { source, registry, token, interest });
                Ok(Registered { inner })
            }
            Err(error) => Err(SourceError { source, error }),
        }
    }

    /// The token of the events.
    pub fn token(&self) -> Token {
        self.inner.token
    }

    /// The interest last set.
    pub fn interest(&self) -> Interest {
        self.inner.interest
    }

    /// Where it is registered.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// Waits for something else from now on. Makes no system call if the interest is the same, which
    /// also means that it does not re-arm: that is [`rearm`](Registered::rearm).
    ///
    /// Under epoll and on the thread that polls, a change waits for the next poll, which applies the last one. What
    /// is taken back before that costs no system call and has no effect: a server may ask for room to write as soon as
    /// it has something to write, and withdraw that once it is written. With an edge trigger, what was withdrawn and is asked
    /// for again before the poll is reported anew, as it is when each change is made. They are made at once under
    /// other backends, on any other thread, with a one-shot trigger, of a [source without a
    /// descriptor](Source::descriptor), and from a `Poll` whose own descriptor has been lent out; and so are the first of all, until the
    /// next poll, which learns from them that it has to look after changes.
    ///
    /// # Errors
    ///
    /// Those of [`Registry::reregister`]; the earlier interest stays. A change that waits tells none: it can fail only if the
    /// registration was ended by other hands.
    #[inline]
    pub fn set_interest(&mut self, interest: Interest) -> io::Result<()> {
        self.inner.registry.shared().check()?;
        if interest == self.inner.interest {
            return Ok(());
        }
        if !self.put_off(interest) {
            self.reregister(self.inner.token, interest)?;
        }
        self.inner.interest = interest;
        Ok(())
    }

    /// Leaves a change of interest to the next poll, if that makes no difference to anybody.
    fn put_off(&mut self, wanted: Interest) -> bool {
        let Registration { source, registry, token, interest: applied } = &*self.inner;
        let is_oneshot = |interest: Interest| {
            matches!(interest.trigger(), Trigger::Oneshot | Trigger::EdgeOneshot)
        };
        let Some(fd) = source.descriptor() else {
            return false;
        };
        let (token, applied, shared) = (*token, *applied, registry.shared());
        if is_oneshot(applied) || is_oneshot(wanted) || !shared.adapter.changes_are_certain() {
            return false;
        }
        let fd = fd.as_raw_fd();
        let is_put_off = shared.put_off(Change { fd, token, applied, wanted, missed: false });
        if is_put_off {
            crate::trace::registration!("reregister", token, wanted);
        }
        is_put_off
    }

    /// Reports under another token from now on. Makes no system call if the token is the same.
    ///
    /// # Errors
    ///
    /// Those of [`Registry::reregister`]; the earlier token stays.
    pub fn set_token(&mut self, token: Token) -> io::Result<()> {
        self.inner.registry.shared().check()?;
        if token == self.inner.token {
            return Ok(());
        }
        self.reregister(token, self.inner.interest)?;
        self.inner.token = token;
        Ok(())
    }

    /// Asks for another event of these directions: the next poll reports them if they are ready,
    /// whatever was reported before. One system call.
    ///
    /// - One-shot triggers: arms exactly these directions and leaves the others silent.
    /// - Level and edge: these directions, which must be part of the interest to have an effect, and
    ///   possibly a spurious event of the others. It serves whoever stops in the middle of draining,
    ///   and whoever reads a bare descriptor where
    ///   [`EdgeRule::AfterWouldBlock`](crate::EdgeRule::AfterWouldBlock) is the rule.
    ///
    /// The [`interest`](Registered::interest) does not change; the trigger of `directions` is ignored.
    ///
    /// # Errors
    ///
    /// Those of [`Registry::reregister`].
    pub fn rearm(&mut self, directions: Interest) -> io::Result<()> {
        use Trigger::{Edge, EdgeOneshot, Level, Oneshot};
        let trigger = self.inner.interest.trigger();
        let armed = match trigger {
            Edge | Level => self.inner.interest,
            Oneshot | EdgeOneshot => directions.with_trigger(trigger),
        };
        self.reregister(self.inner.token, armed)
    }

    /// Ends the registration and gives the source back.
    ///
    /// # Errors
    ///
    /// Those of [`Registry::deregister`]. The error gives the source back.
    pub fn deregister(self) -> Result<S, SourceError<S>> {
        let Registration { mut source, registry, .. } = Guard::into_inner(self.inner);
        match registry.deregister(&mut source) {
            Ok(()) => Ok(source),
            Err(error) => Err(SourceError { source, error }),
        }
    }

    fn reregister(&mut self, token: Token, interest: Interest) -> io::Result<()> {
        let Registration { source, registry, .. } = &mut *self.inner;
        registry.reregister(source, token, interest)
    }
}

impl<S: Source> Deref for Registered<S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        &self.inner.source
    }
}

impl<S: Source> Read for Registered<S>
where
    for<'source> &'source S: Read,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&mut &**self).read(buffer)
    }

    fn read_vectored(&mut self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
        (&mut &**self).read_vectored(buffers)
    }
}

impl<S: Source> Write for Registered<S>
where
    for<'source> &'source S: Write,
{
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&mut &**self).write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        (&mut &**self).write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&mut &**self).flush()
    }
}

impl<S: Source + fmt::Debug> fmt::Debug for Registered<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("source", &**self)
            .field("token", &self.inner.token)
            .field("interest", &self.inner.interest)
            .finish_non_exhaustive()
    }
}

/// A failure, most often of a registration to begin or to end, with the source that it was about.
pub struct SourceError<S> {
    source: S,
    error: io::Error,
}

impl<S> SourceError<S> {
    pub(crate) fn new(source: S, error: io::Error) -> SourceError<S> {
        SourceError { source, error }
    }

    /// The source, to use it in another way.
    pub fn into_source(self) -> S {
        self.source
    }

    /// The operating system's error.
    pub fn io_error(&self) -> &io::Error {
        &self.error
    }
}

impl<S> fmt::Debug for SourceError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<S> fmt::Display for SourceError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<S> Error for SourceError<S> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl<S> From<SourceError<S>> for io::Error {
    fn from(error: SourceError<S>) -> io::Error {
        error.error
    }
}
