//! Which errors a system call may fail with, by its manual page, as far as they say nothing of what was asked.

/// The number of an error, as the scenarios say it.
pub(crate) fn number(name: &str) -> u32 {
    match name {
        "EPERM" => 1,
        "EINTR" => 4,
        "EIO" => 5,
        "EAGAIN" => 11,
        "ENOMEM" => 12,
        "EBUSY" => 16,
        "ENODEV" => 19,
        "EINVAL" => 22,
        "ENFILE" => 23,
        "EMFILE" => 24,
        "ENOSPC" => 28,
        "ENOSYS" => 38,
        "ENOBUFS" => 105,
        _ => 0,
    }
}

/// A call's errors; none if it is not made to fail.
///
/// Left out are: memory, whose lack ends a Rust program; what a thread or a process needs to begin and to end; close(2),
/// which strace would keep from closing; and errors that say something that a caller must believe, such as `EAGAIN`: of
/// reading, after which an edge comes no more, and of writing to a pipe or an eventfd, which is readable then.
pub(crate) fn of(call: &str) -> &'static [&'static str] {
    match call {
        "epoll_create1" | "epoll_create" => &["EMFILE", "ENFILE", "ENOMEM"],
        "epoll_ctl" => &["ENOMEM", "ENOSPC"],
        "epoll_wait" | "epoll_pwait" | "epoll_pwait2" => &["EINTR"],
        "poll" | "ppoll" | "select" | "pselect6" => &["EINTR", "ENOMEM"],
        "eventfd2" => &["EMFILE", "ENFILE", "ENODEV", "ENOMEM"],
        "timerfd_create" => &["EMFILE", "ENFILE", "ENODEV", "ENOMEM"],
        "timerfd_settime" => &["ENOMEM"],
        "signalfd4" => &["EMFILE", "ENFILE", "ENODEV", "ENOMEM"],
        "inotify_init1" => &["EMFILE", "ENFILE", "ENOMEM"],
        "inotify_add_watch" => &["ENOMEM", "ENOSPC"],
        "pidfd_open" => &["EMFILE", "ENFILE", "ENODEV", "ENOMEM", "ENOSYS", "EPERM"],
        "waitid" | "wait4" => &["EINTR"],
        "read" | "readv" | "recvfrom" | "recvmsg" | "pread64" | "preadv2" => &["EINTR", "EIO"],
        "write" | "writev" | "pwrite64" | "pwritev2" => &["EINTR", "EIO"],
        "sendto" | "sendmsg" => &["EINTR", "ENOMEM", "ENOBUFS", "EAGAIN"],
        "statx" | "fstat" | "newfstatat" | "stat" | "lstat" => &["ENOMEM"],
        "readlink" | "readlinkat" | "getdents64" => &["ENOMEM", "EIO"],
        "open" | "openat" | "openat2" => &["EMFILE", "ENFILE", "ENOMEM", "EINTR"],
        "fcntl" | "dup" | "dup3" => &["EMFILE"],
        "ioctl" => &["ENOMEM"],
        "socket" | "socketpair" => &["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"],
        "pipe2" | "pipe" => &["EMFILE", "ENFILE"],
        "prlimit64" | "getrlimit" => &["EPERM"],
        "io_uring_setup" => &["EMFILE", "ENFILE", "ENOMEM", "EPERM", "ENOSYS"],
        "io_uring_enter" => &["EAGAIN", "EBUSY", "EINTR", "ENOMEM"],
        "io_uring_register" => &["ENOMEM", "EPERM", "EINVAL"],
        "clone" | "clone3" | "vfork" | "fork" => &["EAGAIN", "ENOMEM"],
        "kill" | "tgkill" | "pidfd_send_signal" => &["EAGAIN"],
        _ => &[],
    }
}
