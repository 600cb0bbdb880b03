//! `EVFILT_READ`, `EVFILT_WRITE` and their kin, by what the descriptor is: kqueue(2) of FreeBSD, kind by kind.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use common::{Kqueue, event};
use wakeful_emulation::kqueue::*;

const MS: Duration = Duration::from_millis(1);

/// Rust 1.85 has none.
fn pipe() -> (File, File) {
    let mut fds = [0; 2];
    // SAFETY: there is room for the two, which are nobody else's.
    unsafe {
        assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1]))
    }
}

/// "NOTE_LOWAT … the filter's low water mark … in data."
#[test]
fn a_low_water_mark() {
    let queue = Kqueue::new();
    let (mut left, mut right) = UnixStream::pair().unwrap();
    let fd = left.as_raw_fd() as usize;
    let change = event(fd, EVFILT_READ, EV_ADD);
    queue.change(kevent { fflags: NOTE_LOWAT, data: 4, ..change });
    right.write_all(b"123").unwrap();
    queue.nothing();
    right.write_all(b"4").unwrap();
    assert_eq!(queue.one().data, 4);
    left.read_exact(&mut [0; 4]).unwrap();
    queue.nothing();
}

/// "EVFILT_READ … sockets which have previously been passed to listen(2) … data contains the size of the
/// listen backlog."
#[test]
fn a_listening_socket() {
    let queue = Kqueue::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    queue.change(event(listener.as_raw_fd() as usize, EVFILT_READ, EV_ADD));
    queue.nothing();
    let clients: Vec<_> =
        (0..3).map(|_| TcpStream::connect(listener.local_addr().unwrap()).unwrap()).collect();
    assert_eq!(queue.one().data, 3);
    for _ in &clients {
        listener.accept().unwrap();
    }
    queue.nothing();
}

/// "Vnodes: returns when the file pointer is not at the end of file. data contains the offset from current
/// position to end of file, and may be negative."
#[test]
fn a_regular_file() {
    let queue = Kqueue::new();
    let mut file = tempfile::tempfile().unwrap();
    let fd = file.as_raw_fd() as usize;
    file.write_all(b"0123456789").unwrap();
    queue.change(event(fd, EVFILT_READ, EV_ADD));
    queue.nothing();
    file.seek(SeekFrom::Start(3)).unwrap();
    queue.change(event(fd, EVFILT_READ, EV_ADD));
    for _ in 0..2 {
        assert_eq!(queue.one().data, 7);
    }
    file.seek(SeekFrom::Start(12)).unwrap();
    assert_eq!(queue.one().data, -2);
    // It grows while somebody waits.
    file.seek(SeekFrom::Start(10)).unwrap();
    queue.nothing();
    let at_end = file.try_clone().unwrap();
    let writer = thread::spawn(move || {
        thread::sleep(5 * MS);
        std::os::unix::fs::FileExt::write_all_at(&at_end, b"more", 10).unwrap();
    });
    assert_eq!(queue.one().data, 4);
    writer.join().unwrap();
    queue.change(event(fd, EVFILT_READ, EV_DELETE));
    queue.change(event(fd, EVFILT_WRITE, EV_ADD));
    for _ in 0..2 {
        assert_eq!(queue.one().filter, EVFILT_WRITE);
    }
}

/// lseek(2) to an earlier offset activates the event, as in FreeBSD's `vn_seek`, without a change
/// of the event.
#[test]
fn a_regular_file_whose_offset_moves_back() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    for mode in [0, EV_CLEAR, EV_ONESHOT, EV_DISPATCH] {
        let queue = Kqueue::new();
        file.seek(SeekFrom::End(0)).unwrap();
        queue.change(event(file.as_raw_fd() as usize, EVFILT_READ, EV_ADD | mode));
        queue.nothing();
        file.seek(SeekFrom::Start(4)).unwrap();
        assert_eq!(queue.one().data, 6);
        // It was looked at: only the next move is another event.
        assert_eq!(queue.within(Duration::ZERO).len(), usize::from(mode == 0));
        file.seek(SeekFrom::Start(1)).unwrap();
        let again = queue.within(Duration::ZERO);
        let expected: &[i64] = if mode == 0 || mode == EV_CLEAR { &[9] } else { &[] };
        assert_eq!(again.iter().map(|event| event.data).collect::<Vec<_>>(), expected);
        file.read_to_end(&mut Vec::new()).unwrap();
        queue.nothing();
    }
    // Also while somebody waits.
    let queue = Kqueue::new();
    queue.change(event(file.as_raw_fd() as usize, EVFILT_READ, EV_ADD | EV_CLEAR));
    queue.nothing();
    let mut other = file.try_clone().unwrap();
    let mover = thread::spawn(move || {
        thread::sleep(5 * MS);
        other.seek(SeekFrom::Start(0)).unwrap();
    });
    assert_eq!(queue.one().data, 10);
    mover.join().unwrap();
}

/// "If NOTE_FILE_POLL is set in fflags, EVFILT_READ will behave like poll(2) … for regular files."
#[test]
fn a_regular_file_as_poll_has_it() {
    let queue = Kqueue::new();
    let file = tempfile::tempfile().unwrap();
    let read = event(file.as_raw_fd() as usize, EVFILT_READ, EV_ADD);
    queue.change(kevent { fflags: NOTE_FILE_POLL, ..read });
    for _ in 0..2 {
        assert_eq!(queue.one().data, 0, "it is empty, and at its end");
    }
    queue.change(read);
    queue.nothing();
}

/// "Fifos, Pipes: returns when there is data to read; data contains the number of bytes available. When the last
/// writer disconnects, the filter will set EV_EOF."
#[test]
fn a_pipe_that_is_read() {
    let queue = Kqueue::new();
    let (mut reader, mut writer) = pipe();
    queue.change(event(reader.as_raw_fd() as usize, EVFILT_READ, EV_ADD));
    queue.nothing();
    writer.write_all(b"12345").unwrap();
    let found = queue.one();
    assert_eq!((found.data, found.flags & EV_EOF), (5, 0));
    drop(writer);
    let found = queue.one();
    assert_eq!((found.data, found.flags & EV_EOF), (5, EV_EOF));
    reader.read_exact(&mut [0; 5]).unwrap();
    let found = queue.one();
    assert_eq!((found.data, found.flags & EV_EOF), (0, EV_EOF));
}

/// "EVFILT_WRITE: … data will contain the amount of space remaining in the write buffer. The filter will set EV_EOF
/// when the reader disconnects."
#[test]
fn a_pipe_that_is_written() {
    let queue = Kqueue::new();
    let (reader, mut writer) = pipe();
    queue.change(event(writer.as_raw_fd() as usize, EVFILT_WRITE, EV_ADD));
    let empty = queue.one().data;
    writer.write_all(&[0; 100]).unwrap();
    assert_eq!(queue.one().data, empty - 100);
    writer.write_all(&vec![0; usize::try_from(empty).unwrap() - 100]).unwrap();
    queue.nothing();
    drop(reader);
    assert_eq!(queue.one().flags & EV_EOF, EV_EOF);
}

/// The direction for which an end of a pipe is not open has no events, as in FreeBSD's
/// `pipe_kqfilter`.
#[test]
fn the_other_direction_of_a_pipe() {
    for mode in [0, EV_CLEAR] {
        let queue = Kqueue::new();
        let (reader, writer) = pipe();
        let (read, write) = (reader.as_raw_fd() as usize, writer.as_raw_fd() as usize);
        queue.change(event(read, EVFILT_WRITE, EV_ADD | mode));
        queue.change(event(write, EVFILT_READ, EV_ADD | mode));
        queue.nothing();
        (&writer).write_all(b"x").unwrap();
        queue.nothing();
        drop(writer);
        queue.nothing();
        queue.change(event(read, EVFILT_READ, EV_ADD));
        assert_eq!((queue.one().filter, queue.one().flags), (EVFILT_READ, EV_EOF));

        let (reader, writer) = pipe();
        queue.change(event(read, EVFILT_READ, EV_DELETE));
        let write = writer.as_raw_fd() as usize;
        queue.change(event(write, EVFILT_READ, EV_ADD | mode));
        queue.change(event(write, EVFILT_WRITE, EV_ADD | EV_CLEAR));
        assert_eq!(queue.one().filter, EVFILT_WRITE);
        queue.nothing();
        drop(reader);
        let found = queue.one();
        assert_eq!((found.filter, found.flags & EV_EOF, found.data), (EVFILT_WRITE, EV_EOF, 0));
    }
}

/// "Fifos … EV_EOF … may be cleared by passing in EV_CLEAR, at which point the filter will resume waiting": of a
/// fifo whose writers went, and to which another comes.
#[test]
fn a_fifo_whose_writers_come_and_go() {
    let queue = Kqueue::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the string lives.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let open = |flags| {
        // SAFETY: the string lives; the descriptor is nobody else's.
        unsafe {
            let fd = libc::open(name.as_ptr(), flags | libc::O_NONBLOCK | libc::O_CLOEXEC);
            File::from_raw_fd(fd)
        }
    };
    let mut reader = open(libc::O_RDONLY);
    queue.change(event(reader.as_raw_fd() as usize, EVFILT_READ, EV_ADD | EV_CLEAR));
    for _ in 0..2 {
        let mut writer = open(libc::O_WRONLY);
        writer.write_all(b"abc").unwrap();
        assert_eq!(queue.one().data, 3);
        reader.read_exact(&mut [0; 3]).unwrap();
        drop(writer);
        let found = queue.one();
        assert_eq!((found.data, found.flags & EV_EOF), (0, EV_EOF));
        queue.nothing();
    }
}

/// "EVFILT_WRITE: takes a descriptor as the identifier, and returns whenever it is possible to write."
#[test]
fn a_socket_that_fills_and_empties() {
    let queue = Kqueue::new();
    let (mut left, right) = UnixStream::pair().unwrap();
    right.set_nonblocking(true).unwrap();
    queue.change(event(right.as_raw_fd() as usize, EVFILT_WRITE, EV_ADD));
    assert!(queue.one().data > 0);
    while (&right).write(&[0; 4096]).is_ok() {}
    queue.nothing();
    left.set_nonblocking(true).unwrap();
    while left.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
    assert!(queue.one().data > 0);
}

/// "Sockets … flags EV_EOF, and … the socket error (if any) in fflags."
#[test]
fn a_connection_that_is_reset() {
    let queue = Kqueue::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).unwrap();
    let (server, _) = listener.accept().unwrap();
    queue.change(event(client.as_raw_fd() as usize, EVFILT_READ, EV_ADD));
    (&client).write_all(b"unread").unwrap();
    // With something unread, closing resets the connection.
    thread::sleep(5 * MS);
    drop(server);
    let found = queue.one();
    assert_eq!(found.flags & EV_EOF, EV_EOF);
    assert_ne!(found.fflags, 0);
    assert!(client.take_error().unwrap().is_some(), "looking did not take it");
}

/// kqueue(2): "KQUEUE_CLOEXEC"; the older call's is open in what is executed.
#[test]
fn closed_at_exec_if_asked() {
    // SAFETY: the call takes integers.
    let flags = |fd| unsafe { libc::fcntl(fd, libc::F_GETFD) };
    for (fd, expected) in [
        (kqueue(), 0),
        (kqueue1(0), 0),
        (kqueue1(libc::O_CLOEXEC), libc::FD_CLOEXEC),
        (kqueuex(0), 0),
        (kqueuex(KQUEUE_CLOEXEC), libc::FD_CLOEXEC),
    ] {
        assert_eq!(flags(Kqueue(fd).0), expected);
    }
    assert_eq!(kqueuex(1 << 5), -1);
}

/// Out-of-band data, which macOS, OpenBSD and DragonFly tell of.
#[test]
fn out_of_band_data() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (reader, _) = listener.accept().unwrap();
    let fd = reader.as_raw_fd() as usize;
    let queue = Kqueue::new();
    queue.change(event(fd, EVFILT_EXCEPT, EV_ADD | EV_CLEAR));
    (&writer).write_all(b"x").unwrap();
    queue.nothing();
    // SAFETY: the buffer is valid for reads of a byte.
    let sent = unsafe { libc::send(writer.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB) };
    assert_eq!(sent, 1);
    let found = queue.one();
    assert_eq!((found.filter, found.fflags, found.flags & EV_EOF), (EVFILT_EXCEPT, NOTE_OOB, 0));
    queue.change(event(fd, EVFILT_EXCEPT, EV_DELETE));
    let file = tempfile::tempfile().unwrap();
    assert_eq!(
        queue.refused(event(file.as_raw_fd() as usize, EVFILT_EXCEPT, EV_ADD)),
        libc::EINVAL
    );
}
