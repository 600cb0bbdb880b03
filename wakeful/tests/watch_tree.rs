//! Recursive watches: every directory of the tree is watched, whatever becomes of the tree meanwhile.

#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use common::watched::{Stage, compares, is_arrival, told};
use common::{DEADLINE, every_backend};
use wakeful::Backend;
use wakeful::watch::{Change, Kind, Kinds, Watch};

fn tree(stage: &Stage, name: &str) -> Watch {
    Watch::new(stage.path(name)).recursive(true)
}

/// Every directory below a path, and the path.
fn directories(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    let mut next = 0;
    while next < found.len() {
        let entries = fs::read_dir(&found[next]).unwrap().map(Result::unwrap);
        found.extend(entries.filter(|it| it.file_type().unwrap().is_dir()).map(|it| it.path()));
        next += 1;
    }
    found
}

/// Creates a file in each directory, and expects to be told of each under its own path.
#[track_caller]
fn expect_all_watched(stage: &mut Stage, top: &Path) {
    // What is still to be told of what was done before.
    stage.events.poll(common::QUIET);
    stage.watcher.changes().for_each(drop);
    let mut expected: BTreeSet<_> =
        directories(top).into_iter().map(|directory| directory.join("probe")).collect();
    for probe in &expected {
        fs::write(probe, "").unwrap();
    }
    let start = Instant::now();
    while !expected.is_empty() && start.elapsed() < DEADLINE {
        if stage.events.poll(DEADLINE / 4).is_empty() {
            break;
        }
        for Change { kind, path, .. } in stage.watcher.changes() {
            if kind == Kind::Created {
                expected.remove(&path);
            }
        }
    }
    assert!(expected.is_empty(), "not told of {expected:?}");
    for directory in directories(top) {
        fs::remove_file(directory.join("probe")).unwrap();
    }
}

every_backend! {
    fn what_is_there_and_what_comes(backend) {
        let mut stage = Stage::new(backend);
        fs::create_dir_all(stage.path("top/a/b")).unwrap();
        let watch = stage.watcher.add(tree(&stage, "top")).unwrap();
        stage.events.expect_silence();
        stage.write("top/a/b/file", "");
        assert!(stage.told().contains(&told(Kind::Created, "top/a/b/file")));

        // Faster than anybody can watch: all of it is told, nothing of it lost.
        fs::create_dir_all(stage.path("top/x/y/z")).unwrap();
        stage.write("top/x/y/z/file", "");
        stage.write("top/x/file", "");
        let changes = stage.told();
        for name in ["x", "x/y", "x/y/z", "x/y/z/file", "x/file"] {
            let name = format!("top/{name}");
            assert!(changes.contains(&told(Kind::Created, &name)), "{name} in {changes:?}");
        }
        let top = stage.path("top");
        expect_all_watched(&mut stage, &top);

        fs::remove_dir_all(stage.path("top/x")).unwrap();
        assert!(stage.told().contains(&told(Kind::Removed, "top/x")));
        expect_all_watched(&mut stage, &top);
        stage.watcher.remove(watch);
        stage.write("top/a/file", "");
        stage.expect_nothing();
    }

    fn directories_are_renamed(backend) {
        let mut stage = Stage::new(backend);
        let top = stage.path("top");
        fs::create_dir_all(stage.path("top/a/b/c")).unwrap();
        fs::create_dir_all(stage.path("outside/d/e")).unwrap();
        stage.watcher.add(tree(&stage, "top")).unwrap();

        // Within: what is below has new paths.
        stage.rename("top/a/b", "top/b");
        expect_all_watched(&mut stage, &top);
        // Into what is not watched yet.
        fs::create_dir(stage.path("top/new")).unwrap();
        stage.rename("top/b", "top/new/b");
        expect_all_watched(&mut stage, &top);
        // From outside, with what is in it.
        stage.rename("outside/d", "top/d");
        assert!(stage.told().contains(&told(Kind::Created, "top/d/e")));
        expect_all_watched(&mut stage, &top);
        // Out again: no longer watched, under whatever path.
        stage.rename("top/d", "outside/d");
        let _ = stage.told();
        stage.write("outside/d/file", "");
        stage.write("outside/d/e/file", "");
        stage.expect_nothing();
        // Over an empty one.
        fs::create_dir(stage.path("top/empty")).unwrap();
        stage.rename("top/new", "top/empty");
        expect_all_watched(&mut stage, &top);
        // There and back, and round.
        for _ in 0..3 {
            stage.rename("top/empty", "top/1");
            stage.rename("top/a", "top/empty");
            stage.rename("top/1", "top/a");
        }
        expect_all_watched(&mut stage, &top);
    }

    /// What is at a path by the time it is looked at is not what the kernel spoke of.
    fn impostors(backend) {
        // Both are known, and each has the other's name.
        let mut stage = Stage::new(backend);
        let top = stage.path("top");
        fs::create_dir_all(stage.path("top/a/x")).unwrap();
        fs::create_dir_all(stage.path("top/b/y")).unwrap();
        stage.watcher.add(tree(&stage, "top")).unwrap();
        exchange(&stage.path("top/a"), &stage.path("top/b"));
        expect_all_watched(&mut stage, &top);
        // A new one in a renamed directory, whose name is another's.
        fs::create_dir(stage.path("top/a/new")).unwrap();
        stage.rename("top/a", "top/c");
        fs::create_dir_all(stage.path("top/a/new")).unwrap();
        expect_all_watched(&mut stage, &top);
        // The same of the top itself: what is there now is not ours.
        stage.rename("top", "elsewhere");
        fs::create_dir_all(stage.path("top/stranger")).unwrap();
        fs::create_dir_all(stage.path("elsewhere/stranger")).unwrap();
        let changes = stage.told();
        assert!(changes.contains(&told(Kind::Moved, "top")), "{changes:?}");
        // By its path it is another's; by its descriptor, where that is used, it is not.
        let kind = if compares() { Kind::Created } else { Kind::Unwatched };
        assert!(changes.contains(&told(kind, "top/stranger")), "{changes:?}");
        stage.write("top/stranger/file", "");
        stage.expect_nothing();
        // It comes back, and when changes are lost, all of it is watched again.
        fs::remove_dir_all(&top).unwrap();
        stage.rename("elsewhere", "top");
        overflow(&mut stage, "top/file");
        expect_all_watched(&mut stage, &top);
    }

    /// Changes are lost while the path leads nowhere: the watch itself goes on.
    fn too_many_changes_elsewhere(backend) {
        if compares() {
            return;
        }
        for recursive in [false, true] {
            let mut stage = Stage::new(backend);
            fs::create_dir_all(stage.path("above/here")).unwrap();
            stage.watcher.add(tree(&stage, "above/here").recursive(recursive)).unwrap();
            stage.rename("above", "elsewhere");
            let kinds = overflow(&mut stage, "elsewhere/here/file");
            assert_eq!(kinds.last(), Some(&Kind::Unwatched));
            stage.append("elsewhere/here/file");
            assert_eq!(stage.told(), [told(Kind::Modified, "above/here/file")]);
        }
    }

    fn links_in_a_circle(backend) {
        for follow in [false, true] {
            let mut stage = Stage::new(backend);
            let top = stage.path("top");
            fs::create_dir_all(stage.path("top/a")).unwrap();
            fs::create_dir_all(stage.path("outside/d")).unwrap();
            symlink(&top, stage.path("top/a/circle")).unwrap();
            symlink("a", stage.path("top/again")).unwrap();
            symlink(stage.path("outside"), stage.path("top/out")).unwrap();
            stage.watcher.add(tree(&stage, "top").follow_links(follow)).unwrap();
            stage.write("outside/d/file", "");
            if follow {
                assert!(stage.told().contains(&told(Kind::Created, "top/out/d/file")));
                // A link that comes later, and one that goes while what it leads to stays.
                fs::create_dir_all(stage.path("later/e")).unwrap();
                symlink(stage.path("later"), stage.path("top/later")).unwrap();
                let _ = stage.told();
                stage.write("later/e/file", "");
                assert!(stage.told().contains(&told(Kind::Created, "top/later/e/file")));
                fs::remove_file(stage.path("top/later")).unwrap();
                fs::remove_file(stage.path("top/again")).unwrap();
                let _ = stage.told();
                stage.write("later/e/other", "");
                stage.expect_nothing();
                stage.write("top/a/file", "");
                assert!(stage.told().contains(&told(Kind::Created, "top/a/file")));
            } else {
                stage.expect_nothing();
                expect_all_watched(&mut stage, &top);
            }
        }
    }

    fn what_the_filter_does_not_see(backend) {
        let mut stage = Stage::new(backend);
        fs::create_dir_all(stage.path("top/target/deep")).unwrap();
        let sees = |path: &Path, is_directory: bool| !(is_directory && path.ends_with("target"));
        stage.watcher.add(tree(&stage, "top").filter(sees)).unwrap();
        stage.write("top/target/file", "");
        stage.write("top/target/deep/file", "");
        fs::create_dir_all(stage.path("top/a/target/x")).unwrap();
        let changes = stage.told();
        assert_eq!(changes, [told(Kind::Created, "top/a")]);
        stage.write("top/a/target/x/file", "");
        stage.expect_nothing();
        // Into sight, and out of it, by another name of what it is in.
        fs::create_dir_all(stage.path("top/seen-from-b/a/target")).unwrap();
        let _ = stage.told();
        let sees = |path: &Path, _: bool| !path.ends_with("a/hidden");
        let watch = stage.watcher.add(tree(&stage, "top").filter(sees)).unwrap();
        fs::create_dir_all(stage.path("top/seen-from-b/a/hidden")).unwrap();
        let _ = stage.told();
        stage.rename("top/seen-from-b/a", "top/seen-from-b/b");
        let _ = stage.told();
        stage.write("top/seen-from-b/b/hidden/file", "");
        let path = stage.path("top/seen-from-b/b/hidden/file");
        let changes = stage.changes();
        assert!(changes.iter().any(|it| it.watch == Some(watch) && it.path == path), "{changes:?}");
        stage.watcher.remove(watch);
        fs::remove_dir_all(stage.path("top/seen-from-b")).unwrap();
        stage.events.poll(common::QUIET);
        stage.watcher.changes().for_each(drop);
        // Into sight by a name of its own.
        stage.rename("top/target", "top/seen");
        assert!(stage.told().iter().any(|&(kind, _)| is_arrival(kind)));
        stage.write("top/seen/deep/other", "");
        assert_eq!(stage.told()[0], told(Kind::Created, "top/seen/deep/other"));
    }

    /// The kernel drops changes; what the tree has become by then is watched.
    fn too_many_changes(backend) {
        if compares() {
            return;
        }
        let mut stage = Stage::new(backend);
        let top = stage.path("top");
        fs::create_dir_all(stage.path("top/stays/deep")).unwrap();
        fs::create_dir_all(stage.path("top/goes/deep")).unwrap();
        stage.write("top/file", "");
        stage.watcher.add(tree(&stage, "top")).unwrap();
        lose_changes(&stage, "top/file");
        fs::remove_dir_all(stage.path("top/goes")).unwrap();
        fs::create_dir_all(stage.path("top/goes/anew")).unwrap();
        fs::create_dir_all(stage.path("top/comes/deep/deeper")).unwrap();
        stage.rename("top/stays/deep", "top/moved");
        let changes = stage.changes();
        let overflows = changes.iter().filter(|change| change.kind == Kind::Overflow).count();
        assert_eq!(overflows, 1);
        expect_all_watched(&mut stage, &top);
    }

    /// While one thread turns the tree upside down, another takes the changes. In the end every directory is
    /// watched, by its own path.
    fn a_tree_in_motion(backend) {
        for seed in 1..=SEEDS {
            let mut stage = Stage::new(backend);
            let top = stage.path("top");
            fs::create_dir_all(stage.path("top/seed")).unwrap();
            fs::create_dir(stage.path("outside")).unwrap();
            stage.watcher.add(tree(&stage, "top").kinds(Kinds::CREATED)).unwrap();
            let root = stage.folder.path().to_owned();
            let mover = thread::spawn(move || turn_upside_down(&root, seed));
            while !mover.is_finished() {
                stage.watcher.changes().for_each(drop);
            }
            mover.join().unwrap();
            expect_all_watched(&mut stage, &top);
        }
    }

    /// The tree itself is renamed, or what it is in: what is watched stays so, what comes cannot be.
    fn the_top_is_moved(backend) {
        for moved in ["above/top", "above"] {
            let mut stage = Stage::new(backend);
            fs::create_dir_all(stage.path("above/top/there")).unwrap();
            stage.watcher.add(tree(&stage, "above/top")).unwrap();
            stage.rename(moved, "elsewhere");
            let top = if moved == "above" { "elsewhere/top" } else { "elsewhere" };
            fs::create_dir_all(stage.path(&format!("{top}/there/new"))).unwrap();
            let changes = stage.told();
            let is_told = |kind, name: &str| changes.contains(&told(kind, name));
            // Where its descriptor is used, what is above it does not matter.
            let matters = !compares() || moved == "above/top";
            assert_eq!(is_told(Kind::Moved, "above/top"), matters, "{changes:?}");
            let kind = if compares() { Kind::Created } else { Kind::Unwatched };
            assert!(is_told(kind, "above/top/there/new"), "{changes:?}");
            stage.write(&format!("{top}/there/file"), "");
            assert!(stage.told().contains(&told(Kind::Created, "above/top/there/file")));
        }
    }

    fn how_far_it_has_come(backend) {
        let mut stage = Stage::new(backend);
        for number in 0..20 {
            fs::create_dir_all(stage.path(&format!("top/{number}/deep"))).unwrap();
        }
        let (calls, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (called, reached) = (Arc::clone(&calls), Arc::clone(&most));
        let watch = tree(&stage, "top").progress(move |progress| {
            called.fetch_add(1, Ordering::Relaxed);
            reached.fetch_max(progress.directories, Ordering::Relaxed);
            assert!(progress.path.is_dir());
        });
        stage.watcher.add(watch).unwrap();
        assert_eq!((calls.load(Ordering::Relaxed), most.load(Ordering::Relaxed)), (40, 41));
        let top = stage.path("top");
        expect_all_watched(&mut stage, &top);
    }

    fn directories_that_cannot_be_watched(backend) {
        if compares() {
            return;
        }
        let mut stage = Stage::new(backend);
        fs::create_dir_all(stage.path("top/there/before")).unwrap();
        // On this thread, directories below the first are refused from here on.
        refuse_watches_below(libc::EACCES);
        let watch = stage.watcher.add(tree(&stage, "top")).unwrap();
        let refused = |changes: Vec<Change>, path: PathBuf, errno| {
            let change = changes.iter().find(|change| change.kind == Kind::Unwatched).unwrap();
            assert_eq!((change.watch, &change.path), (Some(watch), &path));
            assert_eq!(change.error().and_then(|error| error.raw_os_error()), Some(errno));
        };
        // The kernel knows nothing of it, and yet there is an event.
        let path = stage.path("top/there");
        refused(stage.changes(), path, libc::EACCES);
        fs::create_dir(stage.path("top/comes")).unwrap();
        let path = stage.path("top/comes");
        refused(stage.changes(), path, libc::EACCES);
        stage.expect_nothing();

        // A limit is another matter: then nothing is watched.
        thread::scope(|scope| {
            let refusing = || {
                refuse_watches_below(libc::ENOSPC);
                let watcher = wakeful::watch::Watcher::new().unwrap();
                let error = watcher.add(tree(&stage, "top")).unwrap_err();
                // The first filter of two that differ decides by the lower number.
                assert!(matches!(error.raw_os_error(), Some(libc::ENOSPC)), "{error}");
                fs::write(stage.path("top/file"), "").unwrap();
                assert_eq!(watcher.changes().filter(|it| it.kind != Kind::Unwatched).count(), 0);
            };
            scope.spawn(refusing).join().unwrap();
        });
    }
}

/// So many changes that the kernel drops some.
fn lose_changes(stage: &Stage, name: &str) {
    let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let permissions = fs::metadata(stage.path(name)).unwrap().permissions();
    // Two by turns, because equal ones in a row are merged.
    for _ in 0..queue.trim().parse::<usize>().unwrap() / 2 + 10 {
        stage.append(name);
        fs::set_permissions(stage.path(name), permissions.clone()).unwrap();
    }
}

/// Loses changes, and takes those that are left.
#[track_caller]
fn overflow(stage: &mut Stage, name: &str) -> Vec<Kind> {
    stage.write(name, "");
    lose_changes(stage, name);
    let kinds: Vec<_> = stage.changes().iter().map(|change| change.kind).collect();
    assert!(compares() || kinds.contains(&Kind::Overflow));
    kinds
}

/// Each gets the other's name, at once.
fn exchange(one: &Path, other: &Path) {
    let name = |path: &Path| std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    let (one, other) = (name(one), name(other));
    // SAFETY: both are NUL-terminated, and live until the call returns.
    let result = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            one.as_ptr(),
            libc::AT_FDCWD,
            other.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

const SEEDS: u64 = 4;

/// From here on this thread gets this error when it watches a directory that is not to be a link's.
fn refuse_watches_below(errno: i32) {
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const IF_SET: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    // struct seccomp_data: the number, the architecture, an address, then the arguments.
    let third = 16 + 2 * 8 + if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut filter = [
        statement(LOAD, 0, 0, 0),
        statement(IF_EQUAL, 0, 3, libc::SYS_inotify_add_watch as u32),
        statement(LOAD, 0, 0, third),
        statement(IF_SET, 0, 1, libc::IN_DONT_FOLLOW),
        statement(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        statement(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is valid for both calls, which read it and hold for this thread alone.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

/// Creates, renames and removes directories, in and out of the tree.
fn turn_upside_down(root: &Path, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    for number in 0..400 {
        let all = directories(root);
        let any = all[random(all.len())].clone();
        let other = all[random(all.len())].clone();
        let fixed = [root.to_owned(), root.join("top"), root.join("outside")];
        let is_fixed = fixed.contains(&any);
        match random(6) {
            // Any of them may fail, such as a directory moved into itself.
            0..3 => drop(fs::create_dir_all(any.join(format!("{number}/{number}")))),
            3..5 if !is_fixed => {
                let name = if random(2) == 0 { "same".into() } else { format!("{number}") };
                let is_apart =
                    !fixed.contains(&other) && !other.starts_with(&any) && !any.starts_with(&other);
                if is_apart && random(4) == 0 {
                    exchange(&any, &other);
                } else {
                    drop(fs::rename(&any, other.join(name)));
                }
            }
            5 if !is_fixed && random(3) == 0 => drop(fs::remove_dir_all(&any)),
            _ => {}
        }
    }
}

/// As large as trees of sources become.
#[test]
fn fifty_thousand_directories() {
    if compares() {
        // A descriptor each.
        return;
    }
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").unwrap();
    if limit.trim().parse::<usize>().unwrap() < 100_000 {
        println!("left out: the limit of watches is {limit}");
        return;
    }
    let mut stage = Stage::new(Backend::available()[0]);
    for outer in 0..50 {
        for inner in 0..10 {
            let path = stage.path(&format!("top/{outer}/{inner}"));
            fs::create_dir_all(&path).unwrap();
            for leaf in 0..99 {
                fs::create_dir(path.join(leaf.to_string())).unwrap();
            }
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let most = Arc::clone(&count);
    let watch = tree(&stage, "top")
        .progress(move |progress| most.store(progress.directories, Ordering::Relaxed));
    let start = Instant::now();
    stage.watcher.add(watch).unwrap();
    println!("watched {count:?} directories in {:?}", start.elapsed());
    assert_eq!(count.load(Ordering::Relaxed), 1 + 50 * (1 + 10 * 100));
    stage.write("top/49/9/98/file", "");
    assert!(stage.told().contains(&told(Kind::Created, "top/49/9/98/file")));
}
