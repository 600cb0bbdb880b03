//! The atomics of the waker, replaced by loom's when loom explores their interleavings.

#[cfg(not(all(test, wakeful_loom)))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

#[cfg(all(test, wakeful_loom))]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
