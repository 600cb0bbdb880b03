//! kqueue(2): the kernel does it, an event for each direction, which are joined here.
//!
//! Registrations are kept here as well: kqueue replaces where it should refuse, and a one-shot of two directions
//! is two events to it, the second of which has to be kept silent.

mod ended;
mod entry;
mod readiness;
mod wake;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use wakeful_kernel::descriptor::Identity;
use wakeful_kernel::kqueue::filter::Write;
use wakeful_kernel::kqueue::{self, Change, ChangeError, Filter, Kqueue, Mode, System};
use wakeful_kernel::process::LeakingMutex;
use wakeful_kernel::readiness::Readiness;

use self::entry::{Entry, Table};
use self::readiness::{end_of_pipe, readiness};
use self::wake::Wake;
use super::Adapter;
use crate::event::Event;
use crate::{Backend, Capabilities, EdgeRule, Interest, Support, Token, Trigger};

#[derive(Debug)]
pub(crate) struct KqueueAdapter {
    kqueue: Kqueue,
    table: LeakingMutex<Table>,
    /// What the kernel fills, reused from wait to wait; locked for the length of a wait.
    found: LeakingMutex<Vec<kqueue::Event>>,
    wake: OnceLock<Wake>,
    creation: Mutex<()>,
    /// Somebody else may be asleep on the descriptor.
    is_lent: AtomicBool,
}

impl KqueueAdapter {
    pub(super) fn new() -> io::Result<KqueueAdapter> {
        Ok(KqueueAdapter {
            kqueue: Kqueue::new()?,
            table: LeakingMutex::default(),
            found: LeakingMutex::default(),
            wake: OnceLock::new(),
            creation: Mutex::default(),
            is_lent: AtomicBool::new(false),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the kernel still has what the table says: closing a descriptor deletes its events.
    fn is_current(&self, fd: RawFd, entry: Entry) -> bool {
        if entry.end.is_some() {
            return entry.is_at_its_end(fd);
        }
        let mut probes = entry.directions(fd).map(|it| Change::probe(it, entry.generation));
        match probes.next() {
            Some(Ok(probe)) => match self.kqueue.apply([probe]).map_err(io::Error::from) {
                Ok(()) => true,
                // Any other error says nothing of it.
                Err(error) => {
                    !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EBADF | libc::EINVAL))
                }
            },
            _ => true,
        }
    }

    /// Adds the directions of an interest, and deletes those of an earlier one that are not among them.
    fn set(&self, fd: RawFd, entry: &mut Entry, before: Option<Entry>) -> io::Result<()> {
        let Entry { interest, generation, .. } = *entry;
        // Not every kernel changes the mode of an event that there is.
        let is_mode_kept =
            before.is_none_or(|before| before.interest.trigger() == interest.trigger());
        let wanted = entry.all_directions(fd);
        let stays = |it| is_mode_kept && wanted.clone().any(|wanted| wanted == it);
        let earlier = before.into_iter().flat_map(|before| before.directions(fd));
        let deletions = earlier.filter(|&it| !stays(it)).map(Change::delete);
        let deletion_count = deletions.clone().count();
        let first = *entry;
        let additions = wanted.clone().map(|it| Change::add(it, first.mode(it), generation));
        // What the system has not got is refused before anything is changed.
        let mut changes = [const { None }; 6];
        for (place, change) in changes.iter_mut().zip(deletions.chain(additions)) {
            *place = Some(change?);
        }
        let Err(error) = self.kqueue.apply(changes.into_iter().flatten()) else {
            return Ok(());
        };
        let others_are_told = interest.is_readable() || interest.is_writable();
        let is_file = || Identity::of(fd).is_ok_and(|it| it.is_regular_file_or_directory());
        let mut is_harmless = |error: &ChangeError| {
            let (errno, filter) = (error.io_error().raw_os_error(), *error.filter());
            match (errno, filter) {
                // Its descriptor was closed, and another has the number.
                (Some(libc::ENOENT), _) => *error.index() < deletion_count,
                (errno, Some(Filter::Write)) if ended::refused(fd, errno).is_some() => {
                    // Old macOS says so, having added the event.
                    let write = Change::probe(Write::from_raw(fd), generation);
                    if !write.is_ok_and(|write| self.kqueue.apply([write]).is_ok()) {
                        entry.end = ended::refused(fd, errno);
                        entry.lacks_write = true;
                    }
                    true
                }
                // There is no out-of-band data of such a descriptor.
                (_, Some(Filter::Except)) if others_are_told => {
                    entry.lacks_except = true;
                    true
                }
                // It can only be read, as a kqueue can. A file could be written to at any time.
                (Some(libc::EINVAL), Some(Filter::Write)) if interest.is_readable() => {
                    entry.lacks_write = !is_file();
                    entry.lacks_write
                }
                _ => false,
            }
        };
        let harmful = error.errors().iter().find(|error| !is_harmless(error));
        let mut errno = harmful.map(|error| error.io_error().raw_os_error());
        if errno.is_none() && entry.end.is_some() {
            let reported = ended::report(&self.kqueue, fd, interest.trigger(), generation);
            errno = reported.err().map(|error| error.raw_os_error());
        }
        let Some(errno) = errno else {
            return Ok(());
        };
        if before.is_none() {
            // All or nothing: one direction may have been added.
            let _ = self.kqueue.apply(wanted.filter_map(|it| Change::delete(it).ok()));
        }
        Err(match errno {
            // What cannot be waited for, as epoll says it.
            Some(libc::EINVAL | libc::ENODEV | libc::EOPNOTSUPP) => {
                io::Error::from_raw_os_error(libc::EPERM)
            }
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::ErrorKind::Other.into(),
        })
    }

    /// Takes over what the kernel has found; answers whether a waker woke.
    fn take(&self, found: &[kqueue::Event], events: &mut Vec<Event>) -> bool {
        let mut woken = false;
        let mut table = self.table();
        // Where the event of each descriptor is that may have another.
        let mut places = HashMap::new();
        let mut filters = found.iter().map(kqueue::Event::raw_filter);
        let first = filters.next();
        let may_be_two = filters.any(|filter| Some(filter) != first);
        for event in found {
            if self.wake.get().is_some_and(|wake| wake.sent(event)) {
                woken = true;
                continue;
            }
            if let Some(Filter::Aio | Filter::AioList) = event.filter() {
                // It was not registered here, but with the operation, and comes with what that was given.
                let is_one = event.filter() == Some(Filter::Aio);
                let ready = if is_one { Readiness::AIO } else { Readiness::LIO };
                events.push(Event::new(ready, Token(event.user_data())));
                continue;
            }
            let ended = ended::descriptor_of(event);
            let fd = ended.unwrap_or(event.ident() as RawFd);
            let entry = table.entries.get(&fd);
            if ended.is_some() && !entry.is_some_and(|entry| entry.is_at_its_end(fd)) {
                // It was closed, and another may have the number.
                ended::forget(&self.kqueue, fd);
                continue;
            }
            let Some(&entry) = entry.filter(|entry| entry.generation == event.user_data()) else {
                continue;
            };
            let place = if may_be_two { places.get(&fd).copied() } else { None };
            // A timer that stands for a one-shot does not say so.
            if (event.is_dispatched() || ended.is_some_and(|_| entry.is_oneshot()))
                && place.is_none()
            {
                self.silence(fd, event, entry);
            }
            let ready = match ended {
                Some(fd) => {
                    ended::report_again(&self.kqueue, event, fd, entry.interest.trigger());
                    Some(end_of_pipe(fd, entry.interest, Readiness::OUT))
                }
                None => readiness(event, entry),
            };
            let Some(ready) = ready else {
                if let Some(entry) = table.entries.get_mut(&fd).filter(|it| it.is_end_level) {
                    // The end is over, as of a FIFO that is open at its other end again.
                    entry.is_end_level = false;
                    self.set_mode_of_end(fd, entry, Mode::Clear);
                }
                continue;
            };
            if entry.is_of_end(event.filter()) {
                let entry = table.entries.get_mut(&fd);
                entry.into_iter().for_each(|entry| self.after_an_end(fd, entry));
            }
            if let Some(place) = place.and_then(|at: usize| events.get_mut(at)) {
                *place = Event::new(place.readiness() | ready, place.token());
                continue;
            }
            if may_be_two {
                places.insert(fd, events.len());
            }
            events.push(Event::new(ready, entry.token));
        }
        woken
    }

    /// Whether a level was among what was found. Its knote stays queued, so that what comes after the source was drained is
    /// no edge to an outer loop, unless this queue is asked once more.
    fn has_level(&self, found: &[kqueue::Event]) -> bool {
        let table = self.table();
        let is_level = |fd| {
            let entry = table.entries.get(&fd);
            entry.is_some_and(|entry| entry.interest.trigger() == Trigger::Level)
        };
        let is_of_descriptor = |event: &&kqueue::Event| {
            matches!(event.filter(), Some(Filter::Read | Filter::Write | Filter::Except))
        };
        found.iter().filter(is_of_descriptor).any(|event| is_level(event.ident() as RawFd))
    }

    /// One direction of a one-shot was reported: the others are to be silent, too.
    fn silence(&self, fd: RawFd, event: &kqueue::Event, entry: Entry) {
        self.forget_end(fd, entry);
        let others = entry.directions(fd);
        let others = others.filter(|it| Some(it.filter()) != event.filter());
        let silent = others.filter_map(|it| Change::disable(it, entry.generation).ok());
        // One that is not there went with its descriptor.
        let _ = self.kqueue.apply(silent);
    }

    fn forget_end(&self, fd: RawFd, entry: Entry) {
        if entry.end.is_some() {
            ended::forget(&self.kqueue, fd);
        }
    }

    /// Reports an end as often as the trigger wants. A filter for the end alone is an edge to the
    /// kernel until the end has come, so that other changes are not reported again and again.
    fn after_an_end(&self, fd: RawFd, entry: &mut Entry) {
        match entry.interest.trigger() {
            Trigger::Edge => {}
            Trigger::Level if entry.is_end_level => {}
            Trigger::Level => {
                entry.is_end_level = true;
                self.set_mode_of_end(fd, entry, Mode::Level);
            }
            Trigger::Oneshot | Trigger::EdgeOneshot => {
                let all = entry.directions(fd);
                let silent = all.filter_map(|it| Change::disable(it, entry.generation).ok());
                let _ = self.kqueue.apply(silent);
            }
        }
    }

    fn set_mode_of_end(&self, fd: RawFd, entry: &mut Entry, mode: Mode) {
        let of_end = entry.directions(fd).filter(|it| entry.is_of_end(Some(it.filter())));
        let changes =
            of_end.flat_map(|it| [Change::delete(it), Change::add(it, mode, entry.generation)]);
        let Err(error) = self.kqueue.apply(changes.flatten()) else {
            return;
        };
        // Any other refusal is of what went with its descriptor.
        let errnos = error.errors().iter().map(|error| error.io_error().raw_os_error());
        if let Some(end) = errnos.filter_map(|errno| ended::refused(fd, errno)).next() {
            (entry.end, entry.lacks_write) = (Some(end), true);
            let trigger = entry.interest.trigger();
            // For want of memory it fails, and the next registration reports.
            let _ = ended::report(&self.kqueue, fd, trigger, entry.generation);
        }
    }
}

impl Adapter for KqueueAdapter {
    fn register(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        if fd == self.kqueue.as_fd().as_raw_fd() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut table = self.table();
        if let Some(&entry) = table.entries.get(&fd) {
            if self.is_current(fd, entry) {
                return Err(io::Error::from_raw_os_error(libc::EEXIST));
            }
            table.entries.remove(&fd);
            self.forget_end(fd, entry);
        }
        let mut entry = table.entry(fd, token, interest);
        self.set(fd, &mut entry, None)?;
        table.entries.insert(fd, entry);
        Ok(())
    }

    fn reregister(&self, fd: RawFd, token: Token, interest: Interest) -> io::Result<()> {
        let mut table = self.table();
        let before = *table.entries.get(&fd).ok_or_else(|| missing(fd))?;
        let mut entry = table.entry(fd, token, interest);
        self.forget_end(fd, before);
        self.set(fd, &mut entry, Some(before))?;
        table.entries.insert(fd, entry);
        Ok(())
    }

    fn deregister(&self, fd: RawFd) -> io::Result<()> {
        let mut table = self.table();
        let entry = table.entries.remove(&fd).ok_or_else(|| missing(fd))?;
        self.forget_end(fd, entry);
        Ok(self.kqueue.apply(entry.directions(fd).filter_map(|it| Change::delete(it).ok()))?)
    }

    fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<bool> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let room = events.capacity() - events.len();
        // What cannot be added to the clock is longer than anyone waits.
        let deadline = match timeout {
            None | Some(Duration::ZERO) => None,
            Some(timeout) => Instant::now().checked_add(timeout),
        };
        let (before, mut left) = (events.len(), timeout);
        loop {
            found.clear();
            found.reserve(room);
            let count = self.kqueue.wait_for_some(&mut found, room, left)?;
            let woken = self.take(&found, events);
            if self.is_lent.load(Ordering::Relaxed) && self.has_level(&found) {
                self.rewake();
            }
            if count == 0 || woken || events.len() > before {
                return Ok(woken);
            }
            // All of it was of registrations that are over, or nothing to those who wait for errors.
            if let Some(deadline) = deadline {
                left = Some(deadline.saturating_duration_since(Instant::now()));
            }
        }
    }

    fn prepare_wake(&self) -> io::Result<()> {
        let _creation = self.creation.lock().unwrap_or_else(PoisonError::into_inner);
        if self.wake.get().is_none() {
            let _ = self.wake.set(Wake::new(&self.kqueue)?);
        }
        Ok(())
    }

    fn wake(&self) -> io::Result<()> {
        match self.wake.get() {
            None => Ok(()),
            Some(wake) => wake.wake(&self.kqueue, self.is_lent.load(Ordering::SeqCst)),
        }
    }

    fn rewake(&self) {
        // It fails for want of memory or descriptors; the outer loop hears of what comes next.
        let _ = self.prepare_wake();
        let _ = self.wake.get().map(|wake| wake.pulse(&self.kqueue));
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.is_lent.store(true, Ordering::SeqCst);
        self.kqueue.as_fd()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            backend: Backend::Kqueue,
            edge: Support::Native,
            level: Support::Native,
            oneshot: Support::Native,
            edge_oneshot: Support::Native,
            edge_rule: EdgeRule::EveryChange,
            edge_recheck: None,
            timeout_resolution: System::CURRENT.timeout_resolution(),
            nests: true,
            scales: true,
            forgets_closed: true,
            priority: System::CURRENT.number_of(Filter::Except).is_some(),
            regular_files: true,
        }
    }
}

/// As epoll says it: the number is not open, or its file is not registered.
fn missing(fd: RawFd) -> io::Error {
    let is_open = Identity::of(fd).map(|_| io::Error::from_raw_os_error(libc::ENOENT));
    is_open.unwrap_or_else(io::Error::from)
}
