//! Which files are not worth an event: those that `--ignore` names, and those that git ignores.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

pub(super) struct Ignored {
    /// As it was given, and where that is.
    root: PathBuf,
    absolute: PathBuf,
    named: Gitignore,
    /// What git has to say of each directory that was asked about; `None` if it is not asked.
    of_git: Option<Mutex<HashMap<PathBuf, Rules>>>,
    /// Whether the rules above the root count: not if they would leave nothing of it to see.
    from_above: bool,
}

/// A name that no rule is meant for.
const ANY_NAME: &str = "\u{1}";

struct Rules {
    ignored: Option<Gitignore>,
    /// Rules do not reach beyond the repository.
    is_repository: bool,
}

impl Ignored {
    pub(super) fn new(root: &Path, globs: &[String], git: bool) -> anyhow::Result<Ignored> {
        let mut builder = GitignoreBuilder::new(root);
        for glob in globs {
            builder.add_line(None, glob).with_context(|| format!("--ignore {glob:?}"))?;
        }
        let named = builder.build().context("--ignore")?;
        let of_git = git.then(Mutex::default);
        // Without links and `..`; or as it is, if it is not there yet.
        let absolute = root.canonicalize().or_else(|_| std::path::absolute(root))?;
        let root = root.to_owned();
        let mut new = Ignored { root, absolute, named, of_git, from_above: true };
        new.from_above = new.sees(&new.root, true) && new.sees(&new.root.join(ANY_NAME), false);
        Ok(new)
    }

    /// Whether a path below the root is worth an event. The directories above were asked about when they
    /// were entered, so only the path itself counts.
    pub(super) fn sees(&self, path: &Path, is_directory: bool) -> bool {
        if self.named.matched(path, is_directory).is_ignore() {
            return false;
        }
        let Some(rules) = &self.of_git else {
            return true;
        };
        let (name, below) = (path.file_name().unwrap_or_default(), path.strip_prefix(&self.root));
        if name == ".git" {
            return false;
        }
        let path = below.map_or_else(|_| path.to_owned(), |below| self.absolute.join(below));
        let mut rules = rules.lock().unwrap_or_else(PoisonError::into_inner);
        if name == ".gitignore" {
            // Something happened to it, so it is read anew.
            rules.remove(path.parent().unwrap_or(&self.absolute));
        }
        let mut decision = Match::None;
        for directory in path.ancestors().skip(1) {
            let of_this = rules.entry(directory.to_owned()).or_insert_with(|| Rules::of(directory));
            let counts = self.from_above || directory.starts_with(&self.absolute);
            if let (Match::None, true, Some(ignored)) = (&decision, counts, &of_this.ignored) {
                decision = ignored.matched(&path, is_directory).map(|_| ());
            }
            if of_this.is_repository {
                return !decision.is_ignore();
            }
        }
        // Outside of a repository there are no rules.
        true
    }
}

impl Rules {
    fn of(directory: &Path) -> Rules {
        let file = directory.join(".gitignore");
        Rules {
            ignored: file.is_file().then(|| Gitignore::new(file).0),
            is_repository: directory.join(".git").exists(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_rule_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join(".gitignore"), "target/\n*.log\n").unwrap();
        fs::write(root.join("a/.gitignore"), "!kept.log\n/only-here\n").unwrap();
        let ignored = Ignored::new(root, &["*.tmp".to_owned()], true).unwrap();
        let sees = |path: &str, is_directory| ignored.sees(&root.join(path), is_directory);
        assert!(sees("a/b/file.rs", false));
        assert!(!sees("target", true) && sees("target", false));
        assert!(!sees("a/b/x.log", false) && sees("a/b/kept.log", false));
        assert!(!sees("kept.log", false));
        assert!(!sees("a/only-here", false) && sees("a/b/only-here", false));
        assert!(!sees("a/b/x.tmp", false) && !sees(".git", true));
        // What was named explicitly is seen, whatever is said of it from above.
        fs::create_dir_all(root.join("target/debug")).unwrap();
        let named = Ignored::new(&root.join("target"), &[], true).unwrap();
        assert!(named.sees(&root.join("target/debug"), true));
        // `..` and links mean what they mean to the kernel.
        let roundabout = root.join("target/../a");
        let ignored_there = Ignored::new(&roundabout, &[], true).unwrap();
        assert!(!ignored_there.sees(&roundabout.join("x.log"), false));
        // The rules change.
        fs::write(root.join(".gitignore"), "").unwrap();
        assert!(sees(".gitignore", false) && sees("x.log", false));

        // Without a repository there are none.
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join(".gitignore"), "*").unwrap();
        let free = Ignored::new(outside.path(), &[], true).unwrap();
        assert!(free.sees(&outside.path().join("file"), false));

        let all = Ignored::new(root, &[], false).unwrap();
        assert!(all.sees(&root.join(".git"), true));
        assert!(Ignored::new(root, &["a{b".to_owned()], true).is_err());
    }
}
