use std::ffi::CString;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{FileObjError, FilePath, RefreshError};
use crate::sys::event_port as sys;

/// `file_obj_t`—A file to watch, with the times at which it was read, written and changed last, as far as is known.
///
/// Clones are the same object. The port to which one is associated owns it until its event is retrieved or it is
/// dissociated, so that its address, by which the kernel knows it, is nothing else's meanwhile.
#[derive(Clone)]
pub struct FileObj {
    inner: Arc<Inner>,
}

struct Inner {
    path: FilePath,
    is_followed: bool,
    /// Not moved as long as it lives. The kernel reads it when it is associated, and knows it by its address.
    object: Mutex<sys::file_obj>,
    /// What the object points to.
    _name: CString,
}

// SAFETY: the pointer in it is to the name beside it, which nobody changes.
unsafe impl Send for Inner {}
// SAFETY: likewise; the object is locked.
unsafe impl Sync for Inner {}

impl FileObj {
    /// `stat(path)`—Of what a path means, links followed, with its times as they are now.
    ///
    /// # Errors
    ///
    /// [`FileObjError::Stat`]: those of stat(2); [`FileObjError::InvalidPath`]: the path contains a
    /// zero byte.
    pub fn new(path: impl AsRef<Path>) -> Result<FileObj, FileObjError> {
        FileObj::of(path.as_ref(), true)
    }

    /// `lstat(path)`—Of a symbolic link itself.
    ///
    /// # Errors
    ///
    /// As [`new`](FileObj::new).
    pub fn new_nofollow(path: impl AsRef<Path>) -> Result<FileObj, FileObjError> {
        FileObj::of(path.as_ref(), false)
    }

    fn of(path: &Path, is_followed: bool) -> Result<FileObj, FileObjError> {
        let name = match CString::new(path.as_os_str().as_bytes()) {
            Ok(name) => name,
            Err(source) => return Err(FileObjError::InvalidPath { path: path.into(), source }),
        };
        let [fo_atime, fo_mtime, fo_ctime] = match times(path, is_followed) {
            Ok(times) => times,
            Err(source) => return Err(FileObjError::Stat { path: path.into(), source }),
        };
        let fo_name = name.as_ptr().cast_mut();
        let object = sys::file_obj { fo_atime, fo_mtime, fo_ctime, fo_pad: [0; 3], fo_name };
        let (object, path) = (Mutex::new(object), path.into());
        Ok(FileObj { inner: Arc::new(Inner { path, is_followed, object, _name: name }) })
    }

    /// Returns the path of which the object was made: a [`Path`] with
    /// [`as_str`](FilePath::as_str).
    pub fn path(&self) -> &FilePath {
        &self.inner.path
    }

    /// Whether symbolic links are followed.
    pub fn is_followed(&self) -> bool {
        self.inner.is_followed
    }

    /// `stat(path)` or `lstat(path)`, as it was made—Looks at the times again. What happens to the file from here on is
    /// told when it is associated, even if it happens before that.
    ///
    /// # Errors
    ///
    /// Those of stat(2): the file may be gone.
    pub fn refresh(&mut self) -> Result<(), RefreshError> {
        let times = times(self.path(), self.inner.is_followed)
            .map_err(|source| RefreshError { path: self.path().clone(), source })?;
        let mut object = self.inner.object.lock().unwrap_or_else(PoisonError::into_inner);
        [object.fo_atime, object.fo_mtime, object.fo_ctime] = times;
        Ok(())
    }

    /// Its address, which is its name to the kernel.
    pub(super) fn address(&self) -> usize {
        // Not locked: it is that of the object inside, which does not move, and is not followed.
        let object = self.inner.object.lock().unwrap_or_else(PoisonError::into_inner);
        std::ptr::from_ref(&*object) as usize
    }

    /// Lends the object to a call, by its address.
    pub(super) fn with<T>(&self, call: impl FnOnce(usize) -> T) -> T {
        let object = self.inner.object.lock().unwrap_or_else(PoisonError::into_inner);
        call(std::ptr::from_ref(&*object) as usize)
    }
}

impl fmt::Debug for FileObj {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileObj")
            .field("path", &self.path())
            .field("is_followed", &self.is_followed())
            .finish()
    }
}

#[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
fn times(path: &Path, is_followed: bool) -> io::Result<[libc::timespec; 3]> {
    let status = if is_followed { path.metadata() } else { path.symlink_metadata() }?;
    let times = [
        (status.atime(), status.atime_nsec()),
        (status.mtime(), status.mtime_nsec()),
        (status.ctime(), status.ctime_nsec()),
    ];
    Ok(times.map(|(seconds, nanoseconds)| {
        let mut time = crate::sys::timespec(std::time::Duration::ZERO);
        time.tv_sec = seconds as _;
        time.tv_nsec = nanoseconds as _;
        time
    }))
}
