//! How an operation that drained its source reaches the pollers that have no edge of their own.
//!
//! Under such a backend an edge-triggered registration falls silent once it has been reported, and
//! is to report again when the source has been drained, or, after an error, when somebody has
//! looked at it. Our I/O types know when that is, but they are as small as std's and know no
//! poller. So re-arming pollers enter their descriptors into one table of the process, which is
//! consulted only while there is such a poller: everyone else pays one relaxed load, after a system
//! call that met `WouldBlock` or moved less than it was asked to.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use wakeful_kernel::process;

use crate::Interest;

/// What a drained operation was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
    /// It cannot be told.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    Any,
}

impl Direction {
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn of(interest: Interest) -> Direction {
        match (interest.is_readable() || interest.is_priority(), interest.is_writable()) {
            (true, false) => Direction::Read,
            (false, true) => Direction::Write,
            _ => Direction::Any,
        }
    }
}

/// Why a direction is to be armed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// An operation would have blocked, or moved less than it was asked to.
    Drained,
    /// An operation failed otherwise, which may have taken an error, and may have left something;
    /// or it took nothing, and has left all.
    Failed,
    /// The pending error was taken, or the end was read, which stays in most sources, but not in
    /// all.
    Taken,
}

/// A poller that arms registrations again.
pub(crate) trait Rearm: Send + Sync + fmt::Debug {
    /// The descriptor may become ready in this direction anew.
    fn rearm(&self, fd: RawFd, direction: Direction, cause: Cause);

    /// The descriptor is about to be closed. It is not held open by this poller when this returns.
    fn closing(&self, fd: RawFd);

    /// The descriptor is given away: from now on it is not said when it is drained or closed.
    fn given_away(&self, fd: RawFd);
}

/// How many re-arming pollers are alive. While it is zero the table is empty.
static POLLERS: AtomicUsize = AtomicUsize::new(0);
/// One for each generation of forked children: an inherited one is the parent's pollers', and may
/// be locked for ever.
static TABLES: [Mutex<Option<Table>>; GENERATIONS] = [const { Mutex::new(None) }; GENERATIONS];

/// Children of children of children, beyond which they share one.
const GENERATIONS: usize = 16;

type Table = HashMap<RawFd, Vec<Weak<dyn Rearm>>>;

fn table() -> MutexGuard<'static, Option<Table>> {
    let generation = (process::forks() as usize).min(GENERATIONS - 1);
    TABLES[generation].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Held by a re-arming poller for as long as it lives.
#[derive(Debug)]
pub(crate) struct Enrolment(());

impl Enrolment {
    pub(crate) fn new() -> Enrolment {
        POLLERS.fetch_add(1, Ordering::Relaxed);
        Enrolment(())
    }
}

impl Drop for Enrolment {
    fn drop(&mut self) {
        let mut table = table();
        if POLLERS.fetch_sub(1, Ordering::Relaxed) == 1 {
            *table = None;
        }
    }
}

/// Enters a descriptor. The poller must be enrolled.
pub(crate) fn enter(fd: RawFd, poller: Weak<dyn Rearm>) {
    let mut table = table();
    let pollers = table.get_or_insert_default().entry(fd).or_default();
    pollers.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&poller));
    pollers.push(poller);
}

/// Takes a descriptor out.
pub(crate) fn leave(fd: RawFd, poller: &Weak<dyn Rearm>) {
    let mut table = table();
    let Some(entries) = table.as_mut() else {
        return;
    };
    if let Some(pollers) = entries.get_mut(&fd) {
        pollers.retain(|other| !other.ptr_eq(poller));
        if pollers.is_empty() {
            entries.remove(&fd);
        }
    }
}

/// Whether there is a re-arming poller.
#[inline]
pub(crate) fn is_in_use() -> bool {
    POLLERS.load(Ordering::Relaxed) != 0
}

/// Arms a direction of the descriptor wherever it is registered.
#[inline]
pub(crate) fn rearm(fd: RawFd, direction: Direction, cause: Cause) {
    if is_in_use() {
        rearm_all(fd, direction, cause);
    }
}

#[cold]
fn rearm_all(fd: RawFd, direction: Direction, cause: Cause) {
    for poller in pollers_of(fd) {
        poller.rearm(fd, direction, cause);
    }
}

/// The descriptor is about to be closed.
#[inline]
pub(crate) fn closing(fd: RawFd) {
    if is_in_use() {
        tell_all(fd);
    }
}

#[cold]
fn tell_all(fd: RawFd) {
    for poller in pollers_of(fd) {
        poller.closing(fd);
    }
}

/// The type that owns the descriptor gives it away.
#[inline]
pub(crate) fn given_away(fd: RawFd) {
    if is_in_use() {
        disown_all(fd);
    }
}

#[cold]
fn disown_all(fd: RawFd) {
    for poller in pollers_of(fd) {
        poller.given_away(fd);
    }
}

/// Copied out, so that no poller is called with the table locked.
#[cold]
fn pollers_of(fd: RawFd) -> Vec<Arc<dyn Rearm>> {
    let table = table();
    let pollers = table.as_ref().and_then(|entries| entries.get(&fd));
    pollers.into_iter().flatten().filter_map(Weak::upgrade).collect()
}
