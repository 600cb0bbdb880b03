//! A tree that changes while it is listed. The filter of a watch is asked between listing a directory and watching what is
//! in it, and is what changes the tree here.

#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use common::watched::Stage;
use common::{DEADLINE, every_backend};
use wakeful::Token;
use wakeful::watch::{Kind, Watch};

/// Of a stage.
const WATCHER: Token = Token(6);

/// Acts once, when a path is seen for the first time.
fn once<A: Fn() + Send + 'static>(
    at: &Path,
    act: A,
) -> impl Fn(&Path, bool) -> bool + Send + use<A> {
    let (at, was_seen) = (at.to_owned(), AtomicBool::new(false));
    move |path, _| {
        if path == at && !was_seen.swap(true, Ordering::Relaxed) {
            act();
        }
        true
    }
}

/// Each gets the other's name, at once.
fn exchange(one: &Path, other: &Path) {
    let [one, other] = [one, other].map(|path| CString::new(path.as_os_str().as_bytes()).unwrap());
    let (at, flags) = (libc::AT_FDCWD, libc::RENAME_EXCHANGE);
    // SAFETY: both are NUL-terminated, and live until the call returns.
    let result = unsafe { libc::renameat2(at, one.as_ptr(), at, other.as_ptr(), flags) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Each of these directories is watched by its own path: of a new file in it there is an event.
#[track_caller]
fn expect_watched(stage: &mut Stage, directories: &[&str]) {
    while !stage.events.poll(common::QUIET).is_empty() {
        stage.watcher.changes().for_each(drop);
    }
    stage.watcher.changes().for_each(drop);
    let mut expected: BTreeSet<_> =
        directories.iter().map(|directory| stage.path(directory).join("probe")).collect();
    for probe in &expected {
        fs::write(probe, "").unwrap();
    }
    let start = Instant::now();
    while !expected.is_empty() && start.elapsed() < DEADLINE {
        stage.events.poll(DEADLINE / 4);
        for change in stage.watcher.changes().filter(|change| change.kind == Kind::Created) {
            expected.remove(&change.path);
        }
    }
    assert!(expected.is_empty(), "not told of {expected:?}");
}

every_backend! {
    fn a_directory_is_away_when_it_is_to_be_watched(backend) {
        let mut stage = Stage::new(backend);
        fs::create_dir_all(stage.path("top")).unwrap();
        fs::create_dir_all(stage.path("outside/a/b")).unwrap();
        let (here, there) = (stage.path("top/a"), stage.path("outside/a"));
        let (from, to) = (here.clone(), there.clone());
        let filter = once(&here, move || fs::rename(&from, &to).unwrap());
        let watch = Watch::new(stage.path("top")).recursive(true).filter(filter);
        stage.watcher.add(watch).unwrap();
        fs::rename(&there, &here).unwrap();
        // As soon as it was missed, it is back.
        stage.events.expect_readable(WATCHER);
        while fs::exists(&here).unwrap() {
            assert!(stage.watcher.changes().next().is_some());
        }
        fs::rename(&there, &here).unwrap();
        expect_watched(&mut stage, &["top", "top/a", "top/a/b"]);
    }

    fn another_has_its_name_when_it_is_to_be_watched(backend) {
        let mut stage = Stage::new(backend);
        fs::create_dir_all(stage.path("top")).unwrap();
        let (one, other) = (stage.path("top/a"), stage.path("top/b"));
        let (first, second) = (one.clone(), other.clone());
        let filter = once(&one, move || exchange(&first, &second));
        let watch = Watch::new(stage.path("top")).recursive(true).filter(filter);
        stage.watcher.add(watch).unwrap();
        for name in ["a/1/2", "b/3/4"] {
            fs::create_dir_all(stage.path(&format!("outside/{name}"))).unwrap();
        }
        for name in ["a", "b"] {
            stage.rename(&format!("outside/{name}"), &format!("top/{name}"));
        }
        let all = ["top", "top/a", "top/a/3", "top/a/3/4", "top/b", "top/b/1", "top/b/1/2"];
        expect_watched(&mut stage, &all);
    }

    fn it_is_moved_into_what_is_not_watched_yet(backend) {
        let mut stage = Stage::new(backend);
        for name in ["p/deep", "q/x/y"] {
            fs::create_dir_all(stage.path(&format!("top/{name}"))).unwrap();
        }
        for (seen, from, to) in [
            ("p/deep", "q/x", "p/deep/x"),
            ("q/x", "p/deep", "q/x/deep"),
        ] {
            let [seen, from, to] = [seen, from, to].map(|name| stage.path(&format!("top/{name}")));
            let (was_at, is_at) = (from.clone(), to.clone());
            let filter = once(&seen, move || fs::rename(&from, &to).unwrap());
            let watch = Watch::new(stage.path("top")).recursive(true).filter(filter);
            let watch = stage.watcher.add(watch).unwrap();
            let mut all = vec!["top", "top/p", "top/q"];
            if is_at.ends_with("p/deep/x") {
                all.extend(["top/p/deep", "top/p/deep/x", "top/p/deep/x/y"]);
            } else {
                all.extend(["top/q/x", "top/q/x/deep", "top/q/x/y"]);
            }
            expect_watched(&mut stage, &all);
            stage.watcher.remove(watch);
            for directory in all {
                fs::remove_file(stage.path(directory).join("probe")).unwrap();
            }
            fs::rename(&is_at, &was_at).unwrap();
            stage.watcher.changes().for_each(drop);
        }
    }
}
