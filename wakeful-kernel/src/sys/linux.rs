// Everything else that a program for this kernel takes from libc, so that this module can stand in
// its place. What is declared below shadows libc's.
#[doc(no_inline)]
pub use libc::*;

pub use super::epoll::{
    EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, epoll_create, epoll_create1,
    epoll_ctl, epoll_event, epoll_pwait, epoll_wait,
};

/// `struct epoll_params` (Linux 6.9): how a wait busy-polls the network devices.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct epoll_params {
    /// How long to busy-poll, in microseconds.
    pub busy_poll_usecs: u32,
    /// Packets to take from a device in one go; more than 64 needs CAP_NET_ADMIN.
    pub busy_poll_budget: u16,
    /// Nonzero: keep the device's interrupts off while the program polls often enough.
    pub prefer_busy_poll: u8,
    #[doc(hidden)]
    pub __pad: u8,
}

/// `struct __kernel_timespec`: 64 bits each on every architecture.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kernel_timespec {
    /// Whole seconds.
    pub tv_sec: i64,
    /// 0 to 999,999,999.
    pub tv_nsec: i64,
}

/// `ioctl`: set the [`epoll_params`].
pub const EPIOCSPARAMS: c_uint = if IOCTL_IS_GENERIC { 0x4008_8a01 } else { 0x8008_8a01 };
/// `ioctl`: get the [`epoll_params`].
pub const EPIOCGPARAMS: c_uint = if IOCTL_IS_GENERIC { 0x8008_8a02 } else { 0x4008_8a02 };
/// Whether this architecture codes the direction of an ioctl as asm-generic/ioctl.h does: 1 is write
/// and 2 is read. The others have 4 for write, in three bits.
const IOCTL_IS_GENERIC: bool = !cfg!(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc",
    target_arch = "sparc64"
));
/// `timerfd_settime`: report `ECANCELED` when the wall clock is set.
pub const TFD_TIMER_CANCEL_ON_SET: c_int = 2;
/// The kernel's own `sizeof(sigset_t)`, which libc's exceeds.
pub const KERNEL_SIGSET_SIZE: usize = if cfg!(any(
    target_arch = "mips",
    target_arch = "mips32r6",
    target_arch = "mips64",
    target_arch = "mips64r6"
)) {
    16
} else {
    8
};

unsafe extern "C" {
    /// `int inotify_rm_watch(int fd, int wd)`: libc has another type for `wd` on Android.
    pub fn inotify_rm_watch(fd: c_int, wd: c_int) -> c_int;
}

/// `int epoll_pwait2(int epfd, struct epoll_event *events, int maxevents,
/// const struct timespec *timeout, const sigset_t *sigmask)` (Linux 5.11)
///
/// Made as a raw system call: C libraries got it much later than the kernel.
///
/// # Safety
///
/// As the C function: `events` valid for writes of `maxevents` structs, `timeout` and `sigmask` null
/// or valid for reads.
pub unsafe fn epoll_pwait2(
    epfd: c_int,
    events: *mut epoll_event,
    maxevents: c_int,
    timeout: *const kernel_timespec,
    sigmask: *const sigset_t,
) -> c_int {
    // SAFETY: the pointers are as the caller promised, and the kernel reads KERNEL_SIGSET_SIZE
    // bytes of a mask that is at least that long.
    let result: c_long = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epfd,
            events,
            maxevents,
            timeout,
            sigmask,
            KERNEL_SIGSET_SIZE,
        )
    };
    result as c_int
}

/// `int pidfd_open(pid_t pid, unsigned int flags)` (Linux 5.3)
///
/// # Safety
///
/// None: the call takes integers.
pub unsafe fn pidfd_open(pid: libc::pid_t, flags: c_uint) -> c_int {
    // SAFETY: integers only.
    unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) as c_int }
}

/// `int pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned int flags)` (Linux 5.1)
///
/// # Safety
///
/// `info` must be null or valid for reads.
pub unsafe fn pidfd_send_signal(
    pidfd: c_int,
    signal: c_int,
    info: *const libc::siginfo_t,
    flags: c_uint,
) -> c_int {
    // SAFETY: `info` is as the caller promised.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, info, flags) as c_int }
}

/// `int prctl(PR_SET_TIMERSLACK, unsigned long slack)`
pub fn set_timer_slack(slack: c_ulong) -> c_long {
    // SAFETY: the call takes integers, and changes nothing but how long this thread's waits take.
    unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_TIMERSLACK, slack, 0, 0, 0) }
}

/// `int prctl(PR_GET_TIMERSLACK)`; in the C library's `int` some have no room.
pub fn timer_slack() -> c_long {
    // SAFETY: the call takes integers, and only tells.
    unsafe { libc::syscall(libc::SYS_prctl, libc::PR_GET_TIMERSLACK, 0, 0, 0, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_agree_with_libc() {
        assert_eq!(size_of::<epoll_event>(), size_of::<libc::epoll_event>());
        assert_eq!(
            std::mem::offset_of!(epoll_event, u64),
            std::mem::offset_of!(libc::epoll_event, u64)
        );
        assert_eq!(EPOLL_CTL_ADD, libc::EPOLL_CTL_ADD);
        assert_eq!(EPOLL_CTL_DEL, libc::EPOLL_CTL_DEL);
        assert_eq!(EPOLL_CTL_MOD, libc::EPOLL_CTL_MOD);
        assert_eq!(size_of::<epoll_params>(), 8);
        // _IOW(0x8a, 1, struct epoll_params) and _IOR(0x8a, 2, …) of asm-generic/ioctl.h.
        let ioctl = |direction: u32, number: u32| direction << 30 | 8 << 16 | 0x8a << 8 | number;
        assert_eq!(EPIOCSPARAMS, ioctl(1, 1));
        assert_eq!(EPIOCGPARAMS, ioctl(2, 2));
    }
}
