//! aio(4) of the systems that have it.

pub(crate) use libc::{aio_cancel, aio_fsync, aio_read, aio_return, aio_write};
