//! aio(7), whose ends the emulation tells.

pub(crate) use wakeful_emulation::event_port::{aio_fsync, aio_read, aio_return, aio_write};
