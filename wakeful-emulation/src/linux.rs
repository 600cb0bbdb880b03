//! The Linux calls that the emulations stand on.

mod hidden;
mod inotify;
mod pending;
mod signal;

use std::ffi::{CStr, c_int};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use self::hidden::reserve;
use self::hidden::{hidden, unreserved};
pub(crate) use self::inotify::{Inotify, Record};
pub(crate) use self::pending::signalfd;
pub(crate) use self::signal::Counting;
#[cfg(all(feature = "c-api", target_env = "gnu"))]
pub(crate) use self::signal::set_action;

/// An error number, as C has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

impl Errno {
    pub(crate) const BADF: Errno = Errno(libc::EBADF);

    /// Whether a call failed because its descriptor was closed, or is another by now. Of any other error that says
    /// nothing: the call is to be made again.
    pub(crate) fn says_closed(self) -> bool {
        matches!(self.0, libc::EBADF | libc::ENOENT | libc::EINVAL)
    }

    /// Whether a call failed for a reason that passes, and that is not in what was asked.
    pub(crate) fn is_passing(self) -> bool {
        let Errno(errno) = self;
        matches!(errno, libc::ENOMEM | libc::EINTR | libc::EAGAIN | libc::EMFILE | libc::ENFILE)
    }
}

pub(crate) type Result<T> = std::result::Result<T, Errno>;

pub(crate) fn check(result: c_int) -> Result<c_int> {
    if result == -1 { Err(last_errno()) } else { Ok(result) }
}

fn last_errno() -> Errno {
    Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

pub(crate) fn set_errno(Errno(errno): Errno) {
    // SAFETY: it is the address of this thread's errno.
    unsafe { *libc::__errno_location() = errno };
}

/// What C returns: the number, or -1 with errno.
pub(crate) fn answer(result: Result<c_int>) -> c_int {
    result.unwrap_or_else(|errno| {
        set_errno(errno);
        -1
    })
}

/// A timeout of the caller's, if it is a valid one.
pub(crate) fn duration(time: libc::timespec) -> Result<Duration> {
    let seconds = u64::try_from(time.tv_sec);
    let nanoseconds = u32::try_from(time.tv_nsec).ok().filter(|&it| it < 1_000_000_000);
    match (seconds, nanoseconds) {
        (Ok(seconds), Some(nanoseconds)) => Ok(Duration::new(seconds, nanoseconds)),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// Takes over a descriptor that a call has just returned.
fn own(fd: c_int) -> OwnedFd {
    // SAFETY: the call succeeded, so it is open, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// `epoll_create1(flags)`—The caller's descriptor of a queue, which takes the lowest number.
pub(crate) fn queue_epoll(flags: c_int) -> Result<OwnedFd> {
    // SAFETY: the call takes an integer.
    check(unsafe { libc::epoll_create1(flags) }).map(own)
}

/// `epoll_create1(flags)`—One that the caller does not know of.
pub(crate) fn epoll(flags: c_int) -> Result<OwnedFd> {
    // SAFETY: the call takes an integer.
    hidden(|| unsafe { libc::epoll_create1(flags) })
}

/// What to do to a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Add = libc::EPOLL_CTL_ADD as isize,
    Modify = libc::EPOLL_CTL_MOD as isize,
    Delete = libc::EPOLL_CTL_DEL as isize,
}

/// `epoll_ctl(epoll, operation, fd, {events, data})`
pub(crate) fn control(
    epoll: RawFd,
    operation: Control,
    fd: RawFd,
    events: c_int,
    data: u64,
) -> Result<()> {
    let mut event = libc::epoll_event { events: events as u32, u64: data };
    // SAFETY: the event is valid for the read of one struct.
    check(unsafe { libc::epoll_ctl(epoll, operation as c_int, fd, &mut event) }).map(drop)
}

/// `epoll_ctl(epoll, EPOLL_CTL_MOD, fd, {events, data})`—Whether the descriptor is in the epoll, with these events.
///
/// # Errors
///
/// Those that say neither.
pub(crate) fn is_in(epoll: RawFd, fd: RawFd, events: c_int, data: u64) -> Result<bool> {
    match control(epoll, Control::Modify, fd, events, data) {
        Ok(()) => Ok(true),
        Err(error) if error.says_closed() => Ok(false),
        Err(error) => Err(error),
    }
}

/// `epoll_wait(epoll, events, n, 0)`—The data of what is ready now.
pub(crate) fn ready(epoll: RawFd, most: usize) -> Result<Vec<u64>> {
    let events = ready_events(epoll, most.clamp(1, 1024))?;
    Ok(events.into_iter().map(|(_, data)| data).collect())
}

/// `epoll_wait(epoll, events, n, 0)`—The events and data of what is ready now, up to so many.
pub(crate) fn ready_events(epoll: RawFd, most: usize) -> Result<Vec<(u32, u64)>> {
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; most];
    let count = again_if_interrupted(|| {
        // SAFETY: the buffer is valid for the write of that many structs.
        check(unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), most as c_int, 0) })
    })?;
    events.truncate(count as usize);
    Ok(events.iter().map(|event| (event.events, event.u64)).collect())
}

/// Makes a call that does not wait until it is not interrupted.
fn again_if_interrupted<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno(libc::EINTR)) => {}
            result => return result,
        }
    }
}

/// `ppoll({either, other}, 2, timeout)`—Until one of two descriptors can be read, or the time is over. Whether the other
/// can.
pub(crate) fn poll_either(either: RawFd, other: RawFd, timeout: Option<Duration>) -> Result<bool> {
    let mut entries =
        [either, other].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let timeout = timeout.map(timespec);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the entries are two structs, the timeout is null or valid, and the mask null.
    check(unsafe { libc::ppoll(entries.as_mut_ptr(), 2, timeout, std::ptr::null()) })?;
    Ok(entries[1].revents & libc::POLLIN != 0)
}

/// `fcntl(fd, F_GETFD)`
pub(crate) fn is_open(fd: RawFd) -> bool {
    // SAFETY: the call takes integers.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }) != Err(Errno::BADF)
}

/// `ppoll({fd, events}, 1, 0)`—What the descriptor is ready for now, signals or not.
pub(crate) fn poll_now(fd: RawFd, events: i16) -> Result<i16> {
    again_if_interrupted(|| poll(fd, events, Some(Duration::ZERO)))
}

/// `ppoll({fd, events}, 1, timeout)`—What the descriptor is ready for; 0 when the time is over.
pub(crate) fn poll(fd: RawFd, events: i16, timeout: Option<Duration>) -> Result<i16> {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    let timeout = timeout.map(timespec);
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the entry is valid for one struct, the timeout null or valid, and the mask null.
    check(unsafe { libc::ppoll(&mut entry, 1, timeout, std::ptr::null()) })?;
    Ok(entry.revents)
}

#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
fn timespec(time: Duration) -> libc::timespec {
    // SAFETY: the struct consists of integers, some of them padding on some systems.
    let mut spec: libc::timespec = unsafe { std::mem::zeroed() };
    // Without naming time_t, which is 32 bits wide on some systems and deprecated on musl.
    let longest = || (i64::MAX as u64).try_into().unwrap_or(i32::MAX.into());
    spec.tv_sec = time.as_secs().try_into().unwrap_or_else(|_| longest());
    spec.tv_nsec = time.subsec_nanos() as _;
    spec
}

/// `eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)`
pub(crate) fn eventfd() -> Result<OwnedFd> {
    // SAFETY: the call takes integers.
    hidden(|| unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

/// `write(eventfd, 1)`
pub(crate) fn ring(eventfd: &OwnedFd) {
    ring_raw(eventfd.as_raw_fd());
}

/// Whoever waits is to hear of it: a write that fails is made again. One that counts almost without end is readable, too.
fn ring_raw(eventfd: RawFd) {
    const ATTEMPTS: usize = 3;
    let one = 1_u64;
    for _ in 0..ATTEMPTS {
        // SAFETY: the number is valid for the read of eight bytes.
        match check(unsafe { libc::write(eventfd, (&raw const one).cast(), 8) } as c_int) {
            Err(error) if !error.says_closed() => {}
            _ => return,
        }
    }
}

/// `read(fd)`—The count of an eventfd or a timerfd; 0 if there is none. It is asked first whether there is one: the
/// program may have changed the flags of a number that is not its own, so that a read would wait.
///
/// # Errors
///
/// Those of poll(2) and read(2); what was counted is there still.
pub(crate) fn count(fd: &OwnedFd) -> Result<u64> {
    if poll_now(fd.as_raw_fd(), libc::POLLIN)? & libc::POLLIN == 0 {
        return Ok(0);
    }
    take_count(fd)
}

/// As [`count`], of what is known to have counted.
pub(crate) fn take_count(fd: &OwnedFd) -> Result<u64> {
    let mut count = 0_u64;
    let read = again_if_interrupted(|| {
        // SAFETY: the number is valid for the write of eight bytes.
        check(unsafe { libc::read(fd.as_raw_fd(), (&raw mut count).cast(), 8) } as c_int)
    });
    match read {
        Ok(_) => Ok(count),
        Err(Errno(libc::EAGAIN)) => Ok(0),
        Err(error) => Err(error),
    }
}

/// `timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK)`
pub(crate) fn timerfd(clock: c_int) -> Result<OwnedFd> {
    // SAFETY: the call takes integers.
    hidden(|| unsafe { libc::timerfd_create(clock, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) })
}

/// As [`timerfd`], but leaves the reserve to what cannot do without.
pub(crate) fn own_timerfd(clock: c_int) -> Result<OwnedFd> {
    // SAFETY: the call takes integers.
    unreserved(|| unsafe { libc::timerfd_create(clock, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) })
}

/// `clock_gettime(clock, time)`
pub(crate) fn now(clock: c_int) -> Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is valid for the write of one.
    check(unsafe { libc::clock_gettime(clock, &mut time) })?;
    duration(time)
}

/// `timerfd_settime(fd, flags, {first, period})`
pub(crate) fn set_timer(
    fd: &OwnedFd,
    flags: c_int,
    first: Duration,
    period: Option<Duration>,
) -> Result<()> {
    // Zero would disarm it.
    let first = first.max(Duration::from_nanos(1));
    let setting = libc::itimerspec {
        it_value: timespec(first),
        it_interval: timespec(period.unwrap_or_default()),
    };
    // SAFETY: the setting is valid for the read of one struct, and the last argument may be null.
    check(unsafe { libc::timerfd_settime(fd.as_raw_fd(), flags, &setting, std::ptr::null_mut()) })
        .map(drop)
}

/// `timerfd_settime(fd, flags, new, old)`—As the caller of timer_settime(2) has it.
pub(crate) fn set_timer_raw(
    fd: &OwnedFd,
    flags: c_int,
    new: &libc::itimerspec,
) -> Result<libc::itimerspec> {
    let mut old = *new;
    // SAFETY: both are valid, for the read and the write of one struct.
    check(unsafe { libc::timerfd_settime(fd.as_raw_fd(), flags, new, &mut old) }).map(|_| old)
}

/// `timerfd_gettime(fd, value)`
pub(crate) fn timer_left(fd: &OwnedFd) -> Result<libc::itimerspec> {
    let mut value = std::mem::MaybeUninit::<libc::itimerspec>::zeroed();
    // SAFETY: it is valid for the write of one struct, and zero is a value of it.
    check(unsafe { libc::timerfd_gettime(fd.as_raw_fd(), value.as_mut_ptr()) })?;
    // SAFETY: it was zeroed, and then written.
    Ok(unsafe { value.assume_init() })
}

/// `pidfd_open(pid, 0)`
pub(crate) fn pidfd(pid: libc::pid_t) -> Result<OwnedFd> {
    // SAFETY: the call takes integers.
    hidden(|| unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as c_int)
}

/// `waitid(P_PIDFD, fd, &info, WEXITED | WNOHANG | WNOWAIT)`—The status of a child that has ended, as wait(2)
/// has it, and leaves it to be waited for.
pub(crate) fn peek_status(pidfd: RawFd) -> Result<c_int> {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is valid for the write of one struct.
    check(unsafe { libc::waitid(libc::P_PIDFD, pidfd as libc::id_t, info.as_mut_ptr(), options) })?;
    // SAFETY: it consists of integers and pointers, zeroed, and filled with what there is to say.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid(2) fills the fields of SIGCHLD, or leaves the zeros.
    let status = unsafe { info.si_status() };
    Ok(match info.si_code {
        libc::CLD_EXITED => (status & 0xff) << 8,
        libc::CLD_DUMPED => status | 0x80,
        _ => status,
    })
}

/// `ioctl(fd, request, &int)`
pub(crate) fn ioctl_int(fd: RawFd, request: libc::Ioctl) -> Result<c_int> {
    let mut number = 0;
    // SAFETY: each of the requests made here writes one int.
    check(unsafe { libc::ioctl(fd, request, &raw mut number) }).map(|_| number)
}

/// `getsockopt(fd, SOL_SOCKET, option)`, an int.
pub(crate) fn socket_option(fd: RawFd, option: c_int) -> Result<c_int> {
    let mut value = 0;
    let mut size = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the value is valid for the write of `size` bytes.
    check(unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut value).cast(), &mut size)
    })
    .map(|_| value)
}

/// `send(fd, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL)`—Whether a stream cannot be written to any more. Nothing is sent.
pub(crate) fn is_shut_down(fd: RawFd) -> bool {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the buffer is empty.
    let sent = unsafe { libc::send(fd, std::ptr::null(), 0, flags) };
    sent == -1 && last_errno() == Errno(libc::EPIPE)
}

/// `fstatfs(fd)`, `poll(fd)`—Whether it writes to a pipe without a name that nobody reads any more.
#[allow(clippy::unnecessary_cast)]
pub(crate) fn is_pipe_without_reader(fd: RawFd, identity: &Identity) -> bool {
    const PIPE_FILE_SYSTEM: i64 = 0x5049_5045;
    if identity.kind != libc::S_IFIFO {
        return false;
    }
    let mut system = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `system` is valid for the write of one struct.
    let found = check(unsafe { libc::fstatfs(fd, system.as_mut_ptr()) });
    // SAFETY: it consists of integers, zeroed, and filled with what there is.
    let system = unsafe { system.assume_init() };
    found.is_ok()
        && system.f_type as i64 == PIPE_FILE_SYSTEM
        && poll_now(fd, libc::POLLOUT).is_ok_and(|ready| ready & libc::POLLERR != 0)
}

/// Which open file a number means, and what there is to know of it, as far as statx(2) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: (u32, u32),
    inode: u64,
    /// Numbers of files are used again, at once; the time at which they were created is not.
    birth: (i64, u32),
    pub(crate) kind: libc::mode_t,
    pub(crate) size: i64,
    pub(crate) links: u64,
    /// Permissions and owners.
    pub(crate) access: (libc::mode_t, libc::uid_t, libc::gid_t),
}

/// When a file was read, written and changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) access: (i64, i64),
    pub(crate) modification: (i64, i64),
    pub(crate) change: (i64, i64),
}

/// `statx(fd, "", AT_EMPTY_PATH)`
pub(crate) fn identity(fd: RawFd) -> Result<Identity> {
    statx(fd, c"", libc::AT_EMPTY_PATH).map(|(identity, _)| identity)
}

/// `readlink("/proc/self/fd/…")`—The path of a descriptor's file.
pub(crate) fn path_of(fd: RawFd) -> Result<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).map_err(|error| {
        match Errno(error.raw_os_error().unwrap_or(libc::EBADF)) {
            // There is no such descriptor.
            Errno(libc::ENOENT) => Errno::BADF,
            error => error,
        }
    })
}

/// Whether a number still means the file that it meant.
///
/// # Errors
///
/// What prevents to find out.
pub(crate) fn is_still(fd: RawFd, file: &Identity) -> Result<bool> {
    match identity(fd) {
        Ok(now) => Ok(file.is(&now)),
        Err(error) if error.says_closed() => Ok(false),
        Err(error) => Err(error),
    }
}

/// `statx(AT_FDCWD, path, …)`—What a path means now, with `AT_SYMLINK_NOFOLLOW` or without.
pub(crate) fn status(path: &CStr, flags: c_int) -> Result<(Identity, Times)> {
    statx(libc::AT_FDCWD, path, flags)
}

fn statx(fd: RawFd, path: &CStr, flags: c_int) -> Result<(Identity, Times)> {
    let mut stat = std::mem::MaybeUninit::<libc::statx>::zeroed();
    let mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME;
    // SAFETY: the path is a string that lives, and `stat` is valid for the write of one struct.
    check(unsafe { libc::statx(fd, path.as_ptr(), flags, mask, stat.as_mut_ptr()) })?;
    // SAFETY: it consists of integers, zeroed, and filled with what there is.
    let stat = unsafe { stat.assume_init() };
    let mode = libc::mode_t::from(stat.stx_mode);
    let time = |it: libc::statx_timestamp| (it.tv_sec, i64::from(it.tv_nsec));
    let identity = Identity {
        device: (stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        birth: (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec),
        kind: mode & libc::S_IFMT,
        size: i64::try_from(stat.stx_size).unwrap_or(i64::MAX),
        links: stat.stx_nlink.into(),
        access: (mode, stat.stx_uid, stat.stx_gid),
    };
    let times = Times {
        access: time(stat.stx_atime),
        modification: time(stat.stx_mtime),
        change: time(stat.stx_ctime),
    };
    Ok((identity, times))
}

impl Identity {
    /// Whether both are the same file, whatever its size is by now.
    pub(crate) fn is(&self, other: &Identity) -> bool {
        (self.device, self.inode, self.birth, self.kind)
            == (other.device, other.inode, other.birth, other.kind)
    }
}

/// `lseek(fd, 0, SEEK_CUR)`
#[allow(clippy::useless_conversion)]
pub(crate) fn offset(fd: RawFd) -> Result<i64> {
    // SAFETY: the call takes integers.
    match unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) } {
        -1 => Err(last_errno()),
        offset => Ok(offset.into()),
    }
}
