//! The record in which every poller of this project reports readiness.

use std::fmt;
use std::marker::PhantomData;

bitflags::bitflags! {
    /// Readiness bits: those of poll(2) on Linux, on every system.
    ///
    /// Unknown bits are kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct Readiness: u32 {
        /// There is data to read, a connection to accept, or the end of the stream.
        const IN = 0x001;
        /// An exceptional condition: out-of-band data, a pseudo-terminal in packet mode, a cgroup file.
        const PRI = 0x002;
        /// Writing will not block.
        const OUT = 0x004;
        /// An error is pending, or the reading end of a pipe is closed. Always reported.
        const ERR = 0x008;
        /// Both directions are closed. Always reported.
        const HUP = 0x010;
        /// The descriptor is not open (poll(2) only).
        const NVAL = 0x020;
        /// Normal data to read; the same as `IN` for most files.
        const RDNORM = 0x040;
        /// Priority band data to read.
        const RDBAND = 0x080;
        /// Normal data can be written; the same as `OUT` for most files.
        const WRNORM = 0x100;
        /// Priority band data can be written.
        const WRBAND = 0x200;
        /// Defined by Linux, and never reported by it.
        const MSG = 0x400;
        /// The peer shut down its writing half (Linux 2.6.17).
        const RDHUP = 0x2000;
        /// This side shut down its writing half, or nobody is left to read (kqueue only; poll(2) has no
        /// such bit).
        const WRHUP = 0x4000;
        /// A POSIX asynchronous operation ended (kqueue only).
        const AIO = 0x1_0000;
        /// A list of POSIX asynchronous operations ended (FreeBSD's kqueue only).
        const LIO = 0x2_0000;
        const _ = !0;
    }
}

/// What a poller carries from a registration to its events: 64 bits of the caller's.
///
/// It types the token of an [`Event`]; the poller never looks at it.
pub trait UserData: Copy {
    /// Reads the value back from an event.
    fn from_u64(data: u64) -> Self;
    /// The bits to hand to the kernel.
    fn into_u64(self) -> u64;
}

impl UserData for u64 {
    fn from_u64(data: u64) -> Self {
        data
    }

    fn into_u64(self) -> u64 {
        self
    }
}

/// One readiness report: which bits, and the token of the registration they belong to.
///
/// It is laid out exactly as Linux's `struct epoll_event` (packed on x86-64, as there), so that
/// epoll_wait(2) fills a buffer of them without a copy; other pollers write their translation.
/// `T` only says how [`token`](Event::token) is to be read.
#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
pub struct Event<T = u64> {
    readiness: u32,
    token: u64,
    meaning: PhantomData<fn() -> T>,
}

impl<T: UserData> Event<T> {
    /// A report made by hand, as a translating poller or a test needs it.
    pub fn new(readiness: Readiness, token: T) -> Self {
        Event { readiness: readiness.bits(), token: token.into_u64(), meaning: PhantomData }
    }

    /// The caller's token, as the registration was given it.
    #[doc(alias = "data")]
    #[inline]
    pub fn token(&self) -> T {
        T::from_u64(self.token)
    }
}

impl<T> Event<T> {
    /// Every readiness bit that was reported.
    #[inline]
    pub fn readiness(&self) -> Readiness {
        Readiness::from_bits_retain(self.readiness)
    }

    #[inline]
    fn has(&self, bits: Readiness) -> bool {
        self.readiness().intersects(bits)
    }

    /// Reading will not block: data, a connection, the end of the stream, or priority data.
    #[inline]
    pub fn is_readable(&self) -> bool {
        self.has(Readiness::IN.union(Readiness::PRI))
    }

    /// Writing will not block.
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.has(Readiness::OUT)
    }

    /// An error is pending on the descriptor (`SO_ERROR` of a socket tells which), or the reader of
    /// a pipe is gone.
    ///
    /// Limitation: a kqueue reports the pending error of a datagram socket as readable, and not as an error. So read from
    /// whatever is readable: the read returns the error.
    #[inline]
    pub fn is_error(&self) -> bool {
        self.has(Readiness::ERR)
    }

    /// The peer will send no more: both directions are closed, or it shut down its writing half.
    ///
    /// What it sent before can still be read.
    #[inline]
    pub fn is_read_closed(&self) -> bool {
        self.has(Readiness::HUP) || self.readiness().contains(Readiness::IN | Readiness::RDHUP)
    }

    /// Writing can never succeed again: both directions are closed, or the reader of a pipe is gone.
    #[inline]
    pub fn is_write_closed(&self) -> bool {
        self.has(Readiness::HUP.union(Readiness::WRHUP))
            || self.readiness().contains(Readiness::OUT | Readiness::ERR)
            || self.readiness() == Readiness::ERR
    }

    /// Priority data is there: out-of-band data of a TCP socket, for example.
    #[inline]
    pub fn is_priority(&self) -> bool {
        self.has(Readiness::PRI)
    }

    /// A POSIX asynchronous I/O operation ended. Only kqueue reports it.
    #[inline]
    pub fn is_aio(&self) -> bool {
        self.has(Readiness::AIO)
    }

    /// A list of POSIX asynchronous I/O operations ended. Only FreeBSD's kqueue reports it.
    #[inline]
    pub fn is_lio(&self) -> bool {
        self.has(Readiness::LIO)
    }
}

impl<T> Clone for Event<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Event<T> {}

impl<T: UserData + fmt::Debug> fmt::Debug for Event<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("token", &self.token())
            .field("readiness", &format_args!("{}", self.readiness()))
            .finish()
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() { f.write_str("(none)") } else { bitflags::parser::to_writer(self, f) }
    }
}
