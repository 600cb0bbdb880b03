//! Directories by their descriptors, wherever they are by now.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use wakeful_kernel::descriptor::into_high_number;

use crate::platform::teller::OPEN_TO_WATCH;

/// Which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) identity: Identity,
    pub(super) kind: FileType,
    /// When it was changed last.
    changed: (i64, i64),
}

impl Entry {
    #[allow(clippy::unnecessary_cast)]
    fn of(stat: &Stat) -> Entry {
        let identity = Identity { device: stat.st_dev as u64, inode: stat.st_ino as u64 };
        let changed = (stat.st_ctime as i64, stat.st_ctime_nsec as i64);
        Entry { identity, kind: FileType::from_raw_mode(stat.st_mode as _), changed }
    }

    /// Whether it is the one that it was. Numbers of files are used again, at once, unless somebody holds them
    /// open; of links and devices, which nobody does, one that has changed is taken for another.
    pub(super) fn is(&self, earlier: &Entry, is_held: bool) -> bool {
        let is_file = matches!(self.kind, FileType::RegularFile | FileType::Directory);
        (self.identity, self.kind) == (earlier.identity, earlier.kind)
            && (is_held || is_file || self.changed == earlier.changed)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == FileType::Directory
    }
}

/// How often a call is made that fails for a reason that passes.
const ATTEMPTS: usize = 4;

/// Makes a call again that failed for a reason that passes: what is different afterwards may be told of once only.
fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..ATTEMPTS {
        match call() {
            Err(error) if is_passing(&error) => {}
            result => return result,
        }
    }
    call()
}

fn is_passing(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    matches!(
        errno,
        Some(libc::ENOMEM | libc::EINTR | libc::EAGAIN | libc::EIO | libc::EMFILE | libc::ENFILE)
    )
}

/// What is open.
pub(super) fn look(fd: impl AsFd) -> io::Result<Entry> {
    again(|| Ok(Entry::of(&rustix::fs::fstat(fd.as_fd())?)))
}

/// Whether what is open has a name.
pub(super) fn has_name(fd: impl AsFd) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| stat.st_nlink > 0)
}

/// What a name in a directory leads to, through links or not.
pub(super) fn look_at(directory: impl AsFd, name: &OsStr, follow: bool) -> io::Result<Entry> {
    let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    Ok(Entry::of(&rustix::fs::statat(directory, name, flags)?))
}

/// What is in a directory. Entries that vanish meanwhile are left out.
pub(super) fn list(directory: impl AsFd) -> io::Result<BTreeMap<OsString, Entry>> {
    again(|| list_once(directory.as_fd()))
}

fn list_once(directory: BorrowedFd<'_>) -> io::Result<BTreeMap<OsString, Entry>> {
    let mut entries = BTreeMap::new();
    for entry in Dir::read_from(directory.as_fd())? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        match look_at(directory.as_fd(), name, false) {
            Ok(entry) => {
                entries.insert(name.to_owned(), entry);
            }
            Err(error) if is_passing(&error) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(entries)
}

/// Opens a file only to watch it, without waiting for anybody.
pub(super) fn open(directory: impl AsFd, name: &OsStr, follow: bool) -> io::Result<OwnedFd> {
    let follow = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let to_watch = OFlags::from_bits_retain(OPEN_TO_WATCH as _);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | follow | to_watch;
    let open = || Ok(rustix::fs::openat(directory.as_fd(), name, flags, Mode::empty())?);
    Ok(into_high_number(again(open)?))
}

/// As [`open`], by a path, and following links.
pub(super) fn open_path(path: &Path) -> io::Result<OwnedFd> {
    open(CWD, path.as_os_str(), true)
}
