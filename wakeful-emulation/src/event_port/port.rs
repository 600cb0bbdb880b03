//! A port: an epoll, which is its descriptor, and what is queued.
//!
//! What is associated is in an epoll of its own, from which it is taken into the queue whenever somebody looks. The
//! port's descriptor is an epoll in which that one is, and a bell that rings while something is queued.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::state::{self, Pending, State};
use super::waiter::Place;
use super::{
    PORT_ALERT_SET, PORT_ALERT_UPDATE, PORT_SOURCE_AIO, PORT_SOURCE_ALERT, PORT_SOURCE_USER,
    port_event,
};
use crate::instances::{Instance, Instances, lock};
use crate::linux::{self, Control, Errno, Result};

#[derive(Debug)]
pub(crate) struct Port {
    /// The caller's: it closes it, and we are not told.
    fd: RawFd,
    process: u32,
    bell: OwnedFd,
    sources: OwnedFd,
    state: Mutex<State>,
}

/// All that there are, and some that were closed.
pub(crate) static PORTS: Instances<Port> = Instances::new();
/// project.max-port-ids, as it is if nobody sets it.
const MOST: usize = 8192;
/// Linux does not tell those who wait that the port was closed: so often they look.
const LOOK_ROUND: Duration = Duration::from_secs(1);

/// So often those look who have no bell.
const NO_BELL: Duration = Duration::from_millis(5);

const BELL: u64 = 0;
const SOURCES: u64 = 1;

/// What somebody waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) wanted: usize,
    pub(super) timeout: Option<libc::timespec>,
}

/// One that waits, until it goes: also by the cancellation of its thread.
struct Waiting<'port> {
    port: &'port Port,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.port.lock();
        state.waiters.leave(self.place.id);
        state.settle(&self.port.bell);
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Got {
    pub(super) count: usize,
    pub(super) is_time_over: bool,
}

impl Instance for Port {
    fn process(&self) -> u32 {
        self.process
    }

    fn is_open(&self) -> Result<bool> {
        // Of another epoll, in which it is not, this changes nothing.
        linux::is_in(self.fd, self.bell.as_raw_fd(), libc::EPOLLIN, BELL)
    }

    fn is_whole(&self) -> bool {
        // It is in it for this question only.
        linux::is_in(self.sources(), self.bell.as_raw_fd(), 0, BELL) == Ok(true)
    }

    fn close_hidden(&self) {
        for fd in [self.bell.as_raw_fd(), self.sources()] {
            // SAFETY: the child's copy of the port, and of its descriptors, is not used again.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

impl Port {
    /// A new one. The caller owns the descriptor.
    pub(super) fn create() -> Result<RawFd> {
        if PORTS.count() >= MOST && !(PORTS.sweep() && PORTS.count() < MOST) {
            return Err(Errno(libc::EAGAIN));
        }
        match Port::try_create() {
            // Those that were closed may have left some behind.
            Err(Errno(libc::EMFILE)) if PORTS.sweep() => Port::try_create(),
            result => result,
        }
    }

    fn try_create() -> Result<RawFd> {
        let first = linux::queue_epoll(0)?;
        let (sources, bell) = (linux::epoll(libc::EPOLL_CLOEXEC)?, linux::eventfd()?);
        for (fd, number) in [(bell.as_raw_fd(), BELL), (sources.as_raw_fd(), SOURCES)] {
            linux::control(first.as_raw_fd(), Control::Add, fd, libc::EPOLLIN, number)?;
        }
        linux::control(sources.as_raw_fd(), Control::Add, bell.as_raw_fd(), 0, BELL)?;
        let fd = first.into_raw_fd();
        let process = std::process::id();
        let state = Mutex::new(State::new());
        PORTS.insert(fd, Arc::new(Port { fd, process, bell, sources, state }));
        linux::reserve();
        Ok(fd)
    }

    /// # Errors
    ///
    /// `EBADF`: it is not open. `EBADFD`: it is no port.
    pub(crate) fn find(fd: RawFd) -> Result<Arc<Port>> {
        let is_open = || linux::is_open(fd);
        PORTS.find(fd)?.ok_or_else(|| Errno(if is_open() { libc::EBADFD } else { libc::EBADF }))
    }

    /// Frees what belongs to a port, closes it, and ends the waits of others.
    pub(super) fn close(fd: RawFd) -> Result<()> {
        let port = PORTS.close(fd)?;
        let mut state = port.lock();
        state.is_closed = true;
        state.waiters.wake_all(None);
        Ok(())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The epoll in which everything is that is associated.
    pub(super) fn sources(&self) -> RawFd {
        self.sources.as_raw_fd()
    }

    /// Does something to the state, and lets others see what came of it.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.lock();
        let result = act(&mut state);
        state.settle(&self.bell);
        result
    }

    /// How many events are queued.
    pub(super) fn count(&self) -> Result<usize> {
        self.with(|state| {
            state.harvest(self.sources())?;
            Ok(state.count())
        })
    }

    pub(super) fn send(&self, events: c_int, user: usize) -> Result<()> {
        self.with(|state| {
            state.take_slot(self.sources())?;
            // What happened before it comes before it.
            state.harvest(self.sources())?;
            state.sent += 1;
            let event = state::event(PORT_SOURCE_USER, events, 0, user);
            state.queue(Pending::Whole { event, has_slot: true });
            Ok(())
        })
    }

    /// An operation is to begin, whose end this port is told.
    pub(crate) fn expect_operation(&self) -> Result<()> {
        self.with(|state| {
            state.take_slot(self.sources())?;
            state.sent += 1;
            Ok(())
        })
    }

    /// One has ended. Its slot was taken when it began.
    pub(crate) fn operation_ended(&self, object: usize, user: usize) {
        let event = state::event(PORT_SOURCE_AIO, 0, object, user);
        let _ = self.with(|state| Ok(state.queue(Pending::Whole { event, has_slot: true })));
    }

    /// One did not begin.
    pub(crate) fn forget_operation(&self) {
        let _ = self.with(|state| {
            state.sent -= 1;
            Ok(())
        });
    }

    pub(super) fn alert(&self, flags: c_int, events: c_int, user: usize) -> Result<()> {
        self.with(|state| {
            let both = PORT_ALERT_SET | PORT_ALERT_UPDATE;
            if events == 0 {
                state.alert = None;
                return Ok(());
            }
            if flags & both == both {
                return Err(Errno(libc::EINVAL));
            }
            if flags == PORT_ALERT_UPDATE && state.alert.is_some() {
                return Err(Errno(libc::EBUSY));
            }
            state.alert = Some(state::event(PORT_SOURCE_ALERT, events, 0, user));
            let alert = state.alert;
            state.waiters.wake_all(alert);
            Ok(())
        })
    }

    /// Retrieves events, when there are as many as are wanted.
    pub(super) fn get(&self, room: &mut [port_event], wait: Wait) -> Result<Got> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Errno(libc::EBADFD));
        }
        if let (Some(alert), Some(place)) = (state.alert, room.first_mut()) {
            *place = alert.into_port_event();
            return Ok(Got { count: 1, is_time_over: false });
        }
        state.harvest(self.sources())?;
        if state.count() >= wait.wanted {
            let count = self.take(&mut state, room)?;
            if count > 0 {
                return Ok(Got { count, is_time_over: false });
            }
        }
        // Looked at only if there is to be a wait, as by the kernel.
        let timeout = wait.timeout.map(linux::duration).transpose()?;
        if timeout == Some(Duration::ZERO) {
            let count = self.take(&mut state, room)?;
            return Ok(Got { count, is_time_over: false });
        }
        // Beyond what the clock can count it is without end.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let place = Waiting { port: self, place: state.waiters.join(wait.wanted) };
        // Others may have been waiting for less than is there now.
        state.settle(&self.bell);
        drop(state);
        self.wait(&place.place, room, wait.wanted, deadline)
    }

    fn wait(
        &self,
        place: &Place,
        room: &mut [port_event],
        wanted: usize,
        deadline: Option<Instant>,
    ) -> Result<Got> {
        loop {
            let left = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            let pause = left.map_or(LOOK_ROUND, |left| left.min(LOOK_ROUND));
            let polled = match place.raw_fd() {
                Some(wake) => linux::poll_either(self.sources(), wake, Some(pause)),
                // Without a bell of its own it looks now and then.
                None => linux::poll(self.sources(), libc::POLLIN, Some(pause.min(NO_BELL)))
                    .map(|_| false),
            };
            let mut state = self.lock();
            if polled == Ok(true) {
                place.settle();
            }
            if let (Some(alert), Some(place)) = (state.waiters.alert_of(place.id), room.first_mut())
            {
                *place = alert.into_port_event();
                return Ok(Got { count: 1, is_time_over: false });
            }
            // Closed, or even another port by now.
            if state.is_closed || !self.is_open()? {
                return Err(Errno(libc::EBADFD));
            }
            state.harvest(self.sources())?;
            if state.count() >= wanted && state.waiters.is_first(place.id) {
                let count = self.take(&mut state, room)?;
                if count > 0 {
                    return Ok(Got { count, is_time_over: false });
                }
            }
            // Somebody else's turn, perhaps.
            state.settle(&self.bell);
            polled?;
            if left == Some(Duration::ZERO) {
                // What there is, though it is less than was wanted.
                let count = if wanted > 1 { self.take(&mut state, room)? } else { 0 };
                return Ok(Got { count, is_time_over: true });
            }
        }
    }

    fn take(&self, state: &mut State, room: &mut [port_event]) -> Result<usize> {
        let count = state.take(room, self.sources());
        state.settle(&self.bell);
        count
    }
}
