//! Operations on files that complete, on every poller and by everybody who carries them out.

#![cfg(unix)]

mod common;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use common::every_backend;
use common::files::{Desk, backends};
use wakeful::file::{
    AlignedBuffer, Allocation, Attempt, Backend, Buffer, FixedBuffers, Metadata, OpenOptions,
    Operation, Queue, Reason,
};
use wakeful::{Events, Interest, Poll, Trigger};

fn temporary() -> Arc<File> {
    Arc::new(tempfile::tempfile().unwrap())
}

every_backend! {
    fn an_end_is_an_event(poller) {
        for backend in backends() {
            for trigger in [Trigger::Edge, Trigger::Level] {
                let interest = Interest::READABLE.with_trigger(trigger);
                let mut desk = Desk::on(poller, 8, backend, interest);
                let file = temporary();
                for round in 0..50_u64 {
                    let bytes = vec![round as u8; 100];
                    let write = Operation::write(file.clone(), bytes, round * 100);
                    desk.queue.submit(write, round).unwrap();
                    assert_eq!(desk.queue.len(), 1);
                    let done = desk.wait();
                    assert_eq!((done.user, done.count().unwrap()), (round, 100), "{backend}");
                    assert_eq!(done.operation.into_buffer().unwrap().into_vec(), [round as u8; 100]);
                    assert!(desk.queue.is_empty());
                }
                assert_eq!(file.metadata().unwrap().len(), 5000);
            }
        }
    }

    fn a_burst(poller) {
        for backend in backends() {
            let mut desk = Desk::on(poller, 64, backend, Interest::READABLE);
            let file = temporary();
            file.set_len(64 * 4096).unwrap();
            for _ in 0..5 {
                let mut batch = desk.queue.batch();
                for block in 0..64_u64 {
                    let write = Operation::write(file.clone(), vec![block as u8; 4096], block * 4096);
                    batch.submit(write, block).unwrap();
                }
                batch.flush().unwrap();
                drop(batch);
                let mut blocks: Vec<_> = (0..64).map(|_| desk.wait().user).collect();
                blocks.sort_unstable();
                assert_eq!(blocks, Vec::from_iter(0..64));
                let mut batch = desk.queue.batch();
                for block in 0..64_u64 {
                    batch.submit(Operation::read(file.clone(), vec![0; 4096], block * 4096), block).unwrap();
                }
                drop(batch);
                for _ in 0..64 {
                    let done = desk.wait();
                    assert_eq!(done.count().unwrap(), 4096);
                    let block = done.user as u8;
                    assert!(done.operation.into_buffer().unwrap().iter().all(|&byte| byte == block));
                }
            }
        }
    }
}

fn on_each(run: impl Fn(Backend)) {
    for backend in backends() {
        run(backend);
    }
}

#[test]
fn the_best_is_taken_and_said() {
    let queue = Queue::<()>::new(1, Backend::Auto).unwrap();
    let capabilities = queue.capabilities();
    assert_eq!(capabilities.backend, backends()[0]);
    assert_eq!(capabilities.reason.is_none(), backends()[0] != Backend::Pool);
    let pool = Queue::<()>::new(1, Backend::Pool).unwrap();
    assert_eq!(pool.capabilities().backend, Backend::Pool);
    assert!(pool.capabilities().reason.is_some());
}

#[test]
fn depths_that_are_none() {
    for backend in [Backend::Auto, Backend::IoUring, Backend::Pool] {
        for depth in [0, 32769, usize::MAX] {
            let error = Queue::<()>::new(depth, backend).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
    }
}

#[test]
fn what_has_no_room_comes_back() {
    on_each(|backend| {
        let mut desk = Desk::new(2, backend);
        let file = temporary();
        let write = |byte| Operation::write(file.clone(), vec![byte; 3], 0);
        desk.queue.submit(write(1), 1).unwrap();
        desk.queue.submit(write(2), 2).unwrap();
        let rejected = desk.queue.submit(write(3), 3).unwrap_err();
        assert!(matches!(rejected.reason, Reason::Full));
        assert!(rejected.to_string().contains("take some"), "{rejected}");
        assert_eq!(rejected.user, 3);
        let again = rejected.operation;
        let chain = desk.queue.submit_chain([(write(4), 4), (write(5), 5)]).unwrap_err();
        assert_eq!(chain.chain.len(), 2);
        // Those that have ended take up room until they are taken.
        desk.wait();
        desk.queue.submit(again, 3).unwrap();
        let mut users = [desk.wait().user, desk.wait().user];
        users.sort_unstable();
        assert_eq!(users[1], 3);
        assert!(desk.queue.is_empty());
    });
}

#[test]
fn ends_of_files_and_what_is_beyond() {
    on_each(|backend| {
        let mut desk = Desk::new(8, backend);
        let file = temporary();
        desk.queue.submit(Operation::write(file.clone(), b"0123456789".to_vec(), 0), ()).unwrap();
        assert_eq!(desk.wait().count().unwrap(), 10);
        for (offset, expected) in [(0, 8), (5, 5), (10, 0), (1 << 40, 0)] {
            desk.queue.submit(Operation::read(file.clone(), vec![0; 8], offset), ()).unwrap();
            let done = desk.wait();
            assert_eq!(done.count().unwrap(), expected, "{backend} at {offset}");
            let bytes = done.operation.into_buffer().unwrap();
            let from = (offset as usize).min(10);
            assert_eq!(bytes[..expected], b"0123456789"[from..from + expected]);
        }
        for offset in [u64::MAX, 1 << 63] {
            desk.queue.submit(Operation::read(file.clone(), vec![0; 8], offset), ()).unwrap();
            let error = desk.wait().result.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{backend} at {offset}");
            desk.queue.submit(Operation::write(file.clone(), vec![0; 8], offset), ()).unwrap();
            let error = desk.wait().result.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL), "{backend} at {offset}");
        }
    });
}

#[test]
fn buffers_of_all_kinds() {
    on_each(|backend| {
        let mut desk = Desk::new(8, backend);
        let file = temporary();
        let fixed = FixedBuffers::new(2, 5000).unwrap();
        let registered = desk.queue.register_buffers(&fixed);
        assert_eq!(registered.is_ok(), backend == Backend::IoUring, "{registered:?}");
        let elsewhere = FixedBuffers::new(1, 5000).unwrap();
        let mut taken = fixed.take().unwrap();
        assert_eq!(taken.len(), 5000);
        taken.fill(3);
        let mut other = elsewhere.take().unwrap();
        other.fill(4);
        let mut aligned = AlignedBuffer::new(5000, 512).unwrap();
        aligned.fill(5);
        let buffers: [Buffer; 6] = [
            vec![1; 5000].into(),
            vec![2; 5000].into_boxed_slice().into(),
            taken.into(),
            other.into(),
            aligned.into(),
            bytes::BytesMut::from(&[6; 5000][..]).into(),
        ];
        for (number, buffer) in buffers.into_iter().enumerate() {
            let value = number as u8 + 1;
            let at = number as u64 * 100;
            let write = Operation::write(file.clone(), buffer.with_range(100..200), at);
            desk.queue.submit(write, ()).unwrap();
            let done = desk.wait();
            assert_eq!(done.count().unwrap(), 100, "{backend}, {value}");
            let mut buffer = done.operation.into_buffer().unwrap().whole();
            assert!(buffer.len() == 5000 && buffer.iter().all(|&byte| byte == value));
            buffer.fill(0);
            let read = Operation::read(file.clone(), buffer.with_range(10..60), at);
            desk.queue.submit(read, ()).unwrap();
            let done = desk.wait();
            assert_eq!(done.count().unwrap(), 50);
            let buffer = done.operation.into_buffer().unwrap();
            assert_eq!(buffer.range(), 10..60);
            assert!(buffer.iter().all(|&byte| byte == value), "{backend}, {value}");
            let whole = buffer.into_vec();
            assert!(whole[..10].iter().chain(&whole[60..]).all(|&byte| byte == 0));
        }
        // They came back.
        let both = [fixed.take(), fixed.take(), fixed.take()];
        assert_eq!(both.iter().flatten().count(), 2);
    });
}

#[test]
fn several_buffers_at_once() {
    on_each(|backend| {
        let mut desk = Desk::new(8, backend);
        let file = temporary();
        let buffers = vec![b"one".to_vec().into(), Vec::new().into(), b"three".to_vec().into()];
        desk.queue.submit(Operation::write_vectored(file.clone(), buffers, 2), ()).unwrap();
        assert_eq!(desk.wait().count().unwrap(), 8);
        let buffers = vec![vec![9; 4].into(), vec![9; 2].into(), vec![9; 10].into()];
        desk.queue.submit(Operation::read_vectored(file.clone(), buffers, 0), ()).unwrap();
        let done = desk.wait();
        assert_eq!(done.count().unwrap(), 10);
        let buffers = done.operation.into_buffers();
        let buffers: Vec<Vec<u8>> = buffers.into_iter().map(Buffer::into_vec).collect();
        assert_eq!(buffers[0], b"\0\0on");
        assert_eq!(buffers[1], b"et");
        assert_eq!(buffers[2], b"hree\x09\x09\x09\x09\x09\x09");
        let too_many = (0..1025).map(|_| vec![0].into()).collect();
        desk.queue.submit(Operation::read_vectored(file, too_many, 0), ()).unwrap();
        assert_eq!(desk.wait().result.unwrap_err().raw_os_error(), Some(libc::EINVAL), "{backend}");
    });
}

#[test]
fn names_and_what_is_known_of_files() {
    on_each(|backend| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut desk = Desk::new(8, backend);
        let mut done = |operation| {
            desk.queue.submit(operation, ()).unwrap();
            desk.wait().result
        };
        let new = OpenOptions::new().write(true).create_new(true).mode(0o640);
        let file = done(Operation::open(&path, new).unwrap()).unwrap().into_file().unwrap();
        let error = done(Operation::open(&path, new).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let options = OpenOptions::new();
        for contradiction in [options.create(true), options.read(true).truncate(true), options] {
            let error = Operation::open(&path, contradiction).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        done(Operation::write(file, b"12345".to_vec(), 0)).unwrap();

        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        for name in ["file", "link", ".", "missing"] {
            let path = folder.path().join(name);
            let told = done(Operation::metadata(&path).unwrap()).map(|it| *it.metadata().unwrap());
            same(told, fs::metadata(&path));
            let told = done(Operation::symlink_metadata(&path).unwrap());
            same(told.map(|it| *it.metadata().unwrap()), fs::symlink_metadata(&path));
        }
        let file = Arc::new(File::open(&path).unwrap());
        let told = done(Operation::metadata_of(file.clone())).map(|it| *it.metadata().unwrap());
        same(told, file.metadata());

        let other = folder.path().join("other");
        done(Operation::rename(&path, &other).unwrap()).unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"12345");
        let inner = folder.path().join("inner");
        done(Operation::create_dir(&inner, 0o700).unwrap()).unwrap();
        let error = done(Operation::create_dir(&inner, 0o700).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let error = done(Operation::remove_file(&inner).unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), fs::remove_file(&inner).unwrap_err().raw_os_error());
        done(Operation::remove_dir(&inner).unwrap()).unwrap();
        done(Operation::remove_file(&other).unwrap()).unwrap();
        assert!(!other.exists() && !inner.exists());

        assert_eq!(Operation::remove_file("a\0b").unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[track_caller]
fn same(told: io::Result<Metadata>, std: io::Result<fs::Metadata>) {
    match (told, std) {
        (Ok(told), Ok(std)) => assert_eq!(told, Metadata::from(std)),
        (Err(told), Err(std)) => assert_eq!(told.raw_os_error(), std.raw_os_error()),
        (told, std) => panic!("{told:?}, but {std:?}"),
    }
}

#[test]
fn files_are_closed() {
    on_each(|backend| {
        let mut desk = Desk::new(8, backend);
        let (reader, writer) = wakeful_kernel::pipe::pipe().unwrap();
        desk.queue.submit(Operation::close(File::from(writer)), ()).unwrap();
        let done = desk.wait();
        done.result.unwrap();
        assert!(matches!(done.operation, Operation::Close { file: None }));
        // The writing end is gone: that is the end of what can be read.
        assert_eq!(wakeful_kernel::descriptor::read(&reader, &mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn room_on_the_disk() {
    on_each(|backend| {
        let mut desk = Desk::new(8, backend);
        let file = temporary();
        let extend = Operation::allocate(file.clone(), 0, 10_000, Allocation::Extend);
        desk.queue.submit(extend, ()).unwrap();
        desk.wait().result.unwrap();
        assert_eq!(file.metadata().unwrap().len(), 10_000, "{backend}");
        let nothing = Operation::allocate(file.clone(), 0, 0, Allocation::Extend);
        desk.queue.submit(nothing, ()).unwrap();
        assert_eq!(desk.wait().result.unwrap_err().raw_os_error(), Some(libc::EINVAL));
        let endless = Operation::allocate(file, 0, u64::MAX, Allocation::Extend);
        desk.queue.submit(endless, ()).unwrap();
        assert_eq!(desk.wait().result.unwrap_err().raw_os_error(), Some(libc::EINVAL));
    });
}

#[test]
fn errors_are_the_systems() {
    on_each(|backend| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"text").unwrap();
        let mut desk = Desk::new(8, backend);
        let mut errno = |operation| {
            desk.queue.submit(operation, ()).unwrap();
            desk.wait().result.unwrap_err().raw_os_error().unwrap()
        };
        let reading = Arc::new(File::open(&path).unwrap());
        assert_eq!(errno(Operation::write(reading, b"x".to_vec(), 0)), libc::EBADF, "{backend}");
        let writing = Arc::new(File::options().write(true).open(&path).unwrap());
        assert_eq!(errno(Operation::read(writing.clone(), vec![0; 4], 0)), libc::EBADF);
        let directory = Arc::new(File::open(folder.path()).unwrap());
        assert_eq!(errno(Operation::read(directory.clone(), vec![0; 4], 0)), libc::EISDIR);
        let buffers = vec![vec![0; 4].into()];
        assert_eq!(errno(Operation::read_vectored(directory, buffers, 0)), libc::EISDIR);
        #[cfg(target_os = "linux")]
        {
            let full = Arc::new(File::options().write(true).open("/dev/full").unwrap());
            assert_eq!(errno(Operation::write(full, b"x".to_vec(), 0)), libc::ENOSPC);
        }
        let missing = folder.path().join("missing");
        assert_eq!(errno(Operation::metadata(&missing).unwrap()), libc::ENOENT);
        assert_eq!(errno(Operation::remove_file(&missing).unwrap()), libc::ENOENT);
        assert_eq!(errno(Operation::rename(&missing, &path).unwrap()), libc::ENOENT);
        let open = OpenOptions::new().read(true);
        assert_eq!(errno(Operation::open(missing.join("x"), open).unwrap()), libc::ENOENT);
        assert_eq!(errno(Operation::open(path.join("x"), open).unwrap()), libc::ENOTDIR);
        let directory = OpenOptions::new().write(true);
        assert_eq!(errno(Operation::open(folder.path(), directory).unwrap()), libc::EISDIR);
    });
}

#[test]
fn chains_go_in_order_and_end_at_a_failure() {
    on_each(|backend| {
        let mut desk = Desk::new(64, backend);
        let file = temporary();
        // Each moves what the one before has written: out of order, nothing would be there to read.
        for _ in 0..20 {
            file.set_len(0).unwrap();
            let write = |text: &[u8], at| Operation::write(file.clone(), text.to_vec(), at);
            let read = |at| Operation::read(file.clone(), vec![0; 3], at);
            let chain = [
                (write(b"abc", 0), 0),
                (read(0), 1),
                (write(b"def", 3), 2),
                (Operation::sync_data(file.clone()), 3),
                (read(3), 4),
            ];
            assert_eq!(desk.queue.submit_chain(chain).unwrap().len(), 5);
            for number in 0..5 {
                let done = desk.wait();
                assert_eq!(done.user, number, "{backend}");
                assert!(done.result.is_ok());
                match number {
                    1 => assert_eq!(done.operation.into_buffer().unwrap().into_vec(), b"abc"),
                    4 => assert_eq!(done.operation.into_buffer().unwrap().into_vec(), b"def"),
                    _ => {}
                }
            }
        }
        // A read that finds less than it was to.
        let chain = [
            (Operation::read(file.clone(), vec![0; 100], 0), 0),
            (Operation::write(file.clone(), b"never".to_vec(), 0), 1),
            (Operation::sync_all(file.clone()), 2),
        ];
        desk.queue.submit_chain(chain).unwrap();
        let done: Vec<_> = (0..3).map(|_| desk.wait()).collect();
        assert_eq!(done[0].count().unwrap(), 6);
        assert!(done[1].is_cancelled() && done[2].is_cancelled(), "{backend}: {done:?}");
        assert_eq!(file.metadata().unwrap().len(), 6);
        // Others do not wait for it.
        desk.queue.submit(Operation::sync_all(file), 9).unwrap();
        assert_eq!(desk.wait().user, 9);
        assert!(desk.queue.submit_chain([]).unwrap().is_empty());
    });
}

/// What is in memory is read at once, all else as ever: the end of the file, and what is no read.
#[test]
fn attempts() {
    on_each(|backend| {
        let mut desk = Desk::new(4, backend);
        let file = temporary();
        match desk.queue.attempt(Operation::write(file.clone(), vec![5; 8192], 0), 1).unwrap() {
            Attempt::Submitted(key) => assert_eq!(desk.wait().key, key),
            attempt => panic!("{attempt:?}"),
        }
        let mut at_once = 0;
        for (offset, expected) in [(0, 4096), (4096, 4096), (6000, 2192), (9000, 0)] {
            let read = Operation::read(file.clone(), vec![0; 4096], offset);
            let (operation, count) = match desk.queue.attempt(read, 2).unwrap() {
                Attempt::Done(operation, user, output) => {
                    assert_eq!((user, expected), (2, 4096));
                    at_once += 1;
                    (operation, output.count())
                }
                Attempt::Submitted(_) => {
                    let done = desk.wait();
                    (done.operation, done.result.unwrap().count())
                }
            };
            assert_eq!(count, expected, "{backend} at {offset}");
            assert!(operation.into_buffer().unwrap()[..count].iter().all(|&byte| byte == 5));
        }
        assert!(at_once == 2 || cfg!(not(target_os = "linux")), "{at_once}");
        assert!(desk.queue.is_empty());
        let wrong = Operation::read(file, vec![0; 8], u64::MAX);
        assert!(matches!(desk.queue.attempt(wrong, 3), Ok(Attempt::Submitted(_))));
        assert_eq!(desk.wait().result.unwrap_err().raw_os_error(), Some(libc::EINVAL));
    });
}

/// What is refused as soon as the kernel sees it ends the chain where it stands, and not before.
#[test]
fn chains_with_members_that_are_refused() {
    on_each(|backend| {
        let mut desk = Desk::new(8, backend);
        let file = temporary();
        let long = "x".repeat(5000);
        let vectors = (0..1025).map(|_| vec![0].into()).collect();
        let refused = [
            (Operation::metadata("").unwrap(), libc::ENOENT),
            (Operation::remove_file(&long).unwrap(), libc::ENAMETOOLONG),
            (Operation::read_vectored(file.clone(), vectors, 0), libc::EINVAL),
        ];
        for (operation, errno) in refused {
            let chain = [
                (Operation::write(file.clone(), b"hello".to_vec(), 0), 0),
                (operation, 1),
                (Operation::sync_data(file.clone()), 2),
            ];
            desk.queue.submit_chain(chain).unwrap();
            let done: Vec<_> = (0..3).map(|_| desk.wait()).collect();
            assert_eq!(done[0].count().unwrap(), 5, "{backend}");
            let error = done[1].result.as_ref().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno), "{backend}");
            assert!(done[2].is_cancelled(), "{backend}");
        }
    });
}

/// The kernel interrupts epoll_wait(2) for work with a ring; that is no signal.
#[test]
fn waits_are_not_interrupted() {
    on_each(|backend| {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(8);
        let file = temporary();
        for round in 0..30 {
            let queue = Queue::new(8, backend).unwrap();
            let chain = [
                (Operation::write(file.clone(), vec![1; 100_000], 0), ()),
                (Operation::sync_all(file.clone()), ()),
            ];
            queue.submit_chain(chain).unwrap();
            // Registered nowhere, and gone in the middle, every second time.
            let kept = (round % 2 == 0).then_some(queue);
            let start = Instant::now();
            poll.poll(&mut events, Some(common::QUIET)).unwrap();
            assert!(events.is_empty() && start.elapsed() >= common::QUIET, "{backend}");
            drop(kept);
        }
    });
}

/// A value whose destructor panics, while the kernel is at work.
#[test]
fn a_value_that_panics_when_it_is_dropped() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as it is to");
        }
    }
    on_each(|backend| {
        let file = temporary();
        let queue = Queue::new(8, backend).unwrap();
        let read = Operation::read(file.clone(), vec![0; 4096], 0);
        queue.submit(read, Some(Bomb)).unwrap();
        for _ in 0..7 {
            let write = Operation::write(file.clone(), vec![1; 100_000], 0);
            queue.submit(write, None).unwrap();
        }
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(queue)));
        assert!(panicked.is_err());
        let deadline = Instant::now() + common::DEADLINE;
        while Arc::strong_count(&file) > 1 {
            assert!(Instant::now() < deadline, "{backend} has leaked");
            thread::sleep(common::QUIET);
        }
    });
}

/// A forked child is refused, also if another thread was in the middle of something, and closes nothing of its own.
#[test]
fn in_a_forked_child() {
    on_each(|backend| {
        let file = temporary();
        let queue = Arc::new(Queue::new(64, backend).unwrap());
        let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let busy = {
            let (queue, file, is_over) = (queue.clone(), file.clone(), is_over.clone());
            thread::spawn(move || {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = queue.submit(Operation::read(file.clone(), vec![0; 64], 0), ());
                    drop(queue.completion());
                }
            })
        };
        let closing = std::mem::ManuallyDrop::new(Queue::new(1, backend).unwrap());
        closing.submit(Operation::close(file.try_clone().unwrap()), ()).unwrap();
        thread::sleep(common::QUIET);
        for _ in 0..20 {
            // SAFETY: the child calls what may be called with glibc, and ends.
            match unsafe { libc::fork() } {
                0 => {
                    // SAFETY: the process ends by it, if it hangs.
                    unsafe { libc::alarm(5) };
                    let own =
                        File::open("/").map(std::os::fd::IntoRawFd::into_raw_fd).unwrap_or(-1);
                    let rejected = queue.submit(Operation::sync_all(file.clone()), ());
                    let mut is_fine =
                        matches!(rejected, Err(it) if matches!(it.reason, Reason::Failed(_)));
                    is_fine &= queue.completion().is_none() && queue.is_empty();
                    drop(std::mem::ManuallyDrop::into_inner(closing));
                    // SAFETY: it is a number.
                    is_fine &= unsafe { libc::fcntl(own, libc::F_GETFD) } != -1;
                    // SAFETY: no destructor of the parent's is to run here.
                    unsafe { libc::_exit(if is_fine { 0 } else { 1 }) };
                }
                child => {
                    let mut status = 0;
                    // SAFETY: the status is valid for the write.
                    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
                    assert_eq!(status, 0, "{backend}");
                }
            }
        }
        drop(std::mem::ManuallyDrop::into_inner(closing));
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        busy.join().unwrap();
    });
}

#[test]
fn a_file_that_a_cancelled_chain_did_not_close() {
    on_each(|backend| {
        let mut desk = Desk::new(8, backend);
        let full = temporary();
        let (reader, writer) = wakeful_kernel::pipe::pipe().unwrap();
        let chain =
            [(Operation::read(full, vec![0; 8], 0), 0), (Operation::close(File::from(writer)), 1)];
        desk.queue.submit_chain(chain).unwrap();
        desk.wait();
        let done = desk.wait();
        assert!(done.is_cancelled());
        let Operation::Close { file: Some(file) } = done.operation else {
            panic!("it was closed by {backend}")
        };
        let writer = OwnedFd::from(file);
        assert_eq!(wakeful_kernel::descriptor::write(&writer, b"x").unwrap(), 1);
        drop(reader);
    });
}

#[test]
fn cancelled_it_ends_all_the_same() {
    on_each(|backend| {
        let mut desk = Desk::new(100, backend);
        let file = temporary();
        let keys: Vec<_> = (0..100)
            .map(|number| {
                let write = Operation::write(file.clone(), vec![1; 100_000], number * 100_000);
                desk.queue.submit(write, number).unwrap()
            })
            .collect();
        for &key in &keys {
            desk.queue.cancel(key).unwrap();
        }
        let mut users: Vec<_> = (0..100)
            .map(|_| {
                let done = desk.wait();
                assert!(done.is_cancelled() || done.count().unwrap() == 100_000, "{done:?}");
                done.user
            })
            .collect();
        users.sort_unstable();
        assert_eq!(users, Vec::from_iter(0..100));
        // Long over.
        for key in keys {
            desk.queue.cancel(key).unwrap();
        }
        desk.queue.submit(Operation::sync_data(file), 100).unwrap();
        assert!(desk.wait().result.is_ok());
    });
}

#[test]
fn dropped_with_a_thousand_under_way() {
    on_each(|backend| {
        let file = temporary();
        let counted = Arc::new(());
        for _ in 0..5 {
            let queue = Queue::new(1000, backend).unwrap();
            let mut batch = queue.batch();
            for number in 0..500 {
                let write = Operation::write(file.clone(), vec![7; 4096], number * 4096);
                batch.submit(write, counted.clone()).unwrap();
                let read = Operation::read(file.clone(), vec![0; 4096], number * 4096);
                batch.submit(read, counted.clone()).unwrap();
            }
            batch.flush().unwrap();
            drop(batch);
            drop(queue);
        }
        // What is not given up keeps its file until it has ended, and then lets go.
        let deadline = Instant::now() + common::DEADLINE;
        while Arc::strong_count(&file) > 1 || Arc::strong_count(&counted) > 1 {
            assert!(Instant::now() < deadline, "{backend} has leaked");
            thread::sleep(common::QUIET);
        }
    });
}

#[test]
fn from_many_threads() {
    on_each(|backend| {
        let queue = Arc::new(Queue::new(64, backend).unwrap());
        let file = temporary();
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let (queue, file) = (queue.clone(), file.clone());
                thread::spawn(move || {
                    let deadline = Instant::now() + common::DEADLINE;
                    let mut accepted = 0;
                    while accepted < 500 {
                        assert!(Instant::now() < deadline, "{queue:?}");
                        let write = Operation::write(file.clone(), vec![0; 64], accepted * 64);
                        accepted += u64::from(queue.submit(write, number).is_ok());
                        // Another thread's, perhaps; and one that has not ended yet may be in the way.
                        if queue.completion().is_none() {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let deadline = Instant::now() + common::DEADLINE;
        while !queue.is_empty() {
            assert!(Instant::now() < deadline, "{backend}: {queue:?}");
            queue.completions().for_each(drop);
        }
    });
}

#[test]
fn what_a_queue_crosses() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Queue<u64>>();
    crosses::<Operation>();
    crosses::<FixedBuffers>();
    crosses::<AlignedBuffer>();
}
