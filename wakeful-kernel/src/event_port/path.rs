use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// The path of a file object: a [`Path`] that can be shown and read as a string as well.
///
/// # Examples
///
/// ```
/// use wakeful_kernel::event_port::FileObj;
///
/// let root = FileObj::new("/")?;
/// assert_eq!(root.path().as_str(), "/");
/// assert!(root.path().is_dir());
/// println!("watching {}", root.path());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath {
    path: PathBuf,
    /// The path as a string, if its bytes are not UTF-8.
    lossy: Option<Box<str>>,
}

impl FilePath {
    /// Returns the path as a [`Path`], to which it also dereferences.
    pub fn as_path(&self) -> &Path {
        &self.path
    }

    /// Returns the path as a string. Bytes that are not UTF-8 are replaced by U+FFFD, so such a
    /// string is to be read, not to be opened: for that there is the [`Path`].
    pub fn as_str(&self) -> &str {
        match &self.lossy {
            Some(lossy) => lossy,
            None => self.path.to_str().unwrap_or_default(),
        }
    }
}

impl From<&Path> for FilePath {
    fn from(path: &Path) -> FilePath {
        path.to_owned().into()
    }
}

impl From<PathBuf> for FilePath {
    fn from(path: PathBuf) -> FilePath {
        let lossy = match path.to_str() {
            Some(_) => None,
            None => Some(path.to_string_lossy().into()),
        };
        FilePath { path, lossy }
    }
}

impl From<FilePath> for PathBuf {
    fn from(path: FilePath) -> PathBuf {
        path.path
    }
}

impl Deref for FilePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        self
    }
}

impl AsRef<OsStr> for FilePath {
    fn as_ref(&self) -> &OsStr {
        self.as_os_str()
    }
}

impl AsRef<str> for FilePath {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// Compares as paths, both ways.
macro_rules! comparisons {
    ($($left:ty, $right:ty;)+) => {
        $(
            impl PartialEq<$right> for $left {
                fn eq(&self, other: &$right) -> bool {
                    AsRef::<Path>::as_ref(self) == AsRef::<Path>::as_ref(other)
                }
            }

            impl PartialEq<$left> for $right {
                fn eq(&self, other: &$left) -> bool {
                    other == self
                }
            }
        )+
    };
}

comparisons! {
    FilePath, Path;
    FilePath, &Path;
    FilePath, PathBuf;
    FilePath, str;
    FilePath, &str;
    FilePath, String;
    &FilePath, Path;
    &FilePath, PathBuf;
    &FilePath, str;
    &FilePath, String;
}
