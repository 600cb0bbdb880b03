//! The kernel's ring, or threads where it is not allowed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use wakeful_kernel::linux::Ring;

use crate::file::{
    Backend, Capabilities, Carried, Completed, FixedBuffers, Key, Operation, Pool, Rejected,
    RejectedChain,
};

#[derive(Debug)]
pub(crate) enum Files<T> {
    Ring(Box<Ring<T>>),
    Pool(Carried<T, Pool>),
}

impl<T> Files<T> {
    pub(crate) fn new(depth: usize, backend: Backend) -> io::Result<(Files<T>, Capabilities)> {
        let mut reason = None;
        if matches!(backend, Backend::Auto | Backend::IoUring) {
            match Ring::new(depth) {
                Ok(ring) => {
                    let capabilities = Capabilities { backend: Backend::IoUring, reason };
                    return Ok((Files::Ring(Box::new(ring)), capabilities));
                }
                // Without a descriptor there is no pool either.
                Err(error)
                    if backend == Backend::IoUring
                        || matches!(
                            error.io_error().raw_os_error(),
                            Some(libc::EMFILE | libc::ENFILE)
                        ) =>
                {
                    return Err(error.into());
                }
                Err(error) => reason = Some(error.to_string()),
            }
        }
        if backend == Backend::Aio {
            let message =
                "POSIX asynchronous I/O has no descriptor on Linux: take io_uring or the pool";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let pool = Carried::new(depth, Pool::new()?);
        let reason = reason.or_else(|| Some("asked for".to_owned()));
        Ok((Files::Pool(pool), Capabilities { backend: Backend::Pool, reason }))
    }

    pub(crate) fn cancel(&self, key: Key) -> io::Result<()> {
        match self {
            Files::Ring(ring) => ring.cancel(key),
            Files::Pool(pool) => pool.cancel(key),
        }
    }

    pub(crate) fn register_buffers(&self, buffers: &FixedBuffers) -> io::Result<()> {
        match self {
            Files::Ring(ring) => ring.register_buffers(buffers),
            Files::Pool(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

crate::file::forward!(Files: Ring(files), Pool(files));
