//! What std does not do with files, out of what it does.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::file_space::extend;
use crate::file::{Allocation, Buffer};

/// As many as one call takes elsewhere.
const VECTORS: usize = 1024;

fn one_by_one(
    buffers: &mut [Buffer],
    at: u64,
    mut transfer: impl FnMut(&mut Buffer, u64) -> io::Result<usize>,
) -> io::Result<usize> {
    if buffers.len() > VECTORS {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut total = 0;
    for buffer in buffers {
        let length = buffer.len();
        let moved = match at.checked_add(total as u64) {
            Some(at) => transfer(buffer, at),
            None => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        };
        match moved {
            Ok(moved) => total += moved,
            // What was moved before counts, as with one call.
            Err(_) if total > 0 => break,
            Err(error) => return Err(error),
        }
        if !matches!(moved, Ok(moved) if moved == length) {
            break;
        }
    }
    Ok(total)
}

pub(crate) fn read_vectored(file: &File, buffers: &mut [Buffer], at: u64) -> io::Result<usize> {
    one_by_one(buffers, at, |buffer, at| file.read_at(buffer, at))
}

pub(crate) fn write_vectored(file: &File, buffers: &mut [Buffer], at: u64) -> io::Result<usize> {
    one_by_one(buffers, at, |buffer, at| file.write_at(buffer, at))
}

pub(crate) fn allocate(file: &File, at: u64, length: u64, how: Allocation) -> io::Result<()> {
    match (how, libc::off_t::try_from(at), libc::off_t::try_from(length)) {
        (Allocation::Extend, Ok(at), Ok(length)) => extend(file, at, length),
        (Allocation::Extend, ..) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// There is no such question here.
pub(crate) fn read_in_memory(_: &File, _: &mut [libc::iovec], _: i64) -> io::Result<usize> {
    Err(io::ErrorKind::WouldBlock.into())
}
