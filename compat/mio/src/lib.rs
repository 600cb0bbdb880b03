//! [wakeful](https://github.com/wakeful-rs/wakeful) under mio's name and interface, so that one entry
//! in `[patch.crates-io]` puts tokio, and everything else that stands on mio, on wakeful.
//!
//! Every public item of mio 1.2 on Unix is here, with its signature and its documented behaviour;
//! new programs use `wakeful` itself, which can do more. The [`guide`] shows an event loop, and
//! [`features`] tells what the features add.
//!
//! The README lists what differs.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod event;
pub mod features;
pub mod guide;
#[cfg(feature = "net")]
pub mod net;
pub mod unix;

mod debug;
mod io_source;
mod poll;
mod registry;
mod waker;

#[doc(no_inline)]
pub use event::Events;
pub use poll::Poll;
pub use registry::Registry;
#[doc(inline)]
pub use wakeful::{Interest, Token};
pub use waker::Waker;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
