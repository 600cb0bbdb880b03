//! A file system that is full. It has to be mounted, so it is for root; others skip it.

#![cfg(target_os = "linux")]

mod common;

use std::process::Command;
use std::sync::Arc;

use common::files::{Desk, backends};
use wakeful::file::{Allocation, Operation};

/// Unmounted when it goes.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new() -> Option<Mounted> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(folder.path());
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        is_mounted.then_some(Mounted(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn no_room_is_left() {
    for backend in backends() {
        let Some(mounted) = Mounted::new() else {
            return eprintln!("skipped: nothing can be mounted here");
        };
        let file = Arc::new(std::fs::File::create(mounted.0.path().join("file")).unwrap());
        let mut desk = Desk::new(4, backend);
        // As much as there is room for, and then nothing.
        desk.queue.submit(Operation::write(file.clone(), vec![1; 100_000], 0), ()).unwrap();
        assert_eq!(desk.wait().count().unwrap(), 65_536, "{backend}");
        desk.queue.submit(Operation::write(file.clone(), vec![1; 100_000], 65_536), ()).unwrap();
        let error = desk.wait().result.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC), "{backend}");
        let more = Operation::allocate(file, 0, 1 << 20, Allocation::Extend);
        desk.queue.submit(more, ()).unwrap();
        let error = desk.wait().result.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC), "{backend}");
    }
}
