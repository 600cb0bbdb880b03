//! Tables: for terminals, and in Markdown.

use std::fmt::Write;

use super::{METHOD, Report};
use crate::measure::{Measured, Outcome};
use crate::statistics::Estimate;

pub(crate) const LEGEND: &str =
    "cost of wakeful per unit, in ns; ratios of it to others', with 95 % intervals; less is better";

/// For a terminal.
pub(crate) fn line(outcome: &Outcome, widest: usize) -> String {
    let cost = outcome.candidates.first().map_or(0.0, |first| first.cost.median);
    let mut text = format!("{:widest$}  {:>9}", outcome.name, amount(cost));
    for goal in &outcome.goals {
        let (ratio, verdict) = (ratio(goal.ratio), goal.verdict.name());
        let _ = write!(text, " | {} {ratio} (goal {}) {verdict}", goal.against, goal.at_most);
    }
    for (name, why) in &outcome.absent {
        let _ = write!(text, " | without {name}: {why}");
    }
    text.push('\n');
    text
}

impl Report {
    pub(super) fn to_markdown(&self) -> String {
        let mut text =
            format!("# wakeful beside its peers\n\n{}\n\n{METHOD}\n\n", self.machine.described());
        let _ = writeln!(
            text,
            "{} rounds where nothing else is said. Costs in nanoseconds per unit; less is better.\n",
            self.rounds
        );
        text.push_str("| Workload | Goal | Ratio, 95 % interval | |\n|---|---|---|---|\n");
        for outcome in &self.outcomes {
            for goal in &outcome.goals {
                let _ = writeln!(
                    text,
                    "| {} | ≤ {} of {} | {} | {} |",
                    outcome.name,
                    goal.at_most,
                    goal.against,
                    ratio(goal.ratio),
                    goal.verdict.name(),
                );
            }
        }
        for outcome in &self.outcomes {
            let _ = write!(text, "\n## {}\n\n{} per {}", outcome.name, outcome.clock, outcome.unit);
            let rounds = outcome.candidates.first().map_or(0, |first| first.costs.len());
            if rounds != self.rounds {
                let _ = write!(text, "; {rounds} rounds");
            }
            if !outcome.remark.is_empty() {
                let _ = write!(text, "; {}", outcome.remark);
            }
            text.push_str(".\n\n| | ns | wakeful's ratio | system calls | instructions |\n|---|---|---|---|---|\n");
            for candidate in &outcome.candidates {
                let _ = writeln!(text, "| {} |", cells(candidate).join(" | "));
            }
            for (name, why) in &outcome.absent {
                let _ = writeln!(text, "| {name} | {why} | | | |");
            }
        }
        text
    }

    /// What is otherwise than in an earlier report: medians whose intervals do not meet.
    pub(crate) fn compared(&self, earlier: &Report) -> String {
        let mut text = format!("\ncompared with {}\n", earlier.machine.described());
        let mut count = 0;
        for outcome in &self.outcomes {
            let Some(before) = earlier.outcomes.iter().find(|it| it.name == outcome.name) else {
                continue;
            };
            for (against, now, then) in pairs(outcome, before) {
                if now.low > then.high || now.high < then.low {
                    let _ = writeln!(
                        text,
                        "{}: {} of {against}, was {}",
                        outcome.name,
                        ratio(now),
                        ratio(then)
                    );
                    count += 1;
                }
            }
        }
        if count == 0 {
            text.push_str("no ratio has changed by more than its interval\n");
        }
        text
    }
}

fn pairs<'a>(
    now: &'a Outcome,
    before: &'a Outcome,
) -> impl Iterator<Item = (&'a str, Estimate, Estimate)> {
    now.candidates.iter().skip(1).filter_map(|candidate| {
        let earlier = before.candidates.iter().find(|it| it.name == candidate.name)?;
        Some((candidate.name.as_str(), candidate.ratio, earlier.ratio))
    })
}

pub(super) fn cells(candidate: &Measured) -> [String; 5] {
    let optional = |count: Option<f64>, places: usize| {
        count.map_or(String::new(), |it| format!("{it:.places$}"))
    };
    [
        candidate.name.clone(),
        amount(candidate.cost.median),
        ratio(candidate.ratio),
        optional(candidate.system_calls, 2),
        optional(candidate.instructions, 0),
    ]
}

pub(super) fn amount(nanoseconds: f64) -> String {
    match nanoseconds {
        ..10.0 => format!("{nanoseconds:.2}"),
        10.0..100.0 => format!("{nanoseconds:.1}"),
        _ => format!("{nanoseconds:.0}"),
    }
}

pub(super) fn ratio(estimate: Estimate) -> String {
    let places = if estimate.median < 0.1 { 4 } else { 3 };
    let Estimate { median, low, high } = estimate;
    format!("{median:.places$} ({low:.places$}–{high:.places$})")
}
