//! Files and directories: every change is told, by whatever name, and what is lost is said to be lost.

#![cfg(unix)]

mod common;

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use common::watched::{Stage, compares, is_arrival, told};
use common::{DEADLINE, every_backend};
use wakeful::Trigger;
use wakeful::watch::{Change, Kind, Kinds, Watch, Watcher};

every_backend! {
    fn what_happens_in_a_directory(backend) {
        for trigger in [Trigger::Edge, Trigger::Level] {
            let mut stage = Stage::with_trigger(backend, trigger);
            let watch = stage.add("");
            stage.events.expect_silence();

            fs::create_dir(stage.path("folder")).unwrap();
            let changes = stage.changes();
            assert_eq!(changes.len(), 1, "{changes:?}");
            assert_eq!((changes[0].kind, changes[0].watch), (Kind::Created, Some(watch)));
            assert_eq!(changes[0].path, stage.path("folder"));
            assert!(changes[0].is_directory);

            drop(fs::File::create(stage.path("file")).unwrap());
            assert_eq!(stage.told(), [told(Kind::Created, "file")]);
            stage.append("file");
            assert_eq!(stage.told(), [told(Kind::Modified, "file")]);
            fs::set_permissions(stage.path("file"), fs::metadata(stage.path("file")).unwrap().permissions()).unwrap();
            assert_eq!(stage.told(), [told(Kind::Attributes, "file")]);
            stage.rename("file", "other");
            match &stage.told()[..] {
                [(Kind::RenamedFrom(from), old), (Kind::RenamedTo(to), new)] => {
                    assert!(from == to && old == "file" && new == "other");
                }
                changes => panic!("{changes:?}"),
            }
            fs::remove_file(stage.path("other")).unwrap();
            assert_eq!(stage.told(), [told(Kind::Removed, "other")]);
            // What is deeper is no business of a watch that is not recursive.
            stage.write("folder/deeper", "");
            stage.expect_nothing();

            stage.watcher.remove(watch);
            stage.write("file", "");
            stage.expect_nothing();
            stage.watcher.remove(watch);
        }
    }

    fn half_a_rename(backend) {
        let mut stage = Stage::new(backend);
        fs::create_dir(stage.path("in")).unwrap();
        stage.add("in");
        stage.write("file", "");
        stage.rename("file", "in/file");
        assert!(matches!(stage.told()[..], [(kind, _)] if is_arrival(kind)));
        stage.rename("in/file", "file");
        assert!(matches!(stage.told()[..], [(Kind::RenamedFrom(_), _)]));
    }

    fn a_directory_goes(backend) {
        let mut stage = Stage::new(backend);
        fs::create_dir(stage.path("here")).unwrap();
        let watch = stage.add("here");
        stage.rename("here", "there");
        assert_eq!(stage.told(), [told(Kind::Moved, "here")]);
        fs::create_dir(stage.path("here")).unwrap();
        stage.write("there/file", "");
        // It stays with the directory, not with the name.
        assert!(stage.told().contains(&told(Kind::Created, "here/file")));
        fs::remove_dir_all(stage.path("there")).unwrap();
        assert!(stage.told().contains(&told(Kind::Gone, "here")));
        stage.watcher.remove(watch);
        stage.expect_nothing();
    }

    fn a_file_is_modified(backend) {
        let mut stage = Stage::new(backend);
        stage.write("file", "");
        stage.write("beside", "");
        let watch = stage.add("file");
        stage.append("beside");
        stage.expect_nothing();
        stage.append("file");
        let changes = stage.changes();
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!((changes[0].kind, changes[0].watch), (Kind::Modified, Some(watch)));
        assert_eq!(changes[0].path, stage.path("file"));
        assert_eq!(changes[0].to_string(), format!("modified {}", stage.path("file").display()));
    }

    fn several_watches_and_names_of_one_file(backend) {
        let mut stage = Stage::new(backend);
        stage.write("one", "");
        fs::hard_link(stage.path("one"), stage.path("two")).unwrap();
        let watches = [stage.add("one"), stage.add("two"), stage.add("one"), stage.add("")];
        let all = |stage: &mut Stage| -> Vec<_> {
            stage.changes().iter().map(|it| (it.watch.unwrap(), it.kind)).collect()
        };
        stage.append("two");
        let found = all(&mut stage);
        for watch in watches {
            let times = found.iter().filter(|&&it| it == (watch, Kind::Modified)).count();
            // By each of its names, where they are watched one by one.
            let names = if compares() && watch == watches[3] { 2 } else { 1 };
            assert_eq!(times, names, "{found:?}");
        }
        // One goes, the others stay, and so does what they want.
        stage.watcher.remove(watches[0]);
        stage.watcher.remove(watches[3]);
        stage.append("one");
        let found = all(&mut stage);
        assert_eq!(found, [(watches[1], Kind::Modified), (watches[2], Kind::Modified)]);
        // A name goes, the file stays.
        fs::remove_file(stage.path("two")).unwrap();
        let found = all(&mut stage);
        assert!(found.contains(&(watches[1], Kind::Removed)), "{found:?}");
        assert!(!found.contains(&(watches[2], Kind::Removed)), "{found:?}");
        stage.append("one");
        assert_eq!(all(&mut stage), [(watches[2], Kind::Modified)]);
    }

    /// As editors do it: a new file is renamed over the old one.
    fn saved_by_a_rename(backend) {
        let mut stage = Stage::new(backend);
        stage.write("file", "0");
        stage.add("file");
        for number in 1..4 {
            stage.write("file.new", &number.to_string());
            stage.rename("file.new", "file");
            let changes = stage.told();
            assert!(matches!(changes[..], [(kind, _)] if is_arrival(kind)), "{changes:?}");
            stage.append("file");
            assert_eq!(stage.told(), [told(Kind::Modified, "file")]);
        }
        stage.expect_nothing();
    }

    /// As others do it: the old file is renamed, a new one is written, the old one removed.
    fn saved_with_a_backup(backend) {
        let mut stage = Stage::new(backend);
        stage.write("file", "0");
        stage.add("file");
        for number in 1..4 {
            stage.rename("file", "file~");
            stage.write("file", &number.to_string());
            fs::remove_file(stage.path("file~")).unwrap();
            let changes = stage.told();
            // If another has the name by the time it is looked at, that is all there is to tell.
            let is_gone = matches!(changes[0], (Kind::RenamedFrom(_), _));
            assert!(is_gone || compares(), "{changes:?}");
            assert!(changes.contains(&told(Kind::Created, "file")), "{changes:?}");
            stage.append("file");
            assert_eq!(stage.told(), [told(Kind::Modified, "file")]);
        }
    }

    fn removed_and_created_again(backend) {
        let mut stage = Stage::new(backend);
        fs::create_dir(stage.path("folder")).unwrap();
        stage.write("folder/file", "");
        stage.add("folder/file");
        fs::remove_file(stage.path("folder/file")).unwrap();
        let kinds: Vec<_> = stage.told().into_iter().map(|(kind, _)| kind).collect();
        // The number of its links is an attribute, where that is not told apart.
        let expected = [Kind::Attributes, Kind::Removed];
        assert_eq!(kinds, if compares() { &expected[1..] } else { &expected[..] });
        fs::remove_dir(stage.path("folder")).unwrap();
        stage.expect_nothing();
        fs::create_dir(stage.path("folder")).unwrap();
        stage.expect_nothing();
        stage.write("folder/file", "");
        assert!(stage.told().contains(&told(Kind::Created, "folder/file")));
        stage.append("folder/file");
        assert_eq!(stage.told(), [told(Kind::Modified, "folder/file")]);
        // The directory goes with all there is in it, and comes back.
        stage.rename("folder", "away");
        assert_eq!(stage.told(), [told(Kind::Removed, "folder/file")]);
        stage.append("away/file");
        stage.expect_nothing();
        stage.rename("away", "folder");
        assert_eq!(stage.told(), [told(Kind::Created, "folder/file")]);
    }

    /// A whole folder is replaced at once, by a link to it that is renamed over the earlier one.
    fn behind_a_link_that_is_replaced(backend) {
        let mut stage = Stage::new(backend);
        for version in ["v1", "v2", "v3"] {
            fs::create_dir(stage.path(version)).unwrap();
            stage.write(&format!("{version}/file"), version);
        }
        symlink("v1", stage.path("data")).unwrap();
        symlink("data/file", stage.path("file")).unwrap();
        stage.add("file");
        for version in ["v2", "v3"] {
            symlink(version, stage.path("new")).unwrap();
            stage.rename("new", "data");
            assert_eq!(stage.told(), [told(Kind::Created, "file")]);
            stage.append(&format!("{version}/file"));
            assert_eq!(stage.told(), [told(Kind::Modified, "file")]);
        }
        stage.append("v1/file");
        stage.expect_nothing();
        fs::remove_file(stage.path("data")).unwrap();
        assert_eq!(stage.told(), [told(Kind::Removed, "file")]);
        symlink("v1", stage.path("data")).unwrap();
        assert_eq!(stage.told(), [told(Kind::Created, "file")]);
    }

    fn a_path_that_leads_nowhere_yet(backend) {
        let mut stage = Stage::new(backend);
        let path = stage.path("a/b/file");
        let error = stage.watcher.add(&path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        stage.watcher.add(Watch::new(&path).allow_missing(true)).unwrap();
        // Not a directory either, for a while.
        stage.write("a", "");
        fs::remove_file(stage.path("a")).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(stage.told(), [told(Kind::Created, "a/b/file")]);
        stage.append("a/b/file");
        assert_eq!(stage.told(), [told(Kind::Modified, "a/b/file")]);
    }

    /// The path leads in a circle for a while.
    fn a_circle_that_is_mended(backend) {
        let mut stage = Stage::new(backend);
        stage.write("target", "");
        symlink("target", stage.path("link")).unwrap();
        stage.add("link");
        fs::remove_file(stage.path("link")).unwrap();
        symlink("link", stage.path("link")).unwrap();
        let changes = stage.changes();
        let error = changes.iter().find_map(|change| change.error()?.raw_os_error());
        assert_eq!(error, Some(libc::ELOOP), "{changes:?}");
        fs::remove_file(stage.path("link")).unwrap();
        symlink("target", stage.path("link")).unwrap();
        assert!(stage.told().contains(&told(Kind::Created, "link")));
        stage.append("target");
        assert_eq!(stage.told(), [told(Kind::Modified, "link")]);
    }

    /// Which keeps a removed directory from being reported as gone.
    fn in_a_directory_that_somebody_has_open(backend) {
        let mut stage = Stage::new(backend);
        fs::create_dir(stage.path("folder")).unwrap();
        stage.write("folder/file", "");
        stage.add("folder/file");
        let _open = fs::File::open(stage.path("folder")).unwrap();
        fs::remove_file(stage.path("folder/file")).unwrap();
        assert!(stage.told().contains(&told(Kind::Removed, "folder/file")));
        fs::remove_dir(stage.path("folder")).unwrap();
        stage.expect_nothing();
        fs::create_dir(stage.path("folder")).unwrap();
        stage.write("folder/file", "");
        assert!(stage.told().contains(&told(Kind::Created, "folder/file")));
        stage.append("folder/file");
        assert_eq!(stage.told(), [told(Kind::Modified, "folder/file")]);
    }

    /// The last word about a file that is removed and created all the time is the truth.
    fn a_file_in_motion(backend) {
        let stage = Stage::new(backend);
        let path = stage.path("file");
        for _ in 0..20 {
            fs::write(&path, "").unwrap();
            let watch = Watch::new(&path).kinds(Kinds::CREATED | Kinds::REMOVED);
            let watch = stage.watcher.add(watch).unwrap();
            let moving = path.clone();
            let mover = std::thread::spawn(move || {
                for _ in 0..60 {
                    fs::remove_file(&moving).unwrap();
                    fs::write(&moving, "").unwrap();
                }
            });
            let mut last = None;
            while !mover.is_finished() {
                last = stage.watcher.changes().last().or(last);
            }
            mover.join().unwrap();
            last = stage.watcher.changes().last().or(last);
            assert_eq!(last.map(|change| change.kind), Some(Kind::Created));
            stage.watcher.remove(watch);
        }
    }

    /// Nothing of a watch is left in the kernel, and nothing of it is told any more.
    fn removed_in_the_middle(backend) {
        if compares() {
            return;
        }
        let stage = Stage::new(backend);
        let watches = || {
            let path = format!("/proc/self/fdinfo/{}", stage.watcher.as_raw_fd());
            fs::read_to_string(path).unwrap().matches("inotify wd").count()
        };
        fs::create_dir_all(stage.path("a/b/c")).unwrap();
        stage.write("file", "");
        let tree = stage.watcher.add(Watch::new(stage.folder.path()).recursive(true)).unwrap();
        let file = stage.add("file");
        let before = watches();
        assert!(before >= 4);
        // What the path led to before is there still, and not watched any more.
        for number in 0..3 {
            stage.rename("file", &format!("kept-{number}"));
            stage.write("file", "");
            stage.watcher.changes().for_each(drop);
            assert_eq!(watches(), before);
        }
        stage.rename("a/b", "b");
        fs::create_dir(stage.path("new")).unwrap();
        stage.append("file");
        assert!(stage.watcher.changes().next().is_some());
        stage.watcher.remove(tree);
        let left: Vec<_> = stage.watcher.changes().map(|change| (change.kind, change.watch)).collect();
        assert_eq!(left, [(Kind::Modified, Some(file))]);
        // Another watcher's means nothing to this one.
        let other = Watcher::new().unwrap();
        let others = other.add(stage.folder.path()).unwrap();
        stage.watcher.remove(others);
        stage.append("file");
        assert_eq!(stage.watcher.changes().count(), 1);
        stage.watcher.remove(file);
        assert_eq!(watches(), 0);
        assert_eq!(stage.watcher.changes().count(), 0);
    }

    fn a_few_at_a_time(backend) {
        for trigger in [Trigger::Edge, Trigger::Level] {
            let mut stage = Stage::with_trigger(backend, trigger);
            stage.add("");
            for number in 0..10 {
                fs::create_dir(stage.path(&number.to_string())).unwrap();
            }
            let mut count = 0;
            while count < 10 {
                stage.events.poll(DEADLINE);
                assert!(!stage.events.events.is_empty(), "{count} of 10");
                count += stage.watcher.changes().take(3).count();
            }
            stage.expect_nothing();
        }
    }

    fn only_what_is_asked_for(backend) {
        let mut stage = Stage::new(backend);
        let watch = Watch::new(stage.folder.path()).kinds(Kinds::REMOVED);
        stage.watcher.add(watch).unwrap();
        let root = stage.folder.path().to_owned();
        let is_seen = move |path: &Path, _: bool| path != root.join("hidden");
        let watch = Watch::new(stage.folder.path()).kinds(Kinds::CREATED).filter(is_seen);
        stage.watcher.add(watch).unwrap();
        for name in ["file", "hidden"] {
            stage.write(name, "text");
        }
        assert_eq!(stage.told(), [told(Kind::Created, "file")]);
        for name in ["file", "hidden"] {
            fs::remove_file(stage.path(name)).unwrap();
        }
        assert_eq!(stage.told(), [told(Kind::Removed, "file"), told(Kind::Removed, "hidden")]);
    }

    fn too_many_changes(backend) {
        if compares() {
            return;
        }
        let mut stage = Stage::new(backend);
        stage.add("");
        let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let count = 20_000.max(queue.trim().parse::<usize>().unwrap() + 1);
        for number in 0..count {
            fs::create_dir(stage.path(&number.to_string())).unwrap();
        }
        let changes = stage.changes();
        let overflows = changes.iter().filter(|change| change.kind == Kind::Overflow).count();
        assert_eq!(overflows, 1, "exactly one");
        assert!(changes.last().is_some_and(|it| it.kind == Kind::Overflow && it.watch.is_none()));
        assert!(changes.len() <= count);
        stage.expect_nothing();
        stage.write("file", "");
        assert!(stage.told().contains(&told(Kind::Created, "file")));
    }
}

#[test]
fn bad_input_is_an_error() {
    let watcher = Watcher::new().unwrap();
    for path in ["", "a\0b"] {
        let error = watcher.add(path).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{path:?}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    symlink("circle", folder.path().join("circle")).unwrap();
    let error = watcher.add(folder.path().join("circle")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    let start = Instant::now();
    assert_eq!(watcher.changes().count(), 0);
    assert!(start.elapsed() < DEADLINE);
}

#[test]
fn watchers_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    fn moves<T: Send>() {}
    crosses::<Watcher>();
    crosses::<Change>();
    moves::<Watch>();
}
