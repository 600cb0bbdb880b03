use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use wakeful_kernel::process::Generation;

use crate::backend::{Adapter, Selected};
use crate::deferred::{Change, Deferred};
use crate::event::Source;
use crate::rearm::{self, Cause, Direction};
use crate::registered::{Registered, SourceError};
use crate::wake::{Duties, Wake};
use crate::{Capabilities, Interest, Token};

/// What a poller, its registries and its wakers have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) adapter: Selected,
    pub(crate) wake: Wake,
    pub(crate) deferred: Deferred,
    /// A forked child has a copy of this, with locks that another thread may have held, and the kernel's queue is its
    /// parent's.
    generation: Generation,
}

impl Shared {
    pub(crate) fn new(adapter: Selected) -> Shared {
        let generation = Generation::current();
        Shared { adapter, wake: Wake::default(), deferred: Deferred::default(), generation }
    }

    /// Whether this process made the poller. Whatever locks or calls the kernel asks first.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.generation.is_current()
    }

    /// Refuses the poller of a parent process.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput).
    #[inline]
    pub(crate) fn check(&self) -> io::Result<()> {
        self.generation.check("poller")
    }

    /// Lends the backend's descriptor to the outside, for an outer loop to sleep on.
    fn export(&self) -> BorrowedFd<'_> {
        if !self.is_ours() {
            return self.adapter.inherited_descriptor();
        }
        self.deferred.lend(&self.adapter);
        if self.wake.sleep.lend() {
            // A failure leaves the wake-up for the next poll; there is nobody to tell.
            let _ = self.adapter.wake();
        }
        self.adapter.descriptor()
    }

    /// Registers or re-registers in a forked child, while there are changes put off, or under the token of the wake-up
    /// object.
    #[cold]
    fn replace(
        &self,
        fd: RawFd,
        token: Token,
        register: &dyn Fn(&Selected) -> io::Result<()>,
    ) -> io::Result<()> {
        let Shared { adapter, wake, deferred, .. } = self;
        self.check()?;
        if adapter.needs_token(token) {
            // One more call of the kernel than is announced may come of this.
            wake.expect_strays();
            adapter.release_token(&|| wake.sleep.has_woken())?;
        }
        // A change may be left of an earlier registration under this number, whose owner was forgotten.
        deferred.replace(fd, || register(adapter))
    }

    /// Deregisters in a forked child, or while there are changes put off.
    #[cold]
    fn withdraw(&self, fd: RawFd) -> io::Result<()> {
        self.check()?;
        self.deferred.withdraw(fd);
        self.adapter.deregister(fd)
    }

    /// Puts a change of interest off to the next poll, if that is allowed here and now: see [`Deferred`].
    pub(crate) fn put_off(&self, change: Change) -> bool {
        let sleep = &self.wake.sleep;
        // The first are not allowed, until a poll has seen this.
        if !sleep.duties().contains(Duties::CHANGES) {
            sleep.add_duty(Duties::CHANGES);
        }
        self.deferred.put_off(change)
    }

    /// Its descriptor has been lent out, and it was asked until there was nothing left: an outer loop whose kernel has
    /// no edges is to hear of it anew.
    pub(crate) fn drained(&self) {
        let fd = self.adapter.descriptor().as_raw_fd();
        rearm::rearm(fd, Direction::Read, Cause::Drained);
    }
}

/// As every source, a poller that was lent out says that it is about to be closed.
impl Drop for Shared {
    fn drop(&mut self) {
        if self.wake.sleep.is_lent() {
            rearm::closing(self.adapter.descriptor().as_raw_fd());
        }
    }
}

/// Registers sources with a [`Poll`](crate::Poll), from any thread.
///
/// A registration takes effect at once, also on a poll that is under way.
pub struct Registry {
    shared: Arc<Shared>,
}

impl Registry {
    pub(crate) fn new(shared: Shared) -> Registry {
        Registry { shared: Arc::new(shared) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Starts to report `source` under `token`.
    ///
    /// If the source is ready already, the next poll reports it. The source must be registered only
    /// once, and be deregistered before it is closed: [`Registered`] sees to that.
    ///
    /// # Errors
    ///
    /// Those of the operating system, untouched. `EEXIST`: registered already. `EPERM`: a regular
    /// file or directory, which never blocks. `EINVAL`: the poller itself. `ELOOP`: a poller that waits
    /// for this one. `ENOSPC`: the user's limit of epoll watches. `EBADF`, `ENOMEM`.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): a forked child uses its parent's registry.
    ///
    /// ```
    /// use wakeful::unix::pipe;
    /// use wakeful::{Interest, Poll, Token};
    ///
    /// let poll = Poll::new()?;
    /// let (_sender, mut receiver) = pipe::new()?;
    /// poll.registry().register(&mut receiver, Token(0), Interest::READABLE)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn register<S>(&self, source: &mut S, token: Token, interest: Interest) -> io::Result<()>
    where
        S: Source + ?Sized,
    {
        crate::trace::registration!("register", token, interest);
        source.register(self, token, interest)
    }

    /// Replaces the token and the interest of `source`, and arms it anew: if it is ready, the next
    /// poll reports it, one-shot or not.
    ///
    /// # Errors
    ///
    /// `ENOENT`: not registered. `EBADF`: closed already. Otherwise as [`register`](Registry::register).
    pub fn reregister<S>(&self, source: &mut S, token: Token, interest: Interest) -> io::Result<()>
    where
        S: Source + ?Sized,
    {
        crate::trace::registration!("reregister", token, interest);
        source.reregister(self, token, interest)
    }

    /// Ends the registration of `source`: no poll that begins after this returns reports it, and no wait that is
    /// under way keeps the source open once it is closed. Under poll(2) this means to interrupt the wait, which goes on
    /// without the source.
    ///
    /// Events of the last poll may still be in [`Events`](crate::Events); forget or ignore them.
    ///
    /// # Errors
    ///
    /// `ENOENT`: not registered. `EBADF`: closed already. [`InvalidInput`](io::ErrorKind::InvalidInput): a forked child
    /// uses its parent's registry.
    pub fn deregister<S>(&self, source: &mut S) -> io::Result<()>
    where
        S: Source + ?Sized,
    {
        crate::trace::deregistration!();
        source.deregister(self)
    }

    /// Registers `source` for as long as the returned [`Registered`] lives.
    ///
    /// # Errors
    ///
    /// As [`register`](Registry::register); the error gives the source back.
    ///
    /// ```
    /// use wakeful::unix::pipe;
    /// use wakeful::{Interest, Poll, Token};
    ///
    /// let poll = Poll::new()?;
    /// let (_sender, receiver) = pipe::new()?;
    /// let mut receiver = poll.registry().register_owned(receiver, Token(0), Interest::READABLE)?;
    /// receiver.set_interest(Interest::READABLE)?; // the same: no system call
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn register_owned<S: Source>(
        &self,
        source: S,
        token: Token,
        interest: Interest,
    ) -> Result<Registered<S>, SourceError<S>> {
        Registered::new(self, source, token, interest)
    }

    /// Another handle to the same poller. It makes no system call, and cannot fail; the `Result` is
    /// mio's.
    ///
    /// # Errors
    ///
    /// None.
    pub fn try_clone(&self) -> io::Result<Registry> {
        Ok(self.share())
    }

    /// What [`try_clone`](Registry::try_clone) does, without the `Result`.
    pub(crate) fn share(&self) -> Registry {
        Registry { shared: Arc::clone(&self.shared) }
    }

    /// What the backend can do.
    pub fn capabilities(&self) -> Capabilities {
        self.shared.adapter.capabilities()
    }

    pub(crate) fn register_fd(
        &self,
        fd: RawFd,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.change(fd, token, move |adapter| adapter.register(fd, token, interest))
    }

    /// As [`register_fd`](Registry::register_fd), of a descriptor that others read, write and close without a word.
    pub(crate) fn register_bare_fd(
        &self,
        fd: RawFd,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.change(fd, token, move |adapter| adapter.register_bare(fd, token, interest))
    }

    pub(crate) fn reregister_fd(
        &self,
        fd: RawFd,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.change(fd, token, move |adapter| adapter.reregister(fd, token, interest))
    }

    /// Calls the backend, after the questions that every registration has to ask first.
    #[inline]
    fn change(
        &self,
        fd: RawFd,
        token: Token,
        operation: impl Fn(&Selected) -> io::Result<()>,
    ) -> io::Result<()> {
        let Shared { adapter, deferred, .. } = &*self.shared;
        if !self.shared.is_ours() || deferred.is_pending() || adapter.needs_token(token) {
            return self.shared.replace(fd, token, &operation);
        }
        operation(adapter)
    }

    #[inline]
    pub(crate) fn deregister_fd(&self, fd: RawFd) -> io::Result<()> {
        let Shared { adapter, deferred, .. } = &*self.shared;
        if !self.shared.is_ours() || deferred.is_pending() {
            return self.shared.withdraw(fd);
        }
        adapter.deregister(fd)
    }
}

/// The descriptor of the poller, for an outer loop to wait on; see
/// [`Capabilities::nests`] for what it tells.
impl AsFd for Registry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.export()
    }
}

impl AsRawFd for Registry {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("adapter", &self.shared.adapter).finish_non_exhaustive()
    }
}
