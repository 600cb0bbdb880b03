//! The files and directories of `--file`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use wakeful::Registered;
use wakeful::watch::{Change, Kind, Watch, WatchId, Watcher};

use super::Arguments;
use super::happening::What;
use super::ignored::Ignored;
use super::source::{Source, Stage, readable};

/// Changes taken for one event; the rest are for the next.
const CHANGES: usize = 256;

pub(super) struct Files {
    watcher: Registered<Watcher>,
    paths: Vec<(WatchId, PathBuf)>,
    /// Those of which directories are still to be watched.
    beginning: Vec<WatchId>,
    options: Options,
}

struct Options {
    recursive: bool,
    ignore: Vec<String>,
    git: bool,
}

impl Files {
    pub(super) fn new(arguments: &Arguments, stage: &Stage<'_>) -> anyhow::Result<Files> {
        let options = Options {
            recursive: arguments.recursive,
            ignore: arguments.ignore.clone(),
            git: !arguments.no_gitignore,
        };
        let watcher = Watcher::new().context("--file")?;
        let mut paths = Vec::new();
        for path in &arguments.file {
            let added = watcher.add(options.watch(path)?);
            paths.push((added.map_err(|error| explained(path, error))?, path.clone()));
        }
        let watcher = stage.registry.register_owned(watcher, stage.ready, readable())?;
        let beginning = paths.iter().map(|(id, _)| *id).collect();
        Ok(Files { watcher, paths, beginning, options })
    }

    /// Whether the change is about watching, and no event.
    fn is_of_watching(&mut self, change: &Change) -> anyhow::Result<bool> {
        let position = self.beginning.iter().position(|id| Some(*id) == change.watch);
        if let (Kind::Listed, Some(position)) = (change.kind, position) {
            self.beginning.swap_remove(position);
        }
        let is_limit = change.error().and_then(io::Error::raw_os_error) == Some(libc::ENOSPC);
        if let (Kind::Unwatched, Some(_), true) = (change.kind, position, is_limit) {
            return Err(explained(&change.path, io::Error::from_raw_os_error(libc::ENOSPC)));
        }
        Ok(change.kind == Kind::Listed)
    }

    /// A directory that went is waited for, and one that came is watched as such.
    fn follow(&mut self, change: &Change) -> anyhow::Result<()> {
        let watched = self.paths.iter_mut().find(|(id, _)| Some(*id) == change.watch);
        let Some((id, path)) = watched else {
            return Ok(());
        };
        let is_itself = change.path == *path;
        let went = matches!(change.kind, Kind::Gone | Kind::Moved | Kind::Unmounted);
        let came = matches!(change.kind, Kind::Created | Kind::RenamedTo(_)) && change.is_directory;
        if is_itself && (went || came) {
            self.watcher.remove(*id);
            self.beginning.retain(|beginning| beginning != id);
            *id = self.watcher.add(self.options.watch(path)?.allow_missing(true))?;
        }
        Ok(())
    }
}

fn explained(path: &Path, error: io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        Some(libc::ENOSPC) => anyhow::anyhow!(
            "--file {}: more directories than /proc/sys/fs/inotify/max_user_watches allows: \
             raise it, or leave some out with --ignore",
            path.display()
        ),
        _ => anyhow::Error::new(error).context(format!("--file {}", path.display())),
    }
}

impl Options {
    fn watch(&self, path: &Path) -> anyhow::Result<Watch> {
        let ignored = Ignored::new(path, &self.ignore, self.git)?;
        let mut progress = Progress::new(path.display().to_string());
        Ok(Watch::new(path)
            .recursive(self.recursive)
            // So that ^C and --timeout come in between.
            .incremental(true)
            .filter(move |path, is_directory| ignored.sees(path, is_directory))
            .progress(move |so_far| progress.show(so_far.directories)))
    }
}

impl Source for Files {
    fn ready(&mut self, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        let changes: Vec<_> = self.watcher.changes().take(CHANGES).collect();
        for change in changes {
            if self.is_of_watching(&change)? {
                continue;
            }
            stage.happened.push(What::of_change(&change));
            self.follow(&change)?;
        }
        Ok(())
    }

    fn is_beginning(&self) -> bool {
        !self.beginning.is_empty()
    }
}

/// Says how far it has come, if it takes long.
struct Progress {
    path: String,
    next: Instant,
}

impl Progress {
    const PAUSE: Duration = Duration::from_secs(1);

    fn new(path: String) -> Progress {
        Progress { path, next: Instant::now() + Progress::PAUSE }
    }

    fn show(&mut self, directories: usize) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + Progress::PAUSE;
            super::note(format_args!("{}: {directories} directories so far", self.path));
        }
    }
}
