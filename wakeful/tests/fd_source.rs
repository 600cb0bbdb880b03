//! Any descriptor as a source, and what is done about those that the kernel does not wait for.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

use common::{DEADLINE, Loop, every_backend, until_would_block};
use wakeful::unix::{Fallback, FdSource};
use wakeful::{Interest, Token, Trigger};

const TOKEN: Token = Token(4);

/// Both sides of a new terminal.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut outer, mut inner) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: both are valid for the write of one integer; the others may be null.
    let result = unsafe { libc::openpty(&mut outer, &mut inner, null, null.cast(), null.cast()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the call succeeded, so both are open, and nothing else owns them.
    unsafe { (OwnedFd::from_raw_fd(outer), OwnedFd::from_raw_fd(inner)) }
}

every_backend! {
    fn a_terminal(backend) {
        let mut events = Loop::new(backend);
        let (keyboard, terminal) = terminal();
        let terminal = FdSource::with_fallback(terminal, Fallback::HelperThread).unwrap();
        assert_eq!(terminal.fallback(), None, "the kernel waits for it");
        terminal.set_nonblocking(true).unwrap();
        let terminal =
            events.registry().register_owned(terminal, TOKEN, Interest::READABLE).unwrap();
        for line in ["one\n", "two\n"] {
            events.expect_silence();
            File::from(keyboard.try_clone().unwrap()).write_all(line.as_bytes()).unwrap();
            events.expect_readable(TOKEN);
            let mut buffer = [0; 64];
            let count = (&*terminal).read(&mut buffer).unwrap();
            assert_eq!(&buffer[..count], line.as_bytes());
            let error = (&*terminal).read(&mut buffer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
    }

    fn a_socket_of_another_library(backend) {
        use socket2::{Domain, Socket, Type};
        let mut events = Loop::new(backend);
        let (left, right) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
        right.set_nonblocking(true).unwrap();
        let right = FdSource::new(right);
        let right = events.registry().register_owned(right, TOKEN, Interest::READABLE).unwrap();
        for _ in 0..3 {
            left.send(b"datagram").unwrap();
            events.expect_readable(TOKEN);
            // One that is not a read.
            let peeked = right.try_io(|socket| socket.peek(&mut [std::mem::MaybeUninit::uninit(); 8]));
            assert_eq!(peeked.unwrap(), 8);
            assert_eq!((&*right).read(&mut [0; 64]).unwrap(), 8);
            until_would_block(|| right.try_io(|socket| (&*socket).read(&mut [0; 64])));
        }
        let other = right.deregister().unwrap().into_inner();
        left.send(b"datagram").unwrap();
        assert_eq!((&other).read(&mut [0; 64]).unwrap(), 8);
    }

    fn refused(backend) {
        let events = Loop::new(backend);
        if events.poll.capabilities().regular_files {
            return;
        }
        let file = FdSource::new(File::open("/proc/self/exe").unwrap());
        let error = events.registry().register_owned(file, TOKEN, Interest::READABLE).unwrap_err();
        assert_eq!(error.io_error().raw_os_error(), Some(libc::EPERM));
        let folder = FdSource::new(File::open("/").unwrap());
        let error = events.registry().register_owned(folder, TOKEN, Interest::READABLE).unwrap_err();
        assert_eq!(error.io_error().raw_os_error(), Some(libc::EPERM));
    }

    fn always_ready(backend) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "0123456789").unwrap();
        for trigger in [Trigger::Level, Trigger::Edge, Trigger::Oneshot] {
            let mut events = Loop::new(backend);
            let file = fs::OpenOptions::new().read(true).append(true).open(&path).unwrap();
            let file = FdSource::with_fallback(file, Fallback::AlwaysReady).unwrap();
            assert_eq!(file.fallback(), Some(Fallback::AlwaysReady));
            let interest = (Interest::READABLE | Interest::WRITABLE).with_trigger(trigger);
            let mut file = events.registry().register_owned(file, TOKEN, interest).unwrap();
            let event = events.expect_readable(TOKEN);
            assert!(event.is_writable() && !event.is_read_closed(), "{event:?}");
            let mut buffer = [0; 10];
            (&*file).read_exact(&mut buffer).unwrap();
            assert_eq!(&buffer, b"0123456789");
            (&*file).write_all(b"+").unwrap();
            if trigger == Trigger::Oneshot {
                file.rearm(Interest::READABLE).unwrap();
            }
            if trigger != Trigger::Edge {
                events.expect_readable(TOKEN);
            }
            drop(file);
            events.expect_silence();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "0123456789+++");
        let null = File::open("/dev/null").unwrap();
        let null = FdSource::with_fallback(null, Fallback::AlwaysReady).unwrap();
        assert_eq!(null.fallback(), Some(Fallback::AlwaysReady));
        assert_eq!((&null).read(&mut [0; 8]).unwrap(), 0);
    }

    fn read_by_a_thread(backend) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let text: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        fs::write(&path, &text).unwrap();
        let mut events = Loop::new(backend);
        let file = fs::OpenOptions::new().read(true).append(true).open(&path).unwrap();
        let file = FdSource::with_fallback(file, Fallback::HelperThread).unwrap();
        assert_eq!(file.fallback(), Some(Fallback::HelperThread));
        assert_ne!(file.as_raw_fd(), file.get_ref().as_raw_fd());
        let file = events.registry().register_owned(file, TOKEN, Interest::READABLE).unwrap();
        let mut received = Vec::new();
        let start = Instant::now();
        'read: while start.elapsed() < DEADLINE {
            events.expect_readable(TOKEN);
            let mut buffer = [0; 5000];
            loop {
                match (&*file).read(&mut buffer) {
                    Ok(0) => break 'read,
                    Ok(count) => received.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert!(received == text, "{} of {} bytes", received.len(), text.len());
        // Written to the file itself.
        (&*file).write_all(b"end").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len() as usize, text.len() + 3);
    }

    fn what_the_thread_cannot_read(backend) {
        let mut events = Loop::new(backend);
        let folder = File::open("/").unwrap();
        let folder = FdSource::with_fallback(folder, Fallback::HelperThread).unwrap();
        let folder = events.registry().register_owned(folder, TOKEN, Interest::READABLE).unwrap();
        events.expect_readable(TOKEN);
        let error = (&*folder).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
        assert_eq!((&*folder).read(&mut [0; 8]).unwrap(), 0);
    }
}

#[test]
fn fd_sources_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<FdSource<OwnedFd>>();
}
