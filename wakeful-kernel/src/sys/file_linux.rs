//! What std does not do with files: by calls of 64 bits' offsets, on every architecture.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use crate::error::{check, check_size};
use crate::file::{Allocation, Buffer};

/// What the kernel refuses with `EINVAL`, if it cannot be an offset.
pub(crate) fn offset(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MIN)
}

/// Where the buffers are, for the kernel: valid until something is done with them.
pub(crate) fn vectors(buffers: &mut [Buffer]) -> Vec<libc::iovec> {
    let vector = |buffer: &mut Buffer| libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    buffers.iter_mut().map(vector).collect()
}

pub(crate) fn read_vectored(file: &File, buffers: &mut [Buffer], at: u64) -> io::Result<usize> {
    let vectors = vectors(buffers);
    let count = libc::c_int::try_from(vectors.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: each vector is a buffer that is borrowed mutably until the call is over.
    check_size(unsafe { libc::preadv64(file.as_raw_fd(), vectors.as_ptr(), count, offset(at)) })
}

pub(crate) fn write_vectored(file: &File, buffers: &mut [Buffer], at: u64) -> io::Result<usize> {
    let vectors = vectors(buffers);
    let count = libc::c_int::try_from(vectors.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: each vector is a buffer that is borrowed until the call is over.
    check_size(unsafe { libc::pwritev64(file.as_raw_fd(), vectors.as_ptr(), count, offset(at)) })
}

/// fallocate(2)'s flags.
pub(crate) fn allocation_mode(how: Allocation) -> libc::c_int {
    match how {
        Allocation::Extend => 0,
        Allocation::KeepSize => libc::FALLOC_FL_KEEP_SIZE,
        Allocation::PunchHole => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
        Allocation::ZeroRange => libc::FALLOC_FL_ZERO_RANGE,
    }
}

pub(crate) fn allocate(file: &File, at: u64, length: u64, how: Allocation) -> io::Result<()> {
    let mode = allocation_mode(how);
    // SAFETY: the call takes integers and touches no memory; the file is open.
    check(unsafe { libc::fallocate64(file.as_raw_fd(), mode, offset(at), offset(length)) })
        .map(drop)
}

/// preadv2(2) with `RWF_NOWAIT`: what is in memory, and `EAGAIN` for what is not.
pub(crate) fn read_in_memory(
    file: &File,
    buffers: &mut [libc::iovec],
    at: i64,
) -> io::Result<usize> {
    const NOWAIT: libc::c_int = 0x8;
    let (start, count) = (buffers.as_ptr(), buffers.len());
    // By halves, as the call has it on every architecture; on those of 64 bits only the first counts.
    let (low, high) = (at as libc::c_long, (at >> 32) as libc::c_long);
    // SAFETY: each vector is a buffer that nobody else uses until the call is over, as the caller sees to.
    let result = unsafe {
        libc::syscall(libc::SYS_preadv2, file.as_raw_fd(), start, count, low, high, NOWAIT)
    };
    check_size(result as libc::ssize_t)
}
