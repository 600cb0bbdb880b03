//! What a port knows: the events that are queued, and where they come from.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, RawFd};

use super::source::{Descriptor, FileWatch, Subject};
use super::timer::Timer;
use super::waiter::Waiters;
use super::{PORT_SOURCE_FD, PORT_SOURCE_FILE, PORT_SOURCE_TIMER, port_event};
use crate::files::{Files, Heard};
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
    /// What inotify has told, and was not taken in yet, because a call failed.
    pub(super) unheard: VecDeque<Heard>,
    pub(super) timers: HashMap<c_int, Timer>,
    /// Those that epoll was to tell of again, and could not be told.
    disarmed: Vec<c_int>,
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
            unheard: VecDeque::new(),
            timers: HashMap::new(),
            disarmed: Vec::new(),
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
            self.forget_closed(epoll)?;
        }
        if used(self) >= SLOTS { Err(Errno(libc::EAGAIN)) } else { Ok(()) }
    }

    /// Descriptors that were closed have no slot.
    fn forget_closed(&mut self, epoll: RawFd) -> Result<()> {
        let mut closed = Vec::new();
        for (&fd, descriptor) in &self.descriptors {
            if !descriptor.is_same(fd, epoll)? {
                closed.push(fd);
            }
        }
        for fd in closed {
            self.forget_descriptor(fd);
        }
        Ok(())
    }

    pub(super) fn forget_descriptor(&mut self, fd: RawFd) {
        if let Some(descriptor) = self.descriptors.remove(&fd) {
            self.subjects.remove(&descriptor.number);
            self.drop_event(descriptor.queued);
        }
    }

    /// Queues what has happened since the last look.
    ///
    /// # Errors
    ///
    /// Those of the calls that find out. What they did not tell, they tell the next time.
    pub(super) fn harvest(&mut self, epoll: RawFd) -> Result<()> {
        while let Some(&id) = self.disarmed.last() {
            if let Some(timer) = self.timers.get(&id) {
                timer.arm(epoll, Control::Modify)?;
            }
            self.disarmed.pop();
        }
        let mut has_files = !self.unheard.is_empty();
        loop {
            let ready = linux::ready_events(epoll, BATCH)?;
            let is_all = ready.len() < BATCH;
            for (events, number) in ready {
                if number == FILES {
                    // After the others, which are not told of again.
                    has_files = true;
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
            if has_files {
                self.hear()?;
                has_files = false;
            }
            if is_all {
                return Ok(());
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
    ///
    /// # Errors
    ///
    /// What keeps the first from being retrieved, which stays queued.
    pub(super) fn take(&mut self, room: &mut [port_event], epoll: RawFd) -> Result<usize> {
        let mut written = 0;
        while let Some(place) = room.get_mut(written) {
            let Some((number, pending)) = self.queue.pop_first() else {
                break;
            };
            match self.retrieve(pending, epoll) {
                Ok(Some(event)) => {
                    *place = event.into_port_event();
                    written += 1;
                }
                Ok(None) => {}
                Err(error) => {
                    self.queue.insert(number, pending);
                    return if written > 0 { Ok(written) } else { Err(error) };
                }
            }
        }
        Ok(written)
    }

    /// The event, unless it has become void.
    fn retrieve(&mut self, pending: Pending, epoll: RawFd) -> Result<Option<Event>> {
        match pending {
            Pending::Descriptor(fd) => {
                let Some(descriptor) = self.descriptors.get_mut(&fd) else {
                    return Ok(None);
                };
                if !descriptor.is_same(fd, epoll)? {
                    descriptor.queued = None;
                    self.forget_descriptor(fd);
                    return Ok(None);
                }
                descriptor.queued = None;
                let (found, user) = (descriptor.found, descriptor.user);
                Ok(Some(event(PORT_SOURCE_FD, found, fd as usize, user)))
            }
            Pending::File(object) => {
                let Some(watch) = self.files.get_mut(&object) else {
                    return Ok(None);
                };
                watch.queued = None;
                self.inotify.forget(watch.number);
                Ok(Some(event(PORT_SOURCE_FILE, watch.found, object, watch.user)))
            }
            Pending::Timer(id) => {
                let Some(timer) = self.timers.get_mut(&id) else {
                    return Ok(None);
                };
                let count = timer.retrieve()?;
                if timer.arm(epoll, Control::Modify).is_err() {
                    self.disarmed.push(id);
                }
                let event = |count| event(PORT_SOURCE_TIMER, count, timer.object(id), timer.user);
                Ok(count.map(event))
            }
            Pending::Whole { event, has_slot } => {
                self.sent -= usize::from(has_slot);
                Ok(Some(event))
            }
        }
    }

    /// What others see of it: whether the port can be read, and whose turn it is.
    pub(super) fn settle(&mut self, bell: &std::os::fd::OwnedFd) {
        if self.inotify.has_unwatched {
            // Else the record of that would make the port readable. What fails here is made again by the next look.
            let _ = self.hear();
        }
        let rings = !self.queue.is_empty() || self.alert.is_some();
        let (was_rung, has_new) = (self.is_rung, std::mem::take(&mut self.has_new));
        self.is_rung = rings;
        match (rings, was_rung) {
            (true, was_rung) if has_new || !was_rung => linux::ring(bell),
            (false, true) => {
                // It has rung, so that this does not wait. A bell that goes on ringing makes others look once more.
                self.is_rung = linux::take_count(bell).is_err();
            }
            _ => {}
        }
        self.waiters.tell(self.queue.len());
    }
}
