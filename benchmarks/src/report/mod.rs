//! What was measured, in words, numbers and pictures.

mod charts;
mod page;
mod text;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::latency::{self, Latencies};
use crate::machine::Machine;
use crate::measure::{Effort, Outcome};

/// How all of it was measured: stands in every report.
const METHOD: &str = "Candidates take turns in one process, in each round in another order; the first round warms up. A cost is \
processor time of the thread where one thread does the work, of the process where several do, and time where it is about \
waiting; a ratio is wakeful's cost to the other's in the same round. Given are the median of the rounds and the 95 % interval of \
the median by order statistics. A goal within the interval is undecided. System calls are counted by strace, instructions by \
callgrind, on 1000 units.";

pub(crate) use text::{LEGEND, line};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    machine: Machine,
    rounds: usize,
    is_full: bool,
    outcomes: Vec<Outcome>,
    /// Thousands of numbers, which the charts show.
    #[serde(skip)]
    latencies: Vec<Latencies>,
}

impl Report {
    pub(crate) fn new(effort: &Effort) -> Report {
        Report {
            machine: Machine::this(),
            rounds: effort.rounds,
            is_full: effort.is_full,
            outcomes: Vec::new(),
            latencies: Vec::new(),
        }
    }

    /// When and where.
    pub(crate) fn heading(&self) -> String {
        self.machine.described()
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    /// For the histograms.
    pub(crate) fn time_one_by_one(&mut self) -> Result<()> {
        self.latencies = latency::all()?;
        Ok(())
    }

    pub(crate) fn read(path: &Path) -> Result<Report> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| {
            format!("{} is no report of this program: give a report.json", path.display())
        })
    }

    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory)?;
        fs::write(directory.join("report.json"), serde_json::to_string(self)?)?;
        fs::write(directory.join("report.md"), self.to_markdown())?;
        let charts = charts::all(&self.outcomes, &self.latencies)?;
        for chart in &charts {
            fs::write(directory.join(format!("{}.svg", chart.name)), &chart.svg)?;
        }
        fs::write(directory.join("report.html"), self.to_page(&charts))?;
        Ok(())
    }
}
