//! `PORT_SOURCE_FILE`, as port_associate(3C) has it, and what the kernel of illumos does.

#![cfg(target_os = "linux")]

#[path = "common/port.rs"]
mod common;

use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::{File, Port};
use wakeful_emulation::event_port::*;

const ORDINARY: i32 = FILE_ACCESS | FILE_MODIFIED | FILE_ATTRIB | FILE_TRUNC;

struct Place {
    port: Port,
    directory: tempfile::TempDir,
}

fn place() -> Place {
    Place { port: Port::new(), directory: tempfile::tempdir().unwrap() }
}

impl Place {
    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> (PathBuf, File) {
        let path = self.at(name);
        fs::write(&path, content).unwrap();
        let file = File::new(&path);
        (path, file)
    }

    /// What the one event says that an action leads to.
    #[track_caller]
    fn after(&self, file: &File, events: i32, act: impl FnOnce()) -> i32 {
        self.port.watch(file, events).unwrap();
        self.port.nothing();
        act();
        let event = self.port.one();
        assert_eq!(i32::from(event.portev_source), PORT_SOURCE_FILE);
        assert_eq!((event.portev_object, event.portev_user as usize), (file.object(), 5));
        event.portev_events
    }
}

fn append(path: &Path, content: &str) {
    let file = fs::OpenOptions::new().append(true).open(path);
    file.unwrap().write_all(content.as_bytes()).unwrap();
}

/// Of writing, reading, truncating, chmod(2), link(2) and creat(2) over it. Opening is nothing.
#[test]
fn what_happens_to_a_file() {
    let place = place();
    let (path, file) = place.file("file", "content");
    let after = |act: &dyn Fn()| place.after(&file, ORDINARY, act);
    assert_eq!(after(&|| append(&path, "more")), FILE_MODIFIED | FILE_ATTRIB);
    let read = || assert!(fs::File::open(&path).unwrap().read(&mut [0; 4]).is_ok());
    assert_eq!(after(&read), FILE_ACCESS);
    let truncate = |length| {
        let file = fs::OpenOptions::new().write(true).open(&path);
        file.unwrap().set_len(length).unwrap();
    };
    assert_eq!(after(&|| truncate(2)), FILE_TRUNC | FILE_MODIFIED | FILE_ATTRIB);
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!(after(&|| mode(0o600)), FILE_ATTRIB);
    let other = place.at("other");
    assert_eq!(after(&|| fs::hard_link(&path, &other).unwrap()), FILE_ATTRIB);
    // By another of its names.
    assert_eq!(after(&|| fs::rename(&other, place.at("another")).unwrap()), FILE_ATTRIB);
    assert_eq!(after(&|| fs::remove_file(place.at("another")).unwrap()), FILE_ATTRIB);
    let create = || drop(fs::File::create(&path).unwrap());
    assert_eq!(after(&create), FILE_TRUNC | FILE_MODIFIED | FILE_ATTRIB);
    place.port.watch(&file, ORDINARY).unwrap();
    drop(fs::File::open(&path).unwrap());
    place.port.nothing();
}

/// utimes(2): by what it sets.
#[test]
fn set_times() {
    let place = place();
    let (path, file) = place.file("file", "content");
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    let set = |access: libc::c_long, modification: libc::c_long| {
        let time = |nanoseconds| libc::timespec { tv_sec: 1, tv_nsec: nanoseconds };
        let times = [time(access), time(modification)];
        // SAFETY: the path and the two times are valid.
        assert_eq!(unsafe { libc::utimensat(libc::AT_FDCWD, name.as_ptr(), times.as_ptr(), 0) }, 0);
    };
    let omit = libc::UTIME_OMIT;
    assert_eq!(place.after(&file, ORDINARY, || set(7, omit)), FILE_ACCESS | FILE_ATTRIB);
    assert_eq!(place.after(&file, ORDINARY, || set(omit, 7)), FILE_MODIFIED | FILE_ATTRIB);
}

/// Only what is asked for; once, until it is associated again. With nothing, exceptions are told all the same.
#[test]
fn what_is_asked_for() {
    let place = place();
    let (path, file) = place.file("file", "content");
    place.port.watch(&file, FILE_TRUNC).unwrap();
    append(&path, "more");
    place.port.nothing();
    assert_eq!(place.after(&file, FILE_ATTRIB, || append(&path, "more")), FILE_ATTRIB);
    append(&path, "more");
    place.port.nothing();
    place.port.watch(&file, 0).unwrap();
    append(&path, "more");
    place.port.nothing();
    fs::remove_file(&path).unwrap();
    assert_eq!(place.port.one().portev_events, FILE_DELETE);
    for wrong in [FILE_DELETE, FILE_RENAME_TO, 8] {
        assert_eq!(place.port.watch(&file, wrong), Err(libc::EINVAL));
    }
}

/// FILE_DELETE, also of what is open; RENAME_FROM, RENAME_TO. The file is not associated any more.
#[test]
fn exceptions() {
    let place = place();
    let (path, file) = place.file("file", "content");
    let open = fs::File::open(&path).unwrap();
    let remove = || fs::remove_file(&path).unwrap();
    assert_eq!(place.after(&file, FILE_ATTRIB, remove), FILE_DELETE);
    drop(open);
    assert_eq!(place.port.unwatch(&file), Err(libc::ENOENT));
    assert_eq!(place.port.watch(&file, 0), Err(libc::ENOENT));
    place.port.nothing();

    place.file("file", "content");
    let away = place.at("away");
    let rename = || fs::rename(&path, &away).unwrap();
    assert_eq!(place.after(&file, FILE_ATTRIB, rename), FILE_RENAME_FROM);
    place.port.nothing();

    place.file("file", "content");
    let over = || fs::rename(&away, &path).unwrap();
    assert_eq!(place.after(&file, FILE_ATTRIB, over), FILE_RENAME_TO);
    place.port.nothing();

    let (directory, inside) = (place.at("directory"), place.at("directory/inside"));
    fs::create_dir(&directory).unwrap();
    let watched = File::new(&directory);
    assert_eq!(place.after(&watched, 0, || fs::remove_dir(&directory).unwrap()), FILE_DELETE);
    drop(inside);
}

/// An exception takes the place of an event that was not retrieved, but not of one that was.
#[test]
fn an_exception_replaces() {
    let place = place();
    let (path, file) = place.file("file", "content");
    place.port.watch(&file, ORDINARY).unwrap();
    append(&path, "more");
    assert_eq!(place.port.count(), 1);
    // One event per association: what follows is not added to it.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(place.port.count(), 1);
    assert_eq!(place.port.one().portev_events, FILE_DELETE);

    place.file("file", "content");
    place.after(&file, ORDINARY, || append(&path, "more"));
    fs::remove_file(&path).unwrap();
    place.port.nothing();
}

/// The times of the object are compared, if they are known and asked for.
#[test]
fn known_times() {
    let place = place();
    let (path, mut file) = place.file("file", "content");
    let set = |file: &mut File, metadata: &fs::Metadata| {
        let time = |seconds, nanoseconds| libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let object = file.times();
        object.fo_atime = time(metadata.atime(), metadata.atime_nsec());
        object.fo_mtime = time(metadata.mtime(), metadata.mtime_nsec());
        object.fo_ctime = time(metadata.ctime(), metadata.ctime_nsec());
    };
    set(&mut file, &fs::metadata(&path).unwrap());
    place.port.watch(&file, ORDINARY).unwrap();
    place.port.nothing();
    // What happened while it was not associated.
    let before = fs::metadata(&path).unwrap();
    assert_eq!(place.port.unwatch(&file), Ok(0));
    while fs::metadata(&path).unwrap().mtime_nsec() == before.mtime_nsec() {
        append(&path, "more");
    }
    set(&mut file, &before);
    place.port.watch(&file, ORDINARY).unwrap();
    assert_eq!(place.port.one().portev_events, FILE_MODIFIED | FILE_ATTRIB);
    place.port.watch(&file, FILE_ACCESS).unwrap();
    place.port.nothing();
    place.port.watch(&file, FILE_ATTRIB).unwrap();
    assert_eq!(place.port.one().portev_events, FILE_ATTRIB);
    // Not of a fifo.
    let fifo = place.at("fifo");
    let name = CString::new(fifo.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a string that lives.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let mut of_fifo = File::new(&fifo);
    set(&mut of_fifo, &before);
    place.port.watch(&of_fifo, ORDINARY).unwrap();
    place.port.nothing();
}

/// A directory: entries that come and go, without their names; not what happens to what is in it.
#[test]
fn a_directory() {
    let place = place();
    let path = place.at("directory");
    fs::create_dir(&path).unwrap();
    let file = File::new(&path);
    let both = FILE_MODIFIED | FILE_ATTRIB;
    let inside = path.join("inside");
    let after = |act: &dyn Fn()| place.after(&file, both, act);
    assert_eq!(after(&|| fs::write(&inside, "").unwrap()), both);
    place.port.watch(&file, both).unwrap();
    append(&inside, "more");
    place.port.nothing();
    assert_eq!(after(&|| fs::rename(&inside, path.join("other")).unwrap()), both);
    assert_eq!(after(&|| fs::remove_file(path.join("other")).unwrap()), both);
    let list = || assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    assert_eq!(place.after(&file, FILE_ACCESS, list), FILE_ACCESS);
}

/// A link is followed, or not.
#[test]
fn a_symbolic_link() {
    let place = place();
    let (path, _) = place.file("file", "content");
    let link = place.at("link");
    symlink(&path, &link).unwrap();
    let file = File::new(&link);
    let both = FILE_MODIFIED | FILE_ATTRIB;
    assert_eq!(place.after(&file, both, || append(&path, "more")), both);
    place.port.watch(&file, both | FILE_NOFOLLOW).unwrap();
    append(&path, "more");
    place.port.nothing();
    fs::remove_file(&link).unwrap();
    assert_eq!(place.port.one().portev_events, FILE_DELETE);
    symlink(&path, &link).unwrap();
    assert_eq!(place.after(&file, both, || fs::remove_file(&path).unwrap()), FILE_DELETE);
    assert_eq!(place.port.watch(&file, both), Err(libc::ENOENT));
    place.port.watch(&file, both | FILE_NOFOLLOW).unwrap();
}

/// Several objects may watch one file; the key is the object's address, which is never looked at again.
#[test]
fn by_address() {
    let place = place();
    let (path, one) = place.file("file", "content");
    let other = File::new(&path);
    place.port.watch(&one, FILE_MODIFIED).unwrap();
    place.port.watch(&other, FILE_ATTRIB).unwrap();
    let address = other.object();
    drop(other);
    append(&path, "more");
    let mut events = [place.port.one(), place.port.one()]
        .map(|event| (event.portev_events, event.portev_object));
    events.sort_unstable();
    assert_eq!(events, [(FILE_MODIFIED, one.object()), (FILE_ATTRIB, address)]);
}

/// port_dissociate(3C): EINVAL if no file was ever associated, ENOENT if it is not; what is queued is dropped.
#[test]
fn dissociated() {
    let place = place();
    let (path, file) = place.file("file", "content");
    assert_eq!(place.port.unwatch(&file), Err(libc::EINVAL));
    place.port.watch(&file, FILE_MODIFIED).unwrap();
    append(&path, "more");
    assert_eq!(place.port.count(), 1);
    assert_eq!(place.port.unwatch(&file), Ok(0));
    place.port.nothing();
    assert_eq!(place.port.unwatch(&file), Err(libc::ENOENT));
    place.after(&file, FILE_MODIFIED, || append(&path, "more"));
    assert_eq!(place.port.unwatch(&file), Err(libc::ENOENT), "it was retrieved");
    assert!(!place.port.is_readable());
}

/// What a path may meet with, and objects that are none.
#[test]
fn what_cannot_be_watched() {
    let place = place();
    assert_eq!(place.port.watch(&File::new(&place.at("none")), 0), Err(libc::ENOENT));
    let (path, _) = place.file("file", "content");
    assert_eq!(place.port.watch(&File::new(&path.join("below")), 0), Err(libc::ENOTDIR));
    // SAFETY: null is refused.
    let result = unsafe {
        port_associate(place.port.0, PORT_SOURCE_FILE, 0, FILE_MODIFIED, std::ptr::null_mut())
    };
    assert_eq!((result, common::errno()), (-1, libc::EFAULT));
    let mut nameless = File::new(&path);
    nameless.times().fo_name = std::ptr::null_mut();
    assert_eq!(place.port.watch(&nameless, 0), Err(libc::EFAULT));
}

/// What was done to a name before it is watched is not told, though another watches the directory.
#[test]
fn what_was_before() {
    let place = place();
    let (_, neighbour) = place.file("neighbour", "");
    place.port.watch(&neighbour, ORDINARY).unwrap();
    let (path, file) = place.file("file", "content");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "again").unwrap();
    place.port.watch(&file, ORDINARY).unwrap();
    place.port.nothing();
}

/// More happens than inotify keeps: what has changed is told, and nothing is said to be gone that is there.
#[test]
fn more_than_is_kept() {
    let place = place();
    let (first, a) = place.file("a", "");
    let (second, b) = place.file("b", "");
    let (_, quiet) = place.file("quiet", "");
    for file in [&a, &b, &quiet] {
        place.port.watch(file, FILE_MODIFIED).unwrap();
    }
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    for _ in 0..limit.trim().parse::<u32>().unwrap() {
        append(&first, "x");
        append(&second, "x");
    }
    let mut found = Vec::new();
    while let Ok(event) = place.port.get(Some(common::QUIET)) {
        found.push((event.portev_object, event.portev_events));
    }
    found.sort_unstable();
    let mut expected = [(a.object(), FILE_MODIFIED), (b.object(), FILE_MODIFIED)];
    expected.sort_unstable();
    assert_eq!(found, expected);
    place.port.unwatch(&quiet).unwrap();
}

/// The object is the file, not what its path leads to by now.
#[test]
fn a_path_that_leads_elsewhere() {
    let place = place();
    fs::create_dir(place.at("inner")).unwrap();
    let (path, _) = place.file("inner/file", "a");
    let link = place.at("link");
    symlink(&path, &link).unwrap();
    let by_link = File::new(&link);
    let chmod = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let found = place.after(&by_link, FILE_ATTRIB, || {
        fs::remove_file(&link).unwrap();
        symlink("/", &link).unwrap();
        chmod(&path, 0o600);
    });
    assert_eq!(found, FILE_ATTRIB);
    let direct = File::new(&path);
    let moved = place.at("moved");
    let found = place.after(&direct, FILE_ATTRIB, || {
        fs::rename(place.at("inner"), &moved).unwrap();
        chmod(&moved.join("file"), 0o640);
    });
    assert_eq!(found, FILE_ATTRIB);
}
