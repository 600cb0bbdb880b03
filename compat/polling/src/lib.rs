//! [wakeful](https://github.com/wakeful-rs/wakeful) under polling's name and interface, so that one
//! entry in `[patch.crates-io]` puts async-io, smol, and everything else that stands on polling, on
//! wakeful.
//!
//! Every public item of polling 3.11 on Linux is here, with its signature and its documented
//! behaviour; new programs use `wakeful` itself, which can do more.
//!
//! A [`Poller`] waits for sources. Each is added under a key and with an interest, both of which an
//! [`Event`] carries, and is reported once: then [`modify`](Poller::modify) it for the next event, or
//! add it in another [`PollMode`].
//!
//! ```
//! use std::net::{TcpListener, TcpStream};
//! use polling::{Event, Events, Poller};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! listener.set_nonblocking(true)?;
//! # let _client = TcpStream::connect(listener.local_addr()?)?;
//!
//! let poller = Poller::new()?;
//! // SAFETY: it is deleted below, before it is dropped.
//! unsafe { poller.add(&listener, Event::readable(7))? };
//!
//! let mut events = Events::new();
//! 'serving: loop {
//!     events.clear();
//!     poller.wait(&mut events, None)?;
//!     for event in events.iter().filter(|event| event.key == 7) {
//!         let (_connection, address) = listener.accept()?;
//!         println!("{address} came, and is sent away");
//!         poller.modify(&listener, Event::readable(7))?;
//!     }
//! #   break 'serving;
//! }
//! poller.delete(&listener)?;
//! # Ok::<(), std::io::Error>(())
//! ```

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod os;

mod event;
mod events;
mod mode;
mod poller;
mod source;

pub use event::Event;
pub use events::Events;
pub use mode::PollMode;
pub use poller::Poller;
pub use source::{AsRawSource, AsSource};

/// The key that polling keeps for notifications, which a source cannot have.
const NOTIFY_KEY: usize = usize::MAX;
