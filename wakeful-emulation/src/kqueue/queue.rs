//! A kqueue: an epoll, which is its descriptor, and what is known of its events.
//!
//! The descriptors that are read are in an epoll of their own, those that are written in another, both of
//! which are in the first: so each filter of a descriptor has its own registration, and either can be made
//! anew if something is left in it that cannot be taken out, namely a file whose number was closed while
//! a duplicate of it is open. What happens in memory rings a bell, an eventfd.

use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::abi::{self, kevent};
use super::knote::{After, Key, Knote};
use super::state::{BELL, MANY, State};
use crate::instances::{Instance, Instances, lock};
use crate::linux::{self, Control, Errno, Result};

#[derive(Debug)]
pub(crate) struct Queue {
    /// The caller's: it closes it, and we are not told.
    fd: RawFd,
    /// The process that made it: a forked child does not inherit it, and must not change its parent's.
    process: u32,
    bell: OwnedFd,
    state: Mutex<State>,
}

/// All that there are, and some that were closed.
pub(crate) static QUEUES: Instances<Queue> = Instances::new();

/// The filters that there are.
const FILTERS: [i16; 11] = [
    abi::EVFILT_READ,
    abi::EVFILT_WRITE,
    abi::EVFILT_EXCEPT,
    abi::EVFILT_VNODE,
    abi::EVFILT_EMPTY,
    abi::EVFILT_SIGNAL,
    abi::EVFILT_PROC,
    abi::EVFILT_TIMER,
    abi::EVFILT_USER,
    abi::EVFILT_AIO,
    abi::EVFILT_LIO,
];

/// Linux does not tell those who wait that the kqueue was closed: so often they look.
const LOOK_ROUND: Duration = Duration::from_secs(1);

impl Instance for Queue {
    fn process(&self) -> u32 {
        self.process
    }

    fn is_open(&self) -> Result<bool> {
        // Of another epoll, in which it is not, this changes nothing.
        linux::is_in(self.fd, self.bell.as_raw_fd(), libc::EPOLLIN, BELL)
    }

    fn is_whole(&self) -> bool {
        self.process == std::process::id() && lock(&self.state).has(&self.bell)
    }

    fn close_hidden(&self) {
        // Held by another thread when the process was forked, it is never free again.
        let sides = self.state.try_lock().map(|state| state.side_fds()).unwrap_or_default();
        for fd in sides.into_iter().chain([self.bell.as_raw_fd()]) {
            // SAFETY: the child's copy of the kqueue, and of its descriptors, is not used again.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

impl Queue {
    /// A new one. The caller owns the descriptor.
    pub(super) fn create(flags: i32) -> Result<RawFd> {
        match Queue::try_create(flags) {
            // Those that were closed may have left some behind.
            Err(Errno(libc::EMFILE)) if QUEUES.sweep() => Queue::try_create(flags),
            result => result,
        }
    }

    fn try_create(flags: i32) -> Result<RawFd> {
        let first = linux::queue_epoll(flags)?;
        let bell = linux::eventfd()?;
        linux::control(first.as_raw_fd(), Control::Add, bell.as_raw_fd(), libc::EPOLLIN, BELL)?;
        let state = Mutex::new(State::new(first.as_raw_fd(), &bell)?);
        let fd = first.into_raw_fd();
        let process = std::process::id();
        let queue = Arc::new(Queue { fd, process, bell, state });
        QUEUES.insert(fd, queue);
        linux::reserve();
        Ok(fd)
    }

    pub(crate) fn find(fd: RawFd) -> Result<Arc<Queue>> {
        QUEUES.find(fd)?.ok_or(Errno::BADF)
    }

    /// Frees what belongs to a kqueue, and closes it.
    pub(super) fn close(fd: RawFd) -> Result<()> {
        QUEUES.close(fd).map(drop)
    }

    /// An operation is to begin, whose end this kqueue is told.
    pub(crate) fn expect_operation(&self, key: Key, user: usize) -> Result<()> {
        let mut state = lock(&self.state);
        state.remove(key, self.fd);
        let number = state.next;
        state.next += 1;
        state.keys.insert(number, key);
        state.knotes.insert(key, Knote::of_operation(key, user, number));
        Ok(())
    }

    /// One has ended.
    pub(crate) fn operation_ended(&self, key: Key) {
        let mut state = lock(&self.state);
        // What has happened before is queued before it. What cannot be found out now is found later.
        let _ = state.harvest(self.fd, MANY);
        if let Some(knote) = state.knotes.get_mut(&key) {
            knote.operation_ended();
            let number = knote.number;
            state.activate(number);
        }
        self.settle(&mut state);
    }

    /// One did not begin, or its result was taken.
    pub(crate) fn forget_operation(&self, key: Key) {
        let mut state = lock(&self.state);
        state.remove(key, self.fd);
        self.settle(&mut state);
    }

    /// Queues what has happened until now, before changes that activate knotes.
    pub(super) fn harvest(&self) -> Result<()> {
        let mut state = lock(&self.state);
        let result = state.harvest(self.fd, MANY);
        self.settle(&mut state);
        result
    }

    /// How often a knote was queued, and how many knotes are queued now: what an outer kqueue knows of this one.
    pub(super) fn queued(&self) -> Result<(u64, usize)> {
        let mut state = lock(&self.state);
        let result = state.harvest(self.fd, MANY);
        self.settle(&mut state);
        result.map(|()| (state.activations, state.active.len()))
    }

    /// The bell rings while a knote is queued, and once more for each that is, of which an outer queue is to hear.
    fn settle(&self, state: &mut State) {
        let is_to_ring = !state.active.is_empty();
        let is_new = std::mem::replace(&mut state.rung_for, state.activations) != state.activations;
        match (std::mem::replace(&mut state.is_rung, is_to_ring), is_to_ring) {
            (was_rung, true) if !was_rung || is_new => linux::ring(&self.bell),
            // A bell that goes on ringing makes others look once more.
            (true, false) => state.is_rung = linux::count(&self.bell).is_err(),
            _ => {}
        }
    }

    /// Makes one change.
    pub(super) fn change(&self, change: &kevent) -> Result<()> {
        let mut state = lock(&self.state);
        let result = self.make(change, &mut state);
        self.settle(&mut state);
        result
    }

    fn make(&self, change: &kevent, state: &mut State) -> Result<()> {
        let key = (change.ident, change.filter);
        let both = abi::EV_ENABLE | abi::EV_DISABLE;
        if change.flags & both == both {
            return Err(Errno(libc::EINVAL));
        }
        if !FILTERS.contains(&change.filter) {
            return Err(Errno(libc::EINVAL));
        }
        let is_another = match state.knotes.get(&key) {
            Some(knote) => !knote.is_same()? || knote.becomes_another(change),
            None => false,
        };
        if is_another || state.is_stranger(key) {
            state.remove(key, self.fd);
        }
        let is_descriptor = matches!(
            change.filter,
            abi::EVFILT_READ
                | abi::EVFILT_WRITE
                | abi::EVFILT_VNODE
                | abi::EVFILT_EMPTY
                | abi::EVFILT_EXCEPT
        );
        if is_descriptor {
            let fd = RawFd::try_from(change.ident).map_err(|_| Errno::BADF)?;
            linux::identity(fd)?;
            if fd == self.fd {
                return Err(Errno(libc::EINVAL));
            }
        }
        let before = state.knotes.get(&key).map(|knote| knote.is_enabled);
        let is_new = before.is_none();
        match !is_new {
            true if change.flags & abi::EV_DELETE != 0 => {
                state.remove(key, self.fd);
                return Ok(());
            }
            false if change.flags & abi::EV_ADD == 0 => return Err(Errno(libc::ENOENT)),
            false => {
                let number = state.next;
                let knote = Knote::new(change, number)?;
                state.next += 1;
                state.keys.insert(number, key);
                state.knotes.insert(key, knote);
            }
            true => state.knotes.get_mut(&key).map_or(Ok(()), |knote| knote.change(change))?,
        }
        if let Err(error) = state.listen(key, self.fd).and_then(|()| state.arm(key, self.fd)) {
            match (before, state.knotes.get_mut(&key)) {
                // As it was.
                (Some(is_enabled), Some(knote)) => knote.is_enabled = is_enabled,
                _ => state.remove(key, self.fd),
            }
            return Err(error);
        }
        if let Some(knote) = state.knotes.get_mut(&key) {
            if change.flags & abi::EV_FORCEONESHOT != 0 && !is_new {
                knote.force();
            }
            let number = knote.number;
            if knote.is_true_in_memory() {
                state.activate(number);
            }
            state.activate_new(key, self.fd);
        }
        Ok(())
    }

    /// Waits for events, and answers with how many it has written.
    pub(super) fn scan(&self, events: &mut [kevent], timeout: Option<Duration>) -> Result<usize> {
        if events.is_empty() {
            return Ok(0);
        }
        // Beyond what the clock can count it is without end.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let count = self.collect(events)?;
            if count > 0 {
                return Ok(count);
            }
            let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(0);
            }
            let wait = left.map_or(LOOK_ROUND, |left| left.min(LOOK_ROUND));
            match linux::poll(self.fd, libc::POLLIN, Some(wait)) {
                // Closed, or even another kqueue by now.
                Ok(_) if !self.is_open()? => return Err(Errno::BADF),
                Ok(_) => {}
                // It may have been the signal that is waited for.
                Err(error) => match self.collect(events)? {
                    0 => return Err(error),
                    count => return Ok(count),
                },
            }
        }
    }

    /// Writes what there is to report now. Each knote that is queued is looked at once, in the order of their
    /// activation, and leaves the queue; one that stays true goes to its end, which is no activation.
    fn collect(&self, events: &mut [kevent]) -> Result<usize> {
        let mut state = lock(&self.state);
        let result = state
            .harvest(self.fd, events.len().max(MANY))
            .and_then(|()| self.report(&mut state, events));
        self.settle(&mut state);
        result
    }

    fn report(&self, state: &mut State, events: &mut [kevent]) -> Result<usize> {
        let mut written = 0;
        let mut failed = None;
        for _ in 0..state.active.len() {
            let Some(place) = events.get_mut(written) else {
                break;
            };
            let Some(number) = state.active.pop_front() else {
                break;
            };
            let Some(&key) = state.keys.get(&number) else {
                continue;
            };
            let Some(knote) = state.knotes.get_mut(&key) else {
                continue;
            };
            knote.is_queued = false;
            let watched = knote.watched();
            let found = match knote.look() {
                Ok(Some(found)) => found,
                Ok(None) => {
                    let is_armed_otherwise = knote.watched() != watched;
                    // What epoll tells of may be another file, which had the number before.
                    if state.is_stranger(key) {
                        state.remove(key, self.fd);
                    } else if is_armed_otherwise {
                        state.arm_again(key, self.fd);
                    }
                    continue;
                }
                Err(error) if error.says_closed() => {
                    // Closed, or another by now.
                    state.remove(key, self.fd);
                    continue;
                }
                Err(error) => {
                    // It may be true: it is looked at the next time.
                    failed = Some(error);
                    knote.is_queued = true;
                    state.active.push_back(number);
                    continue;
                }
            };
            let (event, after) = knote.report(found);
            *place = event;
            written += 1;
            match after {
                After::Delete => state.remove(key, self.fd),
                After::Disable => drop(state.arm(key, self.fd)),
                After::Wait => {}
                After::Again => {
                    knote.is_queued = true;
                    state.active.push_back(number);
                }
            }
        }
        if state.files.has_unwatched {
            // Else the record of that would be taken for something that has happened. What fails
            // here is found out by the next scan.
            let _ = state.harvest_files();
        }
        match failed {
            Some(error) if written == 0 => Err(error),
            _ => Ok(written),
        }
    }
}
