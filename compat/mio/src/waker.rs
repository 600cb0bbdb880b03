use std::io;

use crate::{Registry, Token};

/// Wakes a [`Poll`](crate::Poll) from any thread.
///
/// After [`wake`](Waker::wake) the poller reports at least one readable event with the waker's token.
/// Wake-ups before the report coalesce into one event.
///
/// ```
/// use std::thread;
/// use mio::{Events, Poll, Token, Waker};
///
/// let mut poll = Poll::new()?;
/// let waker = Waker::new(poll.registry(), Token(10))?;
/// let thread = thread::spawn(move || waker.wake());
///
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// assert_eq!(events.iter().next().map(|event| event.token()), Some(Token(10)));
/// # thread.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Waker {
    inner: wakeful::Waker,
}

impl Waker {
    /// The waker of a poller, whose events carry `token`.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    ///
    /// # Panics
    ///
    /// In debug builds for the second waker of a poller, as in mio. In release builds any number works.
    #[track_caller]
    pub fn new(registry: &Registry, token: Token) -> io::Result<Waker> {
        registry.identity.take_waker();
        Ok(Waker { inner: wakeful::Waker::new(&registry.inner, token)? })
    }

    /// Wakes the poller, or keeps it from its next sleep.
    ///
    /// # Errors
    ///
    /// None in practice: those of write(2) on the kernel's object.
    #[inline]
    pub fn wake(&self) -> io::Result<()> {
        self.inner.wake()
    }
}
