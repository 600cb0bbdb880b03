use std::fs;
use std::os::unix::fs::OpenOptionsExt;

/// How a file is to be opened: std's [`OpenOptions`](fs::OpenOptions), which can also be read.
///
/// ```
/// use wakeful_kernel::file::OpenOptions;
///
/// let append = OpenOptions::new().append(true).create(true).mode(0o600);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    mode: Option<u32>,
    flags: i32,
}

impl OpenOptions {
    /// For nothing, yet.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// To be read.
    pub fn read(mut self, read: bool) -> OpenOptions {
        self.read = read;
        self
    }

    /// To be written.
    pub fn write(mut self, write: bool) -> OpenOptions {
        self.write = write;
        self
    }

    /// To be written at its end only, whatever the offset.
    pub fn append(mut self, append: bool) -> OpenOptions {
        self.append = append;
        self
    }

    /// Emptied; demands `write`.
    pub fn truncate(mut self, truncate: bool) -> OpenOptions {
        self.truncate = truncate;
        self
    }

    /// Created if it is not there; demands `write` or `append`.
    pub fn create(mut self, create: bool) -> OpenOptions {
        self.create = create;
        self
    }

    /// Created, and an error if it is there; demands `write` or `append`.
    pub fn create_new(mut self, create_new: bool) -> OpenOptions {
        self.create_new = create_new;
        self
    }

    /// The permissions of a file that is created, less the process's umask: 0o666 unless said otherwise.
    pub fn mode(mut self, mode: u32) -> OpenOptions {
        self.mode = Some(mode);
        self
    }

    /// More flags of open(2), such as `O_DIRECT` or `O_NOFOLLOW`.
    pub fn custom_flags(mut self, flags: i32) -> OpenOptions {
        self.flags = flags;
        self
    }

    /// As std has them.
    pub(super) fn to_std(self) -> fs::OpenOptions {
        let mut options = fs::OpenOptions::new();
        options
            .read(self.read)
            .write(self.write)
            .append(self.append)
            .truncate(self.truncate)
            .create(self.create)
            .create_new(self.create_new)
            .custom_flags(self.flags);
        if let Some(mode) = self.mode {
            options.mode(mode);
        }
        options
    }

    /// Whether they contradict one another, by std's rules.
    pub(crate) fn are_contradictory(self) -> bool {
        let changes = self.truncate || self.create || self.create_new;
        match (self.read, self.write, self.append) {
            (false, false, false) => true,
            (true, false, false) => changes,
            (_, true, false) => false,
            (_, _, true) => self.truncate && !self.create_new,
        }
    }

    /// As open(2) has them, flags and mode.
    #[cfg(target_os = "linux")]
    // Only the ring asks for it.
    #[allow(dead_code)]
    pub(crate) fn to_flags(self) -> (libc::c_int, libc::mode_t) {
        let access = match (self.read, self.write || self.append) {
            (true, true) => libc::O_RDWR,
            (false, true) => libc::O_WRONLY,
            _ => libc::O_RDONLY,
        };
        let mut flags = libc::O_CLOEXEC | libc::O_LARGEFILE | access;
        let options = [
            (self.append, libc::O_APPEND),
            (self.create || self.create_new, libc::O_CREAT),
            (self.create_new, libc::O_EXCL),
            (self.truncate && !self.create_new, libc::O_TRUNC),
        ];
        for (is_set, flag) in options {
            if is_set {
                flags |= flag;
            }
        }
        flags |= self.flags & !libc::O_ACCMODE;
        // The ring's open refuses permissions where nothing is created.
        let creates = flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE;
        (flags, if creates { self.mode.unwrap_or(0o666) } else { 0 })
    }
}
