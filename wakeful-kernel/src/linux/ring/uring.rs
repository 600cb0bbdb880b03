//! The kernel's ring, and the threads that it may interrupt.

use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use io_uring::IoUring;

use crate::linux::interruptions::Issuer;
use crate::pipe::pipe;
use crate::process::Generation;

/// A ring that tells the threads that used it when it goes.
pub(super) struct Uring {
    uring: IoUring,
    issuers: Vec<Use>,
    generation: Generation,
}

/// A thread that has handed something over.
struct Use {
    issuer: Arc<Issuer>,
    is_marked: bool,
}

impl Uring {
    pub(super) fn new(uring: IoUring) -> Uring {
        Uring { uring, issuers: Vec::new(), generation: Generation::current() }
    }

    /// This thread has handed something over, of which not all has ended if `is_under_way`. Then it may be interrupted.
    /// With several threads each may be, since another may drop the ring.
    pub(super) fn used(&mut self, is_under_way: bool) {
        // At the very end of a thread it waits no more.
        let Some(issuer) = Issuer::current() else { return };
        let known = self.issuers.iter().position(|other| Arc::ptr_eq(&other.issuer, &issuer));
        let index = known.unwrap_or_else(|| {
            self.issuers.push(Use { issuer, is_marked: false });
            self.issuers.len() - 1
        });
        if self.issuers.len() > 1 {
            self.issuers.iter_mut().for_each(Use::mark);
        } else if is_under_way {
            self.issuers[index].mark();
        }
    }

    /// The kernel keeps a file that was registered until it has done with the ring.
    fn register_pipe(&self) -> Option<Arc<std::os::fd::OwnedFd>> {
        let (reader, writer) = pipe().ok()?;
        self.uring.submitter().register_files(&[writer.as_raw_fd()]).ok()?;
        Some(Arc::new(reader))
    }
}

impl Use {
    fn mark(&mut self) {
        if !self.is_marked {
            self.is_marked = true;
            self.issuer.mark();
        }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        if !self.generation.is_current() || self.issuers.is_empty() {
            return;
        }
        let pipe = self.register_pipe();
        for mut user in std::mem::take(&mut self.issuers) {
            match &pipe {
                Some(pipe) => {
                    user.issuer.depart(pipe);
                    user.issuer.unmark(user.is_marked.into());
                }
                // When it has gone is not known, so the thread stays marked.
                None => user.mark(),
            }
        }
    }
}

impl Deref for Uring {
    type Target = IoUring;

    fn deref(&self) -> &IoUring {
        &self.uring
    }
}

impl DerefMut for Uring {
    fn deref_mut(&mut self) -> &mut IoUring {
        &mut self.uring
    }
}
