//! An event loop in three steps.
//!
//! 1. A [`Poll`](crate::Poll) waits for [`Events`](crate::Events).
//! 2. What it waits for is registered, each source under a [`Token`](crate::Token) of the program's
//!    choice and with the [`Interest`](crate::Interest) in reading, writing or both.
//! 3. The loop polls, and for each event does what it was waiting for until that would block: events
//!    are edge-triggered, so what is left over is not reported again by itself.
//!
//! ```
//! # #[cfg(feature = "net")] {
//! use std::io;
//! use mio::net::{TcpListener, TcpStream};
//! use mio::{Events, Interest, Poll, Token};
//!
//! const SERVER: Token = Token(0);
//!
//! let mut poll = Poll::new()?;
//! let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
//! poll.registry().register(&mut listener, SERVER, Interest::READABLE)?;
//! # let _client = TcpStream::connect(listener.local_addr()?)?;
//!
//! let mut events = Events::with_capacity(128);
//! 'serving: loop {
//!     poll.poll(&mut events, None)?;
//!     for event in &events {
//!         match event.token() {
//!             SERVER => loop {
//!                 match listener.accept() {
//!                     Ok((_connection, address)) => println!("{address} came, and is sent away"),
//!                     Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
//!                     Err(error) => return Err(error),
//!                 }
//!             },
//!             _ => {} // another source's
//!         }
//!     }
//! #   break 'serving;
//! }
//! # }
//! # Ok::<(), std::io::Error>(())
//! ```
