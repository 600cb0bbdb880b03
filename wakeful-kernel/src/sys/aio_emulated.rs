//! aio(7), whose ends the emulation tells.

pub(crate) use wakeful_emulation::event_port::{aio_fsync, aio_read, aio_return, aio_write};

/// Does nothing, and says so: by glibc's, other operations on the descriptor are lost (2.36; the one that was queued
/// behind the first is never begun).
pub(crate) unsafe fn aio_cancel(_: libc::c_int, _: *mut libc::aiocb) -> libc::c_int {
    libc::AIO_NOTCANCELED
}
