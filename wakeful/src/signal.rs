//! Signals, as events.

mod blocked;

use std::fmt;
use std::io;
use std::str::FromStr;

use wakeful_kernel::signal_counter::SignalCounter;

pub use blocked::{BlockedSignals, Received};

use crate::io_source::{IoSource, lender};
use crate::rearm::Direction;

/// A signal.
///
/// ```
/// use wakeful::signal::Signal;
///
/// assert_eq!("term".parse::<Signal>()?, Signal::TERMINATE);
/// assert_eq!(Signal::INTERRUPT.to_string(), "SIGINT");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

macro_rules! signals {
    ($($(#[$documentation:meta])* $name:ident = $number:ident;)+) => {
        impl Signal {
            $($(#[$documentation])* pub const $name: Signal = Signal(libc::$number);)+
        }

        const NAMES: &[(Signal, &str)] = &[$((Signal::$name, stringify!($number)),)+];
    };
}

signals! {
    /// The terminal is gone; by custom, read the configuration anew.
    HANGUP = SIGHUP;
    /// ^C.
    INTERRUPT = SIGINT;
    /// ^\\, with a memory image.
    QUIT = SIGQUIT;
    /// End, please.
    TERMINATE = SIGTERM;
    /// The program's own.
    USER1 = SIGUSR1;
    /// The program's own.
    USER2 = SIGUSR2;
    /// A timer of alarm(2) is over.
    ALARM = SIGALRM;
    /// A pipe without reader was written to. Rust programs ignore it from the beginning.
    PIPE = SIGPIPE;
    /// A child has ended, stopped, or goes on.
    CHILD = SIGCHLD;
    /// Go on after a stop.
    CONTINUE = SIGCONT;
    /// ^Z.
    STOP_FROM_TERMINAL = SIGTSTP;
    /// The size of the terminal has changed.
    WINDOW_CHANGE = SIGWINCH;
}

impl Signal {
    /// The signal of this number, which may be none: then [`Signals::add`] says so.
    pub const fn from_raw(number: i32) -> Signal {
        Signal(number)
    }

    /// Its number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl FromStr for Signal {
    type Err = io::Error;

    /// A name with or without `SIG`, in whatever case, or a number.
    fn from_str(name: &str) -> io::Result<Signal> {
        if let Ok(number) = name.parse() {
            return Ok(Signal(number));
        }
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let known = NAMES.iter().find(|(_, known)| known.strip_prefix("SIG") == Some(bare));
        known.map(|&(signal, _)| signal).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(_, name)| *name).collect();
            let message = format!(
                "no signal is called {name:?}: use a number, or one of {}",
                names.join(", ")
            );
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(signal, _)| signal == self) {
            Some((_, name)) => f.pad(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Handles signals by counting them, and is a source: readable when there were some.
///
/// While there is a `Signals` for a signal, the signal does not do what it does by itself (end the
/// program, for most), and any number of them count the same one. A handler that was there before is
/// still called; when the last `Signals` is dropped, what was there before is there again, also for a
/// signal that was sent before and not delivered yet. Who replaces the handler, and does not pass on to
/// it, takes the signal away from all of them. It does not matter which threads block signals, as
/// long as one does not. An event may find nothing, if what it tells of has been taken already.
///
/// A handler interrupts the wait of the thread it runs on: [`Poll::poll`](crate::Poll::poll) may answer
/// with `Interrupted`, and reports the signal when polled again.
///
/// In a child that was forked, but has not executed another program, its parent's `Signals` are silent,
/// the signals stay handled, and the parent hears nothing of them. Changing them is an error there, dropping them does
/// nothing, and the child can have its own.
///
/// ```
/// use wakeful::signal::{Signal, Signals};
/// use wakeful::{Events, Interest, Poll, Token};
/// # use std::io::ErrorKind;
///
/// let mut poll = Poll::new()?;
/// let signals = Signals::new([Signal::INTERRUPT, Signal::TERMINATE, Signal::USER1])?;
/// let signals = poll.registry().register_owned(signals, Token(0), Interest::READABLE)?;
/// # // SAFETY: it has a handler.
/// # unsafe { libc::raise(Signal::USER1.as_raw()) };
///
/// let mut events = Events::with_capacity(8);
/// # loop {
/// #     match poll.poll(&mut events, None) {
/// #         Err(error) if error.kind() == ErrorKind::Interrupted => continue,
/// #         result => break result?,
/// #     }
/// # }
/// # /*
/// poll.poll(&mut events, None)?;
/// # */
/// for delivery in signals.pending() {
///     println!("{} × {}", delivery.count, delivery.signal);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Signals {
    inner: IoSource<SignalCounter>,
}

/// How often a signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The signal.
    pub signal: Signal,
    /// How often it was delivered since it was last asked for. The kernel merges those that are sent
    /// before an earlier one was delivered.
    pub count: u32,
}

impl Signals {
    /// Handles these signals from now on.
    ///
    /// # Errors
    ///
    /// As [`add`](Signals::add); `EMFILE`, `ENFILE`.
    pub fn new(signals: impl IntoIterator<Item = Signal>) -> io::Result<Signals> {
        let new = Signals { inner: IoSource::new(SignalCounter::new()?) };
        for signal in signals {
            new.add(signal)?;
        }
        Ok(new)
    }

    /// Handles this signal too. Nothing happens if it does.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): there is no such signal, or it cannot be handled
    /// (`SIGKILL`, `SIGSTOP`), or must not, because it tells of a fault (`SIGSEGV` and its like).
    pub fn add(&self, signal: Signal) -> io::Result<()> {
        let watched = self.inner.get().watch(signal.0);
        // With its sentence, which says what to do.
        watched.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
    }

    /// Handles this signal no more. Nothing happens if it does not.
    ///
    /// # Errors
    ///
    /// None in practice.
    pub fn remove(&self, signal: Signal) -> io::Result<()> {
        Ok(self.inner.get().unwatch(signal.0)?)
    }

    /// The signals that came since it was last asked, each with its count, in the order of their
    /// numbers. Empty if none came.
    pub fn pending(&self) -> Vec<Delivery> {
        let counter = self.inner.get();
        // First, so that a signal that comes from here on is reported anew.
        counter.silence();
        let taken = counter
            .watched()
            .map(|signal| Delivery { signal: Signal(signal), count: counter.take(signal) });
        let pending = taken.filter(|delivery| delivery.count > 0).collect();
        self.inner.drained(Direction::Read);
        pending
    }
}

lender!(Signals);

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watched: Vec<_> = self.inner.get().watched().map(Signal).collect();
        f.debug_struct("Signals").field("watched", &watched).finish()
    }
}
