//! statx(2), as the kernel writes it.

use crate::file::{Metadata, Time, kind};

/// `struct statx`, which not every C library declares.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Status {
    mask: u32,
    block_size: u32,
    attributes: u64,
    links: u32,
    user: u32,
    group: u32,
    mode: u16,
    _spare: u16,
    inode: u64,
    len: u64,
    blocks: u64,
    attributes_mask: u64,
    accessed: Timestamp,
    created: Timestamp,
    changed: Timestamp,
    modified: Timestamp,
    special_major: u32,
    special_minor: u32,
    device_major: u32,
    device_minor: u32,
    _rest: [u64; 14],
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
    _spare: i32,
}

const _: () = assert!(size_of::<Status>() == 256);

impl Status {
    const BASIC: u32 = 0x7ff;
    const CREATED: u32 = 0x800;
    /// What stat(2) tells, and the time of creation.
    pub(super) const ALL: u32 = Status::BASIC | Status::CREATED;
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Time {
        Time { seconds: time.seconds, nanoseconds: time.nanoseconds }
    }
}

impl From<Status> for Metadata {
    // `dev_t` and its parts are not of one type on every C library.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
    fn from(from: Status) -> Metadata {
        let mode = u32::from(from.mode);
        Metadata {
            kind: kind(mode),
            permissions: mode & 0o7777,
            len: from.len,
            blocks: from.blocks,
            block_size: from.block_size.into(),
            links: from.links.into(),
            user: from.user,
            group: from.group,
            inode: from.inode,
            device: libc::makedev(from.device_major, from.device_minor) as u64,
            accessed: from.accessed.into(),
            modified: from.modified.into(),
            changed: from.changed.into(),
            created: (from.mask & Status::CREATED != 0).then(|| from.created.into()),
        }
    }
}
