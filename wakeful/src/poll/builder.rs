use std::io;

use super::Poll;
use crate::Backend;
use crate::backend::{self, Selected};

/// Builds a [`Poll`].
///
/// ```
/// use wakeful::{Backend, Poll};
///
/// let poll = Poll::builder().backend(Backend::Poll).build()?;
/// assert_eq!(poll.capabilities().backend, Backend::Poll);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    backend: Option<Backend>,
    kernel_edges: bool,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder { backend: None, kernel_edges: false }
    }

    /// Takes this backend, whatever the environment says.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Builder {
        self.backend = Some(backend);
        self
    }

    /// Prefers a backend whose kernel reports the edges of bare descriptors itself to the system's best:
    /// epoll to event ports on illumos. A backend that is asked for, here or by the environment, goes
    /// before.
    ///
    /// For programs that expect of a bare descriptor ([`SourceFd`](crate::unix::SourceFd)) what epoll
    /// and kqueue do: another edge once it was drained, without a call.
    #[must_use]
    pub fn kernel_edges(mut self) -> Builder {
        self.kernel_edges = true;
        self
    }

    /// Creates the poller.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM`; [`Unsupported`](io::ErrorKind::Unsupported): the backend is not in
    /// this build; `InvalidInput` if `WAKEFUL_BACKEND` counts and names no backend.
    pub fn build(self) -> io::Result<Poll> {
        let adapter = match self.backend {
            Some(backend) => backend::create(backend)?,
            None => match default_backend()? {
                Some(backend) => backend::create(backend)?,
                None => best(self.kernel_edges)?,
            },
        };
        Ok(Poll::on(adapter))
    }
}

#[cfg(any(feature = "backend-from-env", wakeful_backend_from_env))]
fn default_backend() -> io::Result<Option<Backend>> {
    let Some(name) = std::env::var_os("WAKEFUL_BACKEND") else {
        return Ok(None);
    };
    name.to_string_lossy().parse().map(Some).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("WAKEFUL_BACKEND: {error}"))
    })
}

#[cfg(not(any(feature = "backend-from-env", wakeful_backend_from_env)))]
fn default_backend() -> io::Result<Option<Backend>> {
    Ok(None)
}

/// Creates the platform's best backend, or the next one if a sandbox refuses that.
fn best(kernel_edges: bool) -> io::Result<Selected> {
    let is_refused = |error: &io::Error| {
        matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EACCES))
    };
    let first = best_backend(kernel_edges);
    match backend::create(first) {
        Err(error) if is_refused(&error) => {
            let mut others = Backend::available().iter().filter(|&&other| other != first);
            others.find_map(|&other| backend::create(other).ok()).ok_or(error)
        }
        result => result,
    }
}

/// The emulations, which come last, are not taken for the sake of their edges.
fn best_backend(kernel_edges: bool) -> Backend {
    let best = Backend::available()[0];
    let own = Backend::available().iter().take_while(|&&backend| backend != Backend::Poll);
    match own.copied().find(|&backend| backend::has_kernel_edges(backend)) {
        Some(backend) if kernel_edges => backend,
        _ => best,
    }
}
