use wakeful::event::Readiness;
use wakeful::{Interest, Token};

use crate::PollMode;

/// What a source is ready for, or what is to be waited for.
///
/// Beside the fields it carries the other bits that the kernel reported, which count in `==`; see
/// [`with_no_extra`](Event::with_no_extra).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The caller's name for the source; `usize::MAX` is taken.
    pub key: usize,
    /// Reading will not block.
    pub readable: bool,
    /// Writing will not block.
    pub writable: bool,
    extra: Readiness,
}

impl Event {
    /// An event of these parts.
    pub const fn new(key: usize, readable: bool, writable: bool) -> Event {
        Event { key, readable, writable, extra: Readiness::empty() }
    }

    /// Readable and writable.
    #[inline]
    pub const fn all(key: usize) -> Event {
        Event::new(key, true, true)
    }

    /// Readable.
    #[inline]
    pub const fn readable(key: usize) -> Event {
        Event::new(key, true, false)
    }

    /// Writable.
    #[inline]
    pub const fn writable(key: usize) -> Event {
        Event::new(key, false, true)
    }

    /// Nothing. A source that is added with this interest reports errors and hang-ups only.
    #[inline]
    pub const fn none(key: usize) -> Event {
        Event::new(key, false, false)
    }

    /// Adds or removes hang-ups. As an interest it changes nothing: they are always reported.
    #[inline]
    pub fn set_interrupt(&mut self, active: bool) {
        self.extra.set(Readiness::HUP, active);
    }

    /// As [`set_interrupt(true)`](Event::set_interrupt).
    #[inline]
    pub fn with_interrupt(mut self) -> Self {
        self.set_interrupt(true);
        self
    }

    /// Adds or removes priority data, which is part of being interested in reading.
    #[inline]
    pub fn set_priority(&mut self, active: bool) {
        self.extra.set(Readiness::PRI, active);
    }

    /// As [`set_priority(true)`](Event::set_priority).
    #[inline]
    pub fn with_priority(mut self) -> Self {
        self.set_priority(true);
        self
    }

    /// Both directions are closed (`EPOLLHUP`, `POLLHUP`).
    #[inline]
    pub fn is_interrupt(&self) -> bool {
        self.extra.contains(Readiness::HUP)
    }

    /// There is priority data (`EPOLLPRI`, `POLLPRI`).
    #[inline]
    pub fn is_priority(&self) -> bool {
        self.extra.contains(Readiness::PRI)
    }

    /// An error came together with a hang-up, as when a connection is refused.
    #[inline]
    #[deprecated(since = "3.4.0", note = "use `is_err` together with `is_interrupt`")]
    pub fn is_connect_failed(&self) -> Option<bool> {
        Some(self.extra.contains(Readiness::ERR | Readiness::HUP))
    }

    /// An error is pending (`EPOLLERR`, `POLLERR`). It is never `None` here.
    #[inline]
    pub fn is_err(&self) -> Option<bool> {
        Some(self.extra.contains(Readiness::ERR))
    }

    /// Forgets all but the fields.
    #[inline]
    pub fn clear_extra(&mut self) {
        self.extra = Readiness::empty();
    }

    /// The fields alone, for comparison.
    #[inline]
    pub fn with_no_extra(mut self) -> Self {
        self.clear_extra();
        self
    }

    /// What wakeful reported.
    #[inline]
    pub(crate) fn of(event: &wakeful::event::Event) -> Event {
        // Errors and hang-ups make a source both readable and writable: either operation tells more.
        const BOTH: Readiness = Readiness::ERR.union(Readiness::HUP);

        let extra = event.readiness();
        Event {
            key: event.token().0,
            readable: event.is_readable() || extra.intersects(BOTH),
            writable: event.is_writable() || extra.intersects(BOTH),
            extra,
        }
    }

    pub(crate) fn token(self) -> Token {
        Token(self.key)
    }

    /// What wakeful is to wait for. Priority data counts as something to read, as in polling.
    pub(crate) fn interest(self, mode: PollMode) -> Interest {
        let mut interest = Interest::ERROR;
        // An event that was reported, given back as an interest, asks for its other bits as well.
        if self.readable || self.extra.contains(Readiness::IN) {
            interest |= Interest::READABLE;
        }
        if self.readable {
            interest |= Interest::PRIORITY;
        }
        if self.writable || self.extra.contains(Readiness::OUT) {
            interest |= Interest::WRITABLE;
        }
        if self.is_priority() {
            interest |= Interest::PRIORITY;
        }
        interest.with_trigger(mode.trigger())
    }
}
