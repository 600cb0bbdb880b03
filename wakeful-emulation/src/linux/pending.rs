//! Signals that are pending because they are blocked: Linux merges the next one with each, and says
//! no more of it.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};

use super::signal::is_ignored;
use super::{Result, check, hidden, poll_now};

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

/// `read(signalfd)`—Takes a signal that is pending: one of the thread's own first, then one of the
/// process's. It is asked first whether there is one: the program may have cleared `O_NONBLOCK`.
fn take_signal(signalfd: &OwnedFd) -> Option<libc::signalfd_siginfo> {
    poll_now(signalfd.as_raw_fd(), libc::POLLIN).ok().filter(|&ready| ready != 0)?;
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

/// `si_code` of sigqueue(3), which `libc` has since some version only.
const SI_QUEUE: i32 = -1;

/// Counts the pending signals of a number that this thread has blocked, and marks what it leaves
/// pending as counted. The signal stays pending in the other place than it came to, as far as that
/// makes no difference to the program: the next one is merged with it where it is, and would not be
/// noticed. `forget` drops the edges that marking brings.
pub(super) fn count_pending(signalfd: &OwnedFd, number: c_int, forget: impl Fn()) -> i64 {
    if is_ignored(number) {
        // Another kernel would not have kept it.
        return (0..MANY).map_while(|_| take_signal(signalfd)).count() as i64;
    }
    if number >= libc::SIGRTMIN() {
        let count = count_queued(signalfd, number);
        forget();
        return count;
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

/// As `count_pending`, of a real-time signal: Linux keeps each that is sent, in its place.
fn count_queued(signalfd: &OwnedFd, number: c_int) -> i64 {
    let mut taken = Vec::new();
    // As many as a user may have by default, and more.
    for _ in 0..1 << 16 {
        let status = Status::read("/proc/thread-self/status");
        let is_of_thread = status.is_some_and(|status| status.has("SigPnd:", number));
        let place = if is_of_thread { Place::Thread } else { Place::Process };
        match take_signal(signalfd) {
            Some(info) => taken.push((place, info)),
            None => break,
        }
    }
    for (place, info) in &taken {
        send_again(number, info, *place);
    }
    taken.iter().filter(|(_, info)| info.ssi_errno != COUNTED).count() as i64
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
    let _ = send(taken.ssi_code) || send(SI_QUEUE);
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
pub(super) fn is_blocked(number: c_int) -> bool {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a null set changes nothing, and the other is valid for the write of one struct.
    let result =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), set.as_mut_ptr()) };
    // SAFETY: pthread_sigmask(3) has filled it if it succeeded.
    result == 0 && unsafe { libc::sigismember(set.as_ptr(), number) == 1 }
}
