//! What to be told of, and how.

use std::fmt;
use std::num::NonZeroU8;
use std::ops;

/// How often readiness is reported.
///
/// Every backend has all four. Where the kernel lacks one the backend makes it, and
/// [`Capabilities`](crate::Capabilities) says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// At least one event after every change from not ready to ready. The default, as in mio.
    ///
    /// Read (or write, or accept) until [`WouldBlock`](std::io::ErrorKind::WouldBlock): what is left
    /// over is not reported again by itself. A read into an empty buffer and a write of nothing say
    /// nothing, and drain nothing. What may be reported again, and when, is the
    /// [`EdgeRule`](crate::EdgeRule) of the backend.
    #[default]
    Edge,
    /// An event from every poll for as long as it is ready.
    Level,
    /// One event, then silence in every direction, errors included, until registered anew or
    /// [re-armed](crate::Registered::rearm).
    Oneshot,
    /// As `Oneshot`, with the kernel's edge semantics between arming and event.
    EdgeOneshot,
}

/// What a registration wants to be told of, never empty.
///
/// Errors and hang-ups are always reported, whatever the interest.
///
/// An interest carries its [`Trigger`] along, so that it passes through every [`Source`] that
/// delegates to another; without [`with_trigger`](Interest::with_trigger) it is [`Trigger::Edge`].
///
/// ```
/// use wakeful::{Interest, Trigger};
///
/// let both = Interest::READABLE | Interest::WRITABLE;
/// assert_eq!(format!("{both:?}"), "READABLE | WRITABLE");
/// assert_eq!(both.remove(Interest::WRITABLE), Some(Interest::READABLE));
/// assert_eq!(both.remove(both), None);
/// assert_eq!(both.with_trigger(Trigger::Level).trigger(), Trigger::Level);
/// ```
///
/// [`Source`]: crate::event::Source
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interest(NonZeroU8);

const READABLE: u8 = 1;
const WRITABLE: u8 = 1 << 1;
const PRIORITY: u8 = 1 << 2;
const ERROR: u8 = 1 << 3;
const AIO: u8 = 1 << 4;
const LIO: u8 = 1 << 5;
const KINDS: u8 = READABLE | WRITABLE | PRIORITY | ERROR | AIO | LIO;
const LEVEL: u8 = 1 << 6;
const ONESHOT: u8 = 1 << 7;

/// Names of the bits, in the order in which `Debug` prints them.
const NAMES: &[(u8, &str)] = &[
    (READABLE, "READABLE"),
    (WRITABLE, "WRITABLE"),
    (PRIORITY, "PRIORITY"),
    (ERROR, "ERROR"),
    (AIO, "AIO"),
    (LIO, "LIO"),
    (LEVEL, "LEVEL"),
    (ONESHOT, "ONESHOT"),
];

impl Interest {
    /// Something to read or accept, the end of the stream included.
    pub const READABLE: Interest = Interest::from_bits(READABLE);

    /// Writing will not block; a connection has been established.
    pub const WRITABLE: Interest = Interest::from_bits(WRITABLE);

    /// Priority data: out-of-band data of TCP, the packet mode of a pseudo-terminal.
    pub const PRIORITY: Interest = Interest::from_bits(PRIORITY);

    /// Errors and hang-ups only, which are part of every other interest.
    pub const ERROR: Interest = Interest::from_bits(ERROR);

    /// POSIX asynchronous I/O. Only kqueue reports it; elsewhere it is an interest in errors.
    pub const AIO: Interest = Interest::from_bits(AIO);

    /// Lists of POSIX asynchronous I/O. Only FreeBSD's kqueue reports it; elsewhere it is an interest
    /// in errors.
    pub const LIO: Interest = Interest::from_bits(LIO);

    const fn from_bits(bits: u8) -> Interest {
        match NonZeroU8::new(bits) {
            Some(bits) => Interest(bits),
            // Never taken: every caller passes a bit. It keeps the function const and free of panics.
            None => Interest(NonZeroU8::MIN),
        }
    }

    const fn has(self, bits: u8) -> bool {
        self.0.get() & bits != 0
    }

    /// Both interests. The triggers' bits are joined too: give it one trigger, last.
    #[allow(clippy::should_implement_trait)]
    #[must_use]
    pub const fn add(self, other: Interest) -> Interest {
        Interest::from_bits(self.0.get() | other.0.get())
    }

    /// What is left of this interest without the other; `None` if that is nothing to wait for.
    ///
    /// The trigger stays.
    #[must_use]
    pub const fn remove(self, other: Interest) -> Option<Interest> {
        let left = self.0.get() & !(other.0.get() & KINDS);
        if left & KINDS == 0 { None } else { Some(Interest::from_bits(left)) }
    }

    /// Contains [`Interest::READABLE`].
    pub const fn is_readable(self) -> bool {
        self.has(READABLE)
    }

    /// Contains [`Interest::WRITABLE`].
    pub const fn is_writable(self) -> bool {
        self.has(WRITABLE)
    }

    /// Contains [`Interest::PRIORITY`].
    pub const fn is_priority(self) -> bool {
        self.has(PRIORITY)
    }

    /// Contains [`Interest::AIO`].
    pub const fn is_aio(self) -> bool {
        self.has(AIO)
    }

    /// Contains [`Interest::LIO`].
    pub const fn is_lio(self) -> bool {
        self.has(LIO)
    }

    /// The same interest, to be told in another way.
    #[must_use]
    pub const fn with_trigger(self, trigger: Trigger) -> Interest {
        let bits = match trigger {
            Trigger::Edge => 0,
            Trigger::Level => LEVEL,
            Trigger::Oneshot => LEVEL | ONESHOT,
            Trigger::EdgeOneshot => ONESHOT,
        };
        Interest::from_bits(self.0.get() & KINDS | bits)
    }

    /// How this interest wants to be told.
    pub const fn trigger(self) -> Trigger {
        match (self.has(LEVEL), self.has(ONESHOT)) {
            (false, false) => Trigger::Edge,
            (true, false) => Trigger::Level,
            (true, true) => Trigger::Oneshot,
            (false, true) => Trigger::EdgeOneshot,
        }
    }
}

impl ops::BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        self.add(other)
    }
}

impl ops::BitOrAssign for Interest {
    fn bitor_assign(&mut self, other: Interest) {
        *self = self.add(other);
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (_, name) in NAMES.iter().filter(|(bit, _)| self.has(*bit)) {
            write!(f, "{separator}{name}")?;
            separator = " | ";
        }
        Ok(())
    }
}
