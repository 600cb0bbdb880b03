//! What is under way when a ring is dropped.

use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::thread;
use std::time::Duration;

use super::{Core, Slot};
use crate::file::Operation;
use crate::poll::{PollFd, poll};
use crate::process;
use crate::readiness::Readiness;

/// After so long it looks again, told or not.
const PATIENCE: Duration = Duration::from_secs(1);
/// It must not look without end.
const PAUSE: Duration = Duration::from_millis(10);

/// Cancels all of it, and frees its files and buffers when the kernel has done with them.
///
/// The callers' values go with the ring, on its thread. They are dropped last: a panic of theirs must find nothing that the
/// kernel uses.
pub(super) fn wait_for<U>(core: Core<U>) {
    let Core { uring, depth, slots, keys, pushed, fixed, forks, cancels, broken, refused } = core;
    let _refused = refused;
    let mut users = Vec::with_capacity(slots.len());
    let slots = slots.into_iter().map(|(index, slot)| {
        let Slot { operation, extra, key, sequence, user } = slot;
        users.push(user);
        (index, Slot { operation, extra, key, sequence, user: () })
    });
    let slots = slots.collect();
    let refused = VecDeque::new();
    let mut core =
        Core { uring, depth, slots, keys, pushed, fixed, forks, cancels, broken, refused };

    if core.forks != process::forks() {
        // A forked child has copies of the buffers, of which the kernel knows nothing. What it was to close, it may have
        // closed, and the number be another's.
        for (_, slot) in &mut core.slots {
            if let Operation::Close { file } = &mut slot.operation {
                let _: Option<RawFd> = file.take().map(IntoRawFd::into_raw_fd);
            }
        }
        return;
    }
    cancel(&mut core);
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
            let before = core.slots.len();
            while core.next().is_some() {}
            if core.slots.len() == before {
                // Told of nothing, as by a ring that is broken.
                thread::sleep(PAUSE);
            } else {
                // What was waiting for what has ended could not be cancelled before.
                cancel(&mut core);
            }
        }
        drop(ManuallyDrop::into_inner(core));
    });
}

fn cancel(core: &mut Core<()>) {
    if core.broken.is_some() {
        return;
    }
    let keys: Vec<_> = core.slots.iter().map(|(_, slot)| slot.key).collect();
    for key in keys {
        core.push_cancellation(key);
    }
    // An error is seen by what it leaves behind.
    let _ = core.flush();
}
