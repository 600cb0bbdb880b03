//! `EVFILT_VNODE`, sentence by sentence of kqueue(2) of FreeBSD.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{Kqueue, event};
use wakeful_emulation::kqueue::*;

const ALL: u32 =
    NOTE_DELETE | NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB | NOTE_LINK | NOTE_RENAME | NOTE_REVOKE;

/// A file that is watched for everything but opening and reading.
struct Watched {
    queue: Kqueue,
    folder: tempfile::TempDir,
    file: File,
}

impl Watched {
    fn file() -> Watched {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "0123456789").unwrap();
        let file =
            OpenOptions::new().read(true).write(true).open(folder.path().join("file")).unwrap();
        Watched { queue: Kqueue::new(), folder, file }.watched(ALL)
    }

    fn directory() -> Watched {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("file")).unwrap();
        let file = File::open(folder.path().join("file")).unwrap();
        Watched { queue: Kqueue::new(), folder, file }.watched(ALL)
    }

    fn watched(self, notes: u32) -> Watched {
        let ident = self.file.as_raw_fd() as usize;
        self.queue
            .change(kevent { fflags: notes, ..event(ident, EVFILT_VNODE, EV_ADD | EV_CLEAR) });
        self.queue.nothing();
        self
    }

    fn path(&self) -> PathBuf {
        self.beside("file")
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What has happened since the last look.
    #[track_caller]
    fn tells(&self, notes: u32) {
        let found = self.queue.one();
        assert_eq!((found.ident, found.filter), (self.file.as_raw_fd() as usize, EVFILT_VNODE));
        assert_eq!((found.fflags, found.flags & EV_ERROR), (notes, 0), "{found:?}");
        self.queue.nothing();
    }
}

/// "NOTE_WRITE: A write occurred on the file." "NOTE_EXTEND: … the file … was extended."
#[test]
fn writing_and_growing() {
    let mut it = Watched::file();
    it.file.write_all(b"abc").unwrap();
    it.tells(NOTE_WRITE);
    fs::write(it.path(), "0123456789abc").unwrap();
    // Truncated and written again: larger in the end.
    it.tells(NOTE_WRITE | NOTE_EXTEND);
}

/// Two descriptors of one file are two events.
#[test]
fn each_descriptor_is_told() {
    let mut it = Watched::file();
    let other = File::open(it.path()).unwrap();
    let change = event(other.as_raw_fd() as usize, EVFILT_VNODE, EV_ADD | EV_CLEAR);
    it.queue.change(kevent { fflags: NOTE_WRITE, udata: 9 as *mut _, ..change });
    it.file.write_all(b"x").unwrap();
    let mut found = it.queue.wait();
    found.extend(it.queue.within(common::QUIET));
    let idents: Vec<_> = found.iter().map(|found| found.ident).collect();
    assert_eq!(idents.len(), 2, "{found:?}");
    // One goes; the other is told all the same.
    drop(other);
    it.file.write_all(b"x").unwrap();
    it.tells(NOTE_WRITE);
}

/// "NOTE_ATTRIB: The file … had its attributes changed", which truncating does.
#[test]
fn attributes() {
    let it = Watched::file();
    fs::set_permissions(it.path(), Permissions::from_mode(0o600)).unwrap();
    it.tells(NOTE_ATTRIB);
    it.file.set_len(3).unwrap();
    it.tells(NOTE_WRITE | NOTE_ATTRIB);
}

/// "NOTE_LINK: … the link count on the file changed." "NOTE_DELETE: The unlink() system call was called
/// on the file", which is open.
#[test]
fn links_and_the_end_of_the_last() {
    let it = Watched::file();
    fs::hard_link(it.path(), it.beside("link")).unwrap();
    it.tells(NOTE_LINK);
    fs::remove_file(it.beside("link")).unwrap();
    it.tells(NOTE_LINK | NOTE_DELETE);
    fs::remove_file(it.path()).unwrap();
    it.tells(NOTE_DELETE);
}

/// "NOTE_RENAME: The file … was renamed"; one that another takes the name of is deleted.
#[test]
fn renaming_and_replacing() {
    let it = Watched::file();
    fs::rename(it.path(), it.beside("new")).unwrap();
    it.tells(NOTE_RENAME);
    fs::write(it.beside("other"), "").unwrap();
    fs::rename(it.beside("other"), it.beside("new")).unwrap();
    it.tells(NOTE_DELETE);
}

/// Of a directory, "NOTE_LINK … a new subdirectory was created or deleted inside", "NOTE_EXTEND … a
/// directory entry was added or removed, as the result of rename operation … not … when a name is changed
/// inside the directory".
#[test]
fn entries_of_a_directory() {
    let it = Watched::directory();
    let inside = |name: &str| it.path().join(name);
    fs::write(inside("a"), "").unwrap();
    it.tells(NOTE_WRITE);
    fs::rename(inside("a"), inside("b")).unwrap();
    it.tells(NOTE_WRITE);
    fs::rename(inside("b"), it.beside("b")).unwrap();
    it.tells(NOTE_WRITE | NOTE_EXTEND);
    fs::rename(it.beside("b"), inside("b")).unwrap();
    it.tells(NOTE_WRITE | NOTE_EXTEND);
    fs::remove_file(inside("b")).unwrap();
    it.tells(NOTE_WRITE);
    fs::create_dir(inside("c")).unwrap();
    it.tells(NOTE_WRITE | NOTE_LINK);
    fs::remove_dir(inside("c")).unwrap();
    it.tells(NOTE_WRITE | NOTE_LINK);
    // What is written into a file of it is that file's matter.
    fs::write(inside("d"), "").unwrap();
    it.tells(NOTE_WRITE);
    fs::write(inside("d"), "x").unwrap();
    it.queue.nothing();
}

/// A directory that is removed while it is open, after it was moved elsewhere.
#[test]
fn the_end_of_a_directory() {
    let it = Watched::directory();
    fs::create_dir(it.beside("elsewhere")).unwrap();
    let moved = it.beside("elsewhere/moved");
    fs::rename(it.path(), &moved).unwrap();
    it.tells(NOTE_RENAME);
    fs::remove_dir(&moved).unwrap();
    it.tells(NOTE_DELETE);
}

/// "NOTE_OPEN", "NOTE_READ", "NOTE_CLOSE … opened for reading", "NOTE_CLOSE_WRITE … for writing".
#[test]
fn opening_reading_and_closing() {
    let it = Watched::file().watched(NOTE_OPEN | NOTE_READ | NOTE_CLOSE | NOTE_CLOSE_WRITE);
    let mut reader = File::open(it.path()).unwrap();
    it.tells(NOTE_OPEN);
    reader.read_exact(&mut [0; 4]).unwrap();
    it.tells(NOTE_READ);
    drop(reader);
    it.tells(NOTE_CLOSE);
    let writer = OpenOptions::new().append(true).open(it.path()).unwrap();
    it.tells(NOTE_OPEN);
    drop(writer);
    it.tells(NOTE_CLOSE_WRITE);
}

/// Only what is asked for wakes; without `EV_CLEAR` it stays.
#[test]
fn what_is_asked_for_and_what_stays() {
    let mut it = Watched::file();
    let ident = it.file.as_raw_fd() as usize;
    it.queue.change(event(ident, EVFILT_VNODE, EV_DELETE));
    it.queue.change(kevent { fflags: NOTE_RENAME, ..event(ident, EVFILT_VNODE, EV_ADD) });
    it.file.write_all(b"x").unwrap();
    it.queue.nothing();
    fs::rename(it.path(), it.beside("new")).unwrap();
    for _ in 0..2 {
        assert_eq!(it.queue.one().fflags, NOTE_RENAME);
    }
    // "EV_DISABLE … the filter itself is not disabled": it hears all the while.
    it.queue.change(event(ident, EVFILT_VNODE, EV_DELETE));
    it.queue
        .change(kevent { fflags: NOTE_WRITE, ..event(ident, EVFILT_VNODE, EV_ADD | EV_DISABLE) });
    it.file.write_all(b"x").unwrap();
    it.queue.nothing();
    it.queue.change(event(ident, EVFILT_VNODE, EV_ENABLE | EV_DISPATCH));
    assert_eq!(it.queue.one().fflags & NOTE_WRITE, NOTE_WRITE);
}

/// Descriptors that are none, and that are no files.
#[test]
fn what_cannot_be_watched() {
    let queue = Kqueue::new();
    let change = |ident: usize| kevent { fflags: ALL, ..event(ident, EVFILT_VNODE, EV_ADD) };
    assert_eq!(queue.refused(change(1_000_000)), libc::EBADF);
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(queue.refused(change(socket.as_raw_fd() as usize)), libc::EINVAL);
    // Its descriptor is closed: what was known of it goes.
    let it = Watched::file();
    let ident = it.file.as_raw_fd() as usize;
    drop(it.file);
    fs::remove_file(Path::new(&it.folder.path().join("file"))).unwrap();
    it.queue.nothing();
    assert_eq!(it.queue.refused(event(ident, EVFILT_VNODE, EV_DELETE)), libc::EBADF);
}
