//! What a sandbox or an old kernel refuses, and nothing stands in for.

use std::error::Error;
use std::fmt;
use std::io;

/// The operating system's error, with what to do instead.
#[derive(Debug)]
struct Refused {
    what: &'static str,
    source: io::Error,
    advice: &'static str,
}

/// Makes [`Unsupported`](io::ErrorKind::Unsupported) of `ENOSYS`, `EPERM` and `EACCES`; all other
/// errors stay as they are.
pub(super) fn refused(
    what: &'static str,
    error: impl Into<io::Error>,
    advice: &'static str,
) -> io::Error {
    let source = error.into();
    match source.raw_os_error() {
        Some(libc::ENOSYS | libc::EPERM | libc::EACCES) => {
            io::Error::new(io::ErrorKind::Unsupported, Refused { what, source, advice })
        }
        _ => source,
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refused { what, source, advice } = self;
        write!(f, "{what} is refused by this kernel or a sandbox: {source}; {advice}")
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
