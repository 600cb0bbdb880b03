//! poll(2): the registrations are kept here and handed to the kernel at every wait.
//!
//! The kernel knows only level. An edge is made by taking out of a registration what has been
//! reported, and putting it back when the source was drained (see [`rearm`] and [`Table`]); a
//! one-shot, by taking everything out until it is registered again.
//!
//! A call of poll(2) holds the files of its descriptors open. So a thread that ends a registration
//! during a wait interrupts it and sleeps until that call has returned; then the wait goes on
//! without the descriptor.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use wakeful_kernel::descriptor::{Identity, into_high_number};
use wakeful_kernel::pipe::pipe;
use wakeful_kernel::poll::{PollFd, RESOLUTION, poll};
use wakeful_kernel::process::{self, LeakingMutex};
use wakeful_kernel::readiness::Readiness;

use super::Adapter;
use super::nesting::Node;
use super::rearming::{LONGEST, Rechecked, Table};
use crate::event::Event;
use crate::rearm::{self, Cause, Direction, Enrolment, Rearm};
use crate::{Backend, Capabilities, EdgeRule, Interest, Support, Token};

pub(crate) struct PollAdapter {
    state: LeakingMutex<State>,
    /// A call of poll(2) has returned that was interrupted for the sake of [`State::releasing`].
    released: Condvar,
    /// What the kernel is handed, reused from wait to wait; locked for the length of a wait.
    snapshot: LeakingMutex<Snapshot>,
    /// A waker woke, as opposed to: the table changed under a wait.
    woken: AtomicBool,
    node: Node,
    interrupt: Interrupt,
    itself: Weak<PollAdapter>,
    _enrolment: Enrolment,
}

struct State {
    table: Table,
    /// The call of poll(2) that is under way, on a snapshot of the table.
    call: Option<Call>,
    /// How many threads sleep until that call has returned.
    releasing: usize,
    calls: u64,
}

#[derive(Clone, Copy)]
struct Call {
    number: u64,
    thread: ThreadId,
    /// In a forked child it is under way for ever.
    forks: u32,
}

#[derive(Default)]
struct Snapshot {
    /// The interrupting pipe, then the table's entries in its order.
    fds: Vec<PollFd<'static>>,
    /// Which registration each entry belongs to.
    generations: Vec<u64>,
    /// Where the next report begins, so that a small buffer favours nobody.
    start: usize,
}

impl PollAdapter {
    pub(super) fn new() -> io::Result<Arc<PollAdapter>> {
        let interrupt = Interrupt::new()?;
        let identity = Identity::of(interrupt.reader.as_raw_fd())?;
        let table = Table::new(Some(identity));
        let state = State { table, call: None, releasing: 0, calls: 0 };
        Ok(Arc::new_cyclic(|itself| PollAdapter {
            state: LeakingMutex::new(state),
            released: Condvar::new(),
            snapshot: LeakingMutex::default(),
            woken: AtomicBool::new(false),
            node: Node::new(interrupt.reader.as_raw_fd()),
            interrupt,
            itself: itself.clone(),
            _enrolment: Enrolment::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rearm_target(&self) -> Weak<dyn Rearm> {
        self.itself.clone()
    }

    /// Lets a wait that is under way see the table as it is now.
    fn table_changed(&self, state: &State) {
        if state.call.is_some() {
            // The pipe takes bytes without end: every wait empties it, and a full one is readable.
            let _ = self.interrupt.send();
        }
    }

    fn insert(&self, fd: RawFd, token: Token, interest: Interest, is_bare: bool) -> io::Result<()> {
        let identity = Identity::of(fd)?;
        if identity.is_regular_file_or_directory() {
            // To poll(2) such a file is always ready, which would make every wait return at once.
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        let mut state = self.state();
        self.forget_closed(&mut state, fd)?;
        self.node.enter(fd)?;
        if let Err(error) = state.table.insert(fd, identity, token, interest, is_bare) {
            self.node.leave(fd);
            return Err(error);
        }
        rearm::enter(fd, self.rearm_target());
        self.table_changed(&state);
        Ok(())
    }

    /// A registration has ended.
    fn left(&self, fd: RawFd) {
        rearm::leave(fd, &self.rearm_target());
        self.node.leave(fd);
    }

    /// An earlier file's registration by this number has ended if the number means another by now,
    /// or nothing.
    fn forget_closed(&self, state: &mut State, fd: RawFd) -> io::Result<()> {
        if state.table.forget_closed(fd)? {
            self.left(fd);
        }
        Ok(())
    }

    /// After a registration has ended: returns when no wait holds the file open, so that the peer
    /// of what is closed next sees it closed.
    fn release(&self, mut state: MutexGuard<'_, State>) {
        let Some(call) = state.call else {
            return;
        };
        // A signal handler of the waiting thread would sleep for ever, as would a child.
        let is_own = call.thread == thread::current().id();
        if is_own || call.forks != process::forks() || self.interrupt.send().is_err() {
            return;
        }
        state.releasing += 1;
        while state.call.is_some_and(|now| now.number == call.number) {
            state = self.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.releasing -= 1;
    }

    /// Hands the table to the snapshot, for a call of poll(2). Answers how long that may last.
    fn begin_call(&self, snapshot: &mut Snapshot, events: &mut Vec<Event>) -> Option<Duration> {
        let mut state = self.state();
        let Rechecked { closed, .. } = state.table.recheck(events);
        for fd in closed {
            self.left(fd);
        }
        snapshot.take_from(&mut state.table, &self.interrupt);
        state.calls += 1;
        let (number, thread) = (state.calls, thread::current().id());
        state.call = Some(Call { number, thread, forks: process::forks() });
        state.table.longest_wait()
    }

    /// Appends what the kernel has found in the snapshot; answers whether a waker woke.
    fn collect(&self, snapshot: &mut Snapshot, events: &mut Vec<Event>) -> bool {
        let mut state = self.state();
        state.call = None;
        if state.releasing > 0 {
            self.released.notify_all();
        }
        let table = &mut state.table;
        let count = snapshot.generations.len();
        let mut next = snapshot.start;
        for offset in 0..count {
            let index = (snapshot.start + offset) % count;
            let found = &snapshot.fds[index + 1];
            if found.readiness().is_empty() {
                continue;
            }
            if events.len() == events.capacity() {
                next = index;
                break;
            }
            let (fd, generation) = (found.raw_fd(), snapshot.generations[index]);
            if found.readiness().contains(Readiness::NVAL) {
                // Closed without a word. Under epoll the registration would have gone with it.
                if table.forget_current(fd, generation) {
                    self.left(fd);
                }
            } else if !table.was_drained(fd, generation) {
                events.extend(table.take(fd, generation, found.readiness()));
            }
        }
        snapshot.start = if count == 0 { 0 } else { next % count };
        let mut woken = false;
        if !snapshot.fds[0].readiness().is_empty() {
            self.interrupt.clear();
            woken = self.woken.swap(false, Ordering::AcqRel);
        }
        woken
    }
}

impl Adapter for PollAdapter {
    fn register(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.insert(fd, token, interest, false)
    }

    fn register_bare(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        self.insert(fd, token, interest, true)
    }

    fn reregister(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        let mut state = self.state();
        self.forget_closed(&mut state, fd)?;
        state.table.replace(fd, token, interest)?;
        self.table_changed(&state);
        Ok(())
    }

    fn deregister(&self, fd: RawFd) -> io::Result<()> {
        let mut state = self.state();
        // What cannot be found out makes no difference: the registration ends in either case.
        let _ = self.forget_closed(&mut state, fd);
        state.table.remove(fd)?;
        self.left(fd);
        self.release(state);
        Ok(())
    }

    fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<bool> {
        let mut snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be added to the clock is longer than anyone waits.
        let deadline = match timeout {
            None | Some(Duration::ZERO) => None,
            Some(timeout) => Instant::now().checked_add(timeout),
        };
        let before = events.len();
        let mut remaining = timeout;
        loop {
            let longest = self.begin_call(&mut snapshot, events);
            let timeout = match longest {
                _ if events.len() > before => Some(Duration::ZERO),
                Some(longest) => Some(remaining.map_or(longest, |timeout| timeout.min(longest))),
                None => remaining,
            };
            let found = poll(&mut snapshot.fds, timeout);
            let woken = self.collect(&mut snapshot, events);
            if woken || events.len() > before {
                return Ok(woken);
            }
            if snapshot.fds[0].readiness().contains(Readiness::NVAL) {
                // The program has closed all descriptors that it does not know. Every wait would
                // return at once.
                return Err(io::Error::from_raw_os_error(libc::EBADF));
            }
            if found? == 0 && timeout == remaining || remaining == Some(Duration::ZERO) {
                return Ok(false);
            }
            if let Some(deadline) = deadline {
                remaining = Some(deadline.saturating_duration_since(Instant::now()));
            }
        }
    }

    fn prepare_wake(&self) -> io::Result<()> {
        Ok(())
    }

    fn wake(&self) -> io::Result<()> {
        self.woken.store(true, Ordering::Release);
        self.interrupt.send()
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.interrupt.reader.as_fd()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            backend: Backend::Poll,
            edge: Support::Emulated,
            level: Support::Native,
            oneshot: Support::Emulated,
            edge_oneshot: Support::Emulated,
            edge_rule: EdgeRule::AfterWouldBlock,
            edge_recheck: Some(LONGEST),
            timeout_resolution: RESOLUTION,
            nests: false,
            scales: false,
            forgets_closed: false,
            priority: true,
            regular_files: false,
        }
    }
}

impl Rearm for PollAdapter {
    fn rearm(&self, fd: RawFd, direction: Direction, cause: Cause) {
        let mut state = self.state();
        if state.table.rearm(fd, direction, cause) {
            self.table_changed(&state);
        }
    }

    fn closing(&self, fd: RawFd) {
        let mut state = self.state();
        // The descriptor may have been deregistered by now.
        if state.table.forget(fd) {
            self.left(fd);
            self.release(state);
        }
    }

    fn given_away(&self, fd: RawFd) {
        let mut state = self.state();
        if state.table.disown(fd) {
            self.table_changed(&state);
        }
    }
}

/// Without the table: it would have to be locked while it is written, perhaps to a source that is
/// registered here and re-armed by that.
impl fmt::Debug for PollAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollAdapter").field("interrupt", &self.interrupt).finish_non_exhaustive()
    }
}

impl Drop for PollAdapter {
    fn drop(&mut self) {
        if !self.state.is_intact() {
            // A forked child, in whose table it is not.
            return;
        }
        for fd in self.state().table.descriptors() {
            rearm::leave(fd, &self.rearm_target());
        }
    }
}

impl Snapshot {
    fn take_from(&mut self, table: &mut Table, interrupt: &Interrupt) {
        self.fds.clear();
        self.fds.push(PollFd::from_raw(interrupt.reader.as_raw_fd(), Readiness::IN));
        self.fds.extend(table.entries.iter_mut().map(|entry| entry.poll_fd()));
        self.generations.clear();
        self.generations.extend(table.entries.iter().map(|entry| entry.generation));
        if self.start >= self.generations.len() {
            self.start = 0;
        }
    }
}

/// A pipe that stands first in every wait.
#[derive(Debug)]
struct Interrupt {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Interrupt {
    fn new() -> io::Result<Interrupt> {
        let (reader, writer) = pipe()?;
        Ok(Interrupt { reader: into_high_number(reader), writer: into_high_number(writer) })
    }

    fn send(&self) -> io::Result<()> {
        match wakeful_kernel::descriptor::write(&self.writer, &[1]) {
            // Full of unread interruptions, hence readable.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            result => result.map(drop),
        }
    }

    fn clear(&self) {
        let mut buffer = [0; 64];
        while let Ok(64) = wakeful_kernel::descriptor::read(&self.reader, &mut buffer) {}
    }
}
