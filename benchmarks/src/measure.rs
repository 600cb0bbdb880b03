//! Candidates in turn, round by round, so that whatever disturbs the machine disturbs all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::counts;
use crate::row::{Row, Work};
use crate::statistics::{Estimate, Verdict};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// What a candidate has of a round, about.
    pub(crate) round: Duration,
    pub(crate) is_full: bool,
    pub(crate) is_smoke: bool,
}

/// What was measured of a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) clock: String,
    pub(crate) candidates: Vec<Measured>,
    pub(crate) goals: Vec<Reached>,
    /// Who could not take part, and why.
    pub(crate) absent: BTreeMap<String, String>,
    pub(crate) remark: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// Nanoseconds per unit, of each round.
    pub(crate) costs: Vec<f64>,
    pub(crate) cost: Estimate,
    /// Of the first candidate's cost to this one's, round by round.
    pub(crate) ratio: Estimate,
    pub(crate) ratios: Vec<f64>,
    /// Per unit.
    pub(crate) system_calls: Option<f64>,
    pub(crate) instructions: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reached {
    pub(crate) against: String,
    pub(crate) at_most: f64,
    pub(crate) ratio: Estimate,
    pub(crate) verdict: Verdict,
}

pub(crate) fn measure(row: Row, effort: &Effort) -> Result<Outcome> {
    let mut absent = BTreeMap::new();
    let mut works: Vec<(&'static str, Work)> = Vec::new();
    for candidate in &row.candidates {
        match (candidate.set_up)() {
            Ok(work) => works.push((candidate.name, work)),
            Err(error) => {
                absent.insert(candidate.name.to_owned(), format!("{error:#}"));
            }
        }
    }
    let Some(&(first, _)) = works.first() else { bail!("nobody takes part: {absent:?}") };
    if first != row.candidates[0].name {
        bail!("{} cannot take part: {absent:?}", row.candidates[0].name);
    }

    let timed = |work: &mut Work, count: usize| -> Result<f64> {
        let before = row.clock.now();
        let more = work(count)?;
        let spent = row.clock.now() - before;
        let spent = if more.is_zero() { spent } else { more };
        Ok(spent.as_nanos() as f64 / count as f64)
    };
    let parts = if effort.is_smoke { 1 } else { row.parts };
    let filled = (effort.round / parts as u32).as_nanos() as f64 / 2.0;
    // How many units fill a round, for each by itself: some do in nothing what takes others a system call.
    let mut counts = Vec::new();
    for (name, work) in &mut works {
        let mut count = if row.is_exact { row.most } else { 1 };
        while count < row.most {
            let each = timed(work, count).with_context(|| format!("{name}, at first"))?;
            if each * count as f64 >= filled {
                break;
            }
            count *= 2;
        }
        counts.push(count.min(row.most));
    }

    let mut costs = vec![Vec::new(); works.len()];
    // Each time in another order: who comes after whom makes a difference of half a hundredth.
    let mut order: Vec<usize> = (0..works.len()).collect();
    let mut dice = fastrand::Rng::with_seed(1);
    for round in 0..=(effort.rounds * parts).min(row.rounds) {
        dice.shuffle(&mut order);
        for &number in &order {
            let (name, work) = &mut works[number];
            if let Some(candidate) =
                row.candidates.iter().find(|it| row.is_fresh && it.name == *name)
            {
                *work = (candidate.set_up)().with_context(|| format!("{name}, anew"))?;
                work(counts[number].div_ceil(8))?;
            }
            let cost =
                timed(work, counts[number]).with_context(|| format!("{name} in round {round}"))?;
            // The first round warms up.
            if round > 0 {
                costs[number].push(cost);
            }
        }
    }
    let names: Vec<_> = works.iter().map(|(name, _)| *name).collect();
    drop(works);

    let candidates: Vec<_> = names
        .iter()
        .zip(&costs)
        .map(|(&name, own)| {
            let ratios: Vec<_> =
                costs[0].iter().zip(own).map(|(first, other)| first / other.max(1e-9)).collect();
            let (system_calls, instructions) = match effort.is_full && row.is_counted {
                true => {
                    (counts::system_calls(&row.name, name), counts::instructions(&row.name, name))
                }
                false => (None, None),
            };
            Measured {
                name: name.to_owned(),
                cost: Estimate::of(own),
                costs: own.clone(),
                ratio: Estimate::of(&ratios),
                ratios,
                system_calls,
                instructions,
            }
        })
        .collect();
    let goals = row.goals.iter().filter_map(|goal| {
        let against = candidates.iter().find(|candidate| candidate.name == goal.against)?;
        Some(Reached {
            against: goal.against.to_owned(),
            at_most: goal.at_most,
            ratio: against.ratio,
            verdict: Verdict::of(against.ratio, goal.at_most),
        })
    });
    Ok(Outcome {
        goals: goals.collect(),
        name: row.name,
        unit: row.unit.to_owned(),
        clock: row.clock.name().to_owned(),
        candidates,
        absent,
        remark: row.remark.to_owned(),
    })
}
