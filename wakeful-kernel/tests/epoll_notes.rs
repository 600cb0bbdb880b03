//! Programs over libc's epoll, with this crate's declarations in libc's place.

#![cfg(any(target_os = "linux", target_os = "android"))]

use std::io;

use wakeful_kernel::sys as libc;

macro_rules! syscall {
    ($function:ident ( $($argument:expr),* $(,)? )) => {{
        // SAFETY: what is pointed to lives until the call returns, and is as long as is said.
        match unsafe { libc::$function($($argument),*) } {
            -1 => Err(io::Error::last_os_error()),
            result => Ok(result),
        }
    }};
}

const READ_FLAGS: i32 = libc::EPOLLIN | libc::EPOLLONESHOT;

fn listener_event(flags: i32, key: u64) -> libc::epoll_event {
    libc::epoll_event { events: flags as u32, u64: key }
}

/// create1, ADD, a wait with room for three at 1000 ms, one-shot armed again by MOD, edge, DEL, close.
#[test]
fn a_pipe() -> io::Result<()> {
    let epoll_fd = syscall!(epoll_create1(0))?;
    let flags = syscall!(fcntl(epoll_fd, libc::F_GETFD))?;
    syscall!(fcntl(epoll_fd, libc::F_SETFD, flags | libc::FD_CLOEXEC))?;
    let mut pipe = [0; 2];
    syscall!(pipe(pipe.as_mut_ptr()))?;
    let [reader, writer] = pipe;
    let mut event = listener_event(READ_FLAGS, 100);
    syscall!(epoll_ctl(epoll_fd, libc::EPOLL_CTL_ADD, reader, &mut event))?;

    let mut events: Vec<libc::epoll_event> = Vec::with_capacity(3);
    let mut wait = |timeout: libc::c_int| -> io::Result<Vec<(u32, u64)>> {
        events.clear();
        let found = syscall!(epoll_wait(epoll_fd, events.as_mut_ptr(), 3, timeout,))?;
        // SAFETY: the kernel has written as many as it says.
        unsafe { events.set_len(found as usize) };
        Ok(events.iter().map(|event| (event.events, event.u64)).collect())
    };
    assert_eq!(wait(0)?, []);
    syscall!(write(writer, b"hello".as_ptr() as *const libc::c_void, 5))?;
    assert_eq!(wait(1000)?, [(libc::EPOLLIN as u32, 100)]);
    // One-shot: nothing more until it is modified.
    assert_eq!(wait(0)?, []);
    let mut event = listener_event(READ_FLAGS, 101);
    syscall!(epoll_ctl(epoll_fd, libc::EPOLL_CTL_MOD, reader, &mut event))?;
    assert_eq!(wait(1000)?, [(libc::EPOLLIN as u32, 101)]);
    // By edge: once, though nothing was read.
    let mut event = listener_event(libc::EPOLLIN | libc::EPOLLET, 102);
    syscall!(epoll_ctl(epoll_fd, libc::EPOLL_CTL_MOD, reader, &mut event))?;
    assert_eq!(wait(1000)?, [(libc::EPOLLIN as u32, 102)]);
    assert_eq!(wait(0)?, []);
    let mut buffer = [0u8; 8];
    let read = syscall!(read(reader, buffer.as_mut_ptr() as *mut libc::c_void, buffer.len()))?;
    assert_eq!(&buffer[..read as usize], b"hello");
    syscall!(close(writer))?;
    assert_eq!(wait(1000)?, [(libc::EPOLLHUP as u32, 102)]);
    syscall!(epoll_ctl(epoll_fd, libc::EPOLL_CTL_DEL, reader, std::ptr::null_mut()))?;
    syscall!(close(reader))?;
    syscall!(close(epoll_fd)).map(drop)
}

/// A counter, a timer and a signal in the same loop.
#[test]
fn a_counter_a_timer_and_a_signal() -> io::Result<()> {
    let epoll_fd = syscall!(epoll_create1(libc::EPOLL_CLOEXEC))?;
    let counter = syscall!(eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
    let timer =
        syscall!(timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK))?;
    // SAFETY: the set is a C struct of integers.
    let mut mask: libc::sigset_t = unsafe { std::mem::zeroed() };
    syscall!(sigemptyset(&mut mask))?;
    syscall!(sigaddset(&mut mask, libc::SIGUSR1))?;
    // Of this thread alone.
    syscall!(pthread_sigmask(libc::SIG_BLOCK, &mask, std::ptr::null_mut()))?;
    let signals = syscall!(signalfd(-1, &mask, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
    for (key, fd) in (1..).zip([counter, timer, signals]) {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: key };
        syscall!(epoll_ctl(epoll_fd, libc::EPOLL_CTL_ADD, fd, &mut event))?;
    }
    let one: u64 = 1;
    syscall!(write(counter, (&raw const one).cast(), size_of::<u64>()))?;
    let soon = libc::timespec { tv_sec: 0, tv_nsec: 1 };
    let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let soon = libc::itimerspec { it_interval: never, it_value: soon };
    syscall!(timerfd_settime(timer, 0, &soon, std::ptr::null_mut()))?;
    syscall!(raise(libc::SIGUSR1))?;

    let mut found = Vec::new();
    while found.len() < 3 {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        if syscall!(epoll_wait(epoll_fd, &mut event, 1, 10_000))? == 0 {
            panic!("only {found:?} within ten seconds");
        }
        let key = event.u64;
        let fd = [counter, timer, signals][key as usize - 1];
        let mut buffer = [0u8; size_of::<libc::signalfd_siginfo>()];
        syscall!(read(fd, buffer.as_mut_ptr().cast(), buffer.len()))?;
        found.push(key);
    }
    found.sort();
    assert_eq!(found, [1, 2, 3]);
    for fd in [counter, timer, signals, epoll_fd] {
        syscall!(close(fd))?;
    }
    Ok(())
}
