//! Threads.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::file::{
    Backend, Capabilities, Carried, Completed, FixedBuffers, Key, Operation, Pool, Rejected,
    RejectedChain,
};

#[derive(Debug)]
pub(crate) enum Files<T> {
    Pool(Carried<T, Pool>),
}

impl<T> Files<T> {
    pub(crate) fn new(depth: usize, backend: Backend) -> io::Result<(Files<T>, Capabilities)> {
        let reason = match backend {
            Backend::Auto => {
                "neither io_uring nor asynchronous I/O that tells a descriptor is here"
            }
            Backend::Pool => "asked for",
            Backend::IoUring | Backend::Aio => {
                let message = format!("{backend} is not to be had here: take the pool");
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
        };
        let pool = Carried::new(depth, Pool::new()?);
        let reason = Some(reason.to_owned());
        Ok((Files::Pool(pool), Capabilities { backend: Backend::Pool, reason }))
    }

    pub(crate) fn cancel(&self, key: Key) -> io::Result<()> {
        let Files::Pool(pool) = self;
        pool.cancel(key)
    }

    pub(crate) fn register_buffers(&self, _: &FixedBuffers) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

crate::file::forward!(Files: Pool(files));
