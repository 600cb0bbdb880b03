//! A row of the table: a workload, who takes part in it, and what is to be reached.

use std::time::Duration;

use anyhow::Result;

use crate::clock::Clock;

/// Does the work so many times, after being set up. What it answers is added to what the clock says.
pub(crate) type Work = Box<dyn FnMut(usize) -> Result<Duration>>;

/// One who takes part.
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    /// Sets up; why not, if it cannot be here.
    pub(crate) set_up: Box<dyn Fn() -> Result<Work>>,
}

/// What is to be reached: a ratio of the first candidate's cost to another's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) against: &'static str,
    pub(crate) at_most: f64,
}

pub(crate) struct Row {
    pub(crate) name: String,
    /// What one unit of the work is.
    pub(crate) unit: &'static str,
    pub(crate) clock: Clock,
    /// The first is wakeful.
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) goals: Vec<Goal>,
    /// Not more units per round than this: where the set-up limits them.
    pub(crate) most: usize,
    /// And not fewer either.
    pub(crate) is_exact: bool,
    /// Not more rounds than this: where one takes long.
    pub(crate) rounds: usize,
    /// So many rounds instead of one, each that much shorter: where disturbances last longer than a round.
    pub(crate) parts: usize,
    /// Set up anew for each round: where memory happens to lie makes a difference of up to 7 %, and that is
    /// to be drawn anew each time.
    pub(crate) is_fresh: bool,
    /// Whether system calls are counted by running it under strace.
    pub(crate) is_counted: bool,
    /// Why a goal is missed, if that is known.
    pub(crate) remark: &'static str,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str) -> Row {
        Row {
            name: name.into(),
            unit,
            clock: Clock::Thread,
            candidates: Vec::new(),
            goals: Vec::new(),
            most: usize::MAX,
            is_exact: false,
            rounds: usize::MAX,
            parts: 1,
            is_fresh: false,
            is_counted: false,
            remark: "",
        }
    }

    pub(crate) fn clock(mut self, clock: Clock) -> Row {
        self.clock = clock;
        self
    }

    pub(crate) fn counted(mut self) -> Row {
        self.is_counted = true;
        self
    }

    pub(crate) fn rounds(mut self, most: usize) -> Row {
        self.rounds = most;
        self
    }

    pub(crate) fn parts(mut self, count: usize) -> Row {
        self.parts = count;
        self
    }

    pub(crate) fn fresh(mut self) -> Row {
        self.is_fresh = true;
        self
    }

    pub(crate) fn at_most(mut self, most: usize) -> Row {
        self.most = most;
        self
    }

    pub(crate) fn exactly(mut self, count: usize) -> Row {
        (self.most, self.is_exact) = (count, true);
        self
    }

    pub(crate) fn remark(mut self, remark: &'static str) -> Row {
        self.remark = remark;
        self
    }

    pub(crate) fn goal(mut self, against: &'static str, at_most: f64) -> Row {
        self.goals.push(Goal { against, at_most });
        self
    }

    /// One whose set-up makes something, with which the work is done.
    pub(crate) fn candidate<S: 'static>(
        mut self,
        name: &'static str,
        set_up: impl Fn() -> Result<S> + 'static,
        work: impl Fn(&mut S, usize) -> Result<()> + Copy + 'static,
    ) -> Row {
        let set_up = move || {
            let mut state = set_up()?;
            let work: Work = Box::new(move |count| {
                work(&mut state, count)?;
                Ok(Duration::ZERO)
            });
            Ok(work)
        };
        self.candidates.push(Candidate { name, set_up: Box::new(set_up) });
        self
    }

    /// One that measures by itself, on a clock that stands still.
    pub(crate) fn measured<S: 'static>(
        mut self,
        name: &'static str,
        set_up: impl Fn() -> Result<S> + 'static,
        work: impl Fn(&mut S, usize) -> Result<Duration> + Copy + 'static,
    ) -> Row {
        let set_up = move || {
            let mut state = set_up()?;
            let work: Work = Box::new(move |count| work(&mut state, count));
            Ok(work)
        };
        self.candidates.push(Candidate { name, set_up: Box::new(set_up) });
        self
    }

    pub(crate) fn described(&self) -> String {
        let names: Vec<_> = self.candidates.iter().map(|candidate| candidate.name).collect();
        let goals: Vec<_> = self
            .goals
            .iter()
            .map(|goal| format!("<= {} of {}", goal.at_most, goal.against))
            .collect();
        format!("{}: {}; {}", self.name, names.join(", "), goals.join(", "))
    }
}
