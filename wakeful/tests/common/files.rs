//! Queues of file operations, of every kind that this machine has.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wakeful::file::{Backend, Completed, Queue};
use wakeful::{Events, Interest, Poll, Registered, Token};

/// The backends of queues that there are here: two at least on every Linux that is not sandboxed.
pub fn backends() -> Vec<Backend> {
    let all = [Backend::IoUring, Backend::Aio, Backend::Pool];
    all.into_iter().filter(|backend| Queue::<()>::new(1, *backend).is_ok()).collect()
}

/// Runs a test on each of them.
pub fn on_each(run: impl Fn(Backend)) {
    for backend in backends() {
        run(backend);
    }
}

/// A file that nobody else has.
pub fn temporary() -> Arc<File> {
    Arc::new(tempfile::tempfile().unwrap())
}

/// A FIFO of its own, whose opening waits for the other end, as long as the folder is there.
pub fn fifo() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    let status = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(status.success());
    (folder, path)
}

/// A queue and a poller that waits for it.
pub struct Desk<T> {
    pub poll: Poll,
    pub queue: Registered<Queue<T>>,
    events: Events,
}

impl<T> Desk<T> {
    pub fn new(depth: usize, backend: Backend) -> Desk<T> {
        Desk::on(wakeful::Backend::available()[0], depth, backend, Interest::READABLE)
    }

    pub fn on(
        poller: wakeful::Backend,
        depth: usize,
        backend: Backend,
        interest: Interest,
    ) -> Desk<T> {
        let poll = Poll::builder().backend(poller).build().unwrap();
        let queue = Queue::new(depth, backend).unwrap();
        let queue = poll.registry().register_owned(queue, Token(7), interest).unwrap();
        Desk { poll, queue, events: Events::with_capacity(8) }
    }

    /// The next that ends, within ten seconds.
    #[track_caller]
    pub fn wait(&mut self) -> Completed<T> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(completed) = self.queue.completion() {
                return completed;
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            assert!(!remaining.is_zero(), "nothing ended: {:?}", self.queue);
            match self.poll.poll(&mut self.events, Some(remaining)) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => result.unwrap(),
            }
        }
    }
}
