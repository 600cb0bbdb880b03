//! What can be asked of any descriptor.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::error::{check, check_size};

/// Lets a type with the field `fd: OwnedFd` lend its descriptor, and give it away.
// Not every system has such a type yet.
#[allow(unused_macros)]
macro_rules! descriptor_owner {
    ($name:ident) => {
        impl std::os::fd::AsFd for $name {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.fd.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $name {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.fd.as_raw_fd()
            }
        }

        impl From<$name> for std::os::fd::OwnedFd {
            fn from(owner: $name) -> std::os::fd::OwnedFd {
                owner.fd
            }
        }
    };
}

#[allow(unused_imports)]
pub(crate) use descriptor_owner;

operation_error! {
    /// A descriptor's blocking mode could not be read or changed.
    BlockingModeError: "fcntl(F_SETFL)" {
        /// The descriptor.
        fd: RawFd,
    }
}

operation_error! {
    /// A descriptor could not be identified.
    IdentifyError: "fstat" {
        /// The descriptor.
        fd: RawFd,
    }
}

/// `fcntl(fd, F_SETFL, flags)`—Switches between blocking and non-blocking calls.
///
/// The mode belongs to the open file, not to the descriptor: every duplicate and every process that
/// shares it is switched as well. Makes no second call when the mode is already as wanted.
///
/// # Errors
///
/// Those of fcntl(2).
#[doc(alias = "O_NONBLOCK")]
pub fn set_nonblocking(fd: impl AsFd, nonblocking: bool) -> Result<(), BlockingModeError> {
    let fd = fd.as_fd().as_raw_fd();
    let error = |source| BlockingModeError { fd, source };
    // SAFETY: F_GETFL takes no argument and touches no memory; `fd` is borrowed, hence open.
    let before = check(unsafe { libc::fcntl(fd, libc::F_GETFL) }).map_err(error)?;
    let after = if nonblocking { before | libc::O_NONBLOCK } else { before & !libc::O_NONBLOCK };
    if after != before {
        // SAFETY: F_SETFL takes an integer and touches no memory; `fd` is borrowed, hence open.
        check(unsafe { libc::fcntl(fd, libc::F_SETFL, after) }).map_err(error)?;
    }
    Ok(())
}

/// `fcntl(fd, F_GETFL)`—Whether calls on the open file return `EAGAIN` instead of blocking.
///
/// # Errors
///
/// Those of fcntl(2).
pub fn is_nonblocking(fd: impl AsFd) -> Result<bool, BlockingModeError> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: F_GETFL takes no argument and touches no memory; `fd` is borrowed, hence open.
    check(unsafe { libc::fcntl(fd, libc::F_GETFL) })
        .map(|flags| flags & libc::O_NONBLOCK != 0)
        .map_err(|source| BlockingModeError { fd, source })
}

operation_error! {
    /// A descriptor that was inherited could not be duplicated.
    InheritError: "fcntl(F_DUPFD_CLOEXEC)" {
        /// The number.
        fd: RawFd,
    },
    advice: |_, errno| match errno {
        libc::EBADF => "no such descriptor is open: open it when starting the program, as with `3<file` in \
            a shell",
        _ => "",
    }
}

/// `fcntl(fd, F_DUPFD_CLOEXEC, 3)`—A duplicate of a descriptor that this program was started with.
///
/// It takes a number, because that is all that a program is told of such a descriptor. Call it before the
/// program opens anything itself, or the number may mean something that belongs to someone.
///
/// # Errors
///
/// `EBADF`: no such descriptor. `EMFILE`.
#[doc(alias = "dup")]
pub fn inherit(fd: RawFd) -> Result<OwnedFd, InheritError> {
    // SAFETY: the call takes integers and touches no memory.
    let new = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })
        .map_err(|source| InheritError { fd, source })?;
    // SAFETY: the call succeeded, so `new` is an open descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

operation_error! {
    /// How a descriptor was opened could not be found out.
    AccessModeError: "fcntl(F_GETFL)" {
        /// The descriptor.
        fd: RawFd,
    }
}

/// What a descriptor was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessMode {
    /// `O_RDONLY`—Reading: the reading end of a pipe, for example.
    ReadOnly,
    /// `O_WRONLY`—Writing: the writing end of a pipe, for example.
    WriteOnly,
    /// `O_RDWR`—Both: every socket, and on FreeBSD both ends of a pipe.
    ReadWrite,
}

impl AccessMode {
    /// `fcntl(fd, F_GETFL)`—Returns what a descriptor was opened for.
    ///
    /// It takes a number rather than a borrowed descriptor, as [`Identity::of`] does: a closed one
    /// is an error (`EBADF`).
    ///
    /// # Errors
    ///
    /// Those of fcntl(2).
    pub fn of(fd: RawFd) -> Result<AccessMode, AccessModeError> {
        // SAFETY: F_GETFL takes no argument and touches no memory, whatever the number means.
        let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })
            .map_err(|source| AccessModeError { fd, source })?;
        Ok(match flags & libc::O_ACCMODE {
            libc::O_RDONLY => AccessMode::ReadOnly,
            libc::O_WRONLY => AccessMode::WriteOnly,
            _ => AccessMode::ReadWrite,
        })
    }
}

/// Where high numbers begin, if the limit of descriptors allows.
const HIGH: RawFd = 4096;

/// `fcntl(fd, F_DUPFD_CLOEXEC, high)`—Moves a descriptor that the program does not know of to a high number.
///
/// A program knows which numbers it uses: it closes one and has dup2(2) put another file there, or expects that open(2)
/// returns it. A descriptor that it has not asked for must not be met there.
///
/// High numbers begin at 4096, or at three quarters of the soft limit of descriptors, if that is less. Where none is free
/// the descriptor is returned as it was. The result is close-on-exec.
#[doc(alias = "F_DUPFD_CLOEXEC")]
pub fn into_high_number(fd: OwnedFd) -> OwnedFd {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is valid for the write of one.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    let base = RawFd::try_from(limit.rlim_cur / 4 * 3).map_or(HIGH, |base| base.min(HIGH));
    for base in [base, base / 2, base / 4] {
        if fd.as_raw_fd() >= base {
            break;
        }
        // SAFETY: the call takes integers and touches no memory; `fd` is owned, hence open.
        if let Ok(high) = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, base) })
        {
            // SAFETY: the call succeeded, so `high` is an open descriptor that nothing else owns.
            return unsafe { OwnedFd::from_raw_fd(high) };
        }
    }
    fd
}

/// Which file a descriptor refers to, as far as fstat(2) tells.
///
/// Sockets, pipes and files each have an inode of their own, so two unequal identities are two
/// files. The anonymous files of Linux (eventfd, timerfd, epoll, …) all share one inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
    kind: u32,
}

impl Identity {
    /// `fstat(fd, &stat)`—Identifies the file behind a descriptor number.
    ///
    /// It takes a number rather than a borrowed descriptor because its use is to find out whether
    /// the number still means what it meant: a closed one is an error (`EBADF`), not a fault.
    ///
    /// # Errors
    ///
    /// Those of fstat(2).
    #[doc(alias = "fstat")]
    pub fn of(fd: RawFd) -> Result<Identity, IdentifyError> {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: `stat` is valid for the write of one `struct stat`, all that fstat(2) does.
        check(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })
            .map_err(|source| IdentifyError { fd, source })?;
        // SAFETY: fstat(2) succeeded, so the kernel has filled the whole struct.
        let stat = unsafe { stat.assume_init() };
        // The widths and signs of these three fields differ from system to system.
        #[allow(clippy::unnecessary_cast)]
        Ok(Identity {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            kind: (stat.st_mode & libc::S_IFMT) as u32,
        })
    }

    /// A regular file or a directory: always ready, and refused by epoll with `EPERM`.
    #[allow(clippy::unnecessary_cast)]
    pub fn is_regular_file_or_directory(&self) -> bool {
        self.kind == libc::S_IFREG as u32 || self.kind == libc::S_IFDIR as u32
    }

    /// A pipe, with a name or without.
    #[allow(clippy::unnecessary_cast)]
    pub fn is_pipe(&self) -> bool {
        self.kind == libc::S_IFIFO as u32
    }

    /// A socket.
    #[allow(clippy::unnecessary_cast)]
    pub fn is_socket(&self) -> bool {
        self.kind == libc::S_IFSOCK as u32
    }

    /// Whether both are of the same device, as all pipes without a name are on most systems.
    pub fn is_on_device_of(&self, other: &Identity) -> bool {
        self.device == other.device
    }

    /// Whether the system gave the file an inode number at all: some give sockets or pipes none.
    pub fn has_inode(&self) -> bool {
        self.inode != 0
    }
}

operation_error! {
    /// A descriptor does not count what can be read of it.
    BytesToReadError: "ioctl(FIONREAD)" {
        /// The descriptor.
        fd: RawFd,
    }
}

/// `ioctl(fd, FIONREAD, &count)`—Returns how many bytes can be read without waiting, or how long the
/// next datagram is. Of a pipe's writing end, Linux returns what the reader has not taken.
///
/// It takes a number, as [`Identity::of`] does, and for the same reason.
///
/// # Errors
///
/// `ENOTTY`, `EINVAL`: it does not count, as an eventfd or a listener does not. `EBADF`.
#[doc(alias = "FIONREAD")]
pub fn bytes_to_read(fd: RawFd) -> Result<usize, BytesToReadError> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, for which `count` has room; a number that is not open is an
    // error. The type of the request differs from system to system.
    #[allow(clippy::unnecessary_cast)]
    check(unsafe { libc::ioctl(fd, libc::FIONREAD as _, &raw mut count) })
        .map_err(|source| BytesToReadError { fd, source })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// `read(fd, buffer, size)`—Takes bytes, without owning or wrapping the descriptor.
///
/// # Errors
///
/// Those of read(2), untouched.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the pointer and length are those of a slice borrowed mutably for the whole call.
    check_size(unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) })
}

/// `write(fd, bytes, size)`—Hands over bytes, without owning or wrapping the descriptor.
///
/// # Errors
///
/// Those of write(2), untouched.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the pointer and length are those of a slice borrowed for the whole call.
    check_size(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) })
}
