//! Files that change, in a tree that is watched.

use std::fs::{self, File};
use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Result, ensure};
use notify::Watcher as _;
use tempfile::TempDir;

use crate::clock::{Clock, in_time};
use crate::row::Row;

const FILES: usize = 100;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("changes in a watched tree", "change")
            .clock(Clock::Process)
            .at_most(10_000)
            .candidate("wakeful", Wakeful::new, Wakeful::run)
            .candidate("notify", Notify::new, Notify::run)
            .goal("notify", 0.7)
            .remark("the writes themselves are part of both"),
    ]
}

struct Tree {
    folder: TempDir,
    files: Vec<File>,
    next: usize,
}

impl Tree {
    fn new() -> Result<Tree> {
        let folder = tempfile::tempdir()?;
        let mut files = Vec::new();
        for number in 0..FILES {
            let inner = folder.path().join(format!("folder {}", number % 10));
            fs::create_dir_all(&inner)?;
            files.push(File::create(inner.join(number.to_string()))?);
        }
        Ok(Tree { folder, files, next: 0 })
    }

    fn change(&mut self) -> Result<()> {
        self.next = (self.next + 1) % FILES;
        // Never the one that was changed before: the kernel makes one of two that are the same.
        Ok((&self.files[self.next]).write_all(b"x")?)
    }
}

struct Wakeful {
    tree: Tree,
    poll: wakeful::Poll,
    events: wakeful::Events,
    watcher: wakeful::Registered<wakeful::watch::Watcher>,
}

impl Wakeful {
    fn new() -> Result<Wakeful> {
        let tree = Tree::new()?;
        let poll = wakeful::Poll::new()?;
        let watcher = wakeful::watch::Watcher::new()?;
        watcher.add(wakeful::watch::Watch::new(tree.folder.path()).recursive(true))?;
        let (token, interest) = (wakeful::Token(0), wakeful::Interest::READABLE);
        let watcher = poll.registry().register_owned(watcher, token, interest)?;
        Ok(Wakeful { tree, poll, events: wakeful::Events::with_capacity(8), watcher })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        let until = in_time();
        let mut seen = 0;
        for done in 1..=count {
            self.tree.change()?;
            if done % FILES == 0 || done == count {
                while seen < done {
                    self.poll.poll(&mut self.events, Some(Duration::from_secs(10)))?;
                    seen += self.watcher.changes().count();
                    ensure!(std::time::Instant::now() < until, "{seen} of {done} were told");
                }
            }
        }
        Ok(())
    }
}

struct Notify {
    tree: Tree,
    changes: mpsc::Receiver<notify::Result<notify::Event>>,
    _watcher: notify::RecommendedWatcher,
}

impl Notify {
    fn new() -> Result<Notify> {
        let tree = Tree::new()?;
        let (sender, changes) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(sender)?;
        watcher.watch(tree.folder.path(), notify::RecursiveMode::Recursive)?;
        Ok(Notify { tree, changes, _watcher: watcher })
    }

    fn run(&mut self, count: usize) -> Result<()> {
        let mut seen = 0;
        for done in 1..=count {
            self.tree.change()?;
            if done % FILES == 0 || done == count {
                while seen < done {
                    let change = self.changes.recv_timeout(Duration::from_secs(10))??;
                    seen += usize::from(change.kind.is_modify());
                }
            }
        }
        Ok(())
    }
}
