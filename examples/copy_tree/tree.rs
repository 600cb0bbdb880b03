//! What there is to copy.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A file, and where its copy goes.
pub(crate) struct Entry {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    pub(crate) length: u64,
    pub(crate) mode: u32,
}

/// The files of a tree. Its directories and links are made on the way.
pub(crate) fn list(from: &Path, to: &Path) -> io::Result<Vec<Entry>> {
    let mut files = Vec::new();
    let mut left = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = left.pop() {
        let metadata = fs::symlink_metadata(&from)?;
        if metadata.is_dir() {
            fs::create_dir(&to)?;
            for entry in fs::read_dir(&from)? {
                let name = entry?.file_name();
                left.push((from.join(&name), to.join(&name)));
            }
        } else if metadata.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if metadata.is_file() {
            let mode = metadata.permissions().mode() & 0o777;
            files.push(Entry { from, to, length: metadata.len(), mode });
        } else {
            eprintln!("{} is neither file, directory nor link: left out", from.display());
        }
    }
    Ok(files)
}

/// A tree to try it with: 200 files of up to a megabyte, in twenty directories.
pub(crate) fn make(at: &Path) -> io::Result<()> {
    for folder in 0..20 {
        let folder_path = at.join(format!("folder {folder}"));
        fs::create_dir_all(&folder_path)?;
        for file in 0..10_usize {
            let length = [0, 1, 100, 4096, 5000, 65_536, 131_072, 200_000, 500_000, 1 << 20][file];
            let content: Vec<u8> = (0..length).map(|at| (at * (folder + 7) / 3) as u8).collect();
            fs::write(folder_path.join(format!("file {file}")), content)?;
        }
    }
    symlink("folder 0/file 3", at.join("link"))
}
