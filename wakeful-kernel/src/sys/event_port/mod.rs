//! Event ports: the raw functions, as port.h has them.

// The types as the header names them, and the struct of its timeouts.
#[doc(no_inline)]
pub use libc::timespec;

pub use super::event_port_calls::*;
pub use super::event_port_calls::{
    file_obj as file_obj_t, port_event as port_event_t, port_notify as port_notify_t,
};

/// `sigev_notify` and the like are nothing to safe code; what belongs to one port is.
pub(crate) use super::event_port_calls::{Owner, create_cloexec};
