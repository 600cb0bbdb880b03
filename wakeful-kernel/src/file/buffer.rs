use std::fmt;
use std::ops::{Deref, DerefMut, Range};

#[cfg(feature = "bytes")]
use bytes::BytesMut;

use super::{AlignedBuffer, FixedBuffer};

/// Bytes that an operation reads into or writes from, owned, and at an address that stays.
///
/// It is made from a `Vec<u8>`, a `Box<[u8]>`, an [`AlignedBuffer`], a [`FixedBuffer`], or, with the feature `bytes`, a
/// `BytesMut`. What counts is what is in it, as with std's `read`: `vec![0; 4096]` takes 4096 bytes, and
/// `Vec::with_capacity(4096)` none.
///
/// A [range](Buffer::with_range) can be chosen for an operation; the bytes around it are left alone.
///
/// ```
/// use wakeful_kernel::file::Buffer;
///
/// let buffer = Buffer::from(b"hello".to_vec()).with_range(1..3);
/// assert_eq!(&buffer[..], b"el");
/// assert_eq!(buffer.into_vec(), b"hello");
/// ```
pub struct Buffer {
    storage: Storage,
    range: Range<usize>,
}

/// No boxes: their content must not be written to by others while they are moved.
pub(crate) enum Storage {
    Vec(Vec<u8>),
    Aligned(AlignedBuffer),
    Fixed(FixedBuffer),
    #[cfg(feature = "bytes")]
    Bytes(BytesMut),
}

impl Buffer {
    fn new(storage: Storage) -> Buffer {
        let range = 0..storage.len();
        Buffer { storage, range }
    }

    /// With these of all its bytes; what is beyond the end is left out of the range.
    #[must_use]
    pub fn with_range(mut self, range: Range<usize>) -> Buffer {
        let end = range.end.min(self.storage.len());
        self.range = range.start.min(end)..end;
        self
    }

    /// With all its bytes.
    #[must_use]
    pub fn whole(self) -> Buffer {
        self.with_range(0..usize::MAX)
    }

    /// Which of all its bytes an operation uses.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// All its bytes, as a vector: without a copy if it was made from a `Vec` or a `Box`.
    pub fn into_vec(self) -> Vec<u8> {
        match self.storage {
            Storage::Vec(bytes) => bytes,
            storage => storage.to_vec(),
        }
    }

    /// What it was made from, if that was a fixed buffer.
    pub fn into_fixed(self) -> Option<FixedBuffer> {
        match self.storage {
            Storage::Fixed(buffer) => Some(buffer),
            _ => None,
        }
    }

    /// What it was made from, if that was an aligned buffer.
    pub fn into_aligned(self) -> Option<AlignedBuffer> {
        match self.storage {
            Storage::Aligned(buffer) => Some(buffer),
            _ => None,
        }
    }

    /// What it was made from, if that was a `BytesMut`.
    #[cfg(feature = "bytes")]
    pub fn into_bytes(self) -> Option<BytesMut> {
        match self.storage {
            Storage::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    // Only the ring asks.
    #[allow(dead_code)]
    pub(crate) fn as_fixed(&self) -> Option<&FixedBuffer> {
        match &self.storage {
            Storage::Fixed(buffer) => Some(buffer),
            _ => None,
        }
    }
}

impl Deref for Storage {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Storage::Vec(bytes) => bytes,
            Storage::Aligned(bytes) => bytes,
            Storage::Fixed(bytes) => bytes,
            #[cfg(feature = "bytes")]
            Storage::Bytes(bytes) => bytes,
        }
    }
}

impl DerefMut for Storage {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Storage::Vec(bytes) => bytes,
            Storage::Aligned(bytes) => bytes,
            Storage::Fixed(bytes) => bytes,
            #[cfg(feature = "bytes")]
            Storage::Bytes(bytes) => bytes,
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.storage[self.range.clone()]
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.range.clone()]
    }
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer::from(Vec::new())
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Buffer {
        Buffer::new(Storage::Vec(bytes))
    }
}

impl From<Box<[u8]>> for Buffer {
    fn from(bytes: Box<[u8]>) -> Buffer {
        Buffer::from(bytes.into_vec())
    }
}

impl From<AlignedBuffer> for Buffer {
    fn from(bytes: AlignedBuffer) -> Buffer {
        Buffer::new(Storage::Aligned(bytes))
    }
}

impl From<FixedBuffer> for Buffer {
    fn from(bytes: FixedBuffer) -> Buffer {
        Buffer::new(Storage::Fixed(bytes))
    }
}

#[cfg(feature = "bytes")]
impl From<BytesMut> for Buffer {
    fn from(bytes: BytesMut) -> Buffer {
        Buffer::new(Storage::Bytes(bytes))
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let storage = match &self.storage {
            Storage::Vec(_) => "Vec",
            Storage::Aligned(_) => "AlignedBuffer",
            Storage::Fixed(_) => "FixedBuffer",
            #[cfg(feature = "bytes")]
            Storage::Bytes(_) => "BytesMut",
        };
        f.debug_struct("Buffer").field("of", &storage).field("range", &self.range).finish()
    }
}
