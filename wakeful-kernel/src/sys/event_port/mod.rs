//! Event ports: the raw functions, as port.h has them.

pub use super::event_port_calls::*;

/// `sigev_notify` and the like are nothing to safe code; what belongs to one port is.
pub(crate) use super::event_port_calls::{Owner, create_cloexec};
