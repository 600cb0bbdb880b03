//! The end of a process, as an event.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ExitStatus};
use std::sync::{MutexGuard, PoisonError};

use wakeful_kernel::process::{self, Generation, LeakingMutex};
use wakeful_kernel::signal_counter::SignalCounter;

use crate::SourceError;
use crate::io_source::{IoSource, lender};
use crate::platform::{Bell, Process};
use crate::rearm::Direction;
use crate::signal::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// With this status.
    Status(ExitStatus),
    /// It has ended, and how cannot be told: somebody else waited for it, or the program ignores
    /// `SIGCHLD`, or it was not a child of this process.
    Unknown,
}

/// A process, and a source that is readable once it has ended.
///
/// [`try_wait`](Exit::try_wait) then tells how. It is readable from then on, so under a level-triggered
/// registration deregister it. A process that has ended before it was registered is reported at once, and
/// some are reported again when they have been waited for.
///
/// An `Exit` either [owns a child](Exit::new) or [observes](Exit::observe) any process. Dropping it does
/// nothing to the process: a child that nobody has waited for stays in the process table until this
/// process ends, as with [`Child`].
///
/// On Linux it is a pidfd, on the BSDs and macOS a kqueue. Where a sandbox or an old kernel refuses those, and on
/// other systems, a child is noticed through `SIGCHLD`, which [has a handler](crate::signal::Signals) meanwhile: waits may end
/// with `Interrupted`, an event may find that nothing has ended yet, and processes that are no children
/// cannot be observed.
///
/// In a forked child [`try_wait`](Exit::try_wait) and [`send_signal`](Exit::send_signal) are errors that say so, and
/// dropping it closes the child's descriptors and does nothing else.
///
/// ```
/// use std::process::Command;
/// use wakeful::process::{Exit, Outcome};
/// use wakeful::{Events, Interest, Poll, Token};
///
/// let mut poll = Poll::new()?;
/// let exit = Exit::new(Command::new("true").spawn()?)?;
/// let exit = poll.registry().register_owned(exit, Token(0), Interest::READABLE)?;
///
/// let mut events = Events::with_capacity(8);
/// let outcome = loop {
///     if let Some(outcome) = exit.try_wait()? {
///         break outcome;
///     }
///     poll.poll(&mut events, None)?;
/// };
/// assert!(matches!(outcome, Outcome::Status(status) if status.success()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Exit {
    inner: IoSource<Ending>,
    pid: u32,
    progress: LeakingMutex<Progress>,
    /// A forked child has a copy, perhaps locked by another thread of its parent, whose child it waits for.
    generation: Generation,
}

/// The descriptor.
#[derive(Debug)]
enum Ending {
    Process(Process),
    /// `SIGCHLD`, of whichever child.
    Signal(SignalCounter),
    /// It had ended before it could be watched: the bell has been rung.
    Past(Bell),
}

impl AsFd for Ending {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Ending::Process(process) => process.as_fd(),
            Ending::Signal(counter) => counter.as_fd(),
            Ending::Past(bell) => bell.as_fd(),
        }
    }
}

#[derive(Debug)]
struct Progress {
    child: Option<Child>,
    outcome: Option<Outcome>,
}

/// What a descriptor of a process knows of it.
#[derive(Clone, Copy, Debug)]
// Not every system has such descriptors yet.
#[allow(dead_code)]
pub(crate) enum State {
    Running,
    /// It has ended, and can be waited for.
    Ended(ExitStatus),
    /// It has ended, and only waitpid(2) can tell how.
    Unseen,
    /// It cannot be waited for; whether it has ended.
    NotOurs(bool),
}

impl Exit {
    /// Takes a child over, to wait for it when it has ended.
    ///
    /// Take its standard streams out before that, if you want them.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`. The error gives the child back.
    pub fn new(mut child: Child) -> Result<Exit, SourceError<Child>> {
        match Exit::watch(&mut child) {
            Ok((ending, outcome)) => Ok(Exit {
                inner: IoSource::new(ending),
                pid: child.id(),
                progress: LeakingMutex::new(Progress { child: Some(child), outcome }),
                generation: Generation::current(),
            }),
            Err(error) => Err(SourceError::new(child, error)),
        }
    }

    fn watch(child: &mut Child) -> io::Result<(Ending, Option<Outcome>)> {
        // If it was waited for already, its number may be another's by now.
        if let Some(outcome) = wait_for(child)? {
            return Exit::past(outcome);
        }
        match Process::open(child.id()) {
            Ok(Some(process)) => {
                // A number that is no child's by now says nothing of the child that had it.
                if !matches!(process.state()?, State::NotOurs(_)) {
                    return Ok((Ending::Process(process), None));
                }
            }
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
            _ => {
                let counter = SignalCounter::new()?;
                counter.watch(libc::SIGCHLD)?;
                // Watched by now, so that no signal falls between the two.
                if wait_for(child)?.is_none() {
                    return Ok((Ending::Signal(counter), None));
                }
            }
        }
        Exit::past(wait_for(child)?.unwrap_or(Outcome::Unknown))
    }

    /// Of a process that had ended before it could be watched.
    fn past(outcome: Outcome) -> io::Result<(Ending, Option<Outcome>)> {
        let bell = Bell::new()?;
        bell.ring()?;
        Ok((Ending::Past(bell), Some(outcome)))
    }

    /// Watches a process without waiting for it: whoever started it still can.
    ///
    /// If it is a child that nobody has waited for yet, its status is told. Otherwise the outcome is
    /// [`Unknown`](Outcome::Unknown), but when it comes is certain.
    ///
    /// A number may mean another process by now, unless it is that of a child.
    ///
    /// # Errors
    ///
    /// `ESRCH`: there is no such process; `EINVAL` or `ENOENT`, if the number is that of a mere thread.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): there can be no
    /// such process. [`Unsupported`](io::ErrorKind::Unsupported): the system, or a sandbox, has no
    /// descriptors of processes. `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn observe(pid: u32) -> io::Result<Exit> {
        if i32::try_from(pid).map_or(true, |pid| pid == 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("no process has the number {pid}: they go from 1 to {}", i32::MAX),
            ));
        }
        let process = Process::open(pid)?.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::Unsupported,
                "this system, or a sandbox, has no descriptors of processes: start the process as a \
                 child, and take it over with Exit::new",
            )
        })?;
        let progress = LeakingMutex::new(Progress { child: None, outcome: None });
        let generation = Generation::current();
        Ok(Exit { inner: IoSource::new(Ending::Process(process)), pid, progress, generation })
    }

    /// How the process has ended, if it has: once there is an outcome, it stays.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): a forked child asks. None else in practice. After
    /// one, it is not readable, and this answers nevertheless.
    pub fn try_wait(&self) -> io::Result<Option<Outcome>> {
        self.generation.check("exit of a process")?;
        let mut progress = self.progress();
        if progress.outcome.is_none() {
            progress.outcome = self.look(&mut progress.child)?;
            if let (Some(_), Ending::Signal(counter)) = (progress.outcome, self.inner.get()) {
                // It was silenced, and is readable from now on.
                counter.ring()?;
            }
        }
        if progress.outcome.is_none() {
            self.inner.drained(Direction::Read);
        }
        Ok(progress.outcome)
    }

    fn look(&self, child: &mut Option<Child>) -> io::Result<Option<Outcome>> {
        let state = match self.inner.get() {
            Ending::Process(process) => process.state()?,
            Ending::Signal(counter) => {
                // First, so that an end that comes from here on is reported.
                counter.silence();
                State::Unseen
            }
            Ending::Past(_) => State::NotOurs(true),
        };
        match (state, child) {
            (State::Running | State::NotOurs(false), _) => Ok(None),
            (State::Ended(status), Some(child)) => match wait_for(child)? {
                // Somebody else was faster; but it was seen.
                Some(Outcome::Unknown) => Ok(Some(Outcome::Status(status))),
                // A kqueue may tell a moment too early, which is over soon.
                None => Ok(Some(child.wait().map_or(Outcome::Status(status), Outcome::Status))),
                outcome => Ok(outcome),
            },
            (State::Unseen, Some(child)) => wait_for(child),
            (State::Ended(status), None) => Ok(Some(Outcome::Status(status))),
            (State::NotOurs(true), _) | (State::Unseen, None) => Ok(Some(Outcome::Unknown)),
        }
    }

    /// Sends the process a signal, unless it is gone: never another process that has its number now.
    ///
    /// # Errors
    ///
    /// `ESRCH`: it has ended, and was waited for. `EPERM`: it is another user's. `EINVAL`: no such signal.
    pub fn send_signal(&self, signal: Signal) -> io::Result<()> {
        self.generation.check("exit of a process")?;
        // Held meanwhile: nobody waits for a child of ours, and its number stays its own.
        let progress = self.progress();
        match self.inner.get() {
            Ending::Process(process) => match process.send_signal(signal) {
                // Of a sandbox, perhaps. The number is the child's as long as nobody waits for it.
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS))
                        && progress.child.is_some()
                        && progress.outcome.is_none() =>
                {
                    Ok(process::send_signal(self.pid, signal.as_raw())?)
                }
                result => result,
            },
            Ending::Signal(_) if progress.outcome.is_none() => {
                Ok(process::send_signal(self.pid, signal.as_raw())?)
            }
            Ending::Signal(_) | Ending::Past(_) => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        }
    }

    /// The number of the process, which may mean another once it has been waited for.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The child, if this owns one.
    pub fn into_child(self) -> Option<Child> {
        self.progress.into_inner().unwrap_or_else(PoisonError::into_inner).child
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a child that may have ended.
fn wait_for(child: &mut Child) -> io::Result<Option<Outcome>> {
    match child.try_wait() {
        Ok(status) => Ok(status.map(Outcome::Status)),
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(Some(Outcome::Unknown)),
        Err(error) => Err(error),
    }
}

lender!(Exit);

impl fmt::Debug for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.progress.try_lock().ok().and_then(|progress| progress.outcome);
        f.debug_struct("Exit").field("pid", &self.pid).field("outcome", &outcome).finish()
    }
}
