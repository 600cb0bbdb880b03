//! Operations on files, as far as only Linux has them: `O_DIRECT`, `RWF_NOWAIT`, /dev/full.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use common::files::{Desk, on_each, temporary};
use wakeful::file::{AlignedBuffer, Attempt, Buffer, OpenOptions, Operation};

/// Past the kernel's memory: address, length and offset have to be multiples of what the disk says.
#[test]
fn past_the_kernels_memory() {
    on_each(|backend| {
        // Beside the program: the folder for temporary files may be in memory.
        let beside = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir_in(beside.parent().unwrap()).unwrap();
        let mut desk = Desk::new(4, backend);
        let options = OpenOptions::new().read(true).write(true).create(true);
        let options = options.custom_flags(libc::O_DIRECT);
        let open = Operation::open(folder.path().join("file"), options).unwrap();
        desk.queue.submit(open, ()).unwrap();
        let Ok(opened) = desk.wait().result else {
            return eprintln!("skipped: this file system has no O_DIRECT");
        };
        let file = Arc::new(opened.into_file().unwrap());
        let mut buffer = AlignedBuffer::new(8192, 4096).unwrap();
        buffer.fill(6);
        desk.queue.submit(Operation::write(file.clone(), buffer, 4096), ()).unwrap();
        assert_eq!(desk.wait().count().unwrap(), 8192, "{backend}");
        let buffer = Buffer::from(AlignedBuffer::new(8192, 4096).unwrap());
        desk.queue.submit(Operation::read(file.clone(), buffer, 8192), ()).unwrap();
        let done = desk.wait();
        assert_eq!(done.count().unwrap(), 4096, "{backend}");
        let buffer = done.operation.into_buffer().unwrap();
        assert!(buffer[..4096].iter().all(|&byte| byte == 6));
        let crooked = buffer.with_range(1..4097);
        desk.queue.submit(Operation::read(file, crooked, 4096), ()).unwrap();
        let error = desk.wait().result.map(|output| output.count());
        assert!(matches!(&error, Err(it) if it.raw_os_error() == Some(libc::EINVAL)), "{error:?}");
    });
}

#[test]
fn a_device_without_room() {
    on_each(|backend| {
        let mut desk = Desk::new(4, backend);
        let full = Arc::new(File::options().write(true).open("/dev/full").unwrap());
        desk.queue.submit(Operation::write(full, b"x".to_vec(), 0), ()).unwrap();
        let error = desk.wait().result.map(|output| output.count());
        assert!(matches!(&error, Err(it) if it.raw_os_error() == Some(libc::ENOSPC)), "{error:?}");
    });
}

/// Whether the kernel and the file system of this file can be asked for what is in memory (Linux 4.14, and not everywhere).
fn can_read_at_once(file: &File) -> bool {
    let mut byte = 0_u8;
    let room = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: the one buffer is valid for the write of a byte.
    unsafe { libc::preadv2(file.as_raw_fd(), &room, 1, 0, libc::RWF_NOWAIT) == 1 }
}

#[test]
fn what_is_in_memory_is_read_at_once() {
    on_each(|backend| {
        let mut desk = Desk::new(4, backend);
        let file = temporary();
        desk.queue.submit(Operation::write(file.clone(), vec![5; 4096], 0), ()).unwrap();
        assert_eq!(desk.wait().count().unwrap(), 4096);
        let read = Operation::read(file.clone(), vec![0; 4096], 0);
        let is_done = match desk.queue.attempt(read, ()).unwrap() {
            Attempt::Done(_, (), output) => output.count() == 4096,
            Attempt::Submitted(_) => desk.wait().count().unwrap() != 4096,
        };
        assert_eq!(is_done, can_read_at_once(&file), "{backend}");
    });
}
