//! Brings a descriptor into a state under each interest, trigger and backend, and notes what is
//! reported.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use wakeful::event::Event;
use wakeful::{Backend, EdgeRule, Events, Interest, Poll, Token, Trigger};
use wakeful_kernel::readiness::Readiness;

use crate::differences::missing_and_extra;
use crate::states::{Kind, State};
use crate::world::World;

pub(crate) const INTERESTS: [Interest; 7] = [
    Interest::READABLE,
    Interest::WRITABLE,
    Interest::READABLE.add(Interest::WRITABLE),
    Interest::PRIORITY,
    Interest::READABLE.add(Interest::PRIORITY),
    Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY),
    Interest::ERROR,
];

pub(crate) const TRIGGERS: [Trigger; 4] =
    [Trigger::Edge, Trigger::Level, Trigger::Oneshot, Trigger::EdgeOneshot];

/// When the descriptor is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Idle; then it is reported as it is, and then something happens.
    Before,
    /// After something has happened.
    After,
}

/// Each is one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Registered while nothing had happened.
    Registered,
    /// Something has happened.
    Happened,
    /// Nothing was done since.
    Again,
    /// It was drained, and, if it is bare and an edge is waited for, registered again.
    Drained,
    /// The next thing has happened.
    Next,
    /// It was registered again.
    Reregistered,
    /// It is not registered any more.
    Deregistered,
}

pub(crate) const PHASES: [Phase; 7] = [
    Phase::Registered,
    Phase::Happened,
    Phase::Again,
    Phase::Drained,
    Phase::Next,
    Phase::Reregistered,
    Phase::Deregistered,
];

bitflags::bitflags! {
    /// What the events of one poll said.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub(crate) struct Report: u16 {
        const READABLE = 1;
        const WRITABLE = 1 << 1;
        const READ_CLOSED = 1 << 2;
        const WRITE_CLOSED = 1 << 3;
        const ERROR = 1 << 4;
        const PRIORITY = 1 << 5;
        /// There was an event, whatever it said.
        const EVENT = 1 << 6;
        /// There were two of them.
        const TWO_EVENTS = 1 << 7;
        /// Registering it was refused with `EPERM`.
        const REFUSED = 1 << 8;
        /// Registering it failed otherwise.
        const FAILED = 1 << 9;
    }
}

const NAMES: [(Report, &str); 10] = [
    (Report::READABLE, "readable"),
    (Report::WRITABLE, "writable"),
    (Report::READ_CLOSED, "read closed"),
    (Report::WRITE_CLOSED, "write closed"),
    (Report::ERROR, "error"),
    (Report::PRIORITY, "priority"),
    (Report::EVENT, "an event"),
    (Report::TWO_EVENTS, "two events"),
    (Report::REFUSED, "refused"),
    (Report::FAILED, "an error of registering"),
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let only_event = *self == Report::EVENT;
        let named = NAMES
            .iter()
            .filter(|(bit, _)| self.contains(*bit) && (only_event || *bit != Report::EVENT));
        let names: Vec<_> = named.map(|(_, name)| *name).collect();
        f.write_str(if names.is_empty() { "nothing" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

impl Report {
    fn of(event: &Event) -> Report {
        let says = [
            (event.is_readable(), Report::READABLE),
            (event.is_writable(), Report::WRITABLE),
            (event.is_read_closed(), Report::READ_CLOSED),
            (event.is_write_closed(), Report::WRITE_CLOSED),
            (event.is_error(), Report::ERROR),
            (event.is_priority(), Report::PRIORITY),
        ];
        let all = says.iter().filter(|(is_so, _)| *is_so);
        all.fold(Report::EVENT, |report, &(_, bit)| report | bit)
    }

    fn of_error(error: &io::Error) -> Report {
        match error.raw_os_error() {
            Some(libc::EPERM) => Report::REFUSED,
            _ => Report::FAILED,
        }
    }
}

/// Whether what has happened is dealt with before the next thing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Handling {
    Drained,
    /// Nothing is read, and no error is taken. Only an edge shows the difference.
    Left,
}

/// One combination but for the backend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Combination {
    pub order: Order,
    pub interest: Interest,
    pub handling: Handling,
}

/// All combinations of a state, in the order in which [`run`] answers.
pub(crate) fn combinations() -> Vec<Combination> {
    let mut all = Vec::new();
    for order in [Order::Before, Order::After] {
        for interest in INTERESTS {
            all.extend(TRIGGERS.map(|trigger| {
                let interest = interest.with_trigger(trigger);
                Combination { order, interest, handling: Handling::Drained }
            }));
            all.push(Combination { order, interest, handling: Handling::Left });
        }
    }
    all
}

/// What is reported.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trace {
    /// Phase by phase.
    pub reports: [Report; PHASES.len()],
    /// What of the earlier reports did not hold any more before the poll of each phase.
    pub forgotten: [Report; PHASES.len()],
    /// The backend rechecks its edges: some come late, and some twice.
    pub rechecks: bool,
}

/// Runs every combination of this state on a backend, all of them in one poller. What epoll has
/// reported is waited for.
pub(crate) fn run(
    backend: Backend,
    kind: &Kind,
    state: &State,
    epoll: Option<&[Trace]>,
) -> Vec<Trace> {
    let poll = Poll::builder().backend(backend).build().unwrap();
    let rechecks = poll.capabilities().edge_rule == EdgeRule::AfterWouldBlock;
    let mut runs = Runs {
        poll,
        epoll,
        rechecks,
        events: Events::with_capacity(256),
        all: (0..)
            .zip(combinations())
            .map(|(index, of)| Run::new(Token(index), of, kind, rechecks))
            .collect(),
    };
    for run in &mut runs.all {
        if run.of.order == Order::Before {
            run.register(&runs.poll, Phase::Registered);
        }
    }
    runs.poll(Phase::Registered);
    for run in &mut runs.all {
        if run.of.order == Order::Before && run.is_oneshot() {
            run.reregister(&runs.poll, Phase::Registered);
        }
        (state.act)(&mut run.world);
    }
    if state.fills {
        fill(&mut runs.all);
        runs.all.iter_mut().for_each(|run| run.forget(Phase::Happened, Report::WRITABLE));
    } else {
        runs.all.iter().for_each(|run| run.world.settle_answers());
    }
    for run in &mut runs.all {
        run.world.settle(state.settled);
        if run.of.order == Order::After {
            run.register(&runs.poll, Phase::Happened);
        }
    }
    runs.poll(Phase::Happened);
    runs.poll(Phase::Again);
    for run in &mut runs.all {
        if run.of.handling == Handling::Left {
            continue;
        }
        run.world.drain();
        run.forget(Phase::Drained, run.world.is_over());
        if run.is_edge() && run.world.source.is_bare() {
            run.reregister(&runs.poll, Phase::Drained);
        }
    }
    runs.poll(Phase::Drained);
    runs.all.iter_mut().for_each(|run| (state.next)(&mut run.world));
    runs.all.iter().for_each(|run| run.world.settle(state.next_settled));
    runs.poll(Phase::Next);
    for run in &mut runs.all {
        run.forget(Phase::Reregistered, Report::all());
        run.reregister(&runs.poll, Phase::Reregistered);
    }
    runs.poll(Phase::Reregistered);
    for run in &mut runs.all {
        if run.is_registered {
            let result = runs.poll.registry().deregister(&mut run.world.source);
            run.note(result, Phase::Deregistered);
        }
    }
    runs.poll(Phase::Deregistered);
    runs.all.into_iter().map(|run| run.trace).collect()
}

struct Runs<'epoll> {
    poll: Poll,
    epoll: Option<&'epoll [Trace]>,
    rechecks: bool,
    events: Events,
    all: Vec<Run>,
}

struct Run {
    token: Token,
    of: Combination,
    world: World,
    is_registered: bool,
    trace: Trace,
}

/// Fills all of them, until none has got room by what the kernel moved from one buffer into
/// another.
fn fill(all: &mut [Run]) {
    let start = Instant::now();
    loop {
        let mut is_full = true;
        for run in all.iter_mut() {
            let has_room = run.world.state(Readiness::OUT).contains(Readiness::OUT);
            is_full &= !has_room || run.world.peer.is_none();
            run.world.fill();
        }
        if is_full {
            return;
        }
        assert!(start.elapsed() < super::common::DEADLINE, "it is never full");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// What the other end did may still be on its way through the kernel's own threads, if the machine
/// is busy.
const SETTLING: Duration = Duration::from_micros(100);

/// As late as an edge may be that is found by rechecking.
const LATEST: Duration = Duration::from_millis(300);

impl Runs<'_> {
    fn poll(&mut self, phase: Phase) {
        std::thread::sleep(SETTLING);
        self.poll.poll(&mut self.events, Some(Duration::ZERO)).unwrap();
        for event in &self.events {
            let report = &mut self.all[event.token().0].trace.reports[phase as usize];
            let is_second = report.contains(Report::EVENT);
            *report |= Report::of(event);
            report.set(Report::TWO_EVENTS, is_second);
        }
        let start = Instant::now();
        while self.is_edge_missing(phase) && start.elapsed() < LATEST {
            std::thread::sleep(Duration::from_millis(1));
            self.poll.poll(&mut self.events, Some(Duration::ZERO)).unwrap();
            for event in &self.events {
                let run = &mut self.all[event.token().0];
                if run.is_edge() {
                    run.trace.reports[phase as usize] |= Report::of(event);
                }
            }
        }
    }

    fn is_edge_missing(&self, phase: Phase) -> bool {
        let Some(epoll) = self.epoll.filter(|_| self.rechecks) else {
            return false;
        };
        self.all.iter().zip(epoll).any(|(run, epoll)| {
            // Whether it is closed follows from the rest.
            let missing = || missing_and_extra(&run.of, epoll, &run.trace)[phase as usize].0;
            let unawaited = Report::WRITE_CLOSED | Report::REFUSED;
            run.is_edge() && run.is_registered && !(missing() - unawaited).is_empty()
        })
    }
}

impl Run {
    fn new(token: Token, of: Combination, kind: &Kind, rechecks: bool) -> Run {
        let trace = Trace { rechecks, ..Trace::default() };
        Run { token, of, world: (kind.make)(), is_registered: false, trace }
    }

    fn is_edge(&self) -> bool {
        self.of.interest.trigger() == Trigger::Edge
    }

    fn forget(&mut self, phase: Phase, what: Report) {
        self.trace.forgotten[phase as usize] = what;
    }

    fn is_oneshot(&self) -> bool {
        matches!(self.of.interest.trigger(), Trigger::Oneshot | Trigger::EdgeOneshot)
    }

    fn register(&mut self, poll: &Poll, phase: Phase) {
        let (token, interest) = (self.token, self.of.interest);
        let result = poll.registry().register(&mut self.world.source, token, interest);
        self.is_registered = result.is_ok();
        self.note(result, phase);
    }

    fn reregister(&mut self, poll: &Poll, phase: Phase) {
        if self.is_registered {
            let (token, interest) = (self.token, self.of.interest);
            let result = poll.registry().reregister(&mut self.world.source, token, interest);
            self.note(result, phase);
        }
    }

    fn note(&mut self, result: io::Result<()>, phase: Phase) {
        if let Err(error) = result {
            self.trace.reports[phase as usize] |= Report::of_error(&error);
        }
    }
}
