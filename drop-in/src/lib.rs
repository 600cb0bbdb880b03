//! Users of mio and polling from crates.io, on wakeful: what their tests have in common.

use std::future::Future;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// No test lasts longer.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs a test on a thread of its own, so that one that hangs fails.
pub fn in_a_minute(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        // Dropped, and so disconnected, when the test ends in whatever way.
        let _done = done;
        test();
    });
    if is_done.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a test on tokio's multi-threaded runtime.
pub fn on_tokio<F: Future<Output = ()> + Send>(test: impl FnOnce() -> F + Send + 'static) {
    in_a_minute(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap().block_on(test());
    });
}
