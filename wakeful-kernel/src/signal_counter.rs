//! Signals, counted by a handler that makes a descriptor readable.
//!
//! What a handler may do is next to nothing: no lock, no allocation. So it walks a list of nodes that
//! only ever grows, one for each counter there has been at the same time, adds to numbers, and writes a
//! byte to the pipe of whoever wants the signal. A node is never freed but used again.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::thread;

use libc::{c_int, siginfo_t};

use crate::descriptor;
use crate::error::check;
use crate::fork::ForkMutex;
use crate::pipe::{CreateError, pipe};
use crate::process::Generation;
use crate::sys;

operation_error! {
    /// A signal could not be given a handler, or its earlier one back.
    SigactionError: "sigaction" {
        /// The signal's number.
        signal: c_int,
    },
    advice: |error, _| match error.signal {
        libc::SIGKILL | libc::SIGSTOP => "no program can handle this signal: take SIGTERM or SIGTSTP",
        libc::SIGILL | libc::SIGFPE | libc::SIGSEGV | libc::SIGBUS => {
            "it tells of a fault that the instruction would repeat after the handler: let it end the \
             program"
        }
        _ => "signal numbers go from 1 to SIGRTMAX, without those that the C library keeps: take \
              libc's constants",
    }
}

/// One more than the highest signal number of any system.
const SIGNALS: usize = 129;

type Numbers = [AtomicU32; SIGNALS];

/// What the handler knows of a counter.
struct Node {
    next: *const Node,
    in_use: AtomicBool,
    /// The writing end of its pipe; -1 while there is none.
    writer: AtomicI32,
    /// A forked child has a copy of this, and the pipe is its parent's.
    process: AtomicI32,
    /// How many handlers may be about to write to the pipe.
    writing: AtomicUsize,
    wanted: [AtomicBool; SIGNALS],
    counts: Numbers,
}

/// The latest node, which leads to all others.
static NODES: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

/// The handler that was there before ours, for each signal: its address, 0 if there was none.
static EARLIER: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];
/// The signals that have our handler, and what they are to have again. Those too over whose handler
/// somebody else has put one, which may pass on to ours: to put ours over that would be a circle.
static INSTALLED: ForkMutex<BTreeMap<c_int, Installed>> = ForkMutex::new(BTreeMap::new());

struct Installed {
    counters: usize,
    earlier: libc::sigaction,
}

fn installed() -> MutexGuard<'static, BTreeMap<c_int, Installed>> {
    extern "C" fn hold() {
        INSTALLED.hold();
    }
    extern "C" fn release() {
        INSTALLED.release();
    }
    INSTALLED.lock(hold, release)
}

/// `sigaction(signal, handler)`—Counts signals, and is readable when there are some.
///
/// Any number of counters can count the same signal. The first gives it a handler, with `SA_RESTART` and
/// `SA_ONSTACK`, which calls the handler that was there before (with its own mask and flags, not that
/// one's); the last puts back what was there before, unless somebody else has replaced the handler
/// meanwhile. Who replaces it, and does not pass on to it, takes the signal away from every counter. It
/// does not matter which thread the kernel delivers to.
///
/// A signal that was sent before the last counter was dropped may be delivered after it, and then does
/// what it did before, such as to end the program.
///
/// The kernel merges signals that are sent before an earlier one of the same number is delivered (but for
/// the real-time signals), so a count is that of deliveries.
///
/// In a child that was forked, but has not executed another program, the parent's counters are silent,
/// the handlers stay, and the parent hears nothing of the child's signals. The child can have counters
/// of its own.
///
/// # References
/// - [sigaction(2)](https://man7.org/linux/man-pages/man2/sigaction.2.html),
///   [signal-safety(7)](https://man7.org/linux/man-pages/man7/signal-safety.7.html)
/// - [POSIX](https://pubs.opengroup.org/onlinepubs/9799919799/functions/sigaction.html)
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wakeful_kernel::poll::{PollFd, poll};
/// use wakeful_kernel::readiness::Readiness;
/// use wakeful_kernel::signal_counter::SignalCounter;
///
/// let counter = SignalCounter::new()?;
/// counter.watch(libc::SIGUSR1)?;
/// // SAFETY: the signal has a handler, that of the counter.
/// unsafe { libc::raise(libc::SIGUSR1) };
/// poll(&mut [PollFd::new(&counter, Readiness::IN)], Some(Duration::from_secs(1)))?;
/// counter.silence();
/// assert_eq!(counter.take(libc::SIGUSR1), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "sigaction")]
#[derive(Debug)]
pub struct SignalCounter {
    node: &'static Node,
    generation: Generation,
    reader: OwnedFd,
    /// Kept open for the handler.
    writer: OwnedFd,
}

impl SignalCounter {
    /// `pipe2(fds, O_CLOEXEC | O_NONBLOCK)`—A counter that counts nothing yet.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`.
    pub fn new() -> Result<SignalCounter, CreateError> {
        let (reader, writer) = pipe()?;
        let writer = descriptor::into_high_number(writer);
        let node = Node::claim();
        for (wanted, count) in node.wanted.iter().zip(&node.counts) {
            wanted.store(false, Ordering::SeqCst);
            count.store(0, Ordering::SeqCst);
        }
        node.process.store(process(), Ordering::SeqCst);
        node.writer.store(writer.as_raw_fd(), Ordering::SeqCst);
        Ok(SignalCounter { node, generation: Generation::current(), reader, writer })
    }

    /// `sigaction(signal, handler, &earlier)`—Counts this signal too. Nothing happens if it does.
    ///
    /// # Errors
    ///
    /// `EINVAL`: no such signal; `SIGKILL` and `SIGSTOP`; or one of the faults, `SIGILL`, `SIGFPE`,
    /// `SIGSEGV`, `SIGBUS`, after which a program must not go on.
    pub fn watch(&self, signal: c_int) -> Result<(), SigactionError> {
        let fault = matches!(signal, libc::SIGILL | libc::SIGFPE | libc::SIGSEGV | libc::SIGBUS);
        let Some(wanted) = number(signal).filter(|_| !fault).map(|it| &self.node.wanted[it]) else {
            return Err(SigactionError {
                signal,
                source: io::Error::from_raw_os_error(libc::EINVAL),
            });
        };
        self.check(signal)?;
        let mut installed = installed();
        if wanted.load(Ordering::SeqCst) {
            return Ok(());
        }
        // First, so that the very first signal counts.
        wanted.store(true, Ordering::SeqCst);
        let counters = match installed.get_mut(&signal) {
            // Ours is in force, or somebody else's, who may pass on to it.
            Some(entry) if exchange(signal, None).is_ok_and(|now| is_handler(&now)) => {
                entry.counters += 1;
                return Ok(());
            }
            Some(entry) => entry.counters,
            None => 0,
        };
        match install(signal) {
            Ok(earlier) => {
                installed.insert(signal, Installed { counters: counters + 1, earlier });
                Ok(())
            }
            Err(source) => {
                wanted.store(false, Ordering::SeqCst);
                Err(SigactionError { signal, source })
            }
        }
    }

    /// Refuses to change a counter that a parent process made: its node may be another's in this process.
    fn check(&self, signal: c_int) -> Result<(), SigactionError> {
        self.generation.check("signal counter").map_err(|source| SigactionError { signal, source })
    }

    /// `sigaction(signal, &earlier)`—Counts this signal no more. Nothing happens if it does not.
    ///
    /// # Errors
    ///
    /// None that the manual knows.
    pub fn unwatch(&self, signal: c_int) -> Result<(), SigactionError> {
        let Some(number) = number(signal) else {
            return Ok(());
        };
        self.check(signal)?;
        let mut installed = installed();
        if !self.node.wanted[number].swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        self.node.counts[number].store(0, Ordering::SeqCst);
        let Some(entry) = installed.get_mut(&signal) else {
            return Ok(());
        };
        entry.counters -= 1;
        if entry.counters > 0 {
            return Ok(());
        }
        match restore(signal, &entry.earlier) {
            Ok(false) => Ok(()),
            Ok(true) => {
                installed.remove(&signal);
                Ok(())
            }
            Err(source) => Err(SigactionError { signal, source }),
        }
    }

    /// The signals it counts, in ascending order.
    pub fn watched(&self) -> impl Iterator<Item = c_int> {
        (1..SIGNALS as c_int)
            .filter(|&signal| self.node.wanted[signal as usize].load(Ordering::SeqCst))
    }

    /// How often the signal was delivered since it was last asked for; zero for one not watched.
    pub fn take(&self, signal: c_int) -> u32 {
        if !self.generation.is_current() {
            return 0;
        }
        number(signal).map_or(0, |number| self.node.counts[number].swap(0, Ordering::SeqCst))
    }

    /// `read(self, buffer, size)`—Makes it unreadable until the next signal. Call it before
    /// [`take`](SignalCounter::take), so that no signal falls between the two.
    pub fn silence(&self) {
        if !self.generation.is_current() {
            return;
        }
        let mut buffer = [0; 64];
        while let Ok(64) = descriptor::read(&self.reader, &mut buffer) {}
    }
}

impl SignalCounter {
    /// `write(self, buffer, size)`—Makes it readable, as if a signal had come, and counts nothing.
    ///
    /// In a forked child this does nothing.
    ///
    /// # Errors
    ///
    /// Those of write(2), if they last; it is not readable then.
    pub fn ring(&self) -> io::Result<()> {
        if !self.generation.is_current() {
            return Ok(());
        }
        write_one(self.writer.as_raw_fd())
    }
}

impl AsFd for SignalCounter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for SignalCounter {
    fn drop(&mut self) {
        if !self.generation.is_current() || self.node.process.load(Ordering::SeqCst) != process() {
            // In a forked child. The handlers, and whatever a lock was held for, are the parent's.
            return;
        }
        for signal in self.watched().collect::<Vec<_>>() {
            // An error leaves our handler there, which finds nobody to count for.
            let _ = self.unwatch(signal);
        }
        self.node.writer.store(-1, Ordering::SeqCst);
        // Who has read the descriptor before that is going to write to it. It must not be closed, and
        // perhaps opened as something else, before that. Nobody joins them any more.
        while self.node.writing.load(Ordering::SeqCst) != 0 {
            thread::yield_now();
        }
        self.node.in_use.store(false, Ordering::SeqCst);
    }
}

impl Node {
    /// A node that nobody uses, or else a new one.
    fn claim() -> &'static Node {
        let unused = Node::all().find(|node| !node.in_use.swap(true, Ordering::SeqCst));
        if let Some(node) = unused {
            if node.process.load(Ordering::SeqCst) != process() {
                // Copied by a fork, perhaps in the middle of another thread's handler.
                node.writing.store(0, Ordering::SeqCst);
            }
            return node;
        }
        let node = Box::leak(Box::new(Node {
            next: ptr::null(),
            in_use: AtomicBool::new(true),
            writer: AtomicI32::new(-1),
            process: AtomicI32::new(0),
            writing: AtomicUsize::new(0),
            wanted: [const { AtomicBool::new(false) }; SIGNALS],
            counts: [const { AtomicU32::new(0) }; SIGNALS],
        }));
        let mut first = NODES.load(Ordering::SeqCst);
        loop {
            node.next = first;
            let new = ptr::from_mut(node);
            match NODES.compare_exchange(first, new, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return node,
                Err(found) => first = found,
            }
        }
    }

    /// Every node, newest first. It neither locks nor allocates.
    fn all() -> impl Iterator<Item = &'static Node> {
        let mut next = NODES.load(Ordering::SeqCst).cast_const();
        std::iter::from_fn(move || {
            // SAFETY: it is null or a node that was leaked by `claim`, and not changed since it could be
            // found here, but for its atomics.
            let node = unsafe { next.as_ref() }?;
            next = node.next;
            Some(node)
        })
    }
}

// SAFETY: `next` is written before the node can be found by another thread, and never again. The rest
// are atomics.
unsafe impl Sync for Node {}
// SAFETY: as above.
unsafe impl Send for Node {}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

/// The index of a signal in the arrays.
fn number(signal: c_int) -> Option<usize> {
    usize::try_from(signal).ok().filter(|&number| 0 < number && number < SIGNALS)
}

fn process() -> c_int {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::getpid() }
}

/// Gives the signal our handler; answers with what it had.
fn install(signal: c_int) -> io::Result<libc::sigaction> {
    // Known to the handler before it can be called.
    remember(signal, &exchange(signal, None)?);
    let mut ours = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the struct is made of integers, pointers that may be null, and a set of bits: all zeros is
    // a value of it, with an empty mask.
    let ours = unsafe { ours.assume_init_mut() };
    ours.sa_sigaction = handler as *const () as libc::sighandler_t;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    let earlier = exchange(signal, Some(ours))?;
    remember(signal, &earlier);
    Ok(earlier)
}

/// Gives the signal back what it had, unless it has got something else than our handler meanwhile.
/// Whether ours is out of use: not so if it has got another handler, which may pass on to ours.
fn restore(signal: c_int, earlier: &libc::sigaction) -> io::Result<bool> {
    let now = exchange(signal, None)?;
    if now.sa_sigaction == handler as *const () as libc::sighandler_t {
        exchange(signal, Some(earlier))?;
        return Ok(true);
    }
    Ok(!is_handler(&now))
}

/// Whether this is a function, ours or another, and not one of the two that are none.
fn is_handler(action: &libc::sigaction) -> bool {
    !matches!(action.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN)
}

fn exchange(signal: c_int, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `new` is null or valid; `old` is valid for the write of one struct. Our handler is
    // async-signal-safe; what else comes here was in force before.
    check(unsafe { libc::sigaction(signal, new, old.as_mut_ptr()) })?;
    // SAFETY: sigaction(2) has filled it.
    Ok(unsafe { old.assume_init() })
}

/// Notes to whom the handler is to pass the signal on.
fn remember(signal: c_int, earlier: &libc::sigaction) {
    let Some(number) = number(signal) else {
        return;
    };
    let address = match earlier.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => 0,
        address if address == handler as *const () as usize => 0,
        address => address,
    };
    EARLIER[number].store(address, Ordering::SeqCst);
}

/// Runs on whichever thread the kernel interrupts, at any point of its program.
extern "C" fn handler(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the address is that of this thread's errno.
    let errno = unsafe { *sys::errno_location() };
    let Some(number) = number(signal) else {
        return;
    };
    for node in Node::all().filter(|node| node.wanted[number].load(Ordering::SeqCst)) {
        node.writing.fetch_add(1, Ordering::SeqCst);
        node.counts[number].fetch_add(1, Ordering::SeqCst);
        // Only now: a counter that is dropped takes it away first, and then waits for the writers.
        let writer = node.writer.load(Ordering::SeqCst);
        if writer != -1 && node.process.load(Ordering::SeqCst) == process() {
            // It is open: its counter waits for this handler before it closes it. After an error
            // that lasts, the next signal tries again, and whoever takes the count finds this one
            // in it.
            let _ = write_one(writer);
        }
        node.writing.fetch_sub(1, Ordering::SeqCst);
    }
    pass_on(signal, number, info, context);
    // SAFETY: as above.
    unsafe { *sys::errno_location() = errno };
}

/// How often write(2) is called again after an error.
const ATTEMPTS: usize = 8;

/// Makes a pipe readable. It is called by the handler, so it does nothing that is not
/// async-signal-safe: write(2) and poll(2) are.
fn write_one(writer: c_int) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        // SAFETY: the byte is valid for the length of the call.
        if unsafe { libc::write(writer, [1_u8].as_ptr().cast(), 1) } == 1 {
            return Ok(());
        }
        let mut room = libc::pollfd { fd: writer, events: libc::POLLOUT, revents: 0 };
        // SAFETY: the address of the error is this thread's; `room` is valid for one struct.
        unsafe {
            let is_full =
                *sys::errno_location() == libc::EAGAIN && libc::poll(&mut room, 1, 0) == 0;
            // A full pipe is readable.
            if is_full {
                return Ok(());
            }
        }
    }
    Err(io::Error::last_os_error())
}

fn pass_on(signal: c_int, number: usize, info: *mut siginfo_t, context: *mut c_void) {
    let address = EARLIER[number].load(Ordering::SeqCst);
    if address == 0 {
        return;
    }
    // SAFETY: the kernel had this address as a handler. It calls all of them with three arguments, those
    // that take but one included.
    let earlier: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
        unsafe { mem::transmute(address) };
    earlier(signal, info, context);
}
