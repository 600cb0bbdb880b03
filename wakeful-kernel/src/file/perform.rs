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
