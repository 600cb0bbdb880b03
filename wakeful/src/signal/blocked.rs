use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io;
use std::thread::{self, ThreadId};

use wakeful_kernel::signal::SignalSet;

use super::Signal;
use crate::io_source::{IoSource, lender};
use crate::platform::SignalQueue;
use crate::rearm::Direction;

/// Signals together with who sent them, for programs that block signals in every thread.
///
/// It is for those who need that knowledge; [`Signals`](super::Signals) needs no thread to block anything.
/// This takes what is *pending*, so the signals must be blocked in every thread: one that lets
/// them through receives them in the ordinary way, and by default dies of them with the whole process.
/// [`new`](BlockedSignals::new) blocks them in the thread that calls it and in those that it starts from
/// then on, so call it first of all. Programs that are executed inherit what is blocked: a child has to let
/// its signals through by itself.
///
/// Standard signals do not queue: three of one kind before one is received are one. Several that were created
/// on one thread can take the same signal, each of which goes to one of them. A child that was forked
/// receives its own signals, but no epoll reports them. Linux only, for now.
///
/// ```
/// use wakeful::signal::{BlockedSignals, Signal};
/// use wakeful::{Events, Interest, Poll, Token};
///
/// let signals = BlockedSignals::new([Signal::USER1])?;
/// let mut poll = Poll::new()?;
/// let signals = poll.registry().register_owned(signals, Token(0), Interest::READABLE)?;
/// # // SAFETY: the signal is blocked.
/// # unsafe { libc::raise(Signal::USER1.as_raw()) };
///
/// let mut events = Events::with_capacity(8);
/// poll.poll(&mut events, None)?;
/// let received = signals.receive()?;
/// assert_eq!(received.signal, Signal::USER1);
/// assert_eq!(received.sender_pid, std::process::id());
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "signalfd")]
#[doc(alias = "siginfo")]
pub struct BlockedSignals {
    inner: IoSource<SignalQueue>,
    signals: Vec<i32>,
    /// Where they are blocked.
    thread: ThreadId,
}

thread_local! {
    /// The signals that this thread blocks for somebody's sake.
    // It is, which clippy does not see on systems whose thread-local storage is another.
    #[allow(clippy::missing_const_for_thread_local)]
    static BLOCKED: RefCell<BTreeMap<i32, Blocked>> = const { RefCell::new(BTreeMap::new()) };
}

struct Blocked {
    receivers: usize,
    /// For other reasons, and before them.
    anyway: bool,
}

/// One signal, and what the kernel knows of its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The signal.
    pub signal: Signal,
    /// The process that sent it, or the child it is about; 0 if none did.
    pub sender_pid: u32,
    /// The real user of that process.
    pub sender_uid: u32,
    /// How it was sent: `SI_USER`, `SI_QUEUE`, `SI_TIMER`, `CLD_EXITED` and so on.
    pub code: i32,
    /// The integer that was sent along by sigqueue(3).
    pub value: i32,
}

impl BlockedSignals {
    /// Blocks these signals in this thread, and receives them from now on.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): there is no such signal, or it cannot be blocked
    /// (`SIGKILL`, `SIGSTOP`). `EMFILE`, `ENFILE`, `ENOMEM`.
    /// [`Unsupported`](io::ErrorKind::Unsupported) where there is no such thing, or a sandbox
    /// refuses it.
    pub fn new(signals: impl IntoIterator<Item = Signal>) -> io::Result<BlockedSignals> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let mut set = SignalSet::empty();
        for Signal(signal) in signals {
            if signal == libc::SIGKILL || signal == libc::SIGSTOP {
                let message = "no program can block SIGKILL or SIGSTOP: take SIGTERM or SIGTSTP";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            set.add(signal).map_err(invalid)?;
        }
        let queue = SignalQueue::new(&set)?;
        let before = set.block()?;
        let signals = set.signals();
        BLOCKED.with_borrow_mut(|blocked| {
            for &signal in &signals {
                let anyway = before.contains(signal);
                blocked.entry(signal).or_insert(Blocked { receivers: 0, anyway }).receivers += 1;
            }
        });
        let thread = thread::current().id();
        Ok(BlockedSignals { inner: IoSource::new(queue), signals, thread })
    }

    /// Takes one signal.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): there is none.
    pub fn receive(&self) -> io::Result<Received> {
        self.inner.run(Direction::Read, SignalQueue::receive)
    }
}

/// On the thread that created it the signals are let through again that no other is to receive, without
/// those that were not received.
impl Drop for BlockedSignals {
    fn drop(&mut self) {
        if self.thread != thread::current().id() {
            return;
        }
        let mut free = SignalSet::empty();
        // Gone already, if the thread is ending: then its mask ends with it.
        let _ = BLOCKED.try_with(|blocked| {
            let mut blocked = blocked.borrow_mut();
            for &signal in &self.signals {
                let Entry::Occupied(mut entry) = blocked.entry(signal) else {
                    continue;
                };
                entry.get_mut().receivers -= 1;
                if entry.get().receivers == 0 && !entry.remove().anyway {
                    // It was in a set before, so there is such a signal.
                    let _ = free.add(signal);
                }
            }
        });
        let free_signals = free.signals();
        if free_signals.is_empty() || self.inner.get().restrict(&free).is_err() {
            return;
        }
        while self.inner.get().receive().is_ok() {}
        // Blocking nothing tells what is blocked by now.
        if let Ok(mut mask) = SignalSet::empty().block() {
            for signal in free_signals {
                let _ = mask.remove(signal);
            }
            let _ = mask.set_as_mask();
        }
    }
}

lender!(BlockedSignals);

impl fmt::Debug for BlockedSignals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockedSignals").field("signals", &self.signals).finish()
    }
}
