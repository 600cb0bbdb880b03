use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use crate::{Events, Registry};

/// Waits for events; see the [guide](crate::guide).
pub struct Poll {
    inner: wakeful::Poll,
    registry: Registry,
}

impl Poll {
    /// A poller on the platform's best backend; on illumos on epoll, as mio's is, since there event
    /// ports know no edge of a bare descriptor.
    ///
    /// With the feature `backend-from-env` and `WAKEFUL_BACKEND` set in the environment, on that one.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`; `InvalidInput` if `WAKEFUL_BACKEND` counts and names no backend.
    pub fn new() -> io::Result<Poll> {
        let inner = wakeful::Poll::builder().kernel_edges().build()?;
        let registry = Registry::new(inner.registry().try_clone()?);
        Ok(Poll { inner, registry })
    }

    /// The registry with which sources are registered.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Waits until something happened, or the timeout passed, and puts it into `events`, which is
    /// emptied first.
    ///
    /// `None` waits without end.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](io::ErrorKind::Interrupted): a signal handler ran. Nothing is lost; poll again.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): `events` has no capacity.
    #[inline]
    pub fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        self.inner.poll(events, timeout)
    }
}

impl AsRawFd for Poll {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_raw_fd()
    }
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll").finish()
    }
}
