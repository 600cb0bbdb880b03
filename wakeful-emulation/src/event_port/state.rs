//! What a port knows: the events that are queued, and where they come from.

use std::collections::{BTreeMap, HashMap};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, RawFd};

use super::source::{Descriptor, FileWatch, Subject};
use super::timer::Timer;
use super::waiter::Waiters;
use super::{PORT_SOURCE_FD, PORT_SOURCE_FILE, PORT_SOURCE_TIMER, port_event};
use crate::files::Files;
use crate::linux::{self, Control, Errno, Result};

/// process.max-port-events, as it is if nobody sets it.
const SLOTS: usize = 65_536;
/// What epoll calls the files; all else has higher numbers.
const FILES: u64 = 0;
/// How many to ask epoll for in one go.
const BATCH: usize = 256;

#[derive(Debug)]
pub(super) struct State {
    /// In the order in which they came.
    queue: BTreeMap<u64, Pending>,
    /// For places in the queue, and for associations.
    next: u64,
    /// What epoll and inotify mean by their numbers.
    pub(super) subjects: HashMap<u64, Subject>,
    pub(super) descriptors: HashMap<RawFd, Descriptor>,
    pub(super) files: HashMap<usize, FileWatch>,
    pub(super) inotify: Files,
    pub(super) timers: HashMap<c_int, Timer>,
    /// Events that were sent, and asynchronous operations: each has a slot until it is retrieved.
    pub(super) sent: usize,
    pub(super) alert: Option<Event>,
    pub(super) waiters: Waiters,
    pub(super) is_closed: bool,
    /// Whether the bell rings, and whether something was queued since it was rung: those who wait for edges of the
    /// port's descriptor are to hear of each.
    is_rung: bool,
    has_new: bool,
}

/// What stands in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    Descriptor(RawFd),
    File(usize),
    Timer(c_int),
    /// As it is: sent by the program, or by something that is over.
    Whole {
        event: Event,
        /// It was counted in `sent`.
        has_slot: bool,
    },
}

/// An event as it is retrieved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    source: c_int,
    events: c_int,
    object: usize,
    user: usize,
}

pub(super) fn event(source: c_int, events: c_int, object: usize, user: usize) -> Event {
    Event { source, events, object, user }
}

impl Event {
    pub(super) fn into_port_event(self) -> port_event {
        port_event {
            portev_events: self.events,
            portev_source: self.source as u16,
            portev_pad: 0,
            portev_object: self.object,
            portev_user: self.user as *mut _,
        }
    }
}

impl State {
    pub(super) fn new() -> State {
        State {
            queue: BTreeMap::new(),
            next: FILES + 1,
            subjects: HashMap::new(),
            descriptors: HashMap::new(),
            files: HashMap::new(),
            inotify: Files::default(),
            timers: HashMap::new(),
            sent: 0,
            alert: None,
            waiters: Waiters::default(),
            is_closed: false,
            is_rung: false,
            has_new: false,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn queue(&mut self, pending: Pending) -> u64 {
        let place = self.number();
        self.queue.insert(place, pending);
        self.has_new = true;
        place
    }

    /// Drops what was queued and not retrieved.
    pub(super) fn drop_event(&mut self, place: Option<u64>) -> bool {
        place.is_some_and(|place| self.queue.remove(&place).is_some())
    }

    /// How many events are queued.
    pub(super) fn count(&self) -> usize {
        self.queue.len()
    }

    /// # Errors
    ///
    /// `EAGAIN`: every slot is taken.
    pub(super) fn take_slot(&mut self, epoll: RawFd) -> Result<()> {
        let used = |state: &State| {
            state.descriptors.len() + state.files.len() + state.timers.len() + state.sent
        };
        if used(self) >= SLOTS {
            self.forget_closed(epoll);
        }
        if used(self) >= SLOTS { Err(Errno(libc::EAGAIN)) } else { Ok(()) }
    }

    /// Descriptors that were closed have no slot.
    fn forget_closed(&mut self, epoll: RawFd) {
        let is_closed = |(fd, it): &(&RawFd, &Descriptor)| !it.is_same(**fd, epoll);
        let closed = self.descriptors.iter().filter(is_closed).map(|(&fd, _)| fd);
        for fd in closed.collect::<Vec<_>>() {
            self.forget_descriptor(fd);
        }
    }

    pub(super) fn forget_descriptor(&mut self, fd: RawFd) {
        if let Some(descriptor) = self.descriptors.remove(&fd) {
            self.subjects.remove(&descriptor.number);
            self.drop_event(descriptor.queued);
        }
    }

    /// Queues what has happened since the last look.
    pub(super) fn harvest(&mut self, epoll: RawFd) {
        loop {
            let Ok(ready) = linux::ready_events(epoll, BATCH) else {
                return;
            };
            let is_all = ready.len() < BATCH;
            for (events, number) in ready {
                if number == FILES {
                    self.hear();
                    continue;
                }
                match self.subjects.get(&number) {
                    Some(&Subject::Descriptor(fd)) => self.descriptor_is_ready(fd, events),
                    Some(&Subject::Timer(id)) => {
                        let place = self.queue(Pending::Timer(id));
                        if let Some(timer) = self.timers.get_mut(&id) {
                            timer.queued = Some(place);
                        }
                    }
                    Some(Subject::File(_)) | None => {}
                }
            }
            if is_all {
                return;
            }
        }
    }

    fn descriptor_is_ready(&mut self, fd: RawFd, events: u32) {
        let Some(descriptor) = self.descriptors.get_mut(&fd).filter(|it| it.is_active) else {
            return;
        };
        descriptor.is_active = false;
        // Nothing that was not asked for, but the end and errors, which are always told.
        descriptor.found = events as c_int & (descriptor.asked | libc::EPOLLHUP | libc::EPOLLERR);
        let place = self.queue(Pending::Descriptor(fd));
        if let Some(descriptor) = self.descriptors.get_mut(&fd) {
            descriptor.queued = Some(place);
        }
    }

    /// Makes the inotify, when there is a first file to watch.
    pub(super) fn open_inotify(&mut self, epoll: RawFd) -> Result<()> {
        if let Some(inotify) = self.inotify.open()? {
            let added =
                linux::control(epoll, Control::Add, inotify.as_raw_fd(), libc::EPOLLIN, FILES);
            if added.is_err() {
                self.inotify = Files::default();
            }
            return added;
        }
        Ok(())
    }

    /// Retrieves events, in their order.
    pub(super) fn take(&mut self, room: &mut [port_event], epoll: RawFd) -> usize {
        let mut written = 0;
        while let Some(place) = room.get_mut(written) {
            let Some((_, pending)) = self.queue.pop_first() else {
                break;
            };
            if let Some(event) = self.retrieve(pending, epoll) {
                *place = event.into_port_event();
                written += 1;
            }
        }
        written
    }

    /// The event, unless it has become void.
    fn retrieve(&mut self, pending: Pending, epoll: RawFd) -> Option<Event> {
        match pending {
            Pending::Descriptor(fd) => {
                let descriptor = self.descriptors.get_mut(&fd)?;
                descriptor.queued = None;
                if !descriptor.is_same(fd, epoll) {
                    self.forget_descriptor(fd);
                    return None;
                }
                let (found, user) = (descriptor.found, descriptor.user);
                Some(event(PORT_SOURCE_FD, found, fd as usize, user))
            }
            Pending::File(object) => {
                let watch = self.files.get_mut(&object)?;
                watch.queued = None;
                self.inotify.forget(watch.number);
                Some(event(PORT_SOURCE_FILE, watch.found, object, watch.user))
            }
            Pending::Timer(id) => {
                let timer = self.timers.get_mut(&id)?;
                let count = timer.retrieve(epoll)?;
                Some(event(PORT_SOURCE_TIMER, count, timer.object(id), timer.user))
            }
            Pending::Whole { event, has_slot } => {
                self.sent -= usize::from(has_slot);
                Some(event)
            }
        }
    }

    /// What others see of it: whether the port can be read, and whose turn it is.
    pub(super) fn settle(&mut self, bell: &std::os::fd::OwnedFd) {
        if self.inotify.has_unwatched {
            // Else the record of that would make the port readable.
            self.hear();
        }
        let rings = !self.queue.is_empty() || self.alert.is_some();
        let (was_rung, has_new) = (self.is_rung, std::mem::take(&mut self.has_new));
        self.is_rung = rings;
        match (rings, was_rung) {
            (true, was_rung) if has_new || !was_rung => linux::ring(bell),
            (false, true) => drop(linux::count(bell)),
            _ => {}
        }
        self.waiters.tell(self.queue.len());
    }
}
