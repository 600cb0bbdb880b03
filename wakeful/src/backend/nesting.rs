//! Which pollers wait for which others, so that none waits for itself.
//!
//! epoll refuses such registrations. To poll(2) the descriptor of a poller is a pipe like any
//! other, and not every kernel of event ports looks.

use std::collections::HashMap;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use wakeful_kernel::process;

/// For each poller, by the number of its descriptor, those that it waits for.
type Graph = HashMap<RawFd, Vec<RawFd>>;

/// One for each generation of forked children: an inherited one may be locked for ever.
static GRAPHS: [Mutex<Option<Graph>>; GENERATIONS] = [const { Mutex::new(None) }; GENERATIONS];

/// Children of children of children, beyond which they share one.
const GENERATIONS: usize = 16;

fn graph() -> MutexGuard<'static, Option<Graph>> {
    let generation = (process::forks() as usize).min(GENERATIONS - 1);
    GRAPHS[generation].lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place of a poller in the graph. It must go before the descriptor is closed.
#[derive(Debug)]
pub(super) struct Node {
    fd: RawFd,
    /// For how many pollers it waits, so that nothing is looked up for one that waits for none.
    inner: AtomicUsize,
}

impl Node {
    pub(super) fn new(fd: RawFd) -> Node {
        graph().get_or_insert_default().insert(fd, Vec::new());
        Node { fd, inner: AtomicUsize::new(0) }
    }

    /// Takes note of a registration, if it is one of a poller.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it is the poller itself. `ELOOP`: it waits for the poller.
    pub(super) fn enter(&self, other: RawFd) -> io::Result<()> {
        if other == self.fd {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut graph = graph();
        let Some(graph) = graph.as_mut().filter(|graph| graph.contains_key(&other)) else {
            return Ok(());
        };
        if reaches(graph, other, self.fd) {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        graph.entry(self.fd).or_default().push(other);
        self.inner.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A registration has ended.
    pub(super) fn leave(&self, other: RawFd) {
        if self.inner.load(Ordering::Relaxed) == 0 {
            return;
        }
        if let Some(others) = graph().as_mut().and_then(|graph| graph.get_mut(&self.fd)) {
            if let Some(place) = others.iter().position(|&fd| fd == other) {
                others.swap_remove(place);
                self.inner.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(graph) = graph().as_mut() {
            graph.remove(&self.fd);
            // Another poller may have the number next.
            for others in graph.values_mut() {
                others.retain(|&fd| fd != self.fd);
            }
        }
    }
}

/// There are no cycles, so this ends.
fn reaches(graph: &Graph, from: RawFd, to: RawFd) -> bool {
    let others = || graph.get(&from).into_iter().flatten();
    from == to || others().any(|&other| reaches(graph, other, to))
}
