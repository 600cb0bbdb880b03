use crate::sync::{AtomicBool, AtomicU8, Ordering};

/// Between waits, with nothing to report.
const AWAKE: u8 = 0;
/// In the kernel, or about to be: a waker has to call it.
const ASLEEP: u8 = 1;
/// A waker woke since the last report.
const WOKEN: u8 = 2;

/// Whether the poller sleeps.
///
/// Every change is a read-modify-write of one atomic, so waker and poller agree on which of them
/// came first: either the waker finds `ASLEEP` and calls the kernel, or the poller finds `WOKEN` and
/// does not sleep.
#[derive(Debug)]
pub(crate) struct Sleep {
    state: AtomicU8,
    /// There is, or has been, a waker. Until then the poller leaves `state` alone.
    in_use: AtomicBool,
    /// Somebody else may be asleep on the poller's descriptor.
    exported: AtomicBool,
}

impl Default for Sleep {
    fn default() -> Sleep {
        Sleep {
            // The first waker may come while the poller sleeps and has not looked at `in_use`.
            state: AtomicU8::new(ASLEEP),
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
        self.state
            .compare_exchange(AWAKE, ASLEEP, Ordering::SeqCst, Ordering::Acquire)
            .unwrap_or_else(|found| found)
            != WOKEN
    }

    /// Poller: about to look without waiting, or back from a wait. Whether a waker woke; if so, its
    /// report is now up to the poller.
    #[inline]
    pub(crate) fn wake_up(&self) -> bool {
        self.state.swap(AWAKE, Ordering::SeqCst) == WOKEN
    }

    /// Poller: not everything was reported, so the next poll must not sleep. Whether the kernel has to
    /// be called, so that nobody else sleeps on the descriptor either.
    pub(crate) fn stay_awake(&self) -> bool {
        self.state.store(WOKEN, Ordering::SeqCst);
        self.is_exported()
    }

    /// Waker: woke. Whether the poller slept, so that the kernel has to be called.
    #[inline]
    pub(crate) fn wake(&self) -> bool {
        self.state.swap(WOKEN, Ordering::SeqCst) == ASLEEP
    }

    /// Whether the kernel has to be called by every wake-up.
    #[inline]
    pub(crate) fn is_exported(&self) -> bool {
        self.exported.load(Ordering::SeqCst)
    }

    /// Waker: the kernel could not be called.
    pub(crate) fn wake_failed(&self) {
        self.state.store(ASLEEP, Ordering::SeqCst);
    }

    /// The descriptor is handed out. Whether a waker woke already, so that the kernel has to be
    /// called in its stead.
    pub(crate) fn export(&self) -> bool {
        // Whichever comes later in the order of all sequentially consistent operations, this store
        // or a waker's swap, its thread sees the other's and calls the kernel.
        !self.exported.swap(true, Ordering::SeqCst) && self.state.load(Ordering::SeqCst) == WOKEN
    }
}
