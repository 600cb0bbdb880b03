use std::alloc::{self, Layout};
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

/// Bytes at an address that is a multiple of some number, as `O_DIRECT` demands.
///
/// ```
/// use wakeful_kernel::file::AlignedBuffer;
///
/// let buffer = AlignedBuffer::new(8192, 4096)?;
/// assert_eq!(buffer.as_ptr() as usize % 4096, 0);
/// assert!(buffer.iter().all(|&byte| byte == 0));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct AlignedBuffer {
    bytes: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its bytes, as a Box does.
unsafe impl Send for AlignedBuffer {}
// SAFETY: likewise; through a shared reference they are only read.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// So many zeros. What devices ask for is their logical block size: 512 or 4096 serve nearly all, for address, length and
    /// offset alike.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): no bytes, or an alignment that is no power of two.
    /// [`OutOfMemory`](io::ErrorKind::OutOfMemory).
    pub fn new(length: usize, alignment: usize) -> io::Result<AlignedBuffer> {
        let layout = Layout::from_size_align(length, alignment).map_err(|_| {
            let message = "the alignment must be a power of two, 512 or 4096 as a rule, and the length \
                           below the size of the address space";
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        if length == 0 {
            let message = "a buffer without room reads nothing: give it a length of 1 or more";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        // SAFETY: the layout's size is not zero.
        let bytes = NonNull::new(unsafe { alloc::alloc_zeroed(layout) });
        let bytes = bytes.ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(AlignedBuffer { bytes, layout })
    }

    /// Of what its address is a multiple.
    pub fn alignment(&self) -> usize {
        self.layout.align()
    }

    /// The address of its first byte. What is written through it must not be read by a reference meanwhile.
    pub(crate) fn address(&self) -> NonNull<u8> {
        self.bytes
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes were allocated there, with zeros in them, and are freed when it is dropped.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr(), self.layout.size()) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else has a reference to them.
        unsafe { slice::from_raw_parts_mut(self.bytes.as_ptr(), self.layout.size()) }
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        // SAFETY: they were allocated with this layout.
        unsafe { alloc::dealloc(self.bytes.as_ptr(), self.layout) };
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuffer")
            .field("len", &self.len())
            .field("alignment", &self.alignment())
            .finish()
    }
}
