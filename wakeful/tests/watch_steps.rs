//! Big trees are listed in steps, between which the loop goes on.

#![cfg(target_os = "linux")]

mod common;

use std::collections::HashSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use common::watched::{Stage, compares, is_arrival};
use common::{DEADLINE, every_backend};
use wakeful::watch::{Change, Kind, Watch};
use wakeful::{Token, Trigger, Waker};

const WATCHER: Token = Token(6);
const OTHER: Token = Token(7);

/// Directories at the top, each with so many in it. Where they are opened to be watched, fewer.
const TREE: (usize, usize) = if cfg!(any(wakeful_emulate = "freebsd", wakeful_emulate = "illumos"))
{
    (20, 30)
} else {
    (50, 50)
};
const COUNT: usize = TREE.0 * (1 + TREE.1);

/// As many passes as it takes at the least.
const PASSES: usize = 4;

fn directories(root: &Path) -> impl Iterator<Item = PathBuf> {
    let root = root.to_owned();
    (0..TREE.0).flat_map(move |top| {
        let top = root.join(top.to_string());
        (0..TREE.1).map(move |number| top.join(number.to_string()))
    })
}

fn create(root: &Path) {
    directories(root).for_each(|path| fs::create_dir_all(path).unwrap());
}

/// One event after another, with `between` called after each pass, until `is_over`. How many
/// passes.
#[track_caller]
fn passes(
    stage: &mut Stage,
    mut between: impl FnMut(&Stage, usize),
    mut is_over: impl FnMut(&[Change]) -> bool,
) -> usize {
    let end = Instant::now() + DEADLINE * 3;
    let waker = Waker::new(stage.events.registry(), OTHER).unwrap();
    for pass in 1.. {
        waker.wake().unwrap();
        assert!(Instant::now() < end, "it does not come to an end");
        let (mut is_ready, mut has_other) = (false, false);
        while !(is_ready && has_other) {
            let events = stage.events.poll(DEADLINE);
            assert!(!events.is_empty(), "pass {pass}: {is_ready}, {has_other}");
            is_ready |= events.iter().any(|event| event.token() == WATCHER);
            has_other |= events.iter().any(|event| event.token() == OTHER);
        }
        let changes: Vec<_> = stage.watcher.changes().collect();
        between(stage, pass);
        if is_over(&changes) {
            return pass;
        }
    }
    unreachable!()
}

fn is_listed(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.kind == Kind::Listed)
}

/// That all is watched: what happens is told.
#[track_caller]
fn expect_watched(stage: &mut Stage, paths: impl IntoIterator<Item = PathBuf>) {
    let mut missing: HashSet<_> = paths.into_iter().map(|path| path.join("file")).collect();
    for path in &missing {
        fs::write(path, "").unwrap();
    }
    let end = Instant::now() + DEADLINE;
    while !missing.is_empty() {
        assert!(Instant::now() < end, "{} are not told: {missing:?}", missing.len());
        for change in stage.changes() {
            missing.remove(&change.path);
        }
    }
}

every_backend! {
    fn added_in_steps(backend) {
        for trigger in [Trigger::Edge, Trigger::Level] {
            let mut stage = Stage::in_memory(backend, trigger);
            let root = stage.path("tree");
            create(&root);
            let count = Arc::new(AtomicUsize::new(1));
            let counter = Arc::clone(&count);
            let watch = Watch::new(&root).recursive(true).incremental(true);
            let watch = watch.progress(move |so_far| {
                counter.store(so_far.directories, Ordering::Relaxed);
            });
            let id = stage.watcher.add(watch).unwrap();
            assert!(count.load(Ordering::Relaxed) < COUNT, "it was added at once");
            let mut told = Vec::new();
            let passes = passes(&mut stage, |_, _| {}, |changes| {
                told.extend(changes.iter().map(|change| (change.kind, change.watch)));
                is_listed(changes)
            });
            assert!(passes >= PASSES, "{passes}");
            assert_eq!(count.load(Ordering::Relaxed), COUNT + 1);
            assert_eq!(told, [(Kind::Listed, Some(id))]);
            stage.expect_nothing();
            let some: Vec<_> = directories(&root).step_by(31).collect();
            expect_watched(&mut stage, some);
        }
    }

    fn changes_while_it_is_listed(backend) {
        let mut stage = Stage::in_memory(backend, Trigger::Edge);
        let root = stage.path("tree");
        create(&root);
        let all: Vec<_> = directories(&root).collect();
        stage.watcher.add(Watch::new(&root).recursive(true).incremental(true)).unwrap();
        let (mut came, mut gone) = (Vec::new(), HashSet::new());
        passes(
            &mut stage,
            |stage, pass| {
                // Some of these are listed by now, some are not.
                for path in all.iter().skip(pass * 7).step_by(101) {
                    if path.exists() {
                        let new = path.join(format!("new{pass}/deep"));
                        fs::create_dir_all(&new).unwrap();
                        came.push(new);
                    }
                }
                let moved = all[pass * 13].with_extension(format!("moved{pass}"));
                if fs::rename(&all[pass * 13], &moved).is_ok() {
                    came.push(moved);
                    gone.insert(all[pass * 13].clone());
                }
                let removed = &all[pass * 13 + 1];
                if fs::remove_dir(removed).is_ok() {
                    gone.insert(removed.clone());
                }
                assert!(stage.folder.path().exists());
            },
            is_listed,
        );
        came.retain(|path| path.exists());
        assert!(came.len() > PASSES, "{}", came.len());
        let left = all.iter().filter(|path| path.exists()).step_by(17).cloned();
        let paths: Vec<_> = left.chain(came).collect();
        expect_watched(&mut stage, paths);
    }

    fn moved_into_a_tree(backend) {
        let mut stage = Stage::in_memory(backend, Trigger::Edge);
        let (root, outside) = (stage.path("tree"), stage.path("outside"));
        fs::create_dir(&root).unwrap();
        create(&outside);
        stage.watcher.add(Watch::new(&root).recursive(true)).unwrap();
        fs::rename(&outside, root.join("inside")).unwrap();
        let mut missing: HashSet<_> = directories(&root.join("inside")).collect();
        let mut arrivals = 0;
        let mut longest = 0;
        let passes = passes(&mut stage, |_, _| {}, |changes| {
            longest = longest.max(changes.len());
            for change in changes {
                arrivals += usize::from(is_arrival(change.kind) && change.path.ends_with("inside"));
                missing.remove(&change.path);
            }
            missing.is_empty()
        });
        assert_eq!(arrivals, 1);
        // Not all of them are listed by then.
        let least = if compares() { 2 } else { PASSES };
        assert!(passes >= least && longest < COUNT, "{passes}, {longest}");
        let some: Vec<_> = directories(&root.join("inside")).step_by(31).collect();
        expect_watched(&mut stage, some);
    }

    fn stopped(backend) {
        let mut stage = Stage::in_memory(backend, Trigger::Edge);
        let root = stage.path("tree");
        create(&root);
        let watch = |limit: usize| {
            Watch::new(&root).recursive(true).progress(move |so_far| {
                assert!(so_far.directories <= limit);
                match so_far.directories < limit {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })
        };
        let error = stage.watcher.add(watch(70)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
        let error = stage.watcher.add(watch(40).incremental(true)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
        fs::create_dir(root.join("new")).unwrap();
        stage.expect_nothing();
        // When `add` has returned, a change says so.
        let id = stage.watcher.add(watch(COUNT / 2).incremental(true)).unwrap();
        let mut last = None;
        passes(&mut stage, |_, _| {}, |changes| {
            last = changes.last().map(|change| {
                let errno = change.error().and_then(|error| error.raw_os_error());
                (change.kind, change.watch, change.path.clone(), errno)
            });
            last.is_some()
        });
        let errno = Some(libc::ECANCELED);
        assert_eq!(last, Some((Kind::Unwatched, Some(id), root.clone(), errno)));
        fs::create_dir(root.join("newer")).unwrap();
        stage.expect_nothing();
        // By the caller, in between.
        let id = stage.watcher.add(Watch::new(&root).recursive(true).incremental(true)).unwrap();
        stage.changes();
        stage.watcher.remove(id);
        fs::create_dir(root.join("newest")).unwrap();
        stage.expect_nothing();
    }

    fn nothing_to_list(backend) {
        let mut stage = Stage::in_memory(backend, Trigger::Edge);
        stage.write("file", "");
        fs::create_dir(stage.path("few")).unwrap();
        fs::create_dir(stage.path("few/one")).unwrap();
        for (name, is_directory) in [("file", false), ("few", true), ("missing", false)] {
            let watch = Watch::new(stage.path(name)).recursive(true).allow_missing(true);
            let id = stage.watcher.add(watch.incremental(true)).unwrap();
            let changes = stage.changes();
            assert_eq!(changes.len(), 1, "{changes:?}");
            assert_eq!((changes[0].kind, changes[0].watch), (Kind::Listed, Some(id)));
            assert_eq!(changes[0].path, stage.path(name));
            assert_eq!(changes[0].is_directory, is_directory);
            assert_eq!(changes[0].to_string(), format!("listed {}", stage.path(name).display()));
        }
        let watch = Watch::new(stage.path("few")).incremental(true);
        stage.watcher.add(watch).unwrap();
        assert!(is_listed(&stage.changes()));
        stage.expect_nothing();
    }
}
