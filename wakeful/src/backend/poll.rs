//! poll(2): the registrations are kept here and handed to the kernel at every wait.
//!
//! The kernel knows only level. An edge is made by taking out of a registration what has been
//! reported, and putting it back when the source was drained (see [`rearm`]); a one-shot, by taking
//! everything out until it is registered anew.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use wakeful_kernel::descriptor::{Identity, into_high_number};
use wakeful_kernel::pipe::pipe;
use wakeful_kernel::poll::{PollFd, RESOLUTION, poll};
use wakeful_kernel::readiness::Readiness;

use super::Adapter;
use super::rearming::Table;
use crate::event::Event;
use crate::rearm::{self, Cause, Direction, Enrolment, Rearm};
use crate::{Backend, Capabilities, EdgeRule, Interest, Support, Token};

pub(crate) struct PollAdapter {
    table: Mutex<Table>,
    /// What the kernel is handed, reused from wait to wait; locked for the length of a wait.
    snapshot: Mutex<Snapshot>,
    /// A waker woke, as opposed to: the table changed under a wait.
    woken: AtomicBool,
    interrupt: Interrupt,
    itself: Weak<PollAdapter>,
    _enrolment: Enrolment,
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
        Ok(Arc::new_cyclic(|itself| PollAdapter {
            table: Mutex::default(),
            snapshot: Mutex::default(),
            woken: AtomicBool::new(false),
            interrupt,
            itself: itself.clone(),
            _enrolment: Enrolment::new(),
        }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rearm_target(&self) -> Weak<dyn Rearm> {
        self.itself.clone()
    }

    /// Lets a wait that is under way see the table as it is now.
    fn table_changed(&self, table: &Table) {
        if table.waiting {
            // The pipe takes bytes without end: every wait empties it, and a full one is readable.
            let _ = self.interrupt.send();
        }
    }

    /// Appends what the kernel has found in the snapshot; answers whether a waker woke.
    fn collect(&self, snapshot: &mut Snapshot, events: &mut Vec<Event>) -> bool {
        let mut table = self.table();
        table.waiting = false;
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
            if !found.readiness().contains(Readiness::NVAL) {
                events.extend(table.take(fd, generation, found.readiness()));
            } else if table.is_current(fd, generation) {
                // Closed without a word. Under epoll the registration would have gone with it.
                let _ = table.remove(fd);
                rearm::leave(fd, &self.rearm_target());
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
        let identity = Identity::of(fd)?;
        if identity.is_regular_file_or_directory() {
            // To poll(2) such a file is always ready, which would make every wait return at once.
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        let mut table = self.table();
        table.insert(fd, identity, token, interest)?;
        rearm::enter(fd, self.rearm_target());
        self.table_changed(&table);
        Ok(())
    }

    fn reregister(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        let mut table = self.table();
        table.replace(fd, token, interest)?;
        self.table_changed(&table);
        Ok(())
    }

    fn deregister(&self, fd: RawFd) -> io::Result<()> {
        let mut table = self.table();
        table.remove(fd)?;
        rearm::leave(fd, &self.rearm_target());
        // A wait that is under way holds the file open: the peer would not see it closed.
        self.table_changed(&table);
        Ok(())
    }

    fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<bool> {
        let mut snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be added to the clock is longer than anyone waits.
        let deadline = match timeout {
            None | Some(Duration::ZERO) => None,
            Some(timeout) => Instant::now().checked_add(timeout),
        };
        let mut remaining = timeout;
        loop {
            {
                let mut table = self.table();
                snapshot.take_from(&table, &self.interrupt);
                table.waiting = true;
            }
            let found = poll(&mut snapshot.fds, remaining);
            let woken = self.collect(&mut snapshot, events);
            let ends = woken || !events.is_empty() || remaining == Some(Duration::ZERO);
            if found? == 0 || ends {
                return Ok(woken);
            }
            if snapshot.fds[0].readiness().contains(Readiness::NVAL) {
                // The program has closed all descriptors that it does not know. Every wait would return at once.
                return Err(io::Error::from_raw_os_error(libc::EBADF));
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
        let mut table = self.table();
        if table.rearm(fd, direction, cause) {
            self.table_changed(&table);
        }
    }

    fn closing(&self, fd: RawFd) {
        // The descriptor may have been deregistered by now.
        let _ = self.deregister(fd);
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
        for fd in self.table().descriptors() {
            rearm::leave(fd, &self.rearm_target());
        }
    }
}

impl Snapshot {
    fn take_from(&mut self, table: &Table, interrupt: &Interrupt) {
        self.fds.clear();
        self.fds.push(PollFd::from_raw(interrupt.reader.as_raw_fd(), Readiness::IN));
        self.fds.extend(table.entries.iter().map(|entry| entry.poll_fd()));
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
