//! POSIX asynchronous I/O for what it can do, told by a queue of the kernel's, and threads for the rest.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, PoisonError};

use super::operation_queue::OperationQueue;
use crate::file::{
    Backend, Capabilities, Carried, Carrier, Chain, Completed, Ended, FixedBuffers, Key, Notify,
    Operation, Pool, Rejected, RejectedChain,
};
use wakeful_kernel::process::LeakingMutex;

#[derive(Debug)]
pub(crate) enum Files<T> {
    Aio(Carried<T, Aio>),
    Pool(Carried<T, Pool>),
}

impl<T> Files<T> {
    pub(crate) fn new(depth: usize, backend: Backend) -> io::Result<(Files<T>, Capabilities)> {
        let mut reason = "asked for";
        match backend {
            Backend::IoUring => {
                let message = "io_uring is Linux's: take aio or the pool";
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
            Backend::Pool => {}
            Backend::Auto | Backend::Aio => match Aio::new()? {
                Some(aio) => {
                    let capabilities = Capabilities { backend: Backend::Aio, reason: None };
                    return Ok((Files::Aio(Carried::new(depth, aio)), capabilities));
                }
                None if backend == Backend::Aio => {
                    let message =
                        "this system tells nobody of the ends of operations: take the pool";
                    return Err(io::Error::new(io::ErrorKind::Unsupported, message));
                }
                None => reason = "this system's kqueue is not told of asynchronous I/O",
            },
        }
        let reason = Some(reason.to_owned());
        let pool = Carried::new(depth, Pool::new()?);
        Ok((Files::Pool(pool), Capabilities { backend: Backend::Pool, reason }))
    }

    pub(crate) fn cancel(&self, key: Key) -> io::Result<()> {
        match self {
            Files::Aio(aio) => aio.cancel(key),
            Files::Pool(pool) => pool.cancel(key),
        }
    }

    pub(crate) fn register_buffers(&self, _: &FixedBuffers) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

crate::file::forward!(Files: Aio(files), Pool(files));

/// The system's, and the threads, which share a descriptor.
#[derive(Debug)]
pub(crate) struct Aio {
    // First: what it does for us is told through the queue.
    pool: Pool<OperationQueue>,
    queue: Arc<OperationQueue>,
    progress: LeakingMutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Of those that the queue tells of: whole keys, by their places.
    keys: Vec<Option<Key>>,
    /// Taken from the queue, and by nobody yet.
    ended: VecDeque<Completed<usize>>,
}

impl Aio {
    /// `None` where the system has none that tells a queue.
    fn new() -> io::Result<Option<Aio>> {
        let Some(queue) = OperationQueue::new()? else {
            return Ok(None);
        };
        let queue = Arc::new(queue);
        let pool = Pool::with(Arc::clone(&queue));
        Ok(Some(Aio { pool, queue, progress: LeakingMutex::default() }))
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn set(&mut self, place: usize, key: Option<Key>) {
        if self.keys.len() <= place {
            self.keys.resize(place + 1, None);
        }
        if let Some(it) = self.keys.get_mut(place) {
            *it = key;
        }
    }
}

impl Carrier for Aio {
    fn begin(&self, chains: &mut Vec<Chain>) -> io::Result<()> {
        let mut others = Vec::new();
        for mut chain in chains.drain(..) {
            let is_for_us = |operation: &Operation| {
                matches!(
                    operation,
                    Operation::Read { .. } | Operation::Write { .. } | Operation::Sync { .. }
                )
            };
            match chain.pop_front() {
                Some((key, operation)) if chain.is_empty() && is_for_us(&operation) => {
                    let place = key.index() as usize;
                    self.progress().set(place, Some(key));
                    // If too many are under way, or it is not to be, threads do it, or find out.
                    if let Err(rejected) = self.queue.submit(operation, place) {
                        self.progress().set(place, None);
                        others.push(Chain::from([(key, rejected.operation)]));
                    }
                }
                Some(first) => {
                    chain.push_front(first);
                    others.push(chain);
                }
                None => {}
            }
        }
        let result = if others.is_empty() { Ok(()) } else { self.pool.begin(&mut others) };
        *chains = others;
        result
    }

    fn next(&self) -> Option<Ended> {
        if let Some(ended) = self.pool.next() {
            return Some(ended);
        }
        let mut progress = self.progress();
        if progress.ended.is_empty() {
            self.queue.take(&mut progress.ended);
        }
        if let Some(Completed { user, operation, result, .. }) = progress.ended.pop_front() {
            let key = (*progress.keys.get(user)?)?;
            progress.set(user, None);
            return Some(Ended { key, operation, result, is_detached: false });
        }
        drop(progress);
        // What the queue told may have been of the threads.
        self.pool.next()
    }

    fn end(&self, ended: Ended) -> io::Result<()> {
        self.pool.end(ended)
    }

    fn cancel(&self, key: Key) -> io::Result<()> {
        let place = key.index() as usize;
        let progress = self.progress();
        if progress.keys.get(place) == Some(&Some(key)) {
            // With the lock, so that it is not taken, and its place another's, meanwhile.
            self.queue.cancel(place);
            return Ok(());
        }
        drop(progress);
        self.pool.cancel(key)
    }
}

impl AsFd for Aio {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

impl Notify for OperationQueue {
    fn notify(&self) -> io::Result<()> {
        self.ring()
    }

    /// Taking from the queue is what silences it.
    fn silence(&self) {}
}
