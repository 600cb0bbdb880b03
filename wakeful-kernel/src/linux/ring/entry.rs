//! Operations as io_uring(7) has them, and its answers.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};

use io_uring::squeue::Entry;
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{opcode, types};

use super::status::Status;
use crate::file::{Buffer, FixedBuffers, Operation, Output};
use crate::sys::file::{allocation_mode, vectors};

/// The most that one read(2) or write(2) moves.
const MOST: usize = 0x7fff_f000;

/// What the kernel uses beside the operation's own parts. Vectors, because their content may be written to by others
/// while they are moved, which that of boxes may not.
#[derive(Debug)]
pub(super) enum Extra {
    None,
    Vectors(#[allow(dead_code)] Vec<libc::iovec>),
    Status(Vec<Status>),
    /// It fails, whatever the kernel answers.
    Fails(i32),
}

fn fd(file: &File) -> Fd {
    Fd(file.as_raw_fd())
}

/// What cannot be an offset becomes one that the kernel refuses with `EINVAL`, instead of -1, which means the file's own.
fn offset(bytes: u64) -> u64 {
    bytes.min(1 << 63)
}

fn length(buffer: &Buffer) -> u32 {
    buffer.len().min(MOST) as u32
}

fn registered(buffer: &Buffer, fixed: Option<&FixedBuffers>) -> Option<u16> {
    let buffer = buffer.as_fixed()?;
    fixed.is_some_and(|fixed| fixed.is_of(buffer)).then(|| buffer.index())
}

/// The entry for an operation; it points to what the operation and `extra` own, on the heap.
pub(super) fn of(
    operation: &mut Operation,
    extra: &mut Extra,
    fixed: Option<&FixedBuffers>,
) -> Entry {
    const HERE: Fd = Fd(libc::AT_FDCWD);
    if let Some(errno) = refused(operation) {
        // Handed over as it is, it would keep those before it in its chain from being begun.
        *extra = Extra::Fails(errno);
        return opcode::Close::new(Fd(-1)).build();
    }
    match operation {
        Operation::Read { file, buffer, offset: at } => match registered(buffer, fixed) {
            Some(index) => {
                opcode::ReadFixed::new(fd(file), buffer.as_mut_ptr(), length(buffer), index)
                    .offset(offset(*at))
                    .build()
            }
            None => opcode::Read::new(fd(file), buffer.as_mut_ptr(), length(buffer))
                .offset(offset(*at))
                .build(),
        },
        Operation::Write { file, buffer, offset: at } => match registered(buffer, fixed) {
            Some(index) => {
                opcode::WriteFixed::new(fd(file), buffer.as_ptr(), length(buffer), index)
                    .offset(offset(*at))
                    .build()
            }
            None => opcode::Write::new(fd(file), buffer.as_ptr(), length(buffer))
                .offset(offset(*at))
                .build(),
        },
        Operation::ReadVectored { file, buffers, offset: at } => {
            let vectors = vectors(buffers);
            let entry = opcode::Readv::new(fd(file), vectors.as_ptr(), vectors.len() as u32)
                .offset(offset(*at))
                .build();
            *extra = Extra::Vectors(vectors);
            entry
        }
        Operation::WriteVectored { file, buffers, offset: at } => {
            let vectors = vectors(buffers);
            let entry = opcode::Writev::new(fd(file), vectors.as_ptr(), vectors.len() as u32)
                .offset(offset(*at))
                .build();
            *extra = Extra::Vectors(vectors);
            entry
        }
        Operation::Sync { file, data_only } => {
            let flags = if *data_only { FsyncFlags::DATASYNC } else { FsyncFlags::empty() };
            opcode::Fsync::new(fd(file)).flags(flags).build()
        }
        Operation::Open { path, options } => {
            let (flags, mode) = options.to_flags();
            opcode::OpenAt::new(HERE, path.as_ptr()).flags(flags).mode(mode).build()
        }
        Operation::Close { file } => {
            opcode::Close::new(Fd(file.as_ref().map_or(-1, |file| file.as_raw_fd()))).build()
        }
        Operation::Metadata { path, follow } => {
            let flags = if *follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
            status(HERE, path.as_ptr(), flags, extra)
        }
        Operation::MetadataOf { file } => {
            status(fd(file), c"".as_ptr(), libc::AT_EMPTY_PATH, extra)
        }
        Operation::Allocate { file, offset: at, length, how } => {
            opcode::Fallocate::new(fd(file), offset(*length))
                .offset(offset(*at))
                .mode(allocation_mode(*how))
                .build()
        }
        Operation::Rename { from, to } => {
            opcode::RenameAt::new(HERE, from.as_ptr(), HERE, to.as_ptr()).build()
        }
        Operation::RemoveFile { path } => opcode::UnlinkAt::new(HERE, path.as_ptr()).build(),
        Operation::RemoveDir { path } => {
            opcode::UnlinkAt::new(HERE, path.as_ptr()).flags(libc::AT_REMOVEDIR).build()
        }
        Operation::CreateDir { path, mode } => {
            opcode::MkDirAt::new(HERE, path.as_ptr()).mode(*mode as libc::mode_t).build()
        }
    }
}

/// What the kernel would refuse when it is handed over, and with what.
fn refused(operation: &Operation) -> Option<i32> {
    /// IOV_MAX
    const VECTORS: usize = 1024;
    let path = |path: &CString| match path.as_bytes().len() {
        0 => Some(libc::ENOENT),
        length if length >= libc::PATH_MAX as usize => Some(libc::ENAMETOOLONG),
        _ => None,
    };
    match operation {
        Operation::ReadVectored { buffers, .. } | Operation::WriteVectored { buffers, .. } => {
            (buffers.len() > VECTORS).then_some(libc::EINVAL)
        }
        Operation::Open { path: at, options } => {
            if options.are_contradictory() {
                Some(libc::EINVAL)
            } else {
                path(at)
            }
        }
        Operation::Metadata { path: at, .. }
        | Operation::RemoveFile { path: at }
        | Operation::RemoveDir { path: at }
        | Operation::CreateDir { path: at, .. } => path(at),
        Operation::Rename { from, to } => path(from).or_else(|| path(to)),
        _ => None,
    }
}

/// statx(2).
fn status(at: Fd, path: *const libc::c_char, flags: libc::c_int, extra: &mut Extra) -> Entry {
    let mut status = vec![Status::default()];
    let entry = opcode::Statx::new(at, path, status.as_mut_ptr().cast::<types::statx>())
        .flags(flags)
        .mask(Status::ALL)
        .build();
    *extra = Extra::Status(status);
    entry
}

/// What came of an operation, by the kernel's answer.
pub(super) fn output(operation: &mut Operation, extra: Extra, answer: i32) -> io::Result<Output> {
    if let Operation::Close { file } = operation {
        if answer != -libc::ECANCELED {
            // Its descriptor is gone, whatever the answer.
            let _: Option<RawFd> = file.take().map(IntoRawFd::into_raw_fd);
        }
    }
    let answer = match extra {
        Extra::Fails(errno) => -errno,
        // The kernel's own, for calls to be begun again, which it does not do for a ring.
        _ if (-516..=-512).contains(&answer) => -libc::ECANCELED,
        _ => answer,
    };
    if answer < 0 {
        return Err(io::Error::from_raw_os_error(-answer));
    }
    Ok(match (operation, extra) {
        (Operation::Open { .. }, _) => {
            // SAFETY: the kernel has opened it for this operation, and told nobody else of it.
            Output::File(unsafe { File::from_raw_fd(answer) })
        }
        (_, Extra::Status(status)) => match status.first() {
            Some(status) => Output::Metadata(Box::new((*status).into())),
            None => Output::Done,
        },
        (operation, _) => match operation.transfer_length() {
            Some(_) => Output::Count(answer as usize),
            None => Output::Done,
        },
    })
}
