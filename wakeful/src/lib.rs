//! The event core of a program: it tells the program, on any kernel, that something happened.
//!
//! One [`Poll`] waits for all of its sources on one thread. A source is whatever owns a descriptor
//! that can be waited for; it is [registered](Registry) under a [`Token`] for an [`Interest`], and
//! after an event it is drained through its own methods, as a socket is drained with `read`.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use wakeful::{Events, Interest, Poll, Token, pipe};
//!
//! let mut poll = Poll::new()?;
//! let (mut sender, receiver) = pipe::new()?;
//! let receiver = poll.registry().register_owned(receiver, Token(0), Interest::READABLE)?;
//! sender.write_all(b"hello")?;
//!
//! let mut events = Events::with_capacity(128);
//! poll.poll(&mut events, None)?;
//! for event in &events {
//!     assert_eq!(event.token(), Token(0));
//!     let mut buffer = [0; 64];
//!     loop {
//!         match (&*receiver).read(&mut buffer) {
//!             Ok(0) => break, // the end of the stream
//!             Ok(count) => println!("{count} bytes"),
//!             Err(error) if error.kind() == io::ErrorKind::WouldBlock => break, // drained
//!             Err(error) => return Err(error),
//!         }
//!     }
//! }
//! # Ok::<(), io::Error>(())
//! ```
//!
//! # What there is
//!
//! | Area | Items |
//! |---|---|
//! | the loop | [`Poll`], [`Registry`], [`Events`], [`event::Event`], [`Token`], [`Interest`], [`Trigger`] |
//! | registrations | [`event::Source`], [`Registered`], [`unix::FdSource`], [`unix::SourceFd`] |
//! | other threads | [`Waker`]; `Registry` and `Waker` are `Send + Sync` |
//! | backends | [`Backend`], [`Capabilities`], [`Poll::builder`] |
//! | sources | `net` (TCP, UDP, Unix domain sockets), [`pipe`], [`time::Timer`], [`user::Events`], [`signal::Signals`], [`process::Exit`], [`watch::Watcher`], [`file::Queue`] |
//! | deadlines | [`Poll::timers`], [`time::Timers`] |
//!
//! # Coming from mio
//!
//! The names, signatures and semantics of mio 1.2 are covered: replace `mio` by `wakeful` in the
//! `use` lines. What differs is more permissive: any number of wakers per poller, and timeouts
//! exact below a millisecond.
//!
//! # Features
//!
//! - `net` (default): TCP, UDP and Unix domain sockets.
//! - `backend-from-env`: `WAKEFUL_BACKEND=epoll|kqueue|event-ports|poll` chooses the backend of [`Poll::new`].
//! - `bytes`: buffers of file operations from `BytesMut`.
//! - `tracing`: registrations as tracing events.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod event;
pub mod file;
#[cfg(feature = "net")]
pub mod net;
pub mod pipe;
pub mod process;
pub mod signal;
pub mod time;
pub mod unix;
pub mod user;
pub mod watch;

mod backend;
mod capabilities;
mod deferred;
mod fd_source;
mod interest;
mod io_source;
mod platform;
mod poll;
mod rearm;
mod registered;
mod registry;
mod sync;
mod token;
mod trace;
mod wake;
mod waker;

pub use capabilities::{Backend, Capabilities, EdgeRule, Support};
#[doc(no_inline)]
pub use event::Events;
pub use interest::{Interest, Trigger};
pub use poll::{Builder, Poll};
pub use registered::{Registered, SourceError};
pub use registry::Registry;
pub use token::Token;
pub use waker::Waker;
