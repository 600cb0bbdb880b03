//! What is known of the events of a kqueue, and in which epoll each is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::abi;
use super::knote::{Key, Knote, Source};
use crate::files::Files;
use crate::linux::{self, Control, Errno, Result};

/// What the first epoll calls its own; knotes have higher numbers.
pub(super) const BELL: u64 = 0;
const READS: u64 = 1;
const WRITES: u64 = 2;
const EXCEPTS: u64 = 3;
const FILES: u64 = 4;
const FIRST_KNOTE: u64 = 5;

/// How many events to take in before a change and after it. What is level-triggered is told of
/// again and again, so more would make many changes slow; beyond this, the order is epoll's.
pub(super) const MANY: usize = 64;

#[derive(Debug)]
pub(super) struct State {
    /// Those of `READS`, `WRITES` and `EXCEPTS`, each made when there is something to put into it.
    /// `READS` has the timers and processes, too.
    sides: BTreeMap<u64, OwnedFd>,
    pub(super) files: Files,
    pub(super) knotes: HashMap<Key, Knote>,
    pub(super) keys: HashMap<u64, Key>,
    /// The knotes that the next scan looks at, in the order in which they were activated, as a
    /// kernel queues them. A level-triggered knote that was reported goes to the end of the line.
    /// None is in it twice.
    pub(super) active: VecDeque<u64>,
    /// Those of them of which epoll does not tell again, so that a bell has to.
    bell_knotes: HashSet<u64>,
    /// The knotes of regular files that are read: a file whose offset moved back is activated.
    files_read: BTreeSet<u64>,
    /// The knotes of signals, whose dispositions the program may change.
    signals: BTreeSet<u64>,
    pub(super) next: u64,
}

impl State {
    pub(super) fn new() -> State {
        State {
            sides: BTreeMap::new(),
            files: Files::default(),
            knotes: HashMap::new(),
            keys: HashMap::new(),
            active: VecDeque::new(),
            bell_knotes: HashSet::new(),
            files_read: BTreeSet::new(),
            signals: BTreeSet::new(),
            next: FIRST_KNOTE,
        }
    }

    /// Takes the first knote out of the line, if it is still there.
    pub(super) fn take_first(&mut self) -> Option<u64> {
        let number = self.active.pop_front()?;
        self.bell_knotes.remove(&number);
        if let Some(knote) = self.knote_mut(number) {
            knote.is_queued = false;
        }
        Some(number)
    }

    /// Adds what epoll has found since the last time to the line. Returns whether a knote came into
    /// it of which epoll does not tell again, so that a bell has to.
    pub(super) fn line_up(&mut self, first: RawFd, most: usize) -> Result<bool> {
        let mut needs_bell = false;
        let mut has_sides = false;
        let most_here = most.saturating_add(FIRST_KNOTE as usize);
        for number in linux::ready(first, most_here).map_err(|_| Errno::BADF)? {
            match number {
                BELL => {}
                READS | WRITES | EXCEPTS => {
                    has_sides = true;
                    needs_bell |= self.line_up_side(number, first, most);
                }
                FILES => {
                    for number in self.hear() {
                        needs_bell |= self.enqueue(number);
                    }
                }
                number => needs_bell |= self.enqueue(number),
            }
        }
        if has_sides {
            // A side that has nothing left leaves the list of the first epoll only when it is
            // asked, and would keep its place before what happens next.
            let _ = linux::poll_now(first, libc::POLLIN);
        }
        self.line_up_files();
        Ok(self.line_up_signals() || needs_bell)
    }

    /// As `line_up`, of signals, which are looked at by each call: the program may have set another
    /// disposition.
    fn line_up_signals(&mut self) -> bool {
        let has_come = |number: &u64| {
            let knote = self.keys.get(number).and_then(|key| self.knotes.get(key));
            knote.is_some_and(|knote| match &knote.source {
                Source::Signal(signal) => signal.keep() && knote.is_enabled,
                _ => false,
            })
        };
        let come: Vec<u64> = self.signals.iter().copied().filter(has_come).collect();
        let mut needs_bell = false;
        for number in come {
            needs_bell |= self.enqueue(number);
        }
        needs_bell
    }

    /// As `line_up`, of one side.
    fn line_up_side(&mut self, side: u64, first: RawFd, most: usize) -> bool {
        let epoll = self.sides.get(&side).map(AsRawFd::as_raw_fd);
        let found = epoll.map(|epoll| linux::ready(epoll, most));
        let found = found.and_then(Result::ok).unwrap_or_default();
        let has_stranger = found.iter().any(|number| !self.keys.contains_key(number));
        let mut needs_bell = false;
        for number in found {
            needs_bell |= self.enqueue(number);
        }
        if has_stranger {
            // Without descriptors for it, it is tried again the next time.
            let _ = self.make_anew(side, first);
        }
        needs_bell
    }

    /// Adds a knote that was registered just now to the line, if epoll finds it ready: a kernel
    /// asks the filter when the event is added. What is true in memory is not asked for here.
    /// Returns whether a bell has to ring.
    pub(super) fn line_up_new(&mut self, key: Key, first: RawFd) -> bool {
        let Some(knote) = self.knotes.get(&key).filter(|knote| knote.is_enabled) else {
            return false;
        };
        let number = knote.number;
        match (knote.side(), knote.watched()) {
            // What epoll tells of by level it tells of again: one look is less than taking in a
            // side.
            (_, Some((fd, events))) if events & libc::EPOLLET == 0 => {
                linux::poll_now(fd, events as i16).is_ok_and(|ready| ready != 0)
                    && self.enqueue(number)
            }
            (Some(side), _) => self.line_up_side(side, first, MANY),
            (None, _) => false,
        }
    }

    /// Adds the files whose offset was moved back since they were looked at.
    fn line_up_files(&mut self) {
        let moved_back = |&number: &u64| {
            let key = self.keys.get(&number);
            let knote = key.and_then(|key| self.knotes.get(key));
            knote.is_some_and(|knote| knote.is_enabled && knote.has_moved_back())
        };
        let numbers: Vec<u64> = self.files_read.iter().copied().filter(moved_back).collect();
        for number in numbers {
            self.enqueue(number);
        }
    }

    /// Adds a knote to the end of the line, unless it is in it. Returns whether epoll does not tell
    /// of it again.
    pub(super) fn enqueue(&mut self, number: u64) -> bool {
        let Some(knote) = self.knote_mut(number) else {
            return false;
        };
        if std::mem::replace(&mut knote.is_queued, true) {
            return false;
        }
        let needs_bell = !knote.is_level_in_epoll();
        self.active.push_back(number);
        if needs_bell {
            self.bell_knotes.insert(number);
        }
        needs_bell
    }

    /// Whether the line has a knote of which epoll does not tell again.
    pub(super) fn needs_bell(&self) -> bool {
        !self.bell_knotes.is_empty()
    }

    fn knote_mut(&mut self, number: u64) -> Option<&mut Knote> {
        self.knotes.get_mut(self.keys.get(&number)?)
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
        let epoll = linux::epoll(libc::EPOLL_CLOEXEC)?;
        linux::control(first, Control::Add, epoll.as_raw_fd(), libc::EPOLLIN, side)?;
        Ok(self.sides.entry(side).or_insert(epoll).as_raw_fd())
    }

    /// Something in an epoll belongs to a knote that is gone, and cannot be taken out of it.
    fn make_anew(&mut self, side: u64, first: RawFd) -> Result<()> {
        let earlier = self.sides.remove(&side);
        if let Some(earlier) = earlier {
            // A forked child may have it open, so that closing it is not enough.
            let _ = linux::control(first, Control::Delete, earlier.as_raw_fd(), 0, 0);
        }
        self.epoll_of(side, first)?;
        let keys: Vec<_> = self.knotes.keys().copied().collect();
        for key in keys {
            let Some(knote) = self.knotes.get_mut(&key) else {
                continue;
            };
            if knote.side() == Some(side) {
                knote.is_armed = false;
                // One that was closed meanwhile is found out when it is looked at.
                let _ = self.arm(key, first);
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
    pub(super) fn hear(&mut self) -> Vec<u64> {
        let heard = self.files.hear();
        for heard in &heard {
            let key = self.keys.get(&heard.number);
            let knote = key.and_then(|key| self.knotes.get_mut(key));
            let Some(Source::Vnode(vnode)) = knote.map(|knote| &mut knote.source) else {
                continue;
            };
            vnode.hear(heard);
        }
        let numbers: BTreeSet<u64> = heard.iter().map(|heard| heard.number).collect();
        for number in &numbers {
            let key = self.keys.get(number);
            let knote = key.and_then(|key| self.knotes.get_mut(key));
            let Some(Source::Vnode(vnode)) = knote.map(|knote| &mut knote.source) else {
                continue;
            };
            let was_moved = vnode.tell_apart();
            if let (true, Some(mask)) = (was_moved, vnode.parent_mask()) {
                let _ = self.files.listen_to_parent(vnode.fd(), *number, mask);
            }
        }
        numbers.into_iter().collect()
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
        knote.is_armed = result.is_ok();
        result
    }

    pub(super) fn remove(&mut self, key: Key, first: RawFd) {
        if let Some(knote) = self.knotes.get_mut(&key) {
            knote.is_enabled = false;
            let number = knote.number;
            let _ = self.arm(key, first);
            self.keys.remove(&number);
            self.files.forget(number);
            self.bell_knotes.remove(&number);
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
            Source::Timer(timer) => Some((timer.raw_fd(), libc::EPOLLIN)),
            Source::Empty(empty) => Some((empty.raw_fd(), libc::EPOLLIN)),
            Source::Signal(signal) => Some((signal.raw_fd(), libc::EPOLLIN)),
            Source::Operation(_) | Source::User(_) | Source::Vnode(_) => None,
        }
    }

    /// Whether epoll goes on telling of it as long as it is true, so that no bell has to.
    fn is_level_in_epoll(&self) -> bool {
        match &self.source {
            // What they found is taken from their descriptors when they are looked at.
            Source::Empty(_) | Source::Signal(_) => false,
            Source::Timer(timer) => !timer.has_expired(),
            _ => {
                self.is_armed
                    && self.watched().is_some_and(|(_, events)| events & libc::EPOLLET == 0)
            }
        }
    }
}
