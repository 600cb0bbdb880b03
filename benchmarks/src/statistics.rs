//! Medians, and how far they can be trusted.

use serde::{Deserialize, Serialize};

/// A median and the 95 % interval in which that of all possible rounds lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Estimate {
    /// By order statistics, which suppose nothing of the distribution: the interval's ends are the k-th values from
    /// either end, k as large as leaves at most 2.5 % of the binomial distribution outside on each side.
    pub(crate) fn of(values: &[f64]) -> Estimate {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let middle = count / 2;
        let median = match count % 2 {
            1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        let mut outside = 0.0;
        let mut probability = 0.5_f64.powi(count as i32);
        let mut from_end = 0;
        while from_end < middle {
            outside += probability;
            if outside > 0.025 {
                break;
            }
            probability *= (count - from_end) as f64 / (from_end + 1) as f64;
            from_end += 1;
        }
        let edge = from_end.saturating_sub(1);
        Estimate { median, low: sorted[edge], high: sorted[count - 1 - edge] }
    }
}

/// Whether a goal is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    Met,
    /// The interval crosses the goal.
    Undecided,
    Missed,
}

impl Verdict {
    pub(crate) fn of(ratio: Estimate, at_most: f64) -> Verdict {
        if ratio.high <= at_most {
            Verdict::Met
        } else if ratio.low > at_most {
            Verdict::Missed
        } else {
            Verdict::Undecided
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::Undecided => "undecided",
            Verdict::Missed => "missed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Estimate, Verdict};

    #[test]
    fn the_interval_of_eleven_leaves_one_out_on_each_side() {
        let values: Vec<f64> = (1..=11).map(f64::from).collect();
        assert_eq!(Estimate::of(&values), Estimate { median: 6.0, low: 2.0, high: 10.0 });
        let values: Vec<f64> = (1..=21).map(f64::from).collect();
        assert_eq!(Estimate::of(&values), Estimate { median: 11.0, low: 6.0, high: 16.0 });
        assert_eq!(Estimate::of(&[2.0, 1.0, 3.0]), Estimate { median: 2.0, low: 1.0, high: 3.0 });
    }

    #[test]
    fn a_goal_within_the_interval_is_not_decided() {
        let estimate = Estimate { median: 0.9, low: 0.8, high: 1.1 };
        assert_eq!(Verdict::of(estimate, 1.0), Verdict::Undecided);
        assert_eq!(Verdict::of(estimate, 1.1), Verdict::Met);
        assert_eq!(Verdict::of(estimate, 0.7), Verdict::Missed);
    }
}
