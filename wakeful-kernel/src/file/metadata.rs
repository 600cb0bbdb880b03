use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// What is known of a file: stat(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// What kind of file.
    pub kind: Kind,
    /// The permissions, set-user-ID and the like: the lower twelve bits of `st_mode`.
    pub permissions: u32,
    /// Bytes.
    pub len: u64,
    /// What it takes of the disk, in units of 512 bytes.
    pub blocks: u64,
    /// What is best read and written at once.
    pub block_size: u64,
    /// How many names it has.
    pub links: u64,
    /// Whose it is.
    pub user: u32,
    /// Whose group's it is.
    pub group: u32,
    /// Its number in its file system.
    pub inode: u64,
    /// The number of its file system.
    pub device: u64,
    /// When it was last read, as far as that is kept.
    pub accessed: Time,
    /// When its content last changed.
    pub modified: Time,
    /// When anything of it last changed.
    pub changed: Time,
    /// When it came into being, where that is kept.
    pub created: Option<Time>,
}

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, not followed.
    Symlink,
    /// Another, by the file type bits of `st_mode`.
    Other(u32),
}

/// A time of a file: seconds since 1970, and nanoseconds on top of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Seconds, negative before 1970.
    pub seconds: i64,
    /// Nanoseconds, less than a second.
    pub nanoseconds: u32,
}

impl From<Time> for SystemTime {
    fn from(time: Time) -> SystemTime {
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        let whole = match time.seconds {
            0.. => SystemTime::UNIX_EPOCH.checked_add(seconds),
            _ => SystemTime::UNIX_EPOCH.checked_sub(seconds),
        };
        let time = whole
            .and_then(|whole| whole.checked_add(Duration::from_nanos(time.nanoseconds.into())));
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl Metadata {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.kind == Kind::Symlink
    }
}

// The widths of mode_t and its constants differ from system to system.
#[allow(clippy::unnecessary_cast)]
pub(crate) fn kind(mode: u32) -> Kind {
    const TYPE: u32 = libc::S_IFMT as u32;
    const FILE: u32 = libc::S_IFREG as u32;
    const DIRECTORY: u32 = libc::S_IFDIR as u32;
    const SYMLINK: u32 = libc::S_IFLNK as u32;
    match mode & TYPE {
        FILE => Kind::File,
        DIRECTORY => Kind::Directory,
        SYMLINK => Kind::Symlink,
        other => Kind::Other(other),
    }
}

/// Nanoseconds count upwards, from a second before.
fn before_1970(by: Duration) -> Time {
    let (seconds, nanoseconds) = (-(by.as_secs() as i64), by.subsec_nanos());
    match nanoseconds {
        0 => Time { seconds, nanoseconds },
        _ => Time { seconds: seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    }
}

impl From<fs::Metadata> for Metadata {
    fn from(from: fs::Metadata) -> Metadata {
        let time = |seconds, nanoseconds: i64| Time { seconds, nanoseconds: nanoseconds as u32 };
        let created =
            from.created().ok().map(|time| match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(since) => {
                    Time { seconds: since.as_secs() as i64, nanoseconds: since.subsec_nanos() }
                }
                Err(error) => before_1970(error.duration()),
            });
        Metadata {
            kind: kind(from.mode()),
            permissions: from.mode() & 0o7777,
            len: from.size(),
            blocks: from.blocks(),
            block_size: from.blksize(),
            links: from.nlink(),
            user: from.uid(),
            group: from.gid(),
            inode: from.ino(),
            device: from.dev(),
            accessed: time(from.atime(), from.atime_nsec()),
            modified: time(from.mtime(), from.mtime_nsec()),
            changed: time(from.ctime(), from.ctime_nsec()),
            created,
        }
    }
}
