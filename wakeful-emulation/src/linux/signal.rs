//! Counting signals, and seeing those that are blocked.
//!
//! One handler per signal counts for all who want to know, wherever they are, and then calls the handler that
//! there was. It is put in place for whoever wants to know, in front of what is there then, and taken out after the
//! last, unless somebody has put another in front of it meanwhile, which may call it.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Errno, Result, check, eventfd, hidden};

/// Wants to know how often a signal has come.
#[derive(Debug)]
pub(crate) struct Counting {
    number: c_int,
    slot: &'static Slot,
}

/// What there is to know of one signal. The handler reads it, at any time.
#[derive(Debug)]
struct Slot {
    count: AtomicI64,
    /// An eventfd that is never read, -1 before there is one: each who waits gets an edge from each signal.
    bell: AtomicI32,
    /// The handler that there was, or `SIG_DFL` or `SIG_IGN`, and how it is called.
    previous: Handler,
    /// The one before that, if somebody has put another in front of ours, and ours was put in front of that: theirs
    /// may call ours.
    older: Handler,
    /// The process that all of this is of: a forked child has the handler, and not the descriptors, perhaps.
    process: AtomicU32,
    users: Mutex<Users>,
}

/// A handler, and how it is called.
#[derive(Debug)]
struct Handler {
    function: AtomicUsize,
    flags: AtomicI32,
}

impl Handler {
    const fn none() -> Handler {
        Handler { function: AtomicUsize::new(libc::SIG_DFL), flags: AtomicI32::new(0) }
    }

    fn get(&self) -> (libc::sighandler_t, c_int) {
        (self.function.load(Ordering::Acquire), self.flags.load(Ordering::Acquire))
    }

    fn set(&self, (function, flags): (libc::sighandler_t, c_int)) {
        self.flags.store(flags, Ordering::Release);
        self.function.store(function, Ordering::Release);
    }

    fn call(&self, number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        let (function, flags) = self.get();
        if matches!(function, libc::SIG_DFL | libc::SIG_IGN) {
            return;
        }
        if flags & libc::SA_SIGINFO != 0 {
            // SAFETY: sigaction(2) gave it as a handler of three arguments, which are those of this call.
            let call: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(function) };
            call(number, info, context);
        } else {
            // SAFETY: sigaction(2) gave it as a handler of one argument.
            let call: extern "C" fn(c_int) = unsafe { std::mem::transmute(function) };
            call(number);
        }
    }
}

#[derive(Debug)]
struct Users {
    count: usize,
    /// Our handler is in place, or was when somebody put another in front of it.
    is_installed: bool,
}

const HIGHEST: usize = 64;

static SLOTS: [Slot; HIGHEST + 1] = [const {
    Slot {
        count: AtomicI64::new(0),
        bell: AtomicI32::new(-1),
        previous: Handler::none(),
        older: Handler::none(),
        process: AtomicU32::new(0),
        users: Mutex::new(Users { count: 0, is_installed: false }),
    }
}; HIGHEST + 1];

impl Counting {
    /// # Errors
    ///
    /// `EINVAL`: there is no such signal.
    pub(crate) fn start(number: c_int) -> Result<Counting> {
        let slot = usize::try_from(number).ok().and_then(|number| SLOTS.get(number));
        let slot = slot.filter(|_| number > 0).ok_or(Errno(libc::EINVAL))?;
        let mut users = slot.users.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if slot.process.load(Ordering::Acquire) != process {
            // Of nobody, or of the parent.
            slot.bell.store(-1, Ordering::Release);
            users.count = 0;
            slot.process.store(process, Ordering::Release);
        }
        if slot.bell.load(Ordering::Acquire) == -1 {
            // Kept for good: a handler may be about to use it.
            slot.bell.store(eventfd()?.into_raw_fd(), Ordering::Release);
        }
        slot.install(number, &mut users)?;
        users.count += 1;
        Ok(Counting { number, slot })
    }

    /// How many there have ever been.
    pub(crate) fn count(&self) -> i64 {
        self.slot.count.load(Ordering::Acquire)
    }

    /// What becomes readable, as an edge, with each.
    pub(crate) fn bell(&self) -> RawFd {
        self.slot.bell.load(Ordering::Acquire)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let mut users = self.slot.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.count = users.count.saturating_sub(1);
        if users.count == 0 {
            self.slot.uninstall(self.number, &mut users);
        }
    }
}

impl Slot {
    fn install(&self, number: c_int, users: &mut Users) -> Result<()> {
        let current = action(number)?;
        let is_function = !matches!(current.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN);
        if current.sa_sigaction == ours() {
            users.is_installed = true;
            return Ok(());
        }
        let is_needed = match current.sa_sigaction {
            // Nobody would be there to be told.
            libc::SIG_DFL => IGNORED_BY_DEFAULT.contains(&number),
            // Ignoring this one has a meaning of its own, and the manual excepts it.
            libc::SIG_IGN => number != libc::SIGCHLD,
            _ => true,
        };
        if !is_needed {
            return Ok(());
        }
        // Somebody's handler in front of ours may call it.
        let is_in_front = users.is_installed && is_function;
        self.older.set(if is_in_front { self.previous.get() } else { Handler::none().get() });
        self.previous.set((current.sa_sigaction, current.sa_flags));
        let mut action = current;
        action.sa_sigaction = ours();
        action.sa_flags |= libc::SA_SIGINFO;
        if !is_function {
            action.sa_flags |= libc::SA_RESTART;
        }
        // SAFETY: the handler does what handlers may do; the other is null.
        check(unsafe { libc::sigaction(number, &action, std::ptr::null_mut()) })?;
        users.is_installed = true;
        Ok(())
    }

    fn uninstall(&self, number: c_int, users: &mut Users) {
        let Ok(mut current) = action(number) else {
            return;
        };
        if users.is_installed && current.sa_sigaction == ours() {
            (current.sa_sigaction, current.sa_flags) = self.previous.get();
            // SAFETY: the action is the one that was found in place.
            users.is_installed =
                unsafe { libc::sigaction(number, &current, std::ptr::null_mut()) } != 0;
        }
    }
}

/// signal(7): those that do nothing unless somebody says what.
const IGNORED_BY_DEFAULT: [c_int; 4] = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];

extern "C" fn handle(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(slot) = usize::try_from(number).ok().and_then(|number| SLOTS.get(number)) else {
        return;
    };
    let bit = 1_u64 << (number - 1);
    let inside = INSIDE.get();
    if inside & bit != 0 {
        // Called by the handler that ours has called: it was counted.
        slot.older.call(number, info, context);
        return;
    }
    if slot.process.load(Ordering::Acquire) == std::process::id() {
        let errno = super::last_errno();
        slot.count.fetch_add(1, Ordering::AcqRel);
        super::ring_raw(slot.bell.load(Ordering::Acquire));
        super::set_errno(errno);
    }
    INSIDE.set(inside | bit);
    slot.previous.call(number, info, context);
    INSIDE.set(inside);
}

thread_local! {
    /// The signals whose handlers this thread is in, as bits.
    static INSIDE: Cell<u64> = const { Cell::new(0) };
}

fn ours() -> libc::sighandler_t {
    handle as *const () as libc::sighandler_t
}

/// `sigaction(number, NULL, &action)`
fn action(number: c_int) -> Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null action changes nothing, and the other is valid for the write of one struct.
    check(unsafe { libc::sigaction(number, std::ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: sigaction(2) has filled it.
    Ok(unsafe { action.assume_init() })
}

/// Whether the program, as far as it is not us, ignores the signal.
pub(crate) fn is_ignored(number: c_int) -> bool {
    let mut handler = action(number).map_or(libc::SIG_DFL, |action| action.sa_sigaction);
    if handler == ours() {
        let slot = usize::try_from(number).ok().and_then(|number| SLOTS.get(number));
        handler = slot.map_or(handler, |slot| slot.previous.get().0);
    }
    handler == libc::SIG_IGN || handler == libc::SIG_DFL && IGNORED_BY_DEFAULT.contains(&number)
}

/// `signalfd(-1, {number}, SFD_CLOEXEC | SFD_NONBLOCK)`—Readable while the signal is pending.
pub(crate) fn signalfd(number: c_int) -> Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is valid for writes, and filled before it is read.
    check(unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), number)
    })?;
    // SAFETY: the set has been filled.
    hidden(|| unsafe { libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })
}

/// `read(signalfd)`—Takes a signal that is pending.
pub(crate) fn take_signal(signalfd: &OwnedFd) {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: `info` is valid for writes of its size.
    unsafe { libc::read(signalfd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
}

/// `pthread_sigmask(SIG_BLOCK, NULL, &set)`—Whether this thread has blocked it.
pub(crate) fn is_blocked(number: c_int) -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a null set changes nothing, and the other is valid for the write of one struct.
    let result =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set.as_mut_ptr()) };
    // SAFETY: pthread_sigmask(3) has filled it if it succeeded.
    result == 0 && unsafe { libc::sigismember(set.as_ptr(), number) == 1 }
}
