//! A file that is saved as editors do it, and a folder that grows.

use std::fs;

use tempfile::TempDir;
use wakeful::event::Event;
use wakeful::watch::{Kind, Watch, WatchId, Watcher};
use wakeful::{Interest, Registered};

use super::{Act, Stage};

struct Watching {
    folder: TempDir,
    watcher: Registered<Watcher>,
    file: WatchId,
    tree: WatchId,
    is_saved: bool,
    is_grown: bool,
}

pub(super) fn begin(stage: &mut Stage<'_>) -> anyhow::Result<Box<dyn Act>> {
    let folder = tempfile::tempdir()?;
    let (file, tree) = (folder.path().join("file"), folder.path().join("tree"));
    fs::write(&file, "one")?;
    fs::create_dir(&tree)?;
    let watcher = Watcher::new()?;
    let watcher = stage.registry.register_owned(watcher, stage.token(0), Interest::READABLE)?;
    let act = Watching {
        file: watcher.add(&file)?,
        tree: watcher.add(Watch::new(&tree).recursive(true))?,
        watcher,
        folder,
        is_saved: false,
        is_grown: false,
    };
    fs::write(act.folder.path().join("new"), "two")?;
    fs::rename(act.folder.path().join("new"), &file)?;
    fs::create_dir_all(tree.join("a/b/c"))?;
    stage.say("a file is replaced by another, and a tree grows three levels at once")?;
    Ok(Box::new(act))
}

impl Act for Watching {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn promise(&self) -> &'static str {
        "a replaced file is followed, and a tree watched to its depth"
    }

    fn ready(&mut self, _: &Event, _: usize, stage: &mut Stage<'_>) -> anyhow::Result<()> {
        for change in self.watcher.changes() {
            let path = change.path.strip_prefix(self.folder.path()).unwrap_or(&change.path);
            stage.say(format_args!("{} {}", change.kind, path.display()))?;
            if change.watch == Some(self.file) {
                // Not every kernel tells that the new one had another name.
                self.is_saved |= matches!(change.kind, Kind::RenamedTo(_) | Kind::Created);
            } else if change.watch == Some(self.tree) {
                self.is_grown |= change.kind == Kind::Created && path.ends_with("a/b/c");
            }
        }
        Ok(())
    }

    fn missing(&self) -> String {
        let all = [(self.is_saved, "the new file"), (self.is_grown, "the deepest directory")];
        let missing: Vec<_> = all.iter().filter(|(is, _)| !is).map(|(_, what)| *what).collect();
        missing.join(", ")
    }
}
