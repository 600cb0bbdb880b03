use std::ops::Add;

/// What a loop has done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Statistics {
    pub(super) accepted: u64,
    /// The most connections at once.
    pub(super) peak: usize,
    /// Bytes.
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) polls: u64,
    pub(super) events: u64,
    /// How often accepting had to pause for want of descriptors or memory.
    pub(super) pauses: u64,
    /// Connections that could not be registered.
    pub(super) failed: u64,
}

impl Add for Statistics {
    type Output = Statistics;

    fn add(self, other: Statistics) -> Statistics {
        Statistics {
            accepted: self.accepted + other.accepted,
            // Each loop's own peak; they need not have coincided.
            peak: self.peak + other.peak,
            received: self.received + other.received,
            sent: self.sent + other.sent,
            polls: self.polls + other.polls,
            events: self.events + other.events,
            pauses: self.pauses + other.pauses,
            failed: self.failed + other.failed,
        }
    }
}
