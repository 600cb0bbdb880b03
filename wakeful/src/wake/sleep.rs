use bitflags::bitflags;

use crate::sync::{AtomicU32, Ordering};

/// Between waits, with nothing to report.
const AWAKE: u32 = 0;
/// In the kernel, or about to be: a waker has to call it.
const ASLEEP: u32 = 1;
/// A waker found the poller asleep, and calls the kernel.
const CALLED: u32 = 2;

bitflags! {
    /// Who woke since the last report.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Woken: u32 {
        /// The poller slept, or was about to.
        const ASLEEP = ASLEEP;
        /// A waker has called the kernel, or is going to.
        const CALLED = CALLED;
        /// The first waker that ever was. Most pollers have no other, so it is told by this bit alone.
        const FIRST = 4;
        /// Some of the other wakers: those that [`Wakers`](super::Wakers) tells.
        const OTHERS = 8;
        /// One that ends a wait, whether there is something to report or not.
        const END = 16;
    }
}

impl Woken {
    /// Whether anybody did.
    #[inline]
    pub(crate) fn is_any(self) -> bool {
        self.intersects(Woken::FIRST | Woken::OTHERS | Woken::END)
    }
}

bitflags! {
    /// What a poll has to look after besides descriptors and timers. Once there, it stays.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Duties: u32 {
        /// There is, or has been, a waker. Until then the poller leaves the state alone.
        const WAKERS = 1;
        /// Somebody else may be asleep on the poller's descriptor.
        const LENT = 2;
        /// Changes of interest may have been put off.
        const CHANGES = 4;
    }
}

/// Whether the poller sleeps, and who woke it.
///
/// Every change is a read-modify-write of one atomic, so waker and poller agree on which of them
/// came first: either the waker finds `ASLEEP` and calls the kernel, or the poller finds that it woke and
/// does not sleep.
#[derive(Debug)]
pub(crate) struct Sleep {
    state: AtomicU32,
    /// [`Duties`], in one place, so that a poll without any asks once.
    duties: AtomicU32,
}

impl Default for Sleep {
    fn default() -> Sleep {
        Sleep {
            // The first waker may come while the poller sleeps and has not looked at its duties.
            state: AtomicU32::new(ASLEEP),
            duties: AtomicU32::new(0),
        }
    }
}

impl Sleep {
    /// Whether that is new.
    pub(crate) fn add_duty(&self, duty: Duties) -> bool {
        // Whichever comes later in the order of all sequentially consistent operations, this one or a waker's, its
        // thread sees the other's.
        self.duties.fetch_or(duty.bits(), Ordering::SeqCst) & duty.bits() == 0
    }

    #[inline]
    pub(crate) fn duties(&self) -> Duties {
        Duties::from_bits_retain(self.duties.load(Ordering::SeqCst))
    }

    /// Poller: what it knows of its duties. If it can have missed one, it asks [`duties`](Sleep::duties) after the wait.
    #[inline]
    pub(crate) fn known_duties(&self) -> Duties {
        Duties::from_bits_retain(self.duties.load(Ordering::Relaxed))
    }

    /// Poller: whether there is, or has been, a waker.
    #[inline]
    pub(crate) fn is_in_use(&self) -> bool {
        self.duties().contains(Duties::WAKERS)
    }

    /// Poller: about to wait. False if a waker woke, so that it must not sleep.
    #[inline]
    pub(crate) fn fall_asleep(&self) -> bool {
        let found = self.state.load(Ordering::Acquire);
        // Nobody but the poller takes away that a waker woke, so no more need be asked then.
        let found = match found {
            AWAKE => self
                .state
                .compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::Acquire)
                .unwrap_or_else(|found| found),
            found => found,
        };
        !Woken::from_bits_truncate(found).is_any()
    }

    /// Poller: about to look without waiting, or back from a wait. Who woke; their report is now up to
    /// the poller.
    #[inline]
    pub(crate) fn wake_up(&self) -> Woken {
        Woken::from_bits_truncate(self.state.swap(AWAKE, Ordering::SeqCst))
    }

    /// Poller: these were not reported yet, so the next poll must not sleep. Whether the kernel has to
    /// be called, so that nobody else sleeps on the descriptor either.
    pub(crate) fn stay_awake(&self, left: Woken) -> bool {
        self.state.fetch_or(left.bits(), Ordering::SeqCst);
        self.is_lent()
    }

    /// Waker: woke. Whether the poller slept, so that the kernel has to be called.
    #[inline]
    pub(crate) fn wake(&self, who: Woken) -> bool {
        // What came before is visible to the poller through this very operation, even if the bit was set. With its
        // answer unused, it is one instruction, which takes the memory from the other processor once.
        self.state.fetch_or(who.bits(), Ordering::SeqCst);
        let mut found = self.state.load(Ordering::SeqCst);
        // If the bit is gone, the poller has reported it, and may sleep again for something else.
        let who = who.bits();
        while found & (ASLEEP | CALLED | who) == ASLEEP | who {
            let called = found | CALLED;
            match self.state.compare_exchange(found, called, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => found = now,
            }
        }
        false
    }

    /// Whether the kernel has to be called by every wake-up.
    #[inline]
    pub(crate) fn is_lent(&self) -> bool {
        self.duties().contains(Duties::LENT)
    }

    /// Waker: the kernel could not be called. The next waker is to try again.
    pub(crate) fn wake_failed(&self) {
        self.state.fetch_and(!CALLED, Ordering::SeqCst);
    }

    /// Returns whether a waker woke that the poller has not taken note of. What the caller stored before is visible to
    /// each waker that wakes after that.
    pub(crate) fn has_woken(&self) -> bool {
        let state = self.state.fetch_or(0, Ordering::SeqCst);
        Woken::from_bits_truncate(state).is_any()
    }

    /// The descriptor is lent out. Whether a waker woke already, so that the kernel has to be called in its stead.
    pub(crate) fn lend(&self) -> bool {
        let is_new = self.add_duty(Duties::LENT);
        let woken = Woken::from_bits_truncate(self.state.load(Ordering::SeqCst));
        is_new && woken.is_any()
    }
}
