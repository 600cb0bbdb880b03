//! Operations on files, as values: what is to be done, with the file and the buffers it needs.
//!
//! An [`Operation`] owns all that the kernel is going to use, so it can be handed to a kernel that works while the
//! program goes on ([`linux::Ring`](crate::linux::Ring), `event_port::EventPort`, `kqueue::Kqueue`), to a thread of a pool, or
//! be [performed](perform) at once. What comes of it is the same: an [`Output`], or the operating system's error.
//!
//! ```
//! use std::sync::Arc;
//! use wakeful_kernel::file::{Buffer, Operation, Output, perform};
//!
//! let file = Arc::new(tempfile::tempfile()?);
//! let mut write = Operation::write(file.clone(), b"hello".to_vec(), 0);
//! assert!(matches!(perform(&mut write)?, Output::Count(5)));
//! let mut read = Operation::read(file, vec![0; 100], 1);
//! assert!(matches!(perform(&mut read)?, Output::Count(4)));
//! assert_eq!(&read.into_buffer().unwrap()[..4], b"ello");
//! # Ok::<(), std::io::Error>(())
//! ```

mod aligned;
mod buffer;
mod completion;
mod fixed;
mod metadata;
mod open;
mod operation;
mod perform;

pub use aligned::AlignedBuffer;
pub use buffer::Buffer;
pub use completion::{Completed, Key, Keys, Reason, Rejected, RejectedChain};
pub use fixed::{FixedBuffer, FixedBuffers};
pub use metadata::{Kind, Metadata, Time};
pub use open::OpenOptions;
pub use operation::{Allocation, Operation, Output};
pub use perform::{perform, perform_at_once};

// Only the ring asks for it elsewhere.
#[allow(unused_imports)]
pub(crate) use metadata::kind;
