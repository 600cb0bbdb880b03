//! What is under way when a ring is dropped.

use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use super::{Core, Slot};
use crate::file::Key;
use crate::poll::{PollFd, poll};
use crate::process;
use crate::readiness::Readiness;

/// After so long it looks again, told or not.
const PATIENCE: Duration = Duration::from_secs(1);

/// Cancels all of it, and frees its files and buffers when the kernel has done with them.
pub(super) fn wait_for<U>(core: Core<U>) {
    // The callers' values go with the ring, on its thread.
    let Core { uring, depth, slots, generation, pushed, fixed, forks, broken, refused } = core;
    drop(refused);
    let mut users = Vec::with_capacity(slots.len());
    let slots = slots.into_iter().map(|(index, slot)| {
        let Slot { operation, extra, generation, sequence, user } = slot;
        users.push(user);
        (index, Slot { operation, extra, generation, sequence, user: () })
    });
    let slots = slots.collect();
    drop(users);
    let refused = Default::default();
    let mut core = Core { uring, depth, slots, generation, pushed, fixed, forks, broken, refused };

    if core.slots.is_empty() || core.forks != process::forks() {
        // A forked child has copies of the buffers, of which the kernel knows nothing.
        return;
    }
    let keys: Vec<_> =
        core.slots.iter().map(|(index, slot)| Key::new(index as u32, slot.generation)).collect();
    if core.broken.is_none() {
        for key in keys {
            core.push_cancellation(key);
        }
        // An error is seen by what it leaves behind.
        let _ = core.flush();
    }
    while core.next().is_some() {}
    if core.slots.is_empty() {
        return;
    }
    // If there is no thread for it, the buffers are never freed.
    let core = ManuallyDrop::new(core);
    let waiter = thread::Builder::new().name("wakeful-leftover".to_owned());
    let _ = waiter.spawn(move || {
        let mut core = core;
        while !core.slots.is_empty() {
            // SAFETY: it is open as long as the core.
            let fd = unsafe { BorrowedFd::borrow_raw(core.uring.as_raw_fd()) };
            // By poll(2), which a ring that takes nothing more still tells. It may be interrupted.
            let _ = poll(&mut [PollFd::new(&fd, Readiness::IN)], Some(PATIENCE));
            while core.next().is_some() {}
        }
        drop(ManuallyDrop::into_inner(core));
    });
}
