use std::os::fd::RawFd;

use super::Flags;

operation_error! {
    /// An epoll could not be created.
    CreateError: "epoll_create1", advice: |_, errno| match errno {
        libc::EMFILE => "this process is at its limit of open files: close some or raise RLIMIT_NOFILE",
        _ => "",
    }
}

operation_error! {
    /// A descriptor could not be put on the interest list.
    AddError: "epoll_ctl(EPOLL_CTL_ADD)" {
        /// The descriptor.
        fd: RawFd,
        /// The flags it was to have.
        flags: Flags,
    },
    advice: |error, errno| match errno {
        libc::EPERM => "this kind of file cannot be polled (regular files, directories, /dev/null): \
            it never blocks, so read or write it without waiting",
        libc::EEXIST => "it is on the list: modify it instead",
        libc::EINVAL if error.flags.contains(Flags::EXCLUSIVE) => "beside EXCLUSIVE only IN, OUT, ERR, \
            HUP, WAKEUP and EDGE are allowed, and the descriptor must not be an epoll",
        libc::EINVAL => "an epoll cannot watch itself",
        libc::ELOOP => "epolls watch one another in a circle, or more than five deep: flatten them",
        libc::ENOSPC => "the user's limit in /proc/sys/fs/epoll/max_user_watches is reached",
        _ => "",
    }
}

operation_error! {
    /// A descriptor's flags could not be replaced.
    ModifyError: "epoll_ctl(EPOLL_CTL_MOD)" {
        /// The descriptor.
        fd: RawFd,
        /// The flags it was to have.
        flags: Flags,
    },
    advice: |error, errno| match errno {
        libc::ENOENT => "it is not on the list: add it first",
        libc::EINVAL if error.flags.contains(Flags::EXCLUSIVE) => "EXCLUSIVE can be set by add only: \
            delete the descriptor and add it anew",
        libc::EINVAL => "a descriptor added with EXCLUSIVE cannot be modified: delete it and add it anew",
        _ => "",
    }
}

operation_error! {
    /// A descriptor could not be taken off the interest list.
    DeleteError: "epoll_ctl(EPOLL_CTL_DEL)" {
        /// The descriptor.
        fd: RawFd,
    },
    advice: |_, errno| match errno {
        libc::ENOENT => "it is not on the list",
        libc::EBADF => "it is closed: delete a descriptor before closing it, for a duplicate of its \
            file would go on being reported",
        _ => "",
    }
}

operation_error! {
    /// The wait failed, or a signal interrupted it.
    WaitError: "epoll_wait" {
        /// Room for events.
        capacity: usize,
    },
    advice: |error, errno| match errno {
        libc::EINVAL if error.capacity == 0 => "the buffer has no room for an event: create it with \
            Vec::with_capacity(1) or more, and empty it between waits",
        _ => "",
    }
}

operation_error! {
    /// The descriptor of the epoll could not be duplicated.
    DuplicateError: "fcntl(F_DUPFD_CLOEXEC)" {
        /// The descriptor.
        fd: RawFd,
    }
}

operation_error! {
    /// The busy-polling parameters could not be read or set.
    BusyPollError: "ioctl(EPIOCSPARAMS)" {
        /// The descriptor of the epoll.
        fd: RawFd,
    },
    advice: |_, errno| match errno {
        libc::ENOTTY => "this kernel has no busy-polling parameters: they came with Linux 6.9",
        libc::EPERM => "a budget above 64 packets needs CAP_NET_ADMIN",
        libc::EINVAL => "the time must be below 2^31 microseconds",
        _ => "",
    }
}
