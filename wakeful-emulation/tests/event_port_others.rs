//! `PORT_SOURCE_TIMER` and `PORT_SOURCE_AIO`: what tells a port by `SIGEV_PORT`.

#![cfg(target_os = "linux")]

#[path = "common/port.rs"]
mod common;

use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use common::{Port, errno, timespec};
use wakeful_emulation::event_port::*;

const MS: Duration = Duration::from_millis(1);

/// A `sigevent` that tells a port.
fn telling(notify: &port_notify) -> libc::sigevent {
    // SAFETY: the struct consists of integers and pointers.
    let mut event: libc::sigevent = unsafe { MaybeUninit::zeroed().assume_init() };
    event.sigev_notify = SIGEV_PORT;
    event.sigev_value.sival_ptr = ptr::from_ref(notify).cast_mut().cast();
    event
}

fn notify(port: &Port, user: usize) -> port_notify {
    port_notify { portnfy_port: port.0, portnfy_user: user as *mut _ }
}

fn create(clock: i32, notify: &port_notify) -> Result<libc::timer_t, i32> {
    let mut timer = MaybeUninit::uninit();
    // SAFETY: both are valid.
    match unsafe { timer_create(clock, &mut telling(notify), timer.as_mut_ptr()) } {
        // SAFETY: it was written.
        0 => Ok(unsafe { timer.assume_init() }),
        _ => Err(errno()),
    }
}

fn set(timer: libc::timer_t, flags: i32, first: Duration, period: Duration) -> i32 {
    let new = libc::itimerspec { it_value: timespec(first), it_interval: timespec(period) };
    // SAFETY: the setting is valid.
    unsafe { timer_settime(timer, flags, &new, ptr::null_mut()) }
}

/// One event under way at a time, which says how often it has expired since the last.
#[test]
fn timers() {
    let port = Port::new();
    let timer = create(libc::CLOCK_MONOTONIC, &notify(&port, 9)).unwrap();
    port.nothing();
    let start = Instant::now();
    assert_eq!(set(timer, 0, 20 * MS, Duration::ZERO), 0);
    let event = port.one();
    assert!(start.elapsed() >= 20 * MS);
    assert_eq!(i32::from(event.portev_source), PORT_SOURCE_TIMER);
    assert_eq!((event.portev_events, event.portev_user as usize), (1, 9));
    assert_eq!(event.portev_object, timer as usize);
    port.nothing();
    // A period that nobody looks at.
    assert_eq!(set(timer, 0, MS, MS), 0);
    thread::sleep(20 * MS);
    assert_eq!(port.count(), 1);
    let found = port.one();
    assert_eq!(found.portev_object, event.portev_object);
    assert!(found.portev_events >= 10, "{}", found.portev_events);
    // SAFETY: the timer is there.
    assert_eq!(unsafe { timer_getoverrun(timer) }, found.portev_events - 1);
    assert!(port.one().portev_events > 0);
    // How long it is until then, and what was set before.
    let mut left = MaybeUninit::<libc::itimerspec>::uninit();
    let new = libc::itimerspec { it_value: timespec(1000 * MS), it_interval: timespec(MS) };
    // SAFETY: the timer is there, and both are valid.
    unsafe {
        assert_eq!(timer_settime(timer, 0, &new, left.as_mut_ptr()), 0);
        assert_eq!(left.assume_init().it_interval.tv_nsec, 1_000_000);
        assert_eq!(timer_gettime(timer, left.as_mut_ptr()), 0);
        assert!(left.assume_init().it_value.tv_nsec > 900_000_000);
    }
    // What it has expired until then is told.
    while port.get(Some(common::QUIET)).is_ok() {}
    // Stopped or set anew, it has expired all the same.
    for again in [Duration::ZERO, 1000 * MS] {
        assert_eq!(set(timer, 0, MS, Duration::ZERO), 0);
        thread::sleep(5 * MS);
        assert_eq!(set(timer, 0, again, Duration::ZERO), 0);
        assert_eq!(port.one().portev_events, 1);
        port.nothing();
    }
    assert_eq!(set(timer, 0, MS, Duration::ZERO), 0);
    assert_eq!(port.one().portev_events, 1);
}

/// A time of day; and one that is deleted, with what it had queued.
#[test]
fn timers_at_a_time_and_deleted() {
    let port = Port::new();
    let timer = create(libc::CLOCK_REALTIME, &notify(&port, 1)).unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    assert_eq!(set(timer, libc::TIMER_ABSTIME, now + 20 * MS, Duration::ZERO), 0);
    port.one();
    assert!(std::time::UNIX_EPOCH.elapsed().unwrap() >= now + 20 * MS);
    assert_eq!(set(timer, 0, MS, MS), 0);
    thread::sleep(5 * MS);
    assert_eq!(port.count(), 1);
    // SAFETY: the timer is there.
    assert_eq!(unsafe { timer_delete(timer) }, 0);
    port.nothing();
    // SAFETY: that of one of ours, which is gone.
    assert_eq!(unsafe { timer_delete(timer) }, -1);
    assert_eq!(errno(), libc::EINVAL);
    assert_eq!(set(timer, 0, MS, MS), -1);
    assert_eq!(create(99, &notify(&port, 1)), Err(libc::EINVAL));
    let wrong = port_notify { portnfy_port: -1, portnfy_user: ptr::null_mut() };
    assert_eq!(create(libc::CLOCK_REALTIME, &wrong), Err(libc::EBADF));
    let other = create(libc::CLOCK_MONOTONIC, &notify(&port, 1)).unwrap();
    let again = libc::itimerspec {
        it_value: timespec(MS),
        it_interval: libc::timespec { tv_sec: 0, tv_nsec: -1 },
    };
    // SAFETY: the setting can be read, though it is not valid.
    assert_eq!(unsafe { timer_settime(other, 0, &again, ptr::null_mut()) }, -1);
    // Another kind is the system's own.
    let mut timer = MaybeUninit::uninit();
    // SAFETY: the struct consists of integers and pointers; the rest is valid.
    unsafe {
        let mut event: libc::sigevent = MaybeUninit::zeroed().assume_init();
        event.sigev_notify = libc::SIGEV_NONE;
        assert_eq!(timer_create(libc::CLOCK_MONOTONIC, &mut event, timer.as_mut_ptr()), 0);
        assert_eq!(timer_delete(timer.assume_init()), 0);
    }
}

fn operation(fd: i32, buffer: &mut [u8], event: libc::sigevent) -> Box<libc::aiocb> {
    // SAFETY: the struct consists of integers and pointers.
    let mut operation: Box<libc::aiocb> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
    operation.aio_fildes = fd;
    operation.aio_buf = buffer.as_mut_ptr().cast();
    operation.aio_nbytes = buffer.len();
    operation.aio_sigevent = event;
    operation
}

/// The object is the address of the operation, whose result is asked for as ever.
#[test]
fn asynchronous_operations() {
    let port = Port::new();
    let file = tempfile::tempfile().unwrap();
    let told = notify(&port, 3);
    let mut content = *b"content";
    let mut write = operation(file.as_raw_fd(), &mut content, telling(&told));
    // SAFETY: the operation and its buffer live until it has ended.
    assert_eq!(unsafe { aio_write(&mut *write) }, 0);
    let event = port.one();
    assert_eq!(i32::from(event.portev_source), PORT_SOURCE_AIO);
    assert_eq!(event.portev_object, ptr::from_ref(&*write) as usize);
    assert_eq!((event.portev_events, event.portev_user as usize), (0, 3));
    // SAFETY: the operation has ended.
    unsafe {
        assert_eq!(libc::aio_error(&*write), 0);
        assert_eq!(libc::aio_return(&mut *write), 7);
    }
    let mut buffer = [0; 16];
    let mut read = operation(file.as_raw_fd(), &mut buffer, telling(&told));
    // SAFETY: as above.
    unsafe {
        assert_eq!(aio_read(&mut *read), 0);
        port.one();
        assert_eq!(libc::aio_return(&mut *read), 7);
        let mut sync = operation(file.as_raw_fd(), &mut [], telling(&told));
        assert_eq!(aio_fsync(libc::O_SYNC, &mut *sync), 0);
        port.one();
        assert_eq!(libc::aio_return(&mut *sync), 0);
    }
    assert_eq!(&buffer[..7], b"content");
    port.nothing();
}

/// lio_listio(3C): the end of each, and of all.
#[test]
fn several_operations() {
    let port = Port::new();
    let file = tempfile::tempfile().unwrap();
    let (each, all) = (notify(&port, 1), notify(&port, 2));
    let mut contents = [*b"one", *b"two"];
    let mut operations: Vec<_> = contents
        .iter_mut()
        .map(|content| {
            let mut write = operation(file.as_raw_fd(), content, telling(&each));
            write.aio_lio_opcode = libc::LIO_WRITE;
            write
        })
        .collect();
    let list: Vec<*mut libc::aiocb> =
        operations.iter_mut().map(|it| ptr::from_mut(&mut **it)).collect();
    // SAFETY: the operations and their buffers live until all have ended.
    let result = unsafe { lio_listio(libc::LIO_NOWAIT, list.as_ptr(), 2, &mut telling(&all)) };
    assert_eq!(result, 0);
    let mut users = [port.one(), port.one(), port.one()].map(|it| it.portev_user as usize);
    users.sort_unstable();
    assert_eq!(users, [1, 1, 2]);
    port.nothing();
}

/// What cannot begin is told by nobody, and takes no slot.
#[test]
fn operations_that_do_not_begin() {
    let port = Port::new();
    let file = tempfile::tempfile().unwrap();
    let wrong = port_notify { portnfy_port: -1, portnfy_user: ptr::null_mut() };
    let mut read = operation(file.as_raw_fd(), &mut [], telling(&wrong));
    // SAFETY: nothing begins.
    unsafe {
        assert_eq!(aio_read(&mut *read), -1);
        assert_eq!(errno(), libc::EBADF);
        assert_eq!(aio_read(ptr::null_mut()), -1);
        assert_eq!(errno(), libc::EFAULT);
        // No such priority.
        let told = notify(&port, 3);
        let mut read = operation(file.as_raw_fd(), &mut [], telling(&told));
        read.aio_reqprio = -1;
        assert_eq!(aio_read(&mut *read), -1);
        assert_eq!(errno(), libc::EINVAL);
    }
    port.nothing();
    // One that fails has ended as well.
    let told = notify(&port, 4);
    let mut buffer = [0; 4];
    let mut read = operation(12345, &mut buffer, telling(&told));
    // SAFETY: the operation and its buffer live until it has ended.
    unsafe {
        if aio_read(&mut *read) == 0 {
            assert_eq!(port.one().portev_user as usize, 4);
            assert_eq!(libc::aio_error(&*read), libc::EBADF);
        }
    }
}

/// A struct that is used again, without being set anew, tells the same port. So does one that was refused.
#[test]
fn operations_that_are_begun_again() {
    let port = Port::new();
    let file = tempfile::tempfile().unwrap();
    let told = notify(&port, 3);
    let mut content = *b"content";
    let mut write = operation(file.as_raw_fd(), &mut content, telling(&told));
    for round in 0..5 {
        // What the C library refuses at once.
        write.aio_reqprio = -1;
        // SAFETY: the operation and its buffer live until it has ended.
        let refused = unsafe { aio_write(&mut *write) };
        assert_eq!((refused, errno()), (-1, libc::EINVAL), "{round}");
        write.aio_reqprio = 0;
        // SAFETY: likewise.
        assert_eq!(unsafe { aio_write(&mut *write) }, 0, "{round}");
        assert_eq!(port.one().portev_user as usize, 3);
        // SAFETY: the operation has ended.
        assert_eq!(unsafe { libc::aio_return(&mut *write) }, 7);
        port.nothing();
    }
    // Whoever sets it anew means another.
    let other = Port::new();
    let told = notify(&other, 4);
    write.aio_sigevent = telling(&told);
    // SAFETY: as above.
    assert_eq!(unsafe { aio_write(&mut *write) }, 0);
    assert_eq!(other.one().portev_user as usize, 4);
    // SAFETY: the operation has ended.
    assert_eq!(unsafe { libc::aio_return(&mut *write) }, 7);
    port.nothing();
}

/// Entries that are nothing, and the notification of a call that waits, take no slots.
#[test]
fn entries_of_which_nobody_is_told() {
    let port = Port::new();
    let told = notify(&port, 1);
    let mut none = operation(-1, &mut [], telling(&told));
    none.aio_lio_opcode = libc::LIO_NOP;
    let list = [ptr::from_mut(&mut *none)];
    for _ in 0..70_000 {
        // SAFETY: the operation is valid, and not begun.
        unsafe { lio_listio(libc::LIO_WAIT, list.as_ptr(), 1, &mut telling(&told)) };
    }
    port.send(1, 2).unwrap();
    assert_eq!(port.one().portev_user as usize, 2);
    port.nothing();
}

/// fork(2): a child inherits neither timers nor ports, and leaves its parent's alone.
#[test]
fn what_a_child_does_with_its_parents() {
    let port = Port::new();
    let timer = create(libc::CLOCK_MONOTONIC, &notify(&port, 9)).unwrap();
    port.send(1, 1).unwrap();
    // SAFETY: the child calls what may be called, and ends.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: the process ends by it, if it hangs.
            unsafe { libc::alarm(5) };
            let refused = set(timer, 0, Duration::ZERO, Duration::ZERO) == -1
                // SAFETY: it is refused.
                && unsafe { timer_delete(timer) } == -1
                && port.send(1, 1) == Err(libc::EBADFD);
            let own = Port::new();
            let works = own.send(1, 7).is_ok()
                && own.get(Some(MS)).is_ok_and(|event| event.portev_user as usize == 7);
            // SAFETY: no destructor of the parent's is to run here.
            unsafe { libc::_exit(if refused && works { 0 } else { 1 }) };
        }
        child => {
            let mut status = 0;
            // SAFETY: the status is valid for the write.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    }
    assert_eq!(port.count(), 1);
    assert!(port.is_readable());
    assert_eq!(set(timer, 0, MS, Duration::ZERO), 0);
    assert_eq!([port.one(), port.one()].map(|it| it.portev_user as usize), [1, 9]);
}

/// Threads that create ports while others fork: no child finds a lock that nobody opens.
#[test]
fn forks_beside_threads() {
    let until = Instant::now() + 300 * MS;
    let threads: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(move || {
                while Instant::now() < until {
                    Port::new().send(1, 1).unwrap();
                }
            })
        })
        .collect();
    while Instant::now() < until {
        // SAFETY: the child calls what may be called, and ends.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: the process ends by it, if it hangs.
                unsafe { libc::alarm(5) };
                let works = Port::new().send(1, 1).is_ok();
                // SAFETY: no destructor of the parent's is to run here.
                unsafe { libc::_exit(if works { 0 } else { 1 }) };
            }
            child => {
                let mut status = 0;
                // SAFETY: the status is valid for the write.
                assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                assert_eq!(status, 0);
            }
        }
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A program that closes all descriptors that it does not know, and goes on: what those numbers are then is left alone.
#[test]
fn all_descriptors_are_closed() {
    // SAFETY: the child calls what may be called, and ends.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: the process ends by it, if it hangs.
            unsafe { libc::alarm(5) };
            let port = std::mem::ManuallyDrop::new(Port::new());
            for fd in 3..256 {
                // SAFETY: nothing here uses them any more.
                unsafe { libc::close(fd) };
            }
            let open = || {
                // SAFETY: the path is one.
                unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY) }
            };
            // Others have all numbers that the port had, but for its own.
            while open() < port.0 + 8 {}
            // SAFETY: it was opened here.
            unsafe { libc::close(port.0) };
            let new = Port::new();
            let works = new.0 == port.0 && new.send(1, 1).is_ok();
            // SAFETY: they are numbers.
            let is_open = |fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } != -1;
            let are_open = (3..port.0 + 8).all(is_open);
            // SAFETY: no destructor of the parent's is to run here.
            unsafe { libc::_exit(if works && are_open { 0 } else { 1 }) };
        }
        child => {
            let mut status = 0;
            // SAFETY: the status is valid for the write.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
    }
}
