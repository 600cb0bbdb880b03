use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::AlignedBuffer;

/// Buffers of one size that a kernel can be told of once, instead of with every operation.
///
/// They are taken out, one owner each, and come back when they are dropped. Each begins at a multiple of 4096, so they
/// serve for `O_DIRECT` as well. Clones are of the same buffers.
///
/// ```
/// use wakeful_kernel::file::FixedBuffers;
///
/// let buffers = FixedBuffers::new(2, 65536)?;
/// let first = buffers.take().unwrap();
/// let second = buffers.take().unwrap();
/// assert!(buffers.take().is_none());
/// drop(first);
/// assert!(buffers.take().is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct FixedBuffers {
    arena: Arc<Arena>,
}

struct Arena {
    memory: AlignedBuffer,
    size: usize,
    stride: usize,
    count: usize,
    /// The numbers of those that nobody has.
    free: Mutex<Vec<u16>>,
}

/// One of [`FixedBuffers`], and its only owner.
pub struct FixedBuffer {
    arena: Arc<Arena>,
    index: u16,
}

impl Arena {
    const ALIGNMENT: usize = 4096;

    fn free(&self) -> MutexGuard<'_, Vec<u16>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, index: u16) -> *mut u8 {
        // SAFETY: below the count, of whose strides the memory is made.
        unsafe { self.memory.address().as_ptr().add(usize::from(index) * self.stride) }
    }
}

impl FixedBuffers {
    /// So many buffers of so many bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): none, or more than 16,384, or of no bytes.
    /// [`OutOfMemory`](io::ErrorKind::OutOfMemory).
    pub fn new(count: usize, size: usize) -> io::Result<FixedBuffers> {
        let invalid = |message| io::Error::new(io::ErrorKind::InvalidInput, message);
        if !(1..=16384).contains(&count) {
            return Err(invalid("fixed buffers are 1 to 16384 in number"));
        }
        let length = size
            .checked_next_multiple_of(Arena::ALIGNMENT)
            .and_then(|stride| Some((stride, stride.checked_mul(count)?)));
        let Some((stride, length)) = length.filter(|_| size <= 1 << 30) else {
            return Err(invalid("a fixed buffer has a gigabyte at most"));
        };
        let memory = AlignedBuffer::new(length, Arena::ALIGNMENT)?;
        let free = Mutex::new((0..count as u16).rev().collect());
        Ok(FixedBuffers { arena: Arc::new(Arena { memory, size, stride, count, free }) })
    }

    /// One that nobody has, with whatever was last in it; `None` if all are taken.
    pub fn take(&self) -> Option<FixedBuffer> {
        let index = self.arena.free().pop()?;
        Some(FixedBuffer { arena: Arc::clone(&self.arena), index })
    }

    /// How many there are, taken or not.
    pub fn count(&self) -> usize {
        self.arena.count
    }

    /// How many bytes each has.
    pub fn size(&self) -> usize {
        self.arena.size
    }

    /// As readv(2) wants them, in the order of their numbers.
    // Only the ring asks, here and below.
    #[allow(dead_code)]
    pub(crate) fn slices(&self) -> impl Iterator<Item = (*mut u8, usize)> + '_ {
        (0..self.arena.count).map(|index| (self.arena.at(index as u16), self.arena.size))
    }

    #[allow(dead_code)]
    pub(crate) fn is_of(&self, buffer: &FixedBuffer) -> bool {
        Arc::ptr_eq(&self.arena, &buffer.arena)
    }
}

impl FixedBuffer {
    #[allow(dead_code)]
    pub(crate) fn index(&self) -> u16 {
        self.index
    }
}

impl Deref for FixedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are within the arena, which it keeps; nobody else has its number, and so its bytes.
        unsafe { slice::from_raw_parts(self.arena.at(self.index), self.arena.size) }
    }
}

impl DerefMut for FixedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: likewise.
        unsafe { slice::from_raw_parts_mut(self.arena.at(self.index), self.arena.size) }
    }
}

impl Drop for FixedBuffer {
    fn drop(&mut self) {
        self.arena.free().push(self.index);
    }
}

impl fmt::Debug for FixedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedBuffer").field("index", &self.index).field("len", &self.len()).finish()
    }
}

impl fmt::Debug for FixedBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedBuffers")
            .field("count", &self.count())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}
