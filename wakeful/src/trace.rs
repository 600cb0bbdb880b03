//! Registrations as tracing events, or as nothing.

#[cfg(feature = "tracing")]
macro_rules! registration {
    ($what:literal, $token:expr, $interest:expr) => {
        tracing::trace!(token = ?$token, interest = ?$interest, $what)
    };
}

#[cfg(not(feature = "tracing"))]
macro_rules! registration {
    ($what:literal, $token:expr, $interest:expr) => {};
}

#[cfg(feature = "tracing")]
macro_rules! deregistration {
    () => {
        tracing::trace!("deregister")
    };
}

#[cfg(not(feature = "tracing"))]
macro_rules! deregistration {
    () => {};
}

pub(crate) use {deregistration, registration};
