use std::collections::VecDeque;
use std::sync::Arc;

use crate::Token;
use crate::sync::{AtomicU64, Ordering};

/// The first waker's number.
const FIRST: usize = 0;

/// Wakers per bit set: 64 words of 64 bits.
const GROUP: usize = 64 * 64;

/// Which of up to 4096 wakers woke: a bit each, and a bit for each word that is not zero.
#[derive(Debug)]
struct Group {
    summary: AtomicU64,
    words: Box<[AtomicU64]>,
}

/// Names a waker.
#[derive(Debug)]
pub(crate) enum WakerKey {
    /// The first that ever was; see [`Woken::FIRST`](super::Woken::FIRST).
    First,
    Other(Place),
}

/// One waker's place in the bit sets.
#[derive(Debug)]
pub(crate) struct Place {
    group: Arc<Group>,
    index: usize,
}

impl Place {
    fn word(&self) -> usize {
        self.index % GROUP / 64
    }

    fn bit(&self) -> u64 {
        1 << (self.index % 64)
    }

    /// Marks the waker as woken. Returns false if it is marked already, and so is yet to be reported: what
    /// its thread wrote before is visible to the poller through this very operation. The mark stays until the
    /// report, so all wake-ups before a report are one event.
    #[inline]
    pub(crate) fn set(&self) -> bool {
        let before = self.group.words[self.word()].fetch_or(self.bit(), Ordering::SeqCst);
        if before & self.bit() != 0 {
            return false;
        }
        // If the word is listed, whoever takes it off the list will look at the word after that, and
        // find the bit: all four operations are sequentially consistent.
        let listed = 1 << self.word();
        if self.group.summary.load(Ordering::SeqCst) & listed == 0 {
            self.group.summary.fetch_or(listed, Ordering::SeqCst);
        }
        true
    }

    /// Takes the mark back: the poller could not be roused.
    pub(crate) fn clear(&self) {
        self.group.clear(self.index);
    }

    fn is_set(&self) -> bool {
        self.group.words[self.word()].load(Ordering::Acquire) & self.bit() != 0
    }
}

impl Group {
    fn clear(&self, index: usize) {
        let word = &self.words[index % GROUP / 64];
        word.fetch_and(!(1 << (index % 64)), Ordering::SeqCst);
    }
}

/// The wakers of one poller.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    groups: Vec<Arc<Group>>,
    /// The first waker's at [`FIRST`], which nobody else ever gets.
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Woken and yet to be reported, in that order. Each has its bit still.
    queue: VecDeque<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    token: Token,
    queued: bool,
    /// The waker is gone; the place is free once its last wake-up has been reported.
    abandoned: bool,
}

impl Wakers {
    pub(crate) fn add(&mut self, token: Token) -> WakerKey {
        let slot = Slot { token, queued: false, abandoned: false };
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index] = slot;
                index
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        if index == FIRST {
            return WakerKey::First;
        }
        if index / GROUP == self.groups.len() {
            let words = (0..64).map(|_| AtomicU64::new(0)).collect();
            self.groups.push(Arc::new(Group { summary: AtomicU64::new(0), words }));
        }
        WakerKey::Other(Place { group: Arc::clone(&self.groups[index / GROUP]), index })
    }

    pub(crate) fn remove(&mut self, key: &WakerKey) {
        let WakerKey::Other(place) = key else {
            return;
        };
        let slot = &mut self.slots[place.index];
        if slot.queued || place.is_set() {
            slot.abandoned = true;
        } else {
            self.free.push(place.index);
        }
    }

    /// Hands the tokens of woken wakers to `report`, at most `room`, each in its turn. Returns whether some
    /// are left over.
    ///
    /// Only the first call of a poll collects, so no waker is reported twice by one poll.
    pub(crate) fn take(
        &mut self,
        room: usize,
        first_woke: bool,
        collects: bool,
        mut report: impl FnMut(Token),
    ) -> bool {
        if collects && self.queue.is_empty() {
            self.collect();
        }
        if first_woke && !self.slots[FIRST].queued {
            self.slots[FIRST].queued = true;
            self.queue.push_back(FIRST);
        }
        for _ in 0..room {
            let Some(index) = self.queue.pop_front() else {
                break;
            };
            let slot = &mut self.slots[index];
            slot.queued = false;
            if index != FIRST {
                // What woke it until now is part of this report; what wakes it from now on is of the next.
                self.groups[index / GROUP].clear(index);
            }
            report(slot.token);
            if slot.abandoned {
                self.free.push(index);
            }
        }
        // What woke while earlier wake-ups were in the queue: its thread found the poller awake, and
        // relies on the poller to look again.
        !self.queue.is_empty()
            || self.groups.iter().any(|group| group.summary.load(Ordering::SeqCst) != 0)
    }

    /// Puts the wakers whose bits are set into the queue, which is empty. That keeps the queue bounded, and a waker
    /// that wakes without pause from overtaking the others.
    fn collect(&mut self) {
        for (number, group) in self.groups.iter().enumerate() {
            if group.summary.load(Ordering::SeqCst) == 0 {
                continue;
            }
            for word in bits(group.summary.swap(0, Ordering::SeqCst)) {
                for bit in bits(group.words[word].load(Ordering::SeqCst)) {
                    let index = number * GROUP + word * 64 + bit;
                    self.slots[index].queued = true;
                    self.queue.push_back(index);
                }
            }
        }
    }
}

/// The positions of the bits that are set.
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let position = word.trailing_zeros() as usize;
        word &= word.checked_sub(1)?;
        Some(position)
    })
}
