//! The accepted differences from epoll, each with its reason.

use crate::differences::Difference;
use crate::runner::{Phase, Report};

/// A difference that is accepted. An empty list of names stands for all of them.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub backends: &'static [&'static str],
    /// How the names of kinds begin.
    pub kinds: &'static [&'static str],
    /// What the names of states contain.
    pub states: &'static [&'static str],
    pub triggers: &'static [&'static str],
    pub phases: &'static [Phase],
    /// What of it may be missing.
    pub missing: Report,
    /// What of it may be too much.
    pub extra: Report,
    pub reason: &'static str,
}

impl Accepted {
    pub(crate) fn covers(&self, difference: &Difference) -> bool {
        let Difference { backend, kind, state, trigger, phase, missing, extra, .. } = difference;
        fn is_one<T>(all: &[T], is_it: impl Fn(&T) -> bool) -> bool {
            all.is_empty() || all.iter().any(is_it)
        }
        is_one(self.backends, |name| name == backend)
            && is_one(self.kinds, |name| kind.starts_with(name))
            && is_one(self.states, |name| state.contains(name))
            && is_one(self.triggers, |name| name == trigger)
            && is_one(self.phases, |it| it == phase)
            && self.missing.contains(*missing)
            && self.extra.contains(*extra)
    }
}

const KQUEUE: &[&str] = &["kqueue"];
/// Those whose edges are emulated.
const REARMING: &[&str] = &["event-ports", "poll"];
const EDGE: &[&str] = &["edge"];
const NONE: Report = Report::empty();
const HUNG_UP: Report =
    Report::WRITABLE.union(Report::READ_CLOSED).union(Report::WRITE_CLOSED).union(Report::EVENT);
const ANY: &[&str] = &[];
const ALWAYS: &[Phase] = &[];

pub(crate) const ACCEPTED: &[Accepted] = &[
    Accepted {
        backends: KQUEUE,
        kinds: &["regular file", "directory"],
        states: ANY,
        triggers: ANY,
        phases: ALWAYS,
        missing: Report::REFUSED,
        extra: NONE,
        reason: "kqueue waits for regular files; epoll refuses them with `EPERM`",
    },
    Accepted {
        backends: REARMING,
        kinds: &["/dev/null", "/dev/zero"],
        states: ANY,
        triggers: ANY,
        phases: ALWAYS,
        missing: Report::REFUSED,
        extra: NONE,
        reason: "always ready; epoll refuses them with `EPERM`",
    },
    Accepted {
        backends: REARMING,
        kinds: &["/proc/self/mounts"],
        states: ANY,
        triggers: ANY,
        phases: ALWAYS,
        missing: NONE,
        extra: Report::REFUSED,
        reason: "refused as a regular file, which it is to fstat(2)",
    },
    Accepted {
        backends: KQUEUE,
        kinds: &["/proc/self/mounts"],
        states: ANY,
        triggers: ANY,
        phases: ALWAYS,
        missing: Report::READABLE.union(Report::EVENT),
        extra: Report::WRITABLE.union(Report::EVENT).union(Report::REFUSED),
        reason: "the emulation takes it for a regular file, which it is to fstat(2)",
    },
    Accepted {
        backends: KQUEUE,
        kinds: &["FIFO, reading", "pipe, reading", "pseudo-terminal's"],
        states: &["closed"],
        triggers: ANY,
        phases: ALWAYS,
        missing: NONE,
        extra: Report::READABLE,
        reason: "an end without data is readable, too: a read returns at once",
    },
    Accepted {
        backends: KQUEUE,
        kinds: &["FIFO, writing", "pipe, writing"],
        states: &["full"],
        triggers: ANY,
        phases: ALWAYS,
        missing: NONE,
        extra: Report::WRITABLE,
        reason: "a full pipe without a reader is writable: a write fails at once",
    },
    Accepted {
        backends: KQUEUE,
        kinds: &["TCP stream", "Unix stream"],
        states: &["own writing shut down"],
        triggers: ANY,
        phases: ALWAYS,
        missing: NONE,
        extra: Report::WRITE_CLOSED,
        reason: "kqueue knows that this side writes no more; epoll has no bit for it",
    },
    Accepted {
        backends: KQUEUE,
        kinds: &["UDP socket"],
        states: &["refused by ICMP", "a timestamp"],
        triggers: ANY,
        phases: ALWAYS,
        missing: Report::ERROR.union(Report::WRITE_CLOSED),
        extra: Report::READABLE,
        reason: "a pending error is something to read: kqueue has no bit for one that is no end",
    },
    Accepted {
        backends: KQUEUE,
        kinds: &["UDP socket"],
        states: &["refused by ICMP", "a timestamp"],
        triggers: EDGE,
        phases: &[Phase::Next],
        missing: NONE,
        extra: Report::ERROR.union(Report::EVENT),
        reason: "an error that was not taken is reported again with whatever comes next",
    },
    Accepted {
        backends: KQUEUE,
        kinds: &["TCP socket, unconnected", "Unix socket, unconnected"],
        states: ANY,
        triggers: ANY,
        phases: ALWAYS,
        missing: HUNG_UP,
        extra: NONE,
        reason: "not connected yet: epoll takes it for hung up, kqueue says nothing",
    },
    Accepted {
        backends: KQUEUE,
        kinds: &["TCP listener"],
        states: &["reading shut down"],
        triggers: ANY,
        phases: ALWAYS,
        missing: HUNG_UP,
        extra: Report::READABLE,
        reason: "epoll takes it for hung up, kqueue for a socket that is not connected",
    },
];
