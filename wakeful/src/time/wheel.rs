use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::mem;

mod sweep;
#[cfg(test)]
mod wrap;

/// A tick is 2¹⁶ ns, about 66 µs.
const TICK_BITS: u32 = 16;
/// A slot of one level is as long as all slots of the level below.
const GROUP_BITS: u32 = 6;
const SLOTS: usize = 1 << GROUP_BITS;
/// Enough for every tick of 64 bits of nanoseconds.
const LEVELS: usize = (u64::BITS - TICK_BITS).div_ceil(GROUP_BITS) as usize;

/// No free entry.
const NONE: u32 = u32::MAX;
/// As many entries as a wheel holds: half as many as there are sequence numbers, so that numbering the
/// items again leaves the other half for the placings that follow.
const MOST: usize = 1 << 31;
/// The generation of an entry that is never used again, and of no key.
const RETIRED: u32 = !NOTED;

/// A slot or the heap is swept when more than three quarters of its items, and so many more, are stale.
const TOLERATED: usize = 32;
/// A slot that was emptied keeps a buffer of this many items.
const KEPT: usize = 64;

/// Deadlines in their order, a million as cheap as ten: a hierarchical timing wheel.
///
/// It knows no clock. Time is a number of nanoseconds since a beginning of the caller's choice, which
/// the caller tells when it asks what is due. [`Timers`](super::Timers) is such a caller.
///
/// Inserting, removing and resetting take constant time. Deadlines are exact: [`pop`](Wheel::pop)
/// hands out what is due in the order of the deadlines, to the nanosecond, and those of the same
/// nanosecond in the order in which they were inserted, unless they were reset.
///
/// ```
/// use wakeful::time::Wheel;
///
/// let mut wheel = Wheel::new();
/// let tea = wheel.insert(180_000_000_000, "tea")?;
/// let eggs = wheel.insert(300_000_000_000, "eggs")?;
/// assert_eq!(wheel.next_deadline(), Some(180_000_000_000));
/// assert_eq!(wheel.pop(200_000_000_000), Some("tea"));
/// assert_eq!(wheel.pop(200_000_000_000), None);
/// assert_eq!(wheel.remove(eggs), Some("eggs"));
/// assert!(wheel.is_empty() && !wheel.contains(tea));
/// # Ok::<(), wakeful::time::Full<&str>>(())
/// ```
///
/// # How it works
///
/// Varghese and Lauck's hierarchical wheel (1987), with the exact deadlines kept. Level `l` has 64 slots
/// of 64ˡ ticks each. An entry lies on the level of the highest group of six bits in which its tick
/// differs from the present one, so that everything on a lower level is due before everything on a
/// higher one. When the present reaches a slot, its entries are dealt to lower levels; those of the
/// present tick go to a heap, which is small, and puts them in their exact order. A slot knows its
/// earliest deadline, so nobody need be woken for the mere sake of dealing.
///
/// Slots hold copies of the deadlines, which are dealt without a look at the entries they belong to.
/// A copy whose entry was removed or reset is stale; a slot is swept when more than three quarters of it
/// are, which keeps removal constant in time, and memory in proportion to what there is.
///
/// A reset to a later time, as of a timeout after each sign of life, is a note in the entry. Its copy stays where it
/// is; when that comes up, it is dealt by what the note says.
///
/// **No copy and no key outlives its number.** A copy carries the number of its placing, of 32 bits. When the
/// numbers run out, after 2³² placings, the wheel drops all stale copies and numbers the others from one, in their
/// order: once, in a time that grows with the number of entries. A key carries the generation of its entry, of
/// 31 bits. An entry whose generations have run out, after 2³¹ − 1 uses, is not used again.
///
/// # Memory
///
/// An entry of a value of eight bytes takes 24 bytes, its copy 16, and as much again while vectors grow. Stale
/// copies are at most three times as many as the others, and 32 a slot. An entry that is not used again keeps its 24
/// bytes.
pub struct Wheel<T> {
    entries: Vec<Entry<T>>,
    /// The first of the free entries.
    free: u32,
    count: usize,
    /// The present tick. Whatever is due in it, or was before, is in the heap.
    present: u64,
    /// The number of the last placing of an entry. No item has a higher one, nor zero.
    sequence: u32,
    /// All levels' slots, one level after another. None before the first insertion.
    slots: Vec<Slot>,
    /// For each level a bit for each slot that is not empty.
    occupied: [u64; LEVELS],
    heap: BinaryHeap<Reverse<Item>>,
    heap_stale: usize,
    /// How many stale items, at most, lie nobody knows where, because their entries were noted.
    lost: usize,
}

/// Names an entry of a [`Wheel`], and never another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    index: u32,
    generation: u32,
}

/// A wheel holds 2³¹ entries and no more. The value that found no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timer wheel holds no more than 2147483648 entries: remove some first")
    }
}

impl<T: fmt::Debug> std::error::Error for Full<T> {}

struct Entry<T> {
    /// Of a free entry, the number of the next free one.
    deadline: u64,
    /// Even; and odd, [`NOTED`] added, while the deadline is later than that of its item.
    generation: u32,
    /// That of its item which is not stale.
    sequence: u32,
    value: T,
}

const NOTED: u32 = 1;

impl<T> Entry<T> {
    #[inline]
    fn is(&self, key: Key) -> bool {
        self.generation & !NOTED == key.generation
    }

    #[inline]
    fn is_noted(&self) -> bool {
        self.generation & NOTED != 0
    }
}

/// Where an item lies. It follows from the deadline and the present, because whatever the present
/// reaches is dealt anew.
enum Place {
    Heap,
    Slot { level: usize, number: usize },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    deadline: u64,
    sequence: u32,
    index: u32,
}

#[derive(Default)]
struct Slot {
    items: Vec<Item>,
    stale: usize,
    /// No item is due before.
    earliest: u64,
}

impl<T: Copy> Default for Wheel<T> {
    fn default() -> Wheel<T> {
        Wheel::new()
    }
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel, at its beginning.
    pub fn new() -> Wheel<T> {
        Wheel::with_capacity(0)
    }

    /// An empty wheel with room for so many entries, at its beginning.
    pub fn with_capacity(entries: usize) -> Wheel<T> {
        Wheel {
            entries: Vec::with_capacity(entries),
            free: NONE,
            count: 0,
            present: 0,
            sequence: 0,
            slots: Vec::new(),
            occupied: [0; LEVELS],
            heap: BinaryHeap::new(),
            heap_stale: 0,
            lost: 0,
        }
    }

    /// How many entries there are, those that are due and were not popped included.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds an entry. One whose deadline has passed is due at once.
    ///
    /// # Errors
    ///
    /// [`Full`].
    #[inline]
    pub fn insert(&mut self, deadline: u64, value: T) -> Result<Key, Full<T>> {
        if self.slots.is_empty() {
            self.slots.resize_with(LEVELS * SLOTS, Slot::default);
        }
        let index = self.allocate(value)?;
        self.count += 1;
        self.place(index, deadline);
        Ok(Key { index, generation: self.entries[index as usize].generation & !NOTED })
    }

    /// Takes an entry out. `None` if it was taken out before, or popped.
    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<T> {
        if !self.contains(key) {
            return None;
        }
        self.forget(key.index);
        Some(self.release(key.index))
    }

    /// Gives an entry another deadline. False if it was taken out, or popped.
    #[inline]
    pub fn reset(&mut self, key: Key, deadline: u64) -> bool {
        let Some(entry) = self.entries.get_mut(key.index as usize).filter(|entry| entry.is(key))
        else {
            return false;
        };
        if entry.deadline <= deadline {
            if entry.deadline < deadline {
                entry.deadline = deadline;
                entry.generation |= NOTED;
            }
            return true;
        }
        self.forget(key.index);
        self.place(key.index, deadline);
        true
    }

    /// Whether the entry is still there.
    #[inline]
    pub fn contains(&self, key: Key) -> bool {
        self.entries.get(key.index as usize).is_some_and(|entry| entry.is(key))
    }

    /// When to ask again what is due: nothing is before. It is the earliest deadline, or, after
    /// removals and resets, perhaps a while before that.
    #[inline]
    pub fn next_deadline(&mut self) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        self.clear_top();
        if let Some(Reverse(item)) = self.heap.peek() {
            return Some(item.deadline);
        }
        self.first_slot().map(|(level, slot)| self.slots[level * SLOTS + slot].earliest)
    }

    /// Takes out the earliest entry, if it is due.
    #[inline]
    pub fn pop(&mut self, now: u64) -> Option<T> {
        loop {
            self.clear_top();
            if let Some(&Reverse(Item { deadline, index, .. })) = self.heap.peek() {
                if deadline > now {
                    return None;
                }
                self.heap.pop();
                return Some(self.release(index));
            }
            if !self.advance(now >> TICK_BITS) {
                return None;
            }
        }
    }

    /// Moves the present to the first slot that is not empty, and deals it; or, if that is later than
    /// this tick, to the tick. Whether there was something to deal.
    ///
    /// No further, so that the heap stays small however late this is.
    #[inline]
    fn advance(&mut self, tick: u64) -> bool {
        if let Some((level, number)) = self.first_slot() {
            let shift = GROUP_BITS * level as u32;
            let above = self.present.checked_shr(shift + GROUP_BITS).unwrap_or(0);
            let start = (above << GROUP_BITS | number as u64) << shift;
            if start <= tick {
                self.present = start;
                self.deal(level, number);
                return true;
            }
        }
        self.present = self.present.max(tick);
        false
    }

    /// The first slot that is not empty: on the lowest level that has any.
    #[inline]
    fn first_slot(&self) -> Option<(usize, usize)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        Some((level, self.occupied[level].trailing_zeros() as usize))
    }

    fn deal(&mut self, level: usize, number: usize) {
        self.occupied[level] &= !(1 << number);
        let slot = &mut self.slots[level * SLOTS + number];
        // Without need on the way to the lowest level, where it brings the entries into the cache, many
        // at once, that are going to be popped one by one.
        let stale = mem::take(&mut slot.stale);
        let looks = stale > 0 || level == 1;
        let mut items = mem::take(&mut slot.items);
        if looks {
            let mut found = 0;
            for &item in &items {
                match self.noted(item) {
                    Some(item) => self.put(item),
                    None => found += 1,
                }
            }
            self.find(found, stale);
        } else {
            items.iter().for_each(|&item| self.put(item));
        }
        if items.capacity() <= KEPT {
            items.clear();
            self.slots[level * SLOTS + number].items = items;
        }
    }

    /// The item as its entry has noted it, unless it is stale.
    #[inline]
    fn noted(&mut self, item: Item) -> Option<Item> {
        let entry = &mut self.entries[item.index as usize];
        if entry.sequence != item.sequence {
            return None;
        }
        if !entry.is_noted() {
            return Some(item);
        }
        entry.generation &= !NOTED;
        Some(Item { deadline: entry.deadline, ..item })
    }

    /// So many stale items are gone, so many of which were known.
    #[inline]
    fn find(&mut self, gone: usize, known: usize) {
        self.lost = self.lost.saturating_sub(gone.saturating_sub(known));
    }

    /// Places an entry anew.
    #[inline]
    fn place(&mut self, index: u32, deadline: u64) {
        let sequence = match self.sequence.checked_add(1) {
            Some(sequence) => sequence,
            None => self.renumber(),
        };
        self.sequence = sequence;
        let entry = &mut self.entries[index as usize];
        entry.sequence = sequence;
        entry.deadline = deadline;
        self.put(Item { deadline, sequence, index });
    }

    #[inline]
    fn place_of(&self, deadline: u64) -> Place {
        let tick = deadline >> TICK_BITS;
        if tick <= self.present {
            return Place::Heap;
        }
        let level = ((tick ^ self.present).ilog2() / GROUP_BITS) as usize;
        let number = (tick >> (GROUP_BITS * level as u32)) as usize % SLOTS;
        Place::Slot { level, number }
    }

    #[inline]
    fn put(&mut self, item: Item) {
        let Place::Slot { level, number } = self.place_of(item.deadline) else {
            self.heap.push(Reverse(item));
            return;
        };
        let slot = &mut self.slots[level * SLOTS + number];
        if slot.items.is_empty() {
            self.occupied[level] |= 1 << number;
            slot.earliest = item.deadline;
        } else {
            slot.earliest = slot.earliest.min(item.deadline);
        }
        slot.items.push(item);
    }

    /// Lets the item of an entry turn stale.
    #[inline]
    fn forget(&mut self, index: u32) {
        // No item has it: it is given out with the next placing, or is zero.
        let unused = self.sequence.wrapping_add(1);
        let entry = &mut self.entries[index as usize];
        entry.sequence = unused;
        if entry.is_noted() {
            entry.generation &= !NOTED;
            self.lose();
            return;
        }
        let deadline = entry.deadline;
        let Place::Slot { level, number } = self.place_of(deadline) else {
            self.heap_stale += 1;
            if self.heap_stale > self.heap.len() / 4 * 3 + TOLERATED {
                self.sweep_heap();
            }
            return;
        };
        let slot = &mut self.slots[level * SLOTS + number];
        slot.stale += 1;
        if slot.stale == slot.items.len() {
            slot.stale = 0;
            slot.items.clear();
            self.occupied[level] &= !(1 << number);
        } else if slot.stale > slot.items.len() / 4 * 3 + TOLERATED {
            self.sweep(level, number);
        }
    }

    /// The item of an entry that was noted turns stale.
    fn lose(&mut self) {
        self.lost += 1;
        if self.lost > self.count / 4 * 3 + TOLERATED {
            self.sweep_all();
        }
    }

    /// Frees the top of the heap from what is stale, or due at another time by now.
    #[inline]
    fn clear_top(&mut self) {
        while let Some(&Reverse(item)) = self.heap.peek() {
            let entry = &self.entries[item.index as usize];
            if entry.sequence == item.sequence && !entry.is_noted() {
                return;
            }
            self.heap.pop();
            match self.noted(item) {
                Some(item) => self.put(item),
                None if self.heap_stale > 0 => self.heap_stale -= 1,
                None => self.find(1, 0),
            }
        }
    }

    #[inline]
    fn allocate(&mut self, value: T) -> Result<u32, Full<T>> {
        if self.free == NONE {
            let index = self.entries.len();
            if index >= MOST {
                return Err(Full(value));
            }
            self.entries.push(Entry { deadline: 0, generation: 0, sequence: 0, value });
            return Ok(index as u32);
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        self.free = entry.deadline as u32;
        entry.value = value;
        Ok(index)
    }

    #[inline]
    fn release(&mut self, index: u32) -> T {
        let entry = &mut self.entries[index as usize];
        // It is not that of a retired entry, which is never placed.
        entry.generation = (entry.generation & !NOTED) + 2;
        if entry.generation != RETIRED {
            entry.deadline = self.free.into();
            self.free = index;
        }
        self.count -= 1;
        entry.value
    }
}

impl<T> fmt::Debug for Wheel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel").field("len", &self.count).finish_non_exhaustive()
    }
}
