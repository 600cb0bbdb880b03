use std::fmt;
use std::io;

use super::{Change, Filter, System};

operation_error! {
    /// A kqueue could not be created.
    CreateError: "kqueue", advice: |_, errno| match errno {
        libc::EMFILE => "this process is at its limit of open files: close some or raise RLIMIT_NOFILE",
        _ => "",
    }
}

operation_error! {
    /// The wait failed, or a signal interrupted it.
    WaitError: "kevent" {
        /// Room for events.
        capacity: usize,
    },
    advice: |error, errno| match errno {
        libc::EINVAL if error.capacity == 0 => "the buffer has no room for an event: create it with \
            Vec::with_capacity(1) or more, and empty it between waits",
        _ => "",
    }
}

operation_error! {
    /// One change could not be made.
    ChangeError: "kevent(change)" {
        /// Its place among those that were handed over.
        index: usize,
        /// What it is about.
        ident: usize,
        /// Its filter, if this system has a name for it.
        filter: Option<Filter>,
    },
    advice: |_, errno| match errno {
        libc::ENOENT => "there is no such event: add it first, and mind that closing a descriptor deletes its own",
        libc::EBADF => "it is not open",
        libc::ESRCH => "the process has ended and was waited for, or never was",
        libc::EINVAL => "this filter does not take such a descriptor, or this version of the system has not \
            got the filter",
        _ => "",
    }
}

/// Some of the changes could not be made; the others were.
#[derive(Debug)]
pub struct ApplyError {
    errors: Vec<ChangeError>,
}

impl ApplyError {
    /// One per change that failed, in their order; at least one.
    pub fn errors(&self) -> &[ChangeError] {
        &self.errors
    }

    /// Those of a call that was refused as a whole.
    pub(super) fn whole(changes: &[Change], source: io::Error) -> ApplyError {
        let first = changes.first().unwrap_or(&Change::NOTHING);
        ApplyError { errors: vec![first.error(0, source)] }
    }

    pub(super) fn of(receipts: &[Change]) -> Result<(), ApplyError> {
        let failed = receipts.iter().enumerate().filter_map(|(index, receipt)| {
            receipt.as_event().error().map(|source| receipt.error(index, source))
        });
        let errors: Vec<_> = failed.collect();
        if errors.is_empty() { Ok(()) } else { Err(ApplyError { errors }) }
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, error) in self.errors.iter().enumerate() {
            if count > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.errors.first().map(|error| &error.source as _)
    }
}

/// The first of the errors, untouched.
impl From<ApplyError> for io::Error {
    fn from(error: ApplyError) -> io::Error {
        match error.errors.into_iter().next() {
            Some(error) => error.source,
            None => io::Error::from(io::ErrorKind::Other),
        }
    }
}

/// This system cannot wait for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    pub(super) filter: Filter,
    /// What of the filter is missing, if it is not the filter itself.
    pub(super) missing: Option<&'static str>,
}

impl BuildError {
    /// The filter that it was to be.
    pub fn filter(&self) -> Filter {
        self.filter
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = System::CURRENT.name;
        match self.missing {
            None => write!(f, "kqueue of {system} has no filter {:?}", self.filter),
            Some(what) => {
                write!(f, "kqueue of {system} has no {what} with the filter {:?}", self.filter)
            }
        }
    }
}

impl std::error::Error for BuildError {}

impl From<BuildError> for io::Error {
    fn from(error: BuildError) -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, error)
    }
}
