//! Which threads a ring may interrupt.
//!
//! The kernel finishes some of what a thread handed to a ring by work that it has that thread do, and when a ring has
//! been closed it has each such thread do one thing more. For that it ends an epoll_wait(2) of the thread with `EINTR`,
//! as for a signal. A poll(2) goes on by itself. So a thread that has such work to come waits by poll(2), and every
//! other one needs to know nothing but that it has none.
//!
//! A thread is *marked* from an operation that had not ended when it was handed over until its ring has gone. When that
//! is the kernel does not say; but a ring keeps the files that were registered with it until it has gone. So the last of
//! them is the writing end of a pipe, whose reading end hangs up then.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::poll::{PollError, PollFd, poll};
use crate::process::Generation;
use crate::readiness::Readiness;

/// The marks of all threads.
static MARKS: AtomicUsize = AtomicUsize::new(0);

/// A thread that hands operations to rings.
#[derive(Debug)]
pub(super) struct Issuer {
    marks: AtomicUsize,
    departures: Mutex<Departures>,
    /// A forked child has a copy, perhaps locked, and no ring.
    generation: Generation,
}

#[derive(Debug, Default)]
struct Departures {
    /// One for each ring that has been closed and has not gone.
    pipes: Vec<Arc<OwnedFd>>,
    /// The thread has ended.
    is_over: bool,
}

/// The thread's own reference.
struct This(Arc<Issuer>);

thread_local! {
    // Where threads have no variables of the linker's, it is not seen to be const.
    #[allow(clippy::missing_const_for_thread_local)]
    static THIS: std::cell::RefCell<Option<This>> = const { std::cell::RefCell::new(None) };
}

/// Returns whether a ring may interrupt a wait of some thread, perhaps of this one: see [`may_be_interrupted`]. One
/// relaxed load.
#[inline]
pub fn may_interrupt() -> bool {
    MARKS.load(Ordering::Relaxed) != 0
}

/// Returns whether a ring may interrupt a wait of this thread that begins now.
#[cold]
pub fn may_be_interrupted() -> bool {
    if !may_interrupt() {
        return false;
    }
    let is_marked =
        |this: &This| this.0.generation.is_current() && this.0.marks.load(Ordering::Acquire) != 0;
    THIS.try_with(|this| this.borrow().as_ref().is_some_and(is_marked)).unwrap_or(false)
}

/// `poll(&fd, …, timeout)`—Waits until a descriptor is readable, and is interrupted by signals alone.
///
/// Returns early, and whether or not it is readable, when a ring has gone: see [`may_be_interrupted`], which may have
/// become false then.
///
/// # Errors
///
/// As [`poll`].
pub fn wait_for(fd: impl AsFd, timeout: Option<Duration>) -> Result<(), PollError> {
    let issuer = Issuer::known();
    let pipes = issuer.as_ref().map_or_else(Vec::new, |it| it.departures().pipes.clone());
    let mut fds = vec![PollFd::new(&fd, Readiness::IN)];
    fds.extend(pipes.iter().map(|pipe| PollFd::new(pipe, Readiness::empty())));
    let result = poll(&mut fds, timeout);
    let gone = |index: usize| !fds[index + 1].readiness().is_empty();
    if let Some(issuer) = issuer.filter(|_| result.is_ok()) {
        let gone: Vec<_> = (0..pipes.len()).filter(|&it| gone(it)).map(|it| &pipes[it]).collect();
        let mut departures = issuer.departures();
        let before = departures.pipes.len();
        departures.pipes.retain(|pipe| !gone.iter().any(|gone| Arc::ptr_eq(gone, pipe)));
        issuer.unmark(before - departures.pipes.len());
    }
    result.map(drop)
}

// There is not a ring for every processor.
#[allow(dead_code)]
impl Issuer {
    /// That of this thread. `None` at its very end.
    pub(super) fn current() -> Option<Arc<Issuer>> {
        THIS.try_with(|this| {
            let mut this = this.borrow_mut();
            if let Some(This(issuer)) = this.as_ref().filter(|it| it.0.generation.is_current()) {
                return Arc::clone(issuer);
            }
            let issuer = Arc::new(Issuer {
                marks: AtomicUsize::new(0),
                departures: Mutex::default(),
                generation: Generation::current(),
            });
            *this = Some(This(Arc::clone(&issuer)));
            issuer
        })
        .ok()
    }

    /// That of this thread, if it has one.
    fn known() -> Option<Arc<Issuer>> {
        let of_this = |this: &This| this.0.generation.is_current().then(|| Arc::clone(&this.0));
        THIS.try_with(|this| this.borrow().as_ref().and_then(of_this)).ok().flatten()
    }

    fn departures(&self) -> MutexGuard<'_, Departures> {
        self.departures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ring may interrupt the thread from now on.
    pub(super) fn mark(&self) {
        MARKS.fetch_add(1, Ordering::Relaxed);
        self.marks.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn unmark(&self, count: usize) {
        self.marks.fetch_sub(count, Ordering::AcqRel);
        MARKS.fetch_sub(count, Ordering::Relaxed);
    }

    /// A ring is about to be closed. It may interrupt the thread until this pipe hangs up.
    pub(super) fn depart(&self, pipe: &Arc<OwnedFd>) {
        let mut departures = self.departures();
        if !departures.is_over {
            departures.pipes.push(Arc::clone(pipe));
            self.mark();
        }
    }
}

/// The thread ends, and waits no more.
impl Drop for This {
    fn drop(&mut self) {
        if self.0.generation.is_current() {
            let mut departures = self.0.departures();
            departures.is_over = true;
            self.0.unmark(departures.pipes.len());
            departures.pipes.clear();
        }
    }
}
