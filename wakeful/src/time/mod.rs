//! Deadlines in user space.
//!
//! [`Timers`], which every [`Poll`](crate::Poll) has, hold any number of deadlines and cost neither a
//! descriptor nor a system call each. They stand on a [`Wheel`], which runtimes with a clock of their
//! own can use by itself.

mod timers;
mod wheel;

pub use timers::{TimerKey, Timers};
pub use wheel::{Full, Key, Wheel};
