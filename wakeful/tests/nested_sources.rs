//! Sources that some systems make of a queue of the kernel's of their own, under an edge: taken in parts, and taken
//! in parts before something new happens.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use common::watched::Stage;
use common::{Loop, every_backend};
use wakeful::file::{self, Operation};
use wakeful::time::Timer;
use wakeful::watch::{Change, Watch};
use wakeful::{Interest, Token, user};

const TOKEN: Token = Token(3);
/// Of a stage.
const WATCHER: Token = Token(6);
const EDGE: Interest = Interest::READABLE;

/// The directories that changes name.
fn names(changes: impl Iterator<Item = Change>) -> BTreeSet<String> {
    changes.map(|change| change.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

every_backend! {
    fn a_watcher_taken_in_parts(backend) {
        for (before, taken) in [(10, 6), (10, 1), (3, 2)] {
            let mut stage = Stage::new(backend);
            stage.watcher.add(Watch::new(stage.folder.path()).recursive(true)).unwrap();
            for number in 0..before {
                fs::create_dir(stage.path(&number.to_string())).unwrap();
            }
            let mut seen = BTreeSet::new();
            while seen.len() < before {
                stage.events.expect_readable(WATCHER);
                seen.extend(names(stage.watcher.changes().take(taken)));
            }
            // Whatever is left to tell twice, something new comes as well, in each state of the rest.
            for left in [taken, 0, taken] {
                let new = format!("new {}", seen.len());
                if left > 0 {
                    fs::create_dir(stage.path(&format!("other {}", seen.len()))).unwrap();
                    stage.events.expect_readable(WATCHER);
                    seen.extend(names(stage.watcher.changes().take(left)));
                }
                fs::create_dir(stage.path(&new)).unwrap();
                while !seen.contains(&new) {
                    stage.events.expect_readable(WATCHER);
                    seen.extend(names(stage.watcher.changes().take(taken)));
                }
            }
        }
    }

    fn a_timer_that_was_not_read_is_set_anew(backend) {
        let mut events = Loop::new(backend);
        let timer = events.registry().register_owned(Timer::new().unwrap(), TOKEN, EDGE).unwrap();
        for delay in [0, 1, 2, 0] {
            let delay = Duration::from_millis(delay);
            timer.set_after(delay).unwrap();
            events.expect_readable(TOKEN);
            timer.set_interval(Duration::from_millis(1)).unwrap();
            for _ in 0..3 {
                events.expect_readable(TOKEN);
                assert!(timer.expirations().unwrap() >= 1);
            }
            timer.disarm().unwrap();
            timer.set_after(delay).unwrap();
            events.expect_readable(TOKEN);
        }
    }

    fn events_of_the_programs_own_taken_in_parts(backend) {
        let mut events = Loop::new(backend);
        let queue = user::Events::new(100).unwrap();
        let queue = events.registry().register_owned(queue, TOKEN, EDGE).unwrap();
        let sender = queue.sender();
        let mut seen = Vec::new();
        for round in 0..5 {
            (0..4).for_each(|item| sender.send(4 * round + item).unwrap());
            events.expect_readable(TOKEN);
            seen.extend(queue.drain().take(2));
        }
        while seen.len() < 20 {
            events.expect_readable(TOKEN);
            seen.extend(queue.drain().take(3));
        }
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
        sender.send(20).unwrap();
        events.expect_readable(TOKEN);
    }

    fn operations_on_files_one_after_another(backend) {
        let mut events = Loop::new(backend);
        let queue = file::Queue::new(64, file::Backend::Auto).unwrap();
        let queue = events.registry().register_owned(queue, TOKEN, EDGE).unwrap();
        let file = Arc::new(tempfile::tempfile().unwrap());
        for round in 1..5 {
            for user in 0..round {
                let operation = Operation::write(Arc::clone(&file), vec![b'x'; 10], 0);
                queue.submit(operation, user).unwrap();
            }
            let mut seen = BTreeSet::new();
            while seen.len() < round as usize {
                events.expect_readable(TOKEN);
                seen.extend(queue.completions().map(|completed| completed.user));
            }
        }
    }
}
