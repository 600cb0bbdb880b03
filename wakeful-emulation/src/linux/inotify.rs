//! inotify(7): what happens to files.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use super::{Errno, Result, again_if_interrupted, check, hidden, ioctl_int};

#[derive(Debug)]
pub(crate) struct Inotify(OwnedFd);

/// What the kernel says in one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) watch: i32,
    pub(crate) mask: u32,
    /// The same for both ends of a rename, and 0 for what is none.
    pub(crate) cookie: u32,
    /// The entry that it is about, if it is said by a directory, of something in it.
    pub(crate) name: Vec<u8>,
}

impl Inotify {
    /// `inotify_init1(IN_CLOEXEC | IN_NONBLOCK)`
    pub(crate) fn new() -> Result<Inotify> {
        // SAFETY: the call takes an integer.
        hidden(|| unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) }).map(Inotify)
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// `inotify_add_watch(fd, path, mask | IN_MASK_ADD)`—A file that is watched already is watched for
    /// the more.
    pub(crate) fn watch(&self, path: &CStr, mask: u32) -> Result<i32> {
        let mask = mask | libc::IN_MASK_ADD;
        // SAFETY: the string is NUL-terminated and lives until the call returns.
        check(unsafe { libc::inotify_add_watch(self.0.as_raw_fd(), path.as_ptr(), mask) })
    }

    /// `inotify_rm_watch(fd, watch)`
    pub(crate) fn unwatch(&self, watch: i32) {
        // SAFETY: the call takes integers. A watch that is gone already is an error that changes nothing.
        unsafe { libc::inotify_rm_watch(self.0.as_raw_fd(), watch as _) };
    }

    /// `read(fd)`—Some of the records that there are. It is asked first whether there are any: the program may have
    /// changed the flags of a number that is not its own, so that a read would wait.
    ///
    /// # Errors
    ///
    /// Those of ioctl(2) and read(2); the records are there still.
    pub(crate) fn read(&self) -> Result<Vec<Record>> {
        if ioctl_int(self.0.as_raw_fd(), libc::FIONREAD)? == 0 {
            return Ok(Vec::new());
        }
        let mut buffer = [0_u8; 16 * 1024];
        let (at, length) = (buffer.as_mut_ptr().cast(), buffer.len());
        let read = again_if_interrupted(|| {
            // SAFETY: the buffer is valid for writes of its length.
            check(unsafe { libc::read(self.0.as_raw_fd(), at, length) } as i32)
        });
        let read = match read {
            Err(Errno(libc::EAGAIN)) => 0,
            read => read?,
        };
        let mut rest = buffer.get(..usize::try_from(read).unwrap_or(0)).unwrap_or_default();
        let mut records = Vec::new();
        while let Some((record, length)) = Record::parse(rest) {
            records.push(record);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(records)
    }
}

impl Record {
    const SIZE: usize = size_of::<libc::inotify_event>();

    /// The first record, and its length in bytes.
    fn parse(bytes: &[u8]) -> Option<(Record, usize)> {
        let field = |at: usize| {
            let bytes = bytes.get(at..at + 4)?;
            bytes.try_into().ok().map(u32::from_ne_bytes)
        };
        let length = Record::SIZE + field(12)? as usize;
        // Filled up with zeros.
        let name = bytes.get(Record::SIZE..length)?.split(|&byte| byte == 0).next()?.to_vec();
        let (watch, mask, cookie) = (field(0)? as i32, field(4)?, field(8)?);
        Some((Record { watch, mask, cookie, name }, length))
    }
}
