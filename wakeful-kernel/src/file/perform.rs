use std::ffi::{CStr, OsStr};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;

use super::{Operation, Output};
use crate::error::check;
use crate::sys::file as sys;

/// Carries an operation out, in this thread, which it holds up for as long as it takes.
///
/// # Errors
///
/// The operating system's, untouched.
pub fn perform(operation: &mut Operation) -> io::Result<Output> {
    match operation {
        Operation::Read { file, buffer, offset } => {
            file.read_at(buffer, *offset).map(Output::Count)
        }
        Operation::Write { file, buffer, offset } => {
            file.write_at(buffer, *offset).map(Output::Count)
        }
        Operation::ReadVectored { file, buffers, offset } => {
            sys::read_vectored(file, buffers, *offset).map(Output::Count)
        }
        Operation::WriteVectored { file, buffers, offset } => {
            sys::write_vectored(file, buffers, *offset).map(Output::Count)
        }
        Operation::Sync { file, data_only: false } => file.sync_all().map(done),
        Operation::Sync { file, data_only: true } => file.sync_data().map(done),
        Operation::Open { path, options } => {
            options.to_std().open(std_path(path)).map(Output::File)
        }
        Operation::Close { file } => match file.take() {
            Some(file) => close(file).map(done),
            None => Err(io::Error::from_raw_os_error(libc::EBADF)),
        },
        Operation::Metadata { path, follow: true } => fs::metadata(std_path(path)).map(told),
        Operation::Metadata { path, follow: false } => {
            fs::symlink_metadata(std_path(path)).map(told)
        }
        Operation::MetadataOf { file } => file.metadata().map(told),
        Operation::Allocate { file, offset, length, how } => {
            sys::allocate(file, *offset, *length, *how).map(done)
        }
        Operation::Rename { from, to } => fs::rename(std_path(from), std_path(to)).map(done),
        Operation::RemoveFile { path } => fs::remove_file(std_path(path)).map(done),
        Operation::RemoveDir { path } => fs::remove_dir(std_path(path)).map(done),
        Operation::CreateDir { path, mode } => {
            DirBuilder::new().mode(*mode).create(std_path(path)).map(done)
        }
    }
}

/// Carries an operation out if that holds nobody up: a read of what the kernel has in memory. `None` if it is not
/// one, or it is not there; nothing has happened then.
///
/// A read that would come to fewer bytes than it has room for is left as well: whether it is the end of the file or of
/// what is in memory, only another can tell.
///
/// # References
/// - [preadv2(2), `RWF_NOWAIT`](https://man7.org/linux/man-pages/man2/preadv2.2.html): Linux since 4.14; elsewhere it is
///   always `None`
#[doc(alias = "preadv2")]
#[doc(alias = "RWF_NOWAIT")]
pub fn perform_at_once(operation: &mut Operation) -> Option<Output> {
    let Operation::Read { file, buffer, offset } = operation else {
        return None;
    };
    let (length, offset) = (buffer.len(), i64::try_from(*offset).ok()?);
    let mut vector = [libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: length }];
    match sys::read_in_memory(file, &mut vector, offset) {
        Ok(count) if count == length => Some(Output::Count(count)),
        _ => None,
    }
}

fn done(_: ()) -> Output {
    Output::Done
}

fn told(metadata: fs::Metadata) -> Output {
    Output::Metadata(Box::new(metadata.into()))
}

fn std_path(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

fn close(file: File) -> io::Result<()> {
    // SAFETY: the descriptor was given up to this call.
    check(unsafe { libc::close(file.into_raw_fd()) }).map(drop)
}
