//! What ends a wait as a signal does, and is none.

use std::sync::atomic::{AtomicBool, Ordering};

static ARE_EXPECTED: AtomicBool = AtomicBool::new(false);

/// There is, or was, a source whose kernel object ends waits of the threads that use it.
// Only rings do that, also while they go.
#[allow(dead_code)]
pub(crate) fn expect() {
    ARE_EXPECTED.store(true, Ordering::Relaxed);
}

/// Whether an interruption may be the work of a source, which has something to report then.
// Only epoll has to know.
#[allow(dead_code)]
pub(crate) fn are_expected() -> bool {
    ARE_EXPECTED.load(Ordering::Relaxed)
}
