//! Operations on files that complete, on every poller and by everybody who carries them out.

#![cfg(unix)]

mod common;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::sync::Arc;

use common::every_backend;
use common::files::{Desk, backends, on_each, temporary};
use wakeful::file::{
    AlignedBuffer, Allocation, Attempt, Backend, Buffer, FixedBuffers, Metadata, OpenOptions,
    Operation, Queue, Reason,
};
use wakeful::{Interest, Trigger};

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
        assert!(at_once == 0 || at_once == 2, "{backend}: {at_once}");
        assert!(desk.queue.is_empty());
        let wrong = Operation::read(file, vec![0; 8], u64::MAX);
        assert!(matches!(desk.queue.attempt(wrong, 3), Ok(Attempt::Submitted(_))));
        assert_eq!(desk.wait().result.unwrap_err().raw_os_error(), Some(libc::EINVAL));
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
