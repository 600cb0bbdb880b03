//! What is known of the events of a kqueue, and in which epoll each is.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
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

/// How many epoll is asked for in one go.
const MOST: usize = 1024;

#[derive(Debug)]
pub(super) struct State {
    /// Those of `READS`, `WRITES` and `EXCEPTS`, each made when there is something to put into it.
    sides: BTreeMap<u64, OwnedFd>,
    pub(super) files: Files,
    pub(super) knotes: HashMap<Key, Knote>,
    pub(super) keys: HashMap<u64, Key>,
    /// The knotes that are queued, in the order of their activation. The next scan looks at each.
    pub(super) active: VecDeque<u64>,
    /// How many times a knote was queued: an outer kqueue reports each as an edge, and nothing else.
    pub(super) activations: u64,
    /// How many of these the bell was rung for, and whether it rings now: the descriptor is readable then.
    pub(super) rung_for: u64,
    pub(super) is_rung: bool,
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
            activations: 0,
            rung_for: 0,
            is_rung: false,
            next: FIRST_KNOTE,
        }
    }

    /// Queues a knote: once until a scan has looked at it, however often it becomes true.
    pub(super) fn activate(&mut self, number: u64) {
        let key = self.keys.get(&number);
        let Some(knote) = key.and_then(|key| self.knotes.get_mut(key)) else {
            return;
        };
        if knote.is_enabled && !std::mem::replace(&mut knote.is_queued, true) {
            self.active.push_back(number);
            self.activations += 1;
        }
    }

    /// Queues a knote that epoll reports. What only a clock has moved must be true, too.
    fn activate_ready(&mut self, number: u64) {
        let key = self.keys.get(&number);
        let knote = key.and_then(|key| self.knotes.get_mut(key));
        let is_idle = |knote: &mut Knote| knote.has_clock() && matches!(knote.look(), Ok(None));
        if !knote.is_some_and(is_idle) {
            self.activate(number);
        }
    }

    /// Queues what epoll says is ready.
    pub(super) fn harvest(&mut self, first: RawFd) -> Result<()> {
        let mut strangers = Vec::new();
        for number in linux::ready(first, MOST).map_err(|_| Errno::BADF)? {
            match number {
                BELL => {}
                READS | WRITES | EXCEPTS => {
                    let side = self.sides.get(&number).map(AsRawFd::as_raw_fd);
                    let found = side.map(|side| linux::ready(side, MOST));
                    let found = found.and_then(Result::ok).unwrap_or_default();
                    if found.iter().any(|number| !self.keys.contains_key(number)) {
                        strangers.push(number);
                    }
                    for number in found {
                        self.activate_ready(number);
                    }
                }
                FILES => self.harvest_files(),
                number => self.activate_ready(number),
            }
        }
        for side in strangers {
            // Without descriptors for it, it is tried again the next time.
            let _ = self.make_anew(side, first);
        }
        Ok(())
    }

    /// Queues those to whose files something has happened.
    pub(super) fn harvest_files(&mut self) {
        for number in self.hear() {
            let key = self.keys.get(&number);
            let knote = key.and_then(|key| self.knotes.get(key));
            if knote.is_some_and(Knote::is_true_in_memory) {
                self.activate(number);
            }
        }
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
        let again = linux::control(epoll.as_raw_fd(), Control::Modify, fd, events, knote.number);
        again == Err(Errno(libc::ENOENT))
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
            if knote.is_queued {
                self.active.retain(|&queued| queued != number);
            }
            let _ = self.arm(key, first);
            self.keys.remove(&number);
            self.files.forget(number);
            self.knotes.remove(&key);
        }
    }
}

impl Knote {
    /// In which of the two it is; `None` for what is in the first epoll, or in none.
    fn side(&self) -> Option<u64> {
        match &self.source {
            Source::Descriptor(descriptor) if !descriptor.is_file() => Some(match self.key.1 {
                abi::EVFILT_READ => READS,
                abi::EVFILT_WRITE => WRITES,
                _ => EXCEPTS,
            }),
            _ => None,
        }
    }

    fn watched(&self) -> Option<(RawFd, i32)> {
        match &self.source {
            Source::Descriptor(descriptor) => descriptor.watched(self.is_edge()),
            Source::Process(process) => Some((process.raw_fd(), libc::EPOLLIN | libc::EPOLLET)),
            Source::Timer(timer) => Some((timer.raw_fd(), libc::EPOLLIN)),
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
