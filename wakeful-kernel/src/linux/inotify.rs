use std::ffi::{CString, OsStr};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libc::c_int;

use crate::descriptor::{self, descriptor_owner};
use crate::error::check;
use crate::sys;

operation_error! {
    /// An inotify instance could not be created.
    InotifyError: "inotify_init1", advice: |_, errno| match errno {
        libc::EMFILE => "the user's limit in /proc/sys/fs/inotify/max_user_instances, or this \
            process's limit of open files, is reached",
        libc::EPERM => "a sandbox refuses inotify",
        _ => "",
    }
}

operation_error! {
    /// A path could not be watched.
    AddWatchError: "inotify_add_watch" {
        /// The path.
        path: PathBuf,
    },
    advice: |_, errno| match errno {
        libc::ENOSPC => "the user's limit in /proc/sys/fs/inotify/max_user_watches is reached",
        libc::EEXIST => "the inode is watched already, and MASK_CREATE forbids replacing that",
        libc::EINVAL => "the flags name nothing to report, the path contains a NUL byte, or MASK_ADD \
            and MASK_CREATE are both there",
        _ => "",
    }
}

operation_error! {
    /// A watch could not be removed.
    RemoveWatchError: "inotify_rm_watch" {
        /// The watch.
        watch: WatchDescriptor,
    },
    advice: |_, errno| match errno {
        libc::EINVAL => "there is no such watch: it went with its file, or was removed before",
        _ => "",
    }
}

operation_error! {
    /// No changes could be read.
    InotifyReadError: "read(inotify)" {
        /// The descriptor.
        fd: RawFd,
        /// The size of the buffer.
        size: usize,
    },
    advice: |_, errno| match errno {
        libc::EINVAL => "the buffer is too small for the next record: 4096 bytes suffice for any",
        _ => "",
    }
}

bitflags::bitflags! {
    /// `IN_*`—What to report of a file, and what was reported. Unknown bits are kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct WatchFlags: u32 {
        /// It was read or executed (not: mapped).
        const ACCESS = 0x001;
        /// It was written or truncated.
        const MODIFY = 0x002;
        /// Its mode, owner, times, links or extended attributes changed; the last name may be gone.
        const ATTRIB = 0x004;
        /// It was closed after having been open for writing.
        const CLOSE_WRITE = 0x008;
        /// It was closed after having been open for reading only.
        const CLOSE_NOWRITE = 0x010;
        /// It was opened.
        const OPEN = 0x020;
        /// An entry was moved out of the watched directory.
        const MOVED_FROM = 0x040;
        /// An entry was moved into the watched directory.
        const MOVED_TO = 0x080;
        /// An entry was created in the watched directory.
        const CREATE = 0x100;
        /// An entry was deleted from the watched directory.
        const DELETE = 0x200;
        /// The watched file itself is gone, after its last link and its last open descriptor.
        const DELETE_SELF = 0x400;
        /// The watched file itself was renamed.
        const MOVE_SELF = 0x800;
        /// Reported only: its file system was unmounted.
        const UNMOUNT = 0x2000;
        /// Reported only: the queue was full and changes were lost. It belongs to no watch.
        const Q_OVERFLOW = 0x4000;
        /// Reported only: the watch is gone, removed or with its file.
        const IGNORED = 0x8000;
        /// Watch only a directory.
        const ONLYDIR = 0x0100_0000;
        /// Watch a symbolic link, not what it points to.
        const DONT_FOLLOW = 0x0200_0000;
        /// Report no entries that are no longer in the directory.
        const EXCL_UNLINK = 0x0400_0000;
        /// Fail if the inode is watched already (Linux 4.18).
        const MASK_CREATE = 0x1000_0000;
        /// Add to the flags of an existing watch, instead of replacing them.
        const MASK_ADD = 0x2000_0000;
        /// Reported only: the entry is a directory.
        const ISDIR = 0x4000_0000;
        /// Report once, then drop the watch.
        const ONESHOT = 0x8000_0000;
        /// `MOVED_FROM` or `MOVED_TO`.
        const MOVE = 0x040 | 0x080;
        /// `CLOSE_WRITE` or `CLOSE_NOWRITE`.
        const CLOSE = 0x008 | 0x010;
        /// Everything that can happen to a file.
        const ALL_EVENTS = 0xfff;
        const _ = !0;
    }
}

/// The number by which the kernel names a watch. Two paths to one inode have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchDescriptor(pub c_int);

/// `inotify_init1(IN_CLOEXEC | IN_NONBLOCK)`—File changes as records that can be waited for.
///
/// # References
/// - [inotify(7)](https://man7.org/linux/man-pages/man7/inotify.7.html)
///
/// # Examples
///
/// ```
/// use wakeful_kernel::linux::{Inotify, WatchFlags};
///
/// let folder = tempfile::tempdir()?;
/// let inotify = Inotify::new()?;
/// let watch = inotify.add_watch(folder.path(), WatchFlags::CREATE)?;
/// std::fs::write(folder.path().join("new"), "")?;
///
/// let mut buffer = [0; 4096];
/// let changes: Vec<_> = inotify.read(&mut buffer)?.collect();
/// assert_eq!(changes.len(), 1);
/// assert_eq!(changes[0].watch(), watch);
/// assert_eq!(changes[0].name(), Some("new".as_ref()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "inotify")]
#[derive(Debug)]
pub struct Inotify {
    fd: OwnedFd,
}

descriptor_owner!(Inotify);

impl Inotify {
    /// `inotify_init1(IN_CLOEXEC | IN_NONBLOCK)`—Creates an instance that watches nothing.
    ///
    /// # Errors
    ///
    /// `EMFILE`: max_user_instances or the limit of open files. `ENFILE`, `ENOMEM`.
    #[doc(alias = "inotify_init1")]
    pub fn new() -> Result<Inotify, InotifyError> {
        // SAFETY: the call takes an integer.
        let fd = check(unsafe { sys::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })
            .map_err(|source| InotifyError { source })?;
        // SAFETY: the call succeeded, so `fd` is an open descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Inotify { fd })
    }

    /// `inotify_add_watch(self, path, flags)`—Watches the inode that `path` leads to.
    ///
    /// If that inode is watched already, by whatever path, its flags are replaced and its watch
    /// descriptor is returned; see [`WatchFlags::MASK_ADD`] and [`WatchFlags::MASK_CREATE`].
    ///
    /// # Errors
    ///
    /// `ENOENT`, `EACCES`, `ENOTDIR` with `ONLYDIR`, `EEXIST` with `MASK_CREATE`, `ENOSPC` at
    /// max_user_watches, `EINVAL` for a path with a NUL byte or flags that report nothing.
    #[doc(alias = "inotify_add_watch")]
    pub fn add_watch(
        &self,
        path: impl AsRef<Path>,
        flags: WatchFlags,
    ) -> Result<WatchDescriptor, AddWatchError> {
        let path = path.as_ref();
        let error = |source| AddWatchError { path: path.to_owned(), source };
        let c_path = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| error(io::Error::from_raw_os_error(libc::EINVAL)))?;
        // SAFETY: the string is NUL-terminated and lives until the call returns.
        check(unsafe { sys::inotify_add_watch(self.fd.as_raw_fd(), c_path.as_ptr(), flags.bits()) })
            .map(WatchDescriptor)
            .map_err(error)
    }

    /// `inotify_rm_watch(self, watch)`—Stops watching. A last record, `IGNORED`, follows.
    ///
    /// # Errors
    ///
    /// `EINVAL`: no such watch.
    #[doc(alias = "inotify_rm_watch")]
    pub fn remove_watch(&self, watch: WatchDescriptor) -> Result<(), RemoveWatchError> {
        // SAFETY: the call takes integers.
        check(unsafe { sys::inotify_rm_watch(self.fd.as_raw_fd(), watch.0) })
            .map(drop)
            .map_err(|source| RemoveWatchError { watch, source })
    }

    /// `read(self, buffer, size)`—Takes as many records as fit into the buffer.
    ///
    /// A buffer of 4096 bytes holds at least one record of any length, usually 50 and more.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when there is none, `EINVAL` when the next does not fit.
    pub fn read<'buffer>(
        &self,
        buffer: &'buffer mut [u8],
    ) -> Result<Changes<'buffer>, InotifyReadError> {
        let fd = self.fd.as_raw_fd();
        let size = buffer.len();
        let filled = descriptor::read(&self.fd, buffer).map_err(|source| InotifyReadError {
            fd,
            size,
            source,
        })?;
        Ok(Changes { rest: buffer.get(..filled).unwrap_or_default() })
    }
}

/// The records of one read, in the kernel's order.
///
/// The one place where inotify's buffer is parsed. It parses bytes, not structs, so neither
/// alignment nor a truncated buffer can lead it astray: what is not a whole record ends it.
#[derive(Clone)]
pub struct Changes<'buffer> {
    rest: &'buffer [u8],
}

/// `struct inotify_event` without its name: four integers of 32 bits.
const HEADER: usize = size_of::<sys::inotify_event>();

impl<'buffer> Iterator for Changes<'buffer> {
    type Item = Change<'buffer>;

    fn next(&mut self) -> Option<Change<'buffer>> {
        let (header, rest) = self.rest.split_at_checked(HEADER)?;
        let mut fields =
            header.chunks_exact(4).map(|field| field.try_into().map_or(0, u32::from_ne_bytes));
        let (watch, flags, cookie, length) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (name, rest) = rest.split_at_checked(length as usize)?;
        self.rest = rest;
        // The name is padded with NUL bytes; without a name there are none.
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        Some(Change {
            watch: WatchDescriptor(watch as c_int),
            flags: WatchFlags::from_bits_retain(flags),
            cookie,
            name: OsStr::from_bytes(name),
        })
    }
}

impl fmt::Debug for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// `struct inotify_event`—One change.
#[doc(alias = "inotify_event")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'buffer> {
    watch: WatchDescriptor,
    flags: WatchFlags,
    cookie: u32,
    name: &'buffer OsStr,
}

impl<'buffer> Change<'buffer> {
    /// The watch it belongs to; -1 with [`WatchFlags::Q_OVERFLOW`].
    pub fn watch(&self) -> WatchDescriptor {
        self.watch
    }

    /// What happened.
    pub fn flags(&self) -> WatchFlags {
        self.flags
    }

    /// The same nonzero number in the `MOVED_FROM` and the `MOVED_TO` of one rename.
    pub fn cookie(&self) -> u32 {
        self.cookie
    }

    /// The entry of the watched directory, or `None` if it happened to the watched file itself.
    pub fn name(&self) -> Option<&'buffer OsStr> {
        (!self.name.is_empty()).then_some(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(watch: i32, flags: u32, cookie: u32, name: &[u8]) -> Vec<u8> {
        let mut bytes = watch.to_ne_bytes().to_vec();
        for field in [flags, cookie, name.len() as u32] {
            bytes.extend(field.to_ne_bytes());
        }
        bytes.extend(name);
        bytes
    }

    #[test]
    fn a_buffer_cut_off_anywhere_yields_the_whole_records_before_the_cut() {
        let whole =
            [record(1, 0x100, 0, b"a\0\0\0"), record(2, 0x40, 7, b""), record(3, 1, 0, b"long\0")];
        let ends: Vec<usize> = whole
            .iter()
            .scan(0, |end, record| {
                *end += record.len();
                Some(*end)
            })
            .collect();
        let bytes = whole.concat();
        for cut in 0..=bytes.len() {
            let found = Changes { rest: &bytes[..cut] }.count();
            assert_eq!(found, ends.iter().filter(|&&end| end <= cut).count(), "cut at {cut}");
        }
        let last = Changes { rest: &bytes }.last().unwrap();
        assert_eq!((last.watch().0, last.name()), (3, Some(OsStr::new("long"))));
    }

    #[test]
    fn a_length_beyond_the_buffer_ends_the_iteration() {
        let mut bytes = record(1, 1, 0, b"");
        bytes[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(Changes { rest: &bytes }.count(), 0);
    }
}
