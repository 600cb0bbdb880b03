//! What is known of the events of a kqueue, and in which epoll each is.

mod harvest;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::abi;
use super::clocks::{self, Clocks};
use super::knote::{Key, Knote, Source};
use crate::files::Files;
use crate::linux::{self, Control, Errno, Result};

/// What the first epoll calls its own; knotes have higher numbers.
pub(super) const BELL: u64 = 0;
const READS: u64 = 1;
const WRITES: u64 = 2;
const EXCEPTS: u64 = 3;
const FILES: u64 = 4;
const FIRST_KNOTE: u64 = clocks::REALTIME + 1;

/// How many events to take in before a change and after it. What is level-triggered is told of
/// again and again, so more would make many changes slow; beyond this, the order is epoll's.
pub(super) const MANY: usize = 64;

#[derive(Debug)]
pub(super) struct State {
    /// Those of `READS`, `WRITES` and `EXCEPTS`, each made when there is something to put into it, but for the first,
    /// in which the bell is, silent: as long as it is there, the numbers are ours. `READS` has the timers and
    /// processes, too.
    sides: BTreeMap<u64, OwnedFd>,
    bell: RawFd,
    /// In `READS`, too.
    clocks: Clocks,
    pub(super) files: Files,
    pub(super) knotes: HashMap<Key, Knote>,
    pub(super) keys: HashMap<u64, Key>,
    /// The knotes that are queued, in the order in which they were activated. A level-triggered
    /// knote that was reported goes to the end. None is queued twice.
    pub(super) active: VecDeque<u64>,
    /// How many times a knote was activated: an outer kqueue reports each as an edge, and nothing
    /// else.
    pub(super) activations: u64,
    /// The number of activations that the bell was rung for.
    pub(super) rung_for: u64,
    /// Whether the bell rings, so that the descriptor is readable.
    pub(super) is_rung: bool,
    /// The knotes of regular files that are read: a file whose offset moved back is activated.
    files_read: BTreeSet<u64>,
    /// The knotes of signals, whose dispositions the program may change.
    signals: BTreeSet<u64>,
    /// Those that epoll is to be told of, and could not be.
    untold: Vec<Key>,
    /// Those to whose files something has happened, of which it could not be found out what.
    unexplained: BTreeSet<u64>,
    pub(super) next: u64,
}

impl State {
    pub(super) fn new(first: RawFd, bell: &OwnedFd) -> Result<State> {
        let mut state = State {
            sides: BTreeMap::new(),
            bell: bell.as_raw_fd(),
            clocks: Clocks::default(),
            files: Files::default(),
            knotes: HashMap::new(),
            keys: HashMap::new(),
            active: VecDeque::new(),
            activations: 0,
            rung_for: 0,
            is_rung: false,
            files_read: BTreeSet::new(),
            signals: BTreeSet::new(),
            untold: Vec::new(),
            unexplained: BTreeSet::new(),
            next: FIRST_KNOTE,
        };
        let reads = state.new_side(READS)?;
        state.put(READS, reads, first)?;
        Ok(state)
    }

    /// Whether the numbers are those of our descriptors still.
    pub(super) fn has(&self, bell: &OwnedFd) -> bool {
        let reads = self.sides.get(&READS).map(AsRawFd::as_raw_fd);
        reads.is_some_and(|reads| linux::is_in(reads, bell.as_raw_fd(), 0, BELL) == Ok(true))
    }

    pub(super) fn side_fds(&self) -> Vec<RawFd> {
        self.sides.values().map(AsRawFd::as_raw_fd).collect()
    }

    /// Whether epoll does not know what a knote's number means by now, so that it is another file than the one
    /// that epoll was told of. What has no inode of its own, such as an eventfd, cannot be told by that.
    pub(super) fn is_stranger(&self, key: Key) -> bool {
        let Some(knote) = self.knotes.get(&key).filter(|knote| knote.is_armed) else {
            return false;
        };
        let side = knote.side().and_then(|side| self.sides.get(&side));
        let (Some(epoll), Some((fd, events))) = (side, knote.watched()) else {
            return false;
        };
        // Not by a modification, which would have epoll tell of it once more.
        let is_stranger =
            linux::control(epoll.as_raw_fd(), Control::Add, fd, events, knote.number).is_ok();
        if is_stranger {
            let _ = linux::control(epoll.as_raw_fd(), Control::Delete, fd, 0, 0);
        }
        is_stranger
    }

    /// The epoll of a side, which is in the first.
    fn epoll_of(&mut self, side: u64, first: RawFd) -> Result<RawFd> {
        if let Some(epoll) = self.sides.get(&side) {
            return Ok(epoll.as_raw_fd());
        }
        let epoll = self.new_side(side)?;
        let fd = epoll.as_raw_fd();
        self.put(side, epoll, first)?;
        Ok(fd)
    }

    fn new_side(&self, side: u64) -> Result<OwnedFd> {
        let epoll = linux::epoll(libc::EPOLL_CLOEXEC)?;
        if side == READS {
            linux::control(epoll.as_raw_fd(), Control::Add, self.bell, 0, BELL)?;
            for (fd, number) in self.clocks.fds() {
                linux::control(epoll.as_raw_fd(), Control::Add, fd, libc::EPOLLIN, number)?;
            }
        }
        Ok(epoll)
    }

    /// Puts the epoll of a side into the first. The one that there was stays there.
    fn put(&mut self, side: u64, epoll: OwnedFd, first: RawFd) -> Result<Option<OwnedFd>> {
        linux::control(first, Control::Add, epoll.as_raw_fd(), libc::EPOLLIN, side)?;
        Ok(self.sides.insert(side, epoll))
    }

    /// Something in an epoll belongs to a knote that is gone, and cannot be taken out of it.
    fn make_anew(&mut self, side: u64, first: RawFd) -> Result<()> {
        let epoll = self.new_side(side)?;
        if let Some(earlier) = self.put(side, epoll, first)? {
            // A forked child may have it open, so that closing it is not enough.
            let _ = linux::control(first, Control::Delete, earlier.as_raw_fd(), 0, 0);
        }
        let keys: Vec<_> = self.knotes.keys().copied().collect();
        for key in keys {
            let Some(knote) = self.knotes.get_mut(&key) else {
                continue;
            };
            if knote.side() == Some(side) {
                knote.is_armed = false;
                // One that was closed meanwhile is found out when it is looked at.
                self.arm_again(key, first);
            }
        }
        Ok(())
    }

    /// Tells inotify of a knote's file, if there is one to be told of.
    pub(super) fn listen(&mut self, key: Key, first: RawFd) -> Result<()> {
        let Some(knote) = self.knotes.get(&key) else {
            return Ok(());
        };
        let (fd, mask, parent) = match &knote.source {
            Source::Vnode(vnode) => (vnode.fd(), vnode.mask(), vnode.parent_mask()),
            Source::Descriptor(descriptor) => match descriptor.listens() {
                Some((fd, mask)) => (fd, mask, None),
                None => return Ok(()),
            },
            Source::Signal(_) => {
                self.signals.insert(knote.number);
                return Ok(());
            }
            _ => return Ok(()),
        };
        if let Some(inotify) = self.files.open()? {
            let inotify = inotify.as_raw_fd();
            let added = linux::control(first, Control::Add, inotify, libc::EPOLLIN, FILES);
            if added.is_err() {
                self.files = Files::default();
                return added;
            }
        }
        self.files.listen(fd, knote.number, mask)?;
        if matches!(knote.source, Source::Descriptor(_)) {
            self.files_read.insert(knote.number);
        }
        if let Some(mask) = parent {
            // Without it there is less to tell: it may be nobody's to look into.
            let _ = self.files.listen_to_parent(fd, knote.number, mask);
        }
        Ok(())
    }

    /// Takes in what has happened to files: the knotes that it concerns.
    ///
    /// # Errors
    ///
    /// Those of the calls that find out. What is known by then is looked at the next time.
    pub(super) fn hear(&mut self) -> Result<Vec<u64>> {
        let heard = self.files.hear()?;
        for heard in &heard {
            let key = self.keys.get(&heard.number);
            let knote = key.and_then(|key| self.knotes.get_mut(key));
            let Some(Source::Vnode(vnode)) = knote.map(|knote| &mut knote.source) else {
                continue;
            };
            vnode.hear(heard);
        }
        let mut numbers = std::mem::take(&mut self.unexplained);
        numbers.extend(heard.iter().map(|heard| heard.number));
        let mut failed = None;
        for number in &numbers {
            let key = self.keys.get(number);
            let knote = key.and_then(|key| self.knotes.get_mut(key));
            let Some(Source::Vnode(vnode)) = knote.map(|knote| &mut knote.source) else {
                continue;
            };
            match (vnode.tell_apart(), vnode.parent_mask()) {
                (Ok(true), Some(mask)) => {
                    let _ = self.files.listen_to_parent(vnode.fd(), *number, mask);
                }
                (Ok(_), _) => {}
                (Err(error), _) => {
                    failed = Some(error);
                    self.unexplained.insert(*number);
                }
            }
        }
        match failed {
            Some(error) => {
                for number in numbers {
                    self.activate(number);
                }
                Err(error)
            }
            None => Ok(numbers.into_iter().collect()),
        }
    }

    /// Tells epoll of a knote's descriptor, or not to tell of it any more.
    pub(super) fn arm(&mut self, key: Key, first: RawFd) -> Result<()> {
        let Some(side) = self.knotes.get(&key).map(Knote::side) else {
            return Ok(());
        };
        let epoll = match side {
            Some(side) => self.epoll_of(side, first)?,
            None => first,
        };
        self.arm_clock(key, epoll)?;
        let Some(knote) = self.knotes.get_mut(&key) else {
            return Ok(());
        };
        let Some((fd, events)) = knote.watched() else {
            return Ok(());
        };
        if !knote.is_enabled {
            if std::mem::take(&mut knote.is_armed) {
                let _ = linux::control(epoll, Control::Delete, fd, 0, 0);
            }
            return Ok(());
        }
        let operation = if knote.is_armed { Control::Modify } else { Control::Add };
        let result = match linux::control(epoll, operation, fd, events, knote.number) {
            Err(Errno(libc::ENOENT)) => {
                linux::control(epoll, Control::Add, fd, events, knote.number)
            }
            Err(Errno(libc::EEXIST)) => {
                linux::control(epoll, Control::Modify, fd, events, knote.number)
            }
            // A device that cannot be waited for.
            Err(Errno(libc::EPERM)) => Err(Errno(libc::EINVAL)),
            result => result,
        };
        knote.is_armed = match result {
            Ok(()) => true,
            // It is as it was.
            Err(error) => knote.is_armed && !error.says_closed(),
        };
        result
    }

    /// As [`arm`](State::arm), if not now, then before the next scan.
    pub(super) fn arm_again(&mut self, key: Key, first: RawFd) {
        if self.arm(key, first).is_err() {
            self.untold.push(key);
        }
    }

    /// Has the timerfd of its clock expire for a timer that has none of its own.
    fn arm_clock(&mut self, key: Key, epoll: RawFd) -> Result<()> {
        let Some(Knote { source: Source::Timer(timer), number, .. }) = self.knotes.get(&key) else {
            return Ok(());
        };
        let (Some((clock, deadline)), number) = (timer.shared_deadline(), *number) else {
            return Ok(());
        };
        if let Some(fd) = self.clocks.open(clock)? {
            let number = clocks::number(clock);
            if let Err(error) = linux::control(epoll, Control::Add, fd, libc::EPOLLIN, number) {
                self.clocks.close(clock);
                return Err(error);
            }
        }
        self.clocks.insert(clock, deadline, number)
    }

    pub(super) fn remove(&mut self, key: Key, first: RawFd) {
        if let Some(knote) = self.knotes.get_mut(&key) {
            knote.is_enabled = false;
            let number = knote.number;
            if knote.is_queued {
                self.active.retain(|&queued| queued != number);
            }
            if knote.watched().is_some() {
                let _ = self.arm(key, first);
            }
            self.keys.remove(&number);
            self.files.forget(number);
            self.files_read.remove(&number);
            self.signals.remove(&number);
            self.knotes.remove(&key);
        }
    }
}

impl Knote {
    /// In which of the sides it is; `None` for what is in the first epoll, or in none.
    fn side(&self) -> Option<u64> {
        match &self.source {
            Source::Descriptor(descriptor) if !descriptor.is_file() => Some(match self.key.1 {
                abi::EVFILT_READ => READS,
                abi::EVFILT_WRITE => WRITES,
                _ => EXCEPTS,
            }),
            // In one epoll, so that what happens one after the other is found in that order.
            Source::Timer(_) | Source::Process(_) | Source::Empty(_) => Some(READS),
            _ => None,
        }
    }

    pub(super) fn watched(&self) -> Option<(RawFd, i32)> {
        match &self.source {
            Source::Descriptor(descriptor) => descriptor.watched(self.is_edge()),
            Source::Process(process) => Some((process.raw_fd(), libc::EPOLLIN | libc::EPOLLET)),
            Source::Timer(timer) => timer.raw_fd().map(|fd| (fd, libc::EPOLLIN)),
            Source::Empty(empty) => Some((empty.raw_fd(), libc::EPOLLIN)),
            Source::Signal(signal) => Some((signal.raw_fd(), libc::EPOLLIN)),
            Source::Operation(_) | Source::User(_) | Source::Vnode(_) => None,
        }
    }

    /// Whether a clock says when to look at it: that it ticks does not mean that it is true.
    fn has_clock(&self) -> bool {
        match &self.source {
            Source::Descriptor(descriptor) => descriptor.has_clock(),
            Source::Empty(_) => true,
            _ => false,
        }
    }
}
