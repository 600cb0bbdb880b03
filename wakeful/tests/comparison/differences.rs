//! What a backend reports otherwise than epoll, and which of that is accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use wakeful::{Backend, Trigger};

use crate::accepted::{ACCEPTED, Accepted};
use crate::runner::{Combination, Handling, Order, PHASES, Phase, Report, TRIGGERS, Trace};
use crate::states::{Kind, State};

/// One report of one combination that is not epoll's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    pub backend: &'static str,
    pub kind: &'static str,
    pub state: &'static str,
    pub order: Order,
    pub handling: Handling,
    pub interest: String,
    pub trigger: &'static str,
    pub phase: Phase,
    /// What epoll says and the backend does not.
    pub missing: Report,
    /// What the backend says and epoll does not.
    pub extra: Report,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { backend, kind, state, interest, trigger, phase, missing, extra, .. } =
            self;
        let (order, handling) = (self.order, self.handling);
        write!(
            f,
            "{backend}: {kind}, {state}; {interest}, {trigger}, {order:?}, {handling:?}, at {phase:?}: "
        )?;
        match (missing.is_empty(), extra.is_empty()) {
            (false, false) => write!(f, "says {extra} instead of {missing}"),
            (false, true) => write!(f, "does not say {missing}"),
            _ => write!(f, "also says {extra}"),
        }
    }
}

pub(crate) fn name_of(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Edge => "edge",
        Trigger::Level => "level",
        Trigger::Oneshot => "one-shot",
        Trigger::EdgeOneshot => "edge one-shot",
    }
}

/// Compares two traces of a combination, phase by phase, and returns the differences.
pub(crate) fn compare(
    (backend, kind, state): (Backend, &Kind, &State),
    of: &Combination,
    epoll: &Trace,
    other: &Trace,
) -> Vec<Difference> {
    let all = PHASES.into_iter().zip(missing_and_extra(of, epoll, other));
    let different = all.filter(|(_, (missing, extra))| !missing.is_empty() || !extra.is_empty());
    different
        .map(|(phase, (missing, extra))| Difference {
            backend: backend.name(),
            kind: kind.name,
            state: state.name,
            order: of.order,
            handling: of.handling,
            interest: format!("{:?}", of.interest.with_trigger(Trigger::Edge)),
            trigger: name_of(of.interest.trigger()),
            phase,
            missing,
            extra,
        })
        .collect()
}

/// Returns what the other does not say, and what it says beyond epoll, phase by phase.
///
/// What one of them refuses to register cannot be compared further. With an edge, what was reported
/// before and still holds may be repeated or not: epoll says everything that holds whenever
/// anything changes. So only news is compared, and that there is an event at all where epoll is
/// silent, unless the other rechecks its edges.
pub(crate) fn missing_and_extra(
    of: &Combination,
    epoll: &Trace,
    other: &Trace,
) -> [(Report, Report); PHASES.len()] {
    let is_edge = of.interest.trigger() == Trigger::Edge;
    let (mut known_of_epoll, mut known) = (Report::empty(), Report::empty());
    let mut found = [(Report::empty(), Report::empty()); PHASES.len()];
    for (index, place) in found.iter_mut().enumerate() {
        let (expected, said) = (epoll.reports[index], other.reports[index]);
        known_of_epoll -= epoll.forgotten[index];
        known -= other.forgotten[index];
        let (mut missing, mut extra) = (expected - said, said - expected);
        if (expected | said).contains(Report::REFUSED) {
            *place = (missing & Report::REFUSED, extra & Report::REFUSED);
            break;
        }
        if is_edge {
            missing -= known_of_epoll | known | Report::EVENT;
            let is_spurious = extra.contains(Report::EVENT) && !other.rechecks;
            extra -= known_of_epoll | known;
            extra.set(Report::EVENT, is_spurious);
            known_of_epoll |= expected - Report::EVENT;
            known |= said - Report::EVENT;
        }
        *place = (missing, extra);
    }
    found
}

/// The differences by the line of [`ACCEPTED`] that covers each, and those that none covers.
#[derive(Default)]
pub(crate) struct Sorted<'all> {
    pub accepted: BTreeMap<usize, Vec<&'all Difference>>,
    pub unaccepted: Vec<&'all Difference>,
}

pub(crate) fn sort(differences: &BTreeSet<Difference>) -> Sorted<'_> {
    let mut sorted = Sorted::default();
    for difference in differences {
        match ACCEPTED.iter().position(|accepted| accepted.covers(difference)) {
            Some(index) => sorted.accepted.entry(index).or_default().push(difference),
            None => sorted.unaccepted.push(difference),
        }
    }
    sorted
}

impl Sorted<'_> {
    /// Returns the lines of [`ACCEPTED`] that cover no difference.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &'static Accepted> {
        let indices = (0..ACCEPTED.len()).filter(|index| !self.accepted.contains_key(index));
        indices.map(|index| &ACCEPTED[index])
    }

    /// Returns the accepted differences as a table in Markdown, a row for all kinds that differ
    /// alike.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from(
            "| Backend | Descriptor | State | Trigger | Not reported | Also reported | Why |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for (&index, differences) in &self.accepted {
            let mut of_kinds: BTreeMap<&str, Vec<&Difference>> = BTreeMap::new();
            for difference in differences {
                of_kinds.entry(difference.kind).or_default().push(difference);
            }
            let mut rows: BTreeMap<[String; 5], Vec<&str>> = BTreeMap::new();
            for (kind, differences) in of_kinds {
                rows.entry(columns(&differences)).or_default().push(kind);
            }
            for ([backends, states, triggers, missing, extra], kinds) in rows {
                let (kinds, reason) = (kinds.join("; "), ACCEPTED[index].reason);
                write!(table, "| {backends} | {kinds} | {states} | {triggers} ").unwrap();
                writeln!(table, "| {missing} | {extra} | {reason} |").unwrap();
            }
        }
        table
    }
}

/// Returns backends, states and triggers, and what is reported otherwise.
fn columns(differences: &[&Difference]) -> [String; 5] {
    let all = |field: fn(&Difference) -> &'static str| {
        let names: BTreeSet<_> = differences.iter().map(|difference| field(difference)).collect();
        names.into_iter().collect::<Vec<_>>()
    };
    let report = |field: fn(&Difference) -> Report| {
        let report = differences.iter().fold(Report::empty(), |all, it| all | field(it));
        if report.is_empty() { "–".to_owned() } else { report.to_string() }
    };
    let triggers = all(|it| it.trigger);
    let has_all_triggers = triggers.len() == TRIGGERS.len();
    [
        all(|it| it.backend).join(", "),
        all(|it| it.state).join("; "),
        if has_all_triggers { "all".to_owned() } else { triggers.join(", ") },
        report(|it| it.missing),
        report(|it| it.extra),
    ]
}
