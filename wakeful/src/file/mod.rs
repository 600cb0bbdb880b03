//! Operations on files that complete: reads, writes and the like are begun, and their end is an event.
//!
//! The kernel says of a regular file that it is always ready, and then keeps whoever reads it waiting for the disk. So
//! there is no readiness to wait for, only completion. A [`Queue`] takes operations over, with their files and buffers,
//! and is a source: it is readable while there is something that has ended.
//!
//! ```
//! use std::sync::Arc;
//! use wakeful::file::{Backend, Operation, Queue};
//! use wakeful::{Events, Interest, Poll, Token};
//!
//! let mut poll = Poll::new()?;
//! let queue = Queue::new(64, Backend::Auto)?;
//! let queue = poll.registry().register_owned(queue, Token(0), Interest::READABLE)?;
//!
//! let file = Arc::new(tempfile::tempfile()?);
//! queue.submit(Operation::write(file.clone(), b"hello".to_vec(), 0), "greeting")?;
//!
//! let mut events = Events::with_capacity(8);
//! let done = loop {
//!     if let Some(done) = queue.completion() {
//!         break done;
//!     }
//!     poll.poll(&mut events, None)?;
//! };
//! assert_eq!(done.user, "greeting");
//! assert_eq!(done.result?.count(), 5);
//! assert_eq!(done.operation.into_buffer().unwrap().into_vec(), b"hello");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Who carries them out
//!
//! | [`Backend`] | Systems | How |
//! |---|---|---|
//! | `IoUring` | Linux since 5.15, 64-bit processors, unless a sandbox forbids it | the kernel, often before `submit` returns |
//! | `Aio` | FreeBSD, illumos, Solaris | reads, writes and syncs by POSIX asynchronous I/O, whose end a kqueue or an event port tells; the others by the pool |
//! | `Pool` | every Unix | threads, 4 for each processor, and [more](#operations-that-block) while all of them block; they begin when they are needed, and end when they were idle for a second |
//!
//! `Auto` takes the first that there is, and [`Queue::capabilities`] says which, and why no better one. The results
//! are the same: those of std, with the operating system's errors.
//!
//! # What is promised
//!
//! - **Exactly one completion** for every operation that was accepted, whole: with its file, its buffers and the value that came
//!   with it. What is not accepted is [given back](Rejected).
//! - **Order**: none. Operations begin and end in any order, also those on one file. What must follow something is
//!   [linked](Queue::submit_chain) to it, or submitted when that has ended.
//! - **Ownership**: from submission to completion, the file and the buffers belong to the queue. So they cannot be
//!   freed, closed or read while the kernel is at work with them, whatever becomes of the queue.
//! - **Cancellation** is a [request](Queue::cancel). A ring interrupts what can be interrupted, and
//!   what has begun with the disk runs to its end as a rule. With threads a cancelled operation
//!   completes at once, and what has begun [goes on without its caller](Completed::is_detached).
//!   Dropping the queue cancels all of it and waits for none; of a chain in a ring, one more member
//!   may begin.
//! - **Durability**: a write that has ended is seen by every read that begins after that, and may be lost in a
//!   power failure until a [`sync_data`](Operation::sync_data) or [`sync_all`](Operation::sync_all) that began after its end
//!   has ended well. One that was submitted beside the write promises nothing of it: link them. A new file needs its directory
//!   synced too (open it as a file). After a sync that failed the kernel may have dropped what it could not
//!   write: write it anew, a second sync does not. On macOS they are `F_FULLFSYNC`, which empties the disk's own
//!   cache; elsewhere that is up to the file system, which the usual ones do.
//! - **A thread that ends** may take along what it has submitted to a ring: that completes with `ECANCELED`.
//! - **Fork**: a child has nothing of its parent's queue; it is refused there, and harmless to drop.
//!
//! # Operations that block
//!
//! Some operations end late or never: the opening of a FIFO without a peer, all those on a network
//! file system whose server is gone. A thread that carries one out cannot be interrupted: that
//! takes a signal, and the signals are the program's. So the threads see to it that such operations
//! hold up their own queue only:
//!
//! - One queue has 4 operations for each processor carried out at a time; the queues take turns.
//! - When no operation of any queue has ended for 150 ms, each queue that waits gets a further thread.
//! - An operation that was cancelled, or whose queue was dropped, does not count any more, and
//!   neither does its thread.
//! - There are 1024 threads at most, and the second half of them are for queues that have none.
//!   Beyond that, operations wait until one ends.
//!
//! For files, that is, and block devices. Pipes, sockets and terminals have readiness.

mod batch;
mod carried;
mod pool;
mod queue;
mod workers;

pub use batch::Batch;
pub use queue::{Attempt, Backend, Capabilities, Completions, Queue};
#[doc(inline)]
pub use wakeful_kernel::file::{
    AlignedBuffer, Allocation, Buffer, Completed, FixedBuffer, FixedBuffers, Key, Kind, Metadata,
    OpenOptions, Operation, Output, Reason, Rejected, RejectedChain, Time,
};

pub(crate) use carried::{Carried, forward};
// Where threads are not all that there is.
#[allow(unused_imports)]
pub(crate) use carried::{Carrier, Chain, Ended};
#[allow(unused_imports)]
pub(crate) use pool::Notify;
pub(crate) use pool::Pool;
