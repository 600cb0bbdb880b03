//! Dropping stale items, and numbering the others again when the sequence numbers have run out.

use std::cmp::Reverse;
use std::mem;

use super::{Item, LEVELS, SLOTS, Wheel};

impl<T: Copy> Wheel<T> {
    #[cold]
    pub(super) fn sweep_all(&mut self) {
        for level in 0..LEVELS {
            let mut occupied = self.occupied[level];
            while occupied != 0 {
                self.sweep(level, occupied.trailing_zeros() as usize);
                occupied &= occupied - 1;
            }
        }
        self.sweep_heap();
        self.lost = 0;
    }

    #[cold]
    pub(super) fn sweep(&mut self, level: usize, number: usize) {
        let (entries, slot) = (&self.entries, &mut self.slots[level * SLOTS + number]);
        let (before, stale) = (slot.items.len(), mem::take(&mut slot.stale));
        slot.items.retain(|item| entries[item.index as usize].sequence == item.sequence);
        let gone = before - slot.items.len();
        match slot.items.iter().map(|item| item.deadline).min() {
            Some(earliest) => slot.earliest = earliest,
            None => self.occupied[level] &= !(1 << number),
        }
        self.find(gone, stale);
    }

    #[cold]
    pub(super) fn sweep_heap(&mut self) {
        let (before, stale) = (self.heap.len(), mem::take(&mut self.heap_stale));
        let entries = &self.entries;
        self.heap.retain(|&Reverse(item)| entries[item.index as usize].sequence == item.sequence);
        self.find(before - self.heap.len(), stale);
    }

    /// Drops all stale items and numbers the others from one, in their order. Returns the number that comes after
    /// theirs.
    ///
    /// So an item whose number is that of its entry is the item of the last placing of that entry, whatever the
    /// number of placings.
    #[cold]
    #[inline(never)]
    pub(super) fn renumber(&mut self) -> u32 {
        self.sweep_all();
        let Wheel { entries, slots, heap, .. } = self;
        let in_slots = slots.iter().flat_map(|slot| &slot.items);
        let in_heap = heap.iter().map(|Reverse(item)| item);
        let mut order: Vec<_> =
            in_slots.chain(in_heap).map(|item| (item.sequence, item.index)).collect();
        order.sort_unstable();
        for (&(_, index), sequence) in order.iter().zip(1..) {
            entries[index as usize].sequence = sequence;
        }
        let renumber = |item: &mut Item| item.sequence = entries[item.index as usize].sequence;
        slots.iter_mut().flat_map(|slot| &mut slot.items).for_each(renumber);
        let mut items = mem::take(heap).into_vec();
        items.iter_mut().map(|Reverse(item)| item).for_each(renumber);
        *heap = items.into();
        // There are at most `MOST` items.
        order.len() as u32 + 1
    }
}
