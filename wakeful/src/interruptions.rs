//! What ends a wait as a signal does, and is none.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many sources there are whose kernel objects end waits of the threads that use them.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Owned by such a source.
#[derive(Debug)]
pub(crate) struct Interrupter(());

impl Interrupter {
    // Only rings do that.
    #[allow(dead_code)]
    pub(crate) fn new() -> Interrupter {
        COUNT.fetch_add(1, Ordering::Relaxed);
        Interrupter(())
    }
}

impl Drop for Interrupter {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether an interruption may be the work of a source, which has something to report then.
pub(crate) fn are_expected() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}
