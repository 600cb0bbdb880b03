use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::{Buffer, Metadata, OpenOptions};

/// An operation on a file, with all that it needs.
///
/// Files are shared by [`Arc`], so that they stay open as long as something is under way with them. Offsets are in bytes
/// from the start; an operation neither uses nor moves the file's own position. A relative path begins at the working
/// directory that the process has when the operation is carried out.
///
/// For files, that is: of pipes, sockets and terminals, which have no offsets, readiness tells better, and what an
/// operation makes of them depends on who carries it out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Operation {
    /// `pread`—see [`read`](Operation::read).
    Read {
        /// From which file.
        file: Arc<File>,
        /// To where.
        buffer: Buffer,
        /// From which byte on.
        offset: u64,
    },
    /// `pwrite`—see [`write`](Operation::write).
    Write {
        /// To which file.
        file: Arc<File>,
        /// From where.
        buffer: Buffer,
        /// From which byte on.
        offset: u64,
    },
    /// `preadv`—see [`read_vectored`](Operation::read_vectored).
    ReadVectored {
        /// From which file.
        file: Arc<File>,
        /// To where, one after another.
        buffers: Vec<Buffer>,
        /// From which byte on.
        offset: u64,
    },
    /// `pwritev`—see [`write_vectored`](Operation::write_vectored).
    WriteVectored {
        /// To which file.
        file: Arc<File>,
        /// From where, one after another.
        buffers: Vec<Buffer>,
        /// From which byte on.
        offset: u64,
    },
    /// `fsync` or `fdatasync`—see [`sync_all`](Operation::sync_all).
    Sync {
        /// Of which file.
        file: Arc<File>,
        /// Only what is needed to read its content again.
        data_only: bool,
    },
    /// `open`—see [`open`](Operation::open).
    Open {
        /// Which file.
        path: CString,
        /// How.
        options: OpenOptions,
    },
    /// `close`—see [`close`](Operation::close).
    Close {
        /// Which file; `None` once it is closed.
        file: Option<File>,
    },
    /// `stat` or `lstat`—see [`metadata`](Operation::metadata).
    Metadata {
        /// Of which file.
        path: CString,
        /// Whether a symbolic link stands for what it leads to.
        follow: bool,
    },
    /// `fstat`—see [`metadata_of`](Operation::metadata_of).
    MetadataOf {
        /// Of which file.
        file: Arc<File>,
    },
    /// `fallocate`—see [`allocate`](Operation::allocate).
    Allocate {
        /// Of which file.
        file: Arc<File>,
        /// From which byte on.
        offset: u64,
        /// How many bytes.
        length: u64,
        /// To what end.
        how: Allocation,
    },
    /// `rename`—see [`rename`](Operation::rename).
    Rename {
        /// What.
        from: CString,
        /// What it is called then.
        to: CString,
    },
    /// `unlink`—see [`remove_file`](Operation::remove_file).
    RemoveFile {
        /// What.
        path: CString,
    },
    /// `rmdir`—see [`remove_dir`](Operation::remove_dir).
    RemoveDir {
        /// What.
        path: CString,
    },
    /// `mkdir`—see [`create_dir`](Operation::create_dir).
    CreateDir {
        /// What.
        path: CString,
        /// Its permissions, less the process's umask.
        mode: u32,
    },
}

/// What `fallocate` does to a range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Allocation {
    /// Gets it room on the disk, and makes the file longer if it ends before. On every system but macOS, NetBSD and OpenBSD.
    Extend,
    /// Gets it room on the disk, and leaves the file as long as it is. Linux.
    KeepSize,
    /// Gives its room back; it reads as zeros. Linux.
    PunchHole,
    /// Makes it zeros. Linux.
    ZeroRange,
}

/// What comes of an operation.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// So many bytes were read or written: fewer than there was room for at the end of the file, and none beyond it.
    Count(usize),
    /// It is done.
    Done,
    /// A file that was opened.
    File(File),
    /// What is known of a file.
    Metadata(Box<Metadata>),
}

impl Operation {
    /// `pread(file, buffer, size, offset)`—Reads as many bytes as the buffer has, or as the file has from there on.
    pub fn read(file: impl Into<Arc<File>>, buffer: impl Into<Buffer>, offset: u64) -> Operation {
        Operation::Read { file: file.into(), buffer: buffer.into(), offset }
    }

    /// `pwrite(file, buffer, size, offset)`—Writes the buffer, or as much of it as fits.
    pub fn write(file: impl Into<Arc<File>>, buffer: impl Into<Buffer>, offset: u64) -> Operation {
        Operation::Write { file: file.into(), buffer: buffer.into(), offset }
    }

    /// `preadv(file, buffers, count, offset)`—Fills several buffers, one after another: 1024 at most.
    pub fn read_vectored(
        file: impl Into<Arc<File>>,
        buffers: Vec<Buffer>,
        offset: u64,
    ) -> Operation {
        Operation::ReadVectored { file: file.into(), buffers, offset }
    }

    /// `pwritev(file, buffers, count, offset)`—Writes several buffers, one after another: 1024 at most.
    pub fn write_vectored(
        file: impl Into<Arc<File>>,
        buffers: Vec<Buffer>,
        offset: u64,
    ) -> Operation {
        Operation::WriteVectored { file: file.into(), buffers, offset }
    }

    /// `fsync(file)`—Makes durable all of the file that was written before this began: content, length, times.
    pub fn sync_all(file: impl Into<Arc<File>>) -> Operation {
        Operation::Sync { file: file.into(), data_only: false }
    }

    /// `fdatasync(file)`—Makes durable the content, and of the rest what is needed to read it again.
    pub fn sync_data(file: impl Into<Arc<File>>) -> Operation {
        Operation::Sync { file: file.into(), data_only: true }
    }

    /// `open(path, flags, mode)`—Opens or creates a file; its output is [`Output::File`].
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): there is a zero byte in the path, or the options contradict one
    /// another.
    pub fn open(path: impl AsRef<Path>, options: OpenOptions) -> io::Result<Operation> {
        if options.are_contradictory() {
            let message =
                "open it for reading, writing or appending; what creates or truncates must write";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Operation::Open { path: c_path(path.as_ref())?, options })
    }

    /// `close(file)`—Closes a file where that does not hold anybody up. An error tells of something that was written and
    /// is lost; the file is closed all the same, unless the operation was cancelled.
    pub fn close(file: File) -> Operation {
        Operation::Close { file: Some(file) }
    }

    /// `stat(path, &stat)`—What is known of a file; its output is [`Output::Metadata`].
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): there is a zero byte in the path.
    pub fn metadata(path: impl AsRef<Path>) -> io::Result<Operation> {
        Ok(Operation::Metadata { path: c_path(path.as_ref())?, follow: true })
    }

    /// `lstat(path, &stat)`—What is known of a file, or of a symbolic link itself.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): there is a zero byte in the path.
    pub fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Operation> {
        Ok(Operation::Metadata { path: c_path(path.as_ref())?, follow: false })
    }

    /// `fstat(file, &stat)`—What is known of an open file.
    pub fn metadata_of(file: impl Into<Arc<File>>) -> Operation {
        Operation::MetadataOf { file: file.into() }
    }

    /// `fallocate(file, mode, offset, length)`—Sees to the disk space of a range.
    pub fn allocate(
        file: impl Into<Arc<File>>,
        offset: u64,
        length: u64,
        how: Allocation,
    ) -> Operation {
        Operation::Allocate { file: file.into(), offset, length, how }
    }

    /// `rename(from, to)`—Gives a file another name, in place of whatever had that.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): there is a zero byte in the path.
    pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<Operation> {
        Ok(Operation::Rename { from: c_path(from.as_ref())?, to: c_path(to.as_ref())? })
    }

    /// `unlink(path)`—Takes a name away, and the file with its last one.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): there is a zero byte in the path.
    pub fn remove_file(path: impl AsRef<Path>) -> io::Result<Operation> {
        Ok(Operation::RemoveFile { path: c_path(path.as_ref())? })
    }

    /// `rmdir(path)`—Removes an empty directory.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): there is a zero byte in the path.
    pub fn remove_dir(path: impl AsRef<Path>) -> io::Result<Operation> {
        Ok(Operation::RemoveDir { path: c_path(path.as_ref())? })
    }

    /// `mkdir(path, mode)`—Creates a directory, with the permissions `mode` less the process's umask.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): there is a zero byte in the path.
    pub fn create_dir(path: impl AsRef<Path>, mode: u32) -> io::Result<Operation> {
        Ok(Operation::CreateDir { path: c_path(path.as_ref())?, mode })
    }

    /// Its buffer, if it reads or writes one.
    pub fn into_buffer(self) -> Option<Buffer> {
        match self {
            Operation::Read { buffer, .. } | Operation::Write { buffer, .. } => Some(buffer),
            _ => None,
        }
    }

    /// Its buffers, if it reads or writes several; or its one.
    pub fn into_buffers(self) -> Vec<Buffer> {
        match self {
            Operation::ReadVectored { buffers, .. } | Operation::WriteVectored { buffers, .. } => {
                buffers
            }
            other => other.into_buffer().into_iter().collect(),
        }
    }

    /// The file that it is about, if that is shared.
    pub fn file(&self) -> Option<&Arc<File>> {
        match self {
            Operation::Read { file, .. }
            | Operation::Write { file, .. }
            | Operation::ReadVectored { file, .. }
            | Operation::WriteVectored { file, .. }
            | Operation::Sync { file, .. }
            | Operation::MetadataOf { file }
            | Operation::Allocate { file, .. } => Some(file),
            _ => None,
        }
    }

    /// How many bytes it is to read or write, if that is what it does. As part of a chain, one that moves fewer has failed.
    pub fn transfer_length(&self) -> Option<usize> {
        match self {
            Operation::Read { buffer, .. } | Operation::Write { buffer, .. } => Some(buffer.len()),
            Operation::ReadVectored { buffers, .. } | Operation::WriteVectored { buffers, .. } => {
                Some(buffers.iter().map(|buffer| buffer.len()).fold(0, usize::saturating_add))
            }
            _ => None,
        }
    }
}

impl Operation {
    /// Returns what can be known of the operation while another thread [performs](super::perform)
    /// it: the same with empty buffers, and, if it is to close a file, without that.
    #[must_use]
    pub fn placeholder(&self) -> Operation {
        let buffer = || Buffer::from(Vec::new());
        match self {
            Operation::Read { file, offset, .. } => {
                Operation::Read { file: Arc::clone(file), buffer: buffer(), offset: *offset }
            }
            Operation::Write { file, offset, .. } => {
                Operation::Write { file: Arc::clone(file), buffer: buffer(), offset: *offset }
            }
            Operation::ReadVectored { file, offset, .. } => {
                let (file, buffers) = (Arc::clone(file), Vec::new());
                Operation::ReadVectored { file, buffers, offset: *offset }
            }
            Operation::WriteVectored { file, offset, .. } => {
                let (file, buffers) = (Arc::clone(file), Vec::new());
                Operation::WriteVectored { file, buffers, offset: *offset }
            }
            Operation::Sync { file, data_only } => {
                Operation::Sync { file: Arc::clone(file), data_only: *data_only }
            }
            Operation::Open { path, options } => {
                Operation::Open { path: path.clone(), options: *options }
            }
            Operation::Close { .. } => Operation::Close { file: None },
            Operation::Metadata { path, follow } => {
                Operation::Metadata { path: path.clone(), follow: *follow }
            }
            Operation::MetadataOf { file } => Operation::MetadataOf { file: Arc::clone(file) },
            Operation::Allocate { file, offset, length, how } => {
                let (offset, length, how) = (*offset, *length, *how);
                Operation::Allocate { file: Arc::clone(file), offset, length, how }
            }
            Operation::Rename { from, to } => {
                Operation::Rename { from: from.clone(), to: to.clone() }
            }
            Operation::RemoveFile { path } => Operation::RemoveFile { path: path.clone() },
            Operation::RemoveDir { path } => Operation::RemoveDir { path: path.clone() },
            Operation::CreateDir { path, mode } => {
                Operation::CreateDir { path: path.clone(), mode: *mode }
            }
        }
    }
}

impl Output {
    /// How many bytes were read or written; none for other operations.
    pub fn count(&self) -> usize {
        match self {
            Output::Count(count) => *count,
            _ => 0,
        }
    }

    /// The file that was opened.
    pub fn into_file(self) -> Option<File> {
        match self {
            Output::File(file) => Some(file),
            _ => None,
        }
    }

    /// What was found out about a file.
    pub fn metadata(&self) -> Option<&Metadata> {
        match self {
            Output::Metadata(metadata) => Some(metadata),
            _ => None,
        }
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        let message = format!("there is a zero byte in {path:?}: no file has such a name");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}
