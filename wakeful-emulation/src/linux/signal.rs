//! Counting signals, and seeing those that are blocked.
//!
//! One handler per signal counts for all who want to know, wherever they are, and then calls the
//! handler that there was. It is put in place for whoever wants to know, in front of what is there
//! then, and taken out after the last, unless somebody has put another in front of it meanwhile,
//! which may call it. A program may set the disposition later, as libevent does. So each `kevent`
//! looks whether the handler still is in place, and the C library's functions that set it do, too
//! (`set_action`).

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::pending::{count_pending, is_blocked};
use super::{Errno, Result, check, eventfd};

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
    /// The handler that there was, or `SIG_DFL` or `SIG_IGN`, and how it is called. Those after it
    /// are the ones before that, if somebody has put another in front of ours, and ours was put in
    /// front of that: theirs may call ours.
    previous: [Handler; CHAIN],
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

/// How many handlers may have been put in front of one another.
const CHAIN: usize = 4;

static SLOTS: [Slot; HIGHEST + 1] = [const {
    Slot {
        count: AtomicI64::new(0),
        bell: AtomicI32::new(-1),
        previous: [const { Handler::none() }; CHAIN],
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

    /// Puts the handler in place again, if the program has set another disposition since.
    pub(crate) fn keep(&self) {
        let mut users = self.slot.users.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be set now is tried again by the next call.
        let _ = self.slot.install(self.number, &mut users);
    }

    /// How many there have ever been.
    pub(crate) fn count(&self) -> i64 {
        self.slot.count.load(Ordering::Acquire)
    }

    /// Counts those that are pending because this thread has blocked the signal, for all who want
    /// to know.
    pub(crate) fn take_in_pending(&self, signalfd: &OwnedFd, forget: impl Fn()) {
        if is_blocked(self.number) {
            let count = count_pending(signalfd, self.number, &forget);
            if count > 0 {
                self.slot.count.fetch_add(count, Ordering::AcqRel);
                super::ring_raw(self.bell());
                forget();
            }
        }
    }

    /// Whether pending signals are to be counted without an edge: real-time signals queue up, and
    /// one that comes while others are marked has none.
    pub(crate) fn must_look(&self) -> bool {
        self.number >= libc::SIGRTMIN() && is_blocked(self.number)
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
        for (at, handler) in self.previous.iter().enumerate().skip(1).rev() {
            let before = self.previous.get(at - 1).filter(|_| is_in_front);
            handler.set(before.map_or(Handler::none().get(), Handler::get));
        }
        self.program().set((current.sa_sigaction, current.sa_flags));
        let mut action = current;
        action.sa_sigaction = ours();
        action.sa_flags |= libc::SA_SIGINFO;
        if !is_function {
            action.sa_flags |= libc::SA_RESTART;
        }
        // SAFETY: the handler does what handlers may do; the other is null.
        check(unsafe { real_sigaction(number, &action, std::ptr::null_mut()) })?;
        users.is_installed = true;
        Ok(())
    }

    /// The disposition that the program has set.
    fn program(&self) -> &Handler {
        let [program, ..] = &self.previous;
        program
    }

    fn uninstall(&self, number: c_int, users: &mut Users) {
        let Ok(mut current) = action(number) else {
            return;
        };
        if users.is_installed && current.sa_sigaction == ours() {
            (current.sa_sigaction, current.sa_flags) = self.program().get();
            // SAFETY: the action is the one that was found in place.
            users.is_installed =
                unsafe { real_sigaction(number, &current, std::ptr::null_mut()) } != 0;
        }
    }
}

/// signal(7): those that do nothing unless somebody says what.
const IGNORED_BY_DEFAULT: [c_int; 4] = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];

extern "C" fn handle(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(slot) = usize::try_from(number).ok().and_then(|number| SLOTS.get(number)) else {
        return;
    };
    let depth = DEPTHS.with(|depths| depths.get(number as usize).map_or(0, Cell::get));
    // Called by a handler that ours has called: it was counted.
    if depth == 0 && slot.process.load(Ordering::Acquire) == std::process::id() {
        let errno = super::last_errno();
        slot.count.fetch_add(1, Ordering::AcqRel);
        super::ring_raw(slot.bell.load(Ordering::Acquire));
        super::set_errno(errno);
    }
    let set_depth = |depth| {
        DEPTHS.with(|depths| {
            if let Some(place) = depths.get(number as usize) {
                place.set(depth);
            }
        });
    };
    if let Some(handler) = slot.previous.get(depth) {
        set_depth(depth + 1);
        handler.call(number, info, context);
        set_depth(depth);
    }
}

thread_local! {
    /// How many calls of our handler this thread is in, by the signal.
    static DEPTHS: [Cell<usize>; HIGHEST + 1] = const { [const { Cell::new(0) }; HIGHEST + 1] };
}

fn ours() -> libc::sighandler_t {
    handle as *const () as libc::sighandler_t
}

#[cfg(all(feature = "c-api", target_env = "gnu"))]
unsafe extern "C" {
    /// glibc's sigaction(2), by a name that this library does not take from it.
    #[link_name = "__sigaction"]
    fn real_sigaction(
        number: c_int,
        new: *const libc::sigaction,
        old: *mut libc::sigaction,
    ) -> c_int;
}
#[cfg(not(all(feature = "c-api", target_env = "gnu")))]
use libc::sigaction as real_sigaction;

/// `sigaction(number, new, old)`—As the program sees it: our handler is not there. The signal goes
/// on being counted.
///
/// # Safety
///
/// As sigaction(2): `new` must be null or valid for the read of one struct, `old` null or valid for
/// the write of one, and a handler must be a function of its kind.
#[cfg(all(feature = "c-api", target_env = "gnu"))]
pub(crate) unsafe fn set_action(
    number: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
) -> c_int {
    let slot = usize::try_from(number).ok().and_then(|number| SLOTS.get(number));
    let slot = slot.filter(|slot| slot.process.load(Ordering::Acquire) == std::process::id());
    // A handler may call this while its thread is in a function above. Then the next `kevent`
    // looks.
    let users = slot.and_then(|slot| slot.users.try_lock().ok().map(|users| (slot, users)));
    let Some((slot, mut users)) = users.filter(|(_, users)| users.count > 0) else {
        // SAFETY: as the caller promises.
        return unsafe { real_sigaction(number, new, old) };
    };
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    let program = slot.program().get();
    // SAFETY: as the caller promises; the place for the old action is this function's.
    let result = unsafe { real_sigaction(number, new, before.as_mut_ptr()) };
    if result != 0 {
        return result;
    }
    // SAFETY: sigaction(2) has filled it.
    let mut before = unsafe { before.assume_init() };
    if before.sa_sigaction == ours() {
        (before.sa_sigaction, before.sa_flags) = program;
    }
    if !old.is_null() {
        // SAFETY: as the caller promises.
        unsafe { old.write(before) };
    }
    if !new.is_null() {
        // Ours is not there any more, and the program does not know it.
        users.is_installed = false;
        let _ = slot.install(number, &mut users);
    }
    0
}

/// `sigaction(number, NULL, &action)`
fn action(number: c_int) -> Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null action changes nothing, and the other is valid for the write of one struct.
    check(unsafe { real_sigaction(number, std::ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: sigaction(2) has filled it.
    Ok(unsafe { action.assume_init() })
}

/// Whether the program, as far as it is not us, ignores the signal.
pub(super) fn is_ignored(number: c_int) -> bool {
    let mut handler = action(number).map_or(libc::SIG_DFL, |action| action.sa_sigaction);
    if handler == ours() {
        let slot = usize::try_from(number).ok().and_then(|number| SLOTS.get(number));
        handler = slot.map_or(handler, |slot| slot.program().get().0);
    }
    handler == libc::SIG_IGN || handler == libc::SIG_DFL && IGNORED_BY_DEFAULT.contains(&number)
}
