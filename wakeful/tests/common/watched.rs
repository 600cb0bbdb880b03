use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wakeful::watch::{Change, Kind, WatchId, Watcher};
use wakeful::{Backend, Interest, Registered, Token, Trigger};

use super::{Loop, QUIET};

const TOKEN: Token = Token(6);

/// A watcher in its poller, and a folder to play in.
pub struct Stage {
    pub events: Loop,
    pub watcher: Registered<Watcher>,
    pub folder: Folder,
}

/// In another that nobody else has anything in: what happens beside a watched folder may be events too.
pub struct Folder {
    _around: TempDir,
    path: PathBuf,
}

impl Folder {
    fn new() -> Folder {
        Folder::of(tempfile::tempdir().unwrap())
    }

    fn of(around: TempDir) -> Folder {
        let path = around.path().join("folder");
        fs::create_dir(&path).unwrap();
        Folder { _around: around, path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Stage {
    pub fn new(backend: Backend) -> Stage {
        Stage::with_trigger(backend, Trigger::Edge)
    }

    /// In memory if that is possible: for thousands of files.
    pub fn in_memory(backend: Backend, trigger: Trigger) -> Stage {
        let memory = Path::new("/dev/shm");
        let around = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let folder = Folder::of(around.unwrap());
        Stage { folder, ..Stage::with_trigger(backend, trigger) }
    }

    pub fn with_trigger(backend: Backend, trigger: Trigger) -> Stage {
        let events = Loop::new(backend);
        let interest = Interest::READABLE.with_trigger(trigger);
        let watcher = Watcher::new().unwrap();
        let watcher = events.registry().register_owned(watcher, TOKEN, interest).unwrap();
        Stage { events, watcher, folder: Folder::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn append(&self, name: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(b"more").unwrap();
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub fn add(&self, name: &str) -> WatchId {
        self.watcher.add(self.path(name)).unwrap()
    }

    /// Waits for an event, and takes the changes.
    #[track_caller]
    pub fn changes(&mut self) -> Vec<Change> {
        self.events.expect_readable(TOKEN);
        self.watcher.changes().collect()
    }

    /// What they are, and of what below the folder.
    #[track_caller]
    pub fn told(&mut self) -> Vec<(Kind, String)> {
        let root = self.folder.path().to_owned();
        let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
        self.changes().iter().map(|change| (change.kind, name(&change.path))).collect()
    }

    /// Nothing is left to tell; an event may find that.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        // Others are in the same temporary directory, which is watched, too: what they do there may wake, but not for
        // long.
        for _ in 0..20 {
            let is_silent = self.events.poll(QUIET).is_empty();
            let left: Vec<_> = self.watcher.changes().collect();
            assert!(left.is_empty(), "{left:?}");
            if is_silent {
                return;
            }
        }
        panic!("events without end");
    }
}

/// Whether the kernel tells that a directory has changed, and not how: it is listed then. Nothing is lost in
/// that way, but what comes and goes between two looks is not told, nor whether something new was renamed.
pub fn compares() -> bool {
    Backend::available()[0] != Backend::Epoll
}

/// Something has come under this name.
pub fn is_arrival(kind: Kind) -> bool {
    matches!(kind, Kind::RenamedTo(_)) || compares() && kind == Kind::Created
}

pub fn told(kind: Kind, name: &str) -> (Kind, String) {
    (kind, name.to_owned())
}
