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
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Errno, Result, check, eventfd, own};

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
fn is_ignored(number: c_int) -> bool {
    let mut handler = action(number).map_or(libc::SIG_DFL, |action| action.sa_sigaction);
    if handler == ours() {
        let slot = usize::try_from(number).ok().and_then(|number| SLOTS.get(number));
        handler = slot.map_or(handler, |slot| slot.program().get().0);
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
    check(unsafe { libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })
        .map(own)
}

/// `read(signalfd)`—Takes a signal that is pending: one of the thread's own first, then one of the
/// process's.
fn take_signal(signalfd: &OwnedFd) -> Option<libc::signalfd_siginfo> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: `info` is valid for writes of its size.
    let read = unsafe { libc::read(signalfd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
    // SAFETY: the read has filled it.
    (read == size as isize).then(|| unsafe { info.assume_init() })
}

/// Where a blocked signal is pending. Linux keeps one of each number in either place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Thread,
    Process,
}

/// `si_errno` of a pending signal that was counted, which is zero otherwise.
const COUNTED: i32 = 0x77616b65;

/// Counts the pending signals of a number that this thread has blocked, and marks what it leaves
/// pending as counted. The signal stays pending in the other place than it came to, as far as that
/// makes no difference to the program: the next one is merged with it where it is, and would not be
/// noticed. `forget` drops the edges that marking brings.
fn count_pending(signalfd: &OwnedFd, number: c_int, forget: impl Fn()) -> i64 {
    if is_ignored(number) {
        // Another kernel would not have kept it.
        return (0..MANY).map_while(|_| take_signal(signalfd)).count() as i64;
    }
    if number >= libc::SIGRTMIN() {
        // These queue up where they are.
        return 1;
    }
    let (mut count, mut left) = (0, None);
    for _ in 0..MANY {
        let Some(status) = Status::read("/proc/thread-self/status") else {
            return 1;
        };
        let of_thread = status.has("SigPnd:", number).then_some(Place::Thread);
        let of_process = status.has("ShdPnd:", number).then_some(Place::Process);
        let pending = of_thread.into_iter().chain(of_process);
        if pending.clone().all(|place| Some(place) == left) {
            break;
        }
        // They are taken in this order.
        let taken: Vec<_> =
            pending.map_while(|place| Some((place, take_signal(signalfd)?))).collect();
        let is_new = |(_, info): &&(Place, libc::signalfd_siginfo)| info.ssi_errno != COUNTED;
        count += taken.iter().filter(is_new).count() as i64;
        let place = match taken.iter().rfind(is_new) {
            Some((Place::Process, _)) => Place::Thread,
            Some((Place::Thread, _)) if all_block(number) => Place::Process,
            Some((Place::Thread, _)) => Place::Thread,
            None => taken.first().map_or(Place::Thread, |&(place, _)| place),
        };
        if let Some((_, info)) = taken.first() {
            send_again(number, info, place);
            left = Some(place);
        }
        forget();
    }
    count
}

/// How often to look at what is pending.
const MANY: usize = 64;

/// Makes a signal that was taken pending again, as it was sent, so far as the kernel lets a process
/// say so, but for the mark.
fn send_again(number: c_int, taken: &libc::signalfd_siginfo, place: Place) {
    // The beginning of siginfo_t, and the fields of a signal of kill(2), sigqueue(3), or of a
    // child.
    let mut info = [0_u32; 32];
    let is_child = number == libc::SIGCHLD;
    let value = if is_child { taken.ssi_status as u64 } else { taken.ssi_ptr };
    let body = [taken.ssi_pid, taken.ssi_uid, value as u32, (value >> 32) as u32];
    let at = if size_of::<usize>() == 8 { 4 } else { 3 };
    info.iter_mut().skip(at).zip(body).for_each(|(field, word)| *field = word);
    let process = std::process::id();
    let mut send = |code: i32| {
        let header = [taken.ssi_signo, COUNTED as u32, code as u32];
        info.iter_mut().zip(header).for_each(|(field, word)| *field = word);
        // SAFETY: the info is as large as siginfo_t, and valid for reads.
        let result = unsafe {
            match place {
                Place::Thread => {
                    let thread = libc::syscall(libc::SYS_gettid);
                    let call = libc::SYS_rt_tgsigqueueinfo;
                    libc::syscall(call, process, thread, number, info.as_ptr())
                }
                Place::Process => {
                    libc::syscall(libc::SYS_rt_sigqueueinfo, process, number, info.as_ptr())
                }
            }
        };
        result == 0
    };
    // The kernel lets only the first thread say that kill(2) has sent it.
    let _ = send(taken.ssi_code) || send(libc::SI_QUEUE);
}

/// Whether all threads have blocked a signal, so that none gets it when it is sent to the process.
fn all_block(number: c_int) -> bool {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return false;
    };
    let mut status = threads.flatten().map(|thread| Status::read(thread.path().join("status")));
    // One that is not there any more does not get any.
    status.all(|status| status.is_none_or(|status| status.has("SigBlk:", number)))
}

/// What proc(5) says of a thread.
struct Status(String);

impl Status {
    fn read(path: impl AsRef<std::path::Path>) -> Option<Status> {
        std::fs::read_to_string(path).ok().map(Status)
    }

    /// Whether a set of signals has one.
    fn has(&self, set: &str, number: c_int) -> bool {
        let set = self.0.lines().find_map(|line| line.strip_prefix(set));
        let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        set.is_some_and(|set| set >> (number - 1) & 1 == 1)
    }
}

/// `pthread_sigmask(SIG_BLOCK, NULL, &set)`—Whether this thread has blocked it.
fn is_blocked(number: c_int) -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a null set changes nothing, and the other is valid for the write of one struct.
    let result =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set.as_mut_ptr()) };
    // SAFETY: pthread_sigmask(3) has filled it if it succeeded.
    result == 0 && unsafe { libc::sigismember(set.as_ptr(), number) == 1 }
}
