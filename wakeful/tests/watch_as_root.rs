//! What can be shown only with the right to mount, or to be somebody else.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::path::Path;
use std::time::Instant;

use common::DEADLINE;
use common::watched::{Stage, compares, told};
use wakeful::watch::{Change, Kind};

/// Needs the right to mount; without it there is nothing to see.
#[test]
fn a_file_system_is_unmounted() {
    if compares() {
        // What is watched is open, and keeps it mounted.
        return;
    }
    let mut stage = Stage::new(wakeful::Backend::available()[0]);
    let folder = stage.path("mount");
    fs::create_dir(&folder).unwrap();
    // In a namespace of its own, which goes with this thread.
    // SAFETY: the call takes an integer, and concerns this thread alone.
    let is_alone = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    let at = std::ffi::CString::new(folder.as_os_str().as_encoded_bytes()).unwrap();
    let (none, flags) = (std::ptr::null(), libc::MS_REC | libc::MS_PRIVATE);
    // SAFETY: the strings are NUL-terminated and live until the calls return; the others may be null.
    let is_mounted = is_alone
        && unsafe {
            libc::mount(none, c"/".as_ptr(), none, flags, none.cast()) == 0
                && libc::mount(c"none".as_ptr(), at.as_ptr(), c"tmpfs".as_ptr(), 0, none.cast())
                    == 0
        };
    if !is_mounted {
        println!("left out: {}", std::io::Error::last_os_error());
        return;
    }
    stage.write("mount/file", "");
    let watches = [stage.add("mount"), stage.add("mount/file")];
    // SAFETY: the string is NUL-terminated and lives until the call returns.
    assert_eq!(unsafe { libc::umount(at.as_ptr()) }, 0);
    let changes = stage.changes();
    for watch in watches {
        let told = |it: &&Change| it.kind == Kind::Unmounted && it.watch == Some(watch);
        assert_eq!(changes.iter().filter(told).count(), 1, "{changes:?}");
    }
    stage.write("mount/file", "");
    let changes = stage.told();
    assert_eq!(changes, [told(Kind::Created, "mount/file")], "a path is followed there too");
}

/// A new file may not be read at first. Needs somebody whom the permissions concern.
#[test]
fn a_file_that_becomes_readable() {
    if compares() {
        // What cannot be opened cannot be heard of.
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    // SAFETY: the call takes nothing.
    if unsafe { libc::geteuid() } != 0 {
        println!("left out: it takes root to be somebody else");
        return;
    }
    let mut stage = Stage::new(wakeful::Backend::available()[0]);
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for folder in stage.folder.path().ancestors().take(2) {
        allow(folder, 0o755);
    }
    stage.write("file", "");
    let (sender, orders) = std::sync::mpsc::channel::<Box<dyn FnOnce() + Send>>();
    let (done, is_done) = std::sync::mpsc::channel();
    // Another thread goes on being root.
    let root = std::thread::spawn(move || {
        for order in orders {
            order();
            done.send(()).unwrap();
        }
    });
    // SAFETY: the call takes integers. Made directly, it concerns this thread alone.
    assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, -1, 65534, -1) }, 0);
    let order = |act: Box<dyn FnOnce() + Send>| {
        sender.send(act).unwrap();
        is_done.recv_timeout(DEADLINE).unwrap();
    };
    stage.add("file");
    let (new, file) = (stage.path("new"), stage.path("file"));
    let target = file.clone();
    order(Box::new(move || {
        fs::write(&new, "").unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&new, &target).unwrap();
    }));
    let changes = stage.changes();
    let error = changes.iter().find_map(|change| change.error()?.raw_os_error());
    assert_eq!(error, Some(libc::EACCES), "{changes:?}");
    let target = file.clone();
    order(Box::new(move || {
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
    }));
    // An event may find nothing.
    let mut until = |kind| {
        let start = Instant::now();
        while !stage.told().contains(&told(kind, "file")) {
            assert!(start.elapsed() < DEADLINE);
        }
    };
    until(Kind::Created);
    order(Box::new(move || fs::write(&file, "text").unwrap()));
    until(Kind::Modified);
    // SAFETY: as above; the folder is to be removed.
    assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, -1, 0, -1) }, 0);
    drop(sender);
    root.join().unwrap();
}
