//! Event ports: an association for each registration, made again after each event.
//!
//! The kernel tells of a descriptor once, if it is ready or when it gets so, and then not until it
//! is associated again. For a level that is done before the next wait; for an edge when the source
//! was drained (see [`rearm`]), and, for what was not reported yet, before the next wait as well;
//! for a one-shot when it is registered again.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use wakeful_kernel::descriptor::Identity;
use wakeful_kernel::event_port::{EventPort, EventSource, PollEvents, RawEvent};
use wakeful_kernel::poll::{PollFd, poll};
use wakeful_kernel::process::LeakingMutex;
use wakeful_kernel::readiness::Readiness;

use super::Adapter;
use super::nesting::Node;
use super::rearming::{LONGEST, Rechecked, Table, Wanted};
use crate::event::Event;
use crate::rearm::{self, Cause, Direction, Enrolment, Rearm};
use crate::{Backend, Capabilities, EdgeRule, Interest, Support, Token};

pub(crate) struct EventPortAdapter {
    node: Node,
    port: EventPort,
    state: LeakingMutex<State>,
    /// What the kernel fills, reused from wait to wait; locked for the length of a wait.
    found: LeakingMutex<Vec<RawEvent>>,
    /// How many wake-ups are queued, or about to be.
    wakes: AtomicUsize,
    /// Somebody waits for the port itself, so that it must be readable between waits, too.
    is_lent: AtomicBool,
    itself: Weak<EventPortAdapter>,
    _enrolment: Enrolment,
}

struct State {
    table: Table,
    /// Those that were reported, and are to be looked at before the next wait.
    reported: Vec<RawFd>,
    /// Those that the kernel was to wait for, and could not be told: for want of memory or slots, say.
    untold: Vec<RawFd>,
    /// A wait is under way, of which the kernel knows how long it may last.
    is_waiting: bool,
}

/// What a wake-up comes with.
const WAKE: i32 = 1;
/// Begins a wait again, because a registration is to be rechecked earlier.
const RECHECK: i32 = 2;

impl EventPortAdapter {
    pub(super) fn new() -> io::Result<Arc<EventPortAdapter>> {
        let port = EventPort::new()?;
        Ok(Arc::new_cyclic(|itself| EventPortAdapter {
            node: Node::new(port.as_raw_fd()),
            port,
            state: LeakingMutex::new(State {
                table: Table::new(None),
                reported: Vec::new(),
                untold: Vec::new(),
                is_waiting: false,
            }),
            found: LeakingMutex::default(),
            wakes: AtomicUsize::new(0),
            is_lent: AtomicBool::new(false),
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

    /// Has the kernel wait for a registration, unless it does, or is not to.
    fn associate(&self, table: &mut Table, fd: RawFd) -> io::Result<()> {
        let Some(Wanted { readiness, generation }) = table.next_association(fd) else {
            return Ok(());
        };
        let Err(error) = self.port.associate_fd(fd, poll_events(readiness), generation as usize)
        else {
            return Ok(());
        };
        table.dissociated(fd, generation);
        Err(self.portable(fd, error.into()))
    }

    /// Errors as the other backends have them.
    fn portable(&self, fd: RawFd, error: io::Error) -> io::Error {
        let errno = match error.raw_os_error() {
            Some(libc::EBADFD) => libc::EBADF,
            // A port in a port that is in it.
            Some(libc::EINVAL) if fd != self.port.as_raw_fd() => libc::ELOOP,
            _ => return error,
        };
        io::Error::from_raw_os_error(errno)
    }

    /// As [`associate`](EventPortAdapter::associate); what fails now is tried again before the next wait. One that was closed
    /// has nothing to tell.
    fn associate_again(&self, table: &mut Table, untold: &mut Vec<RawFd>, fd: RawFd) {
        if self.associate(table, fd).is_err_and(|error| is_passing(&error)) {
            untold.push(fd);
        }
    }

    /// What was reported is waited for again, as far as it is to be.
    ///
    /// # Errors
    ///
    /// The kernel could not be told of one. It is told before the next wait.
    fn associate_reported(&self, state: &mut State) -> io::Result<()> {
        let State { table, reported, untold, .. } = state;
        for fd in reported.drain(..) {
            self.associate_again(table, untold, fd);
        }
        let mut result = Ok(());
        for fd in std::mem::take(untold) {
            if let Err(error) = self.associate(table, fd) {
                if is_passing(&error) {
                    untold.push(fd);
                    result = Err(error);
                }
            }
        }
        result
    }

    /// The port is to be readable if the next wait would find something. It may be so in vain: what
    /// is ready now may have been drained by then.
    fn show(&self, state: &mut State) {
        let State { table, reported, untold, .. } = state;
        for &fd in reported.iter() {
            self.associate_again(table, untold, fd);
        }
        reported.retain(|&fd| table.is_level(fd));
    }

    /// Takes over what the kernel has found; answers whether a waker woke.
    fn take(&self, found: &[RawEvent], events: &mut Vec<Event>) -> bool {
        let mut woken = false;
        let mut state = self.state();
        state.is_waiting = false;
        let State { table, reported, untold, .. } = &mut *state;
        // They are known by their generations, and generations do not come again.
        let now = asked_again(table, found);
        for event in found {
            if event.source() != EventSource::Fd {
                woken |= event.events() == WAKE;
                self.wakes.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (fd, generation) = (event.object() as RawFd, event.user() as u64);
            table.dissociated(fd, generation);
            let ready = match now.get(&generation) {
                Some(&ready) if ready.contains(Readiness::NVAL) => {
                    if table.forget_current(fd, generation) {
                        self.left(fd);
                    }
                    continue;
                }
                Some(&ready) => ready,
                None => readiness(event.events()),
            };
            if ready.is_empty() || events.len() == events.capacity() {
                // It is over by now, or there was room for it among the wake-ups only: it is put
                // back, and comes again.
                self.associate_again(table, untold, fd);
                continue;
            }
            if let Some(event) = table.take(fd, generation, ready) {
                events.push(event);
                reported.push(fd);
            }
        }
        if self.is_lent.load(Ordering::Relaxed) {
            self.show(&mut state);
        }
        woken
    }

    fn insert(&self, fd: RawFd, token: Token, interest: Interest, is_bare: bool) -> io::Result<()> {
        let identity = Identity::of(fd)?;
        if identity.is_regular_file_or_directory() {
            // Such a file is always ready, which would make every wait return at once.
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        let mut state = self.state();
        self.forget_closed(&mut state, fd)?;
        self.node.enter(fd)?;
        let inserted = state.table.insert(fd, identity, token, interest, is_bare);
        if let Err(error) = inserted.and_then(|()| self.associate(&mut state.table, fd)) {
            self.node.leave(fd);
            if error.raw_os_error() != Some(libc::EEXIST) {
                state.table.forget(fd);
            }
            return Err(error);
        }
        rearm::enter(fd, self.rearm_target());
        Ok(())
    }

    /// An earlier file's registration by this number has ended if the number means another by now,
    /// or nothing.
    fn forget_closed(&self, state: &mut State, fd: RawFd) -> io::Result<()> {
        if state.table.forget_closed(fd)? {
            self.left(fd);
        }
        Ok(())
    }

    /// A registration has ended.
    fn left(&self, fd: RawFd) {
        rearm::leave(fd, &self.rearm_target());
        self.node.leave(fd);
    }

    /// Before a wait: rechecks, and has the kernel wait for all that it is to wait for. Answers how
    /// long the wait may last.
    ///
    /// # Errors
    ///
    /// As `associate_reported`.
    fn begin_wait(&self, events: &mut Vec<Event>) -> io::Result<Option<Duration>> {
        let mut state = self.state();
        let Rechecked { changed, closed } = state.table.recheck(events);
        for fd in closed {
            self.left(fd);
        }
        let State { table, untold, .. } = &mut *state;
        for fd in changed {
            self.associate_again(table, untold, fd);
        }
        self.associate_reported(&mut state)?;
        state.is_waiting = true;
        Ok(state.table.longest_wait())
    }

    /// A registration is to wait for something else, or to be rechecked earlier.
    fn changed(&self, state: &mut State, fd: RawFd) {
        let State { table, untold, .. } = state;
        self.associate_again(table, untold, fd);
        let is_next_call_due = state.table.longest_wait().is_some() || !state.untold.is_empty();
        if state.is_waiting && is_next_call_due {
            // A full port ends the wait as well.
            let _ = self.send(RECHECK);
        }
    }

    fn send(&self, what: i32) -> io::Result<()> {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        let Err(error) = self.port.send(what, 0) else {
            return Ok(());
        };
        self.wakes.fetch_sub(1, Ordering::Relaxed);
        // Full of events, so that no wait is long.
        let is_full = error.0.raw_os_error() == Some(libc::EAGAIN);
        if is_full { Ok(()) } else { Err(error.into()) }
    }
}

/// Whether a call failed for a reason that passes, and that is not in the descriptor.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENOMEM | libc::EAGAIN | libc::EINTR | libc::ENOSPC | libc::EMFILE | libc::ENFILE
        )
    )
}

/// An event was queued when the descriptor was ready, and that may be over. What they are ready for
/// now, by the generations of their registrations, of all about which the source would not have
/// said so.
fn asked_again(table: &Table, found: &[RawEvent]) -> HashMap<u64, Readiness> {
    let mut generations = Vec::new();
    let mut fds = Vec::new();
    for event in found.iter().filter(|event| event.source() == EventSource::Fd) {
        let (fd, generation) = (event.object() as RawFd, event.user() as u64);
        if let Some(question) = table.question(fd, generation) {
            generations.push(generation);
            fds.push(question);
        }
    }
    // If the answer is not known, the event is.
    if fds.is_empty() || poll(&mut fds, Some(Duration::ZERO)).is_err() {
        return HashMap::new();
    }
    generations.into_iter().zip(fds.iter().map(PollFd::readiness)).collect()
}

impl Adapter for EventPortAdapter {
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
        self.associate(&mut state.table, fd)
    }

    fn deregister(&self, fd: RawFd) -> io::Result<()> {
        let mut state = self.state();
        // What cannot be found out makes no difference: the registration ends in either case.
        let _ = self.forget_closed(&mut state, fd);
        state.table.remove(fd)?;
        self.left(fd);
        // It has none if it was reported, or closed.
        let _ = self.port.dissociate_fd(fd);
        Ok(())
    }

    fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> io::Result<bool> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be added to the clock is longer than anyone waits.
        let deadline = match timeout {
            None | Some(Duration::ZERO) => None,
            Some(timeout) => Instant::now().checked_add(timeout),
        };
        let (before, mut left) = (events.len(), timeout);
        if self.is_lent.load(Ordering::Relaxed) {
            // What was shown may be over by now.
            let State { table, reported, .. } = &mut *self.state();
            reported.iter().for_each(|&fd| table.forget_association(fd));
        }
        loop {
            let longest = match self.begin_wait(events) {
                Ok(longest) => longest,
                Err(error) if events.len() == before => return Err(error),
                Err(_) => None,
            };
            let timeout = match longest {
                _ if events.len() > before => Some(Duration::ZERO),
                Some(longest) => Some(left.map_or(longest, |left| left.min(longest))),
                None => left,
            };
            // Beside all wake-ups, so that none is left to end a wait in vain.
            let room = events.capacity() - events.len();
            let most = room.saturating_add(self.wakes.load(Ordering::Relaxed));
            found.clear();
            found.reserve(most);
            let got =
                if most > 0 { self.port.get_raw(&mut found, 1, most, timeout) } else { Ok(0) };
            let woken = self.take(&found, events);
            if woken || events.len() > before {
                return Ok(woken);
            }
            if got? == 0 && timeout == left || left == Some(Duration::ZERO) {
                return Ok(false);
            }
            // All of it was of registrations that are over, or it is time to recheck.
            if let Some(deadline) = deadline {
                left = Some(deadline.saturating_duration_since(Instant::now()));
            }
        }
    }

    fn prepare_wake(&self) -> io::Result<()> {
        Ok(())
    }

    fn wake(&self) -> io::Result<()> {
        self.send(WAKE)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        if !self.is_lent.swap(true, Ordering::Relaxed) {
            self.show(&mut self.state());
        }
        self.port.as_fd()
    }

    fn inherited_descriptor(&self) -> BorrowedFd<'_> {
        self.port.as_fd()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            backend: Backend::EventPorts,
            edge: Support::Emulated,
            level: Support::Emulated,
            oneshot: Support::Native,
            edge_oneshot: Support::Native,
            edge_rule: EdgeRule::AfterWouldBlock,
            edge_recheck: Some(LONGEST),
            timeout_resolution: Duration::from_nanos(1),
            nests: true,
            scales: true,
            forgets_closed: false,
            priority: true,
            regular_files: false,
        }
    }
}

impl Rearm for EventPortAdapter {
    fn rearm(&self, fd: RawFd, direction: Direction, cause: Cause) {
        let mut state = self.state();
        if state.table.rearm(fd, direction, cause) {
            self.changed(&mut state, fd);
        }
    }

    fn closing(&self, fd: RawFd) {
        let mut state = self.state();
        // The descriptor may have been deregistered by now.
        if state.table.forget(fd) {
            self.left(fd);
            let _ = self.port.dissociate_fd(fd);
        }
    }

    fn given_away(&self, fd: RawFd) {
        let mut state = self.state();
        if state.table.disown(fd) {
            self.changed(&mut state, fd);
        }
    }
}

/// Without the state: it would have to be locked while it is written, perhaps to a source that is
/// registered here and re-armed by that.
impl fmt::Debug for EventPortAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventPortAdapter").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Drop for EventPortAdapter {
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

/// What the kernel is asked for.
fn poll_events(wanted: Readiness) -> PollEvents {
    let mut events = PollEvents::empty();
    for (bit, event) in TABLE {
        if wanted.contains(bit) {
            events |= event;
        }
    }
    events
}

/// What the kernel says.
fn readiness(events: i32) -> Readiness {
    let events = PollEvents::from_bits_retain(events);
    let all = TABLE.iter().filter(|(_, event)| !event.is_empty() && events.contains(*event));
    all.fold(Readiness::empty(), |ready, &(bit, _)| ready | bit)
}

const TABLE: [(Readiness, PollEvents); 6] = [
    (Readiness::IN, PollEvents::IN),
    (Readiness::PRI, PollEvents::PRI),
    (Readiness::OUT, PollEvents::OUT),
    (Readiness::ERR, PollEvents::ERR),
    (Readiness::HUP, PollEvents::HUP),
    // Nothing where the system does not tell of it.
    (Readiness::RDHUP, PollEvents::from_bits_retain(wakeful_kernel::sys::POLLRDHUP as i32)),
];
