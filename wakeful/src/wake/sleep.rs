use bitflags::bitflags;

use crate::sync::{AtomicBool, AtomicU32, Ordering};

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
        /// The poller slept, or was about to, so the kernel has been called or is going to be.
        const ASLEEP = ASLEEP;
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

/// Whether the poller sleeps, and who woke it.
///
/// Every change is a read-modify-write of one atomic, so waker and poller agree on which of them
/// came first: either the waker finds `ASLEEP` and calls the kernel, or the poller finds that it woke and
/// does not sleep.
#[derive(Debug)]
pub(crate) struct Sleep {
    state: AtomicU32,
    /// There is, or has been, a waker. Until then the poller leaves `state` alone.
    in_use: AtomicBool,
    /// Somebody else may be asleep on the poller's descriptor.
    exported: AtomicBool,
}

impl Default for Sleep {
    fn default() -> Sleep {
        Sleep {
            // The first waker may come while the poller sleeps and has not looked at `in_use`.
            state: AtomicU32::new(ASLEEP),
            in_use: AtomicBool::new(false),
            exported: AtomicBool::new(false),
        }
    }
}

impl Sleep {
    /// A waker is there. Whether it is not the first.
    pub(crate) fn start(&self) -> bool {
        self.in_use.swap(true, Ordering::SeqCst)
    }

    /// Poller: whether there is anything to look after at all.
    #[inline]
    pub(crate) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Acquire)
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
        self.is_exported()
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
    pub(crate) fn is_exported(&self) -> bool {
        self.exported.load(Ordering::SeqCst)
    }

    /// Waker: the kernel could not be called. The next waker is to try again.
    pub(crate) fn wake_failed(&self) {
        self.state.fetch_and(!CALLED, Ordering::SeqCst);
    }

    /// The descriptor is handed out. Whether a waker woke already, so that the kernel has to be
    /// called in its stead.
    pub(crate) fn export(&self) -> bool {
        // Whichever comes later in the order of all sequentially consistent operations, this store
        // or a waker's, its thread sees the other's and calls the kernel.
        let exported = self.exported.swap(true, Ordering::SeqCst);
        let woken = Woken::from_bits_truncate(self.state.load(Ordering::SeqCst));
        !exported && woken.is_any()
    }
}
