//! Deadlines and timers.
//!
//! Two kinds. [`Timers`], which every [`Poll`](crate::Poll) has, hold any number of deadlines in user
//! space and cost neither a descriptor nor a system call each: timeouts, retries, delays. A [`Timer`]
//! is one of the kernel's, a descriptor and so a source like any other: it counts its periods, follows
//! the wall clock or goes on during suspend, and can be waited for in any loop.
//!
//! `Timers` stand on a [`Wheel`], which runtimes with a clock of their own can use by itself.

mod timer;
mod timers;
mod wheel;

pub use timer::{Clock, Timer};
pub use timers::{TimerKey, Timers};
pub use wheel::{Full, Key, Wheel};
