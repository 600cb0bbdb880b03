//! Descriptors that the program does not know of.
//!
//! The kernels that are emulated need one descriptor for a queue, and none for its events. A program knows which
//! numbers are in use: it closes a number and puts another file there, or expects open(2) to return the lowest one that
//! it has closed. So what the emulation needs beside the queue has a high number, and some numbers are kept in reserve
//! for when the program has used all of them.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{Errno, Result, check, own};

/// Where they begin, if the limit of descriptors allows. The kernel's table of descriptors, which fork(2) copies, is as
/// long as the highest number requires: with this one a fork takes 10 µs more.
const HIGH: c_int = 4096;
/// How many numbers are kept in reserve, at most: the program cannot have them.
const RESERVED: usize = 16;
/// The reserve takes one in so many of the limit.
const SHARE: usize = 16;

/// Creates a descriptor, which gets a high number. `create` answers as a system call does, with -1 and errno.
pub(super) fn hidden(create: impl Fn() -> c_int) -> Result<OwnedFd> {
    let created = match check(create()) {
        Err(Errno(libc::EMFILE | libc::ENFILE)) if release() => check(create()),
        Ok(fd) => {
            refill();
            Ok(fd)
        }
        error => error,
    };
    let raised = created.map(own).map(raise)?;
    // A number that the program has just closed is not to be taken instead.
    Ok(raised
        .or_else(|low| if release() { raise(low) } else { Err(low) })
        .unwrap_or_else(|low| low))
}

/// As [`hidden`], without the reserve: where no high number is free it fails.
pub(super) fn unreserved(create: impl Fn() -> c_int) -> Result<OwnedFd> {
    raise(own(check(create())?)).map_err(|_| Errno(libc::EMFILE))
}

/// Moves a descriptor to a high number. Where none is free the descriptor comes back as it was.
fn raise(fd: OwnedFd) -> std::result::Result<OwnedFd, OwnedFd> {
    let limit = limit();
    let base = c_int::try_from(limit / 4 * 3).map_or(HIGH, |base| base.min(HIGH));
    for base in [base, base / 2, base / 4] {
        if fd.as_raw_fd() >= base {
            return Ok(fd);
        }
        // SAFETY: the call takes integers.
        match check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, base) }) {
            Ok(high) => return Ok(own(high)),
            // None is free from there on, or the limit was lowered since.
            Err(Errno(libc::EMFILE | libc::EINVAL)) => {}
            Err(_) => break,
        }
    }
    Err(fd)
}

/// `getrlimit(RLIMIT_NOFILE)`, the soft limit.
fn limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is valid for the write of one.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

/// The numbers in reserve: each is open, as a pipe's end that nothing reads. A slot has the inode's lower half, by which
/// the pipe is known again, and the number; 0 if it is empty. They are atomics, so that a forked child finds no lock
/// held.
static RESERVE: [AtomicU64; RESERVED] = [const { AtomicU64::new(0) }; RESERVED];
/// How many slots are filled; a hint.
static FILLED: AtomicUsize = AtomicUsize::new(0);

/// Fills the reserve as far as there are descriptors. Called for each queue that is created.
pub(crate) fn reserve() {
    let limit = limit();
    // Those beyond a limit that was lowered since are of no use.
    let is_useless = |slot: &&AtomicU64| slot.load(Ordering::Relaxed) as u32 as usize >= limit;
    for slot in RESERVE.iter().filter(is_useless) {
        empty(slot);
    }
    let wanted = RESERVED.min(limit / SHARE);
    while FILLED.load(Ordering::Relaxed) < wanted {
        if !keep_one() {
            break;
        }
    }
}

/// Fills one slot again, after one was used.
fn refill() {
    let filled = FILLED.load(Ordering::Relaxed);
    if filled > 0 && filled < RESERVED.min(limit() / SHARE) {
        keep_one();
    }
}

fn keep_one() -> bool {
    let Some(Ok(one)) = placeholder().map(raise) else {
        return false;
    };
    let Some(inode) = inode(one.as_raw_fd()) else {
        return false;
    };
    let value = u64::from(inode) << 32 | one.as_raw_fd() as u64;
    let is_kept = |slot: &AtomicU64| {
        slot.compare_exchange(0, value, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    };
    let kept = RESERVE.iter().any(is_kept);
    if kept {
        let _ = one.into_raw_fd();
        FILLED.fetch_add(1, Ordering::Relaxed);
    }
    kept
}

/// An end of a pipe: a duplicate of one that is in the reserve, or else of a new one.
fn placeholder() -> Option<OwnedFd> {
    for slot in &RESERVE {
        let value = slot.load(Ordering::Acquire);
        let fd = value as u32 as RawFd;
        if value != 0 && inode(fd) == Some((value >> 32) as u32) {
            // SAFETY: the call takes integers.
            return check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, fd) }).ok().map(own);
        }
    }
    let mut ends = [-1; 2];
    // SAFETY: the array is valid for the write of two integers.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }).ok()?;
    let [one, _other] = ends.map(own);
    Some(one)
}

/// Gives one number back. Whether there was one.
fn release() -> bool {
    let limit = limit();
    RESERVE.iter().any(|slot| empty(slot).is_some_and(|fd| (fd as usize) < limit))
}

/// Empties a slot. The number that is free then, if it was not empty.
fn empty(slot: &AtomicU64) -> Option<RawFd> {
    let value = slot.swap(0, Ordering::AcqRel);
    if value == 0 {
        return None;
    }
    FILLED.fetch_sub(1, Ordering::Relaxed);
    let fd = value as u32 as RawFd;
    // The program may have closed it, and opened something else by its number.
    if inode(fd) != Some((value >> 32) as u32) {
        return None;
    }
    // SAFETY: the number is the reserve's, as its inode shows, and was taken out of it.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Some(fd)
}

/// The lower half of a pipe's inode.
fn inode(fd: RawFd) -> Option<u32> {
    let identity = super::identity(fd).ok()?;
    (identity.kind == libc::S_IFIFO).then_some(identity.inode as u32)
}
