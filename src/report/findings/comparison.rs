//! What differs between two windows of a series, and how much that is worth.

use super::SeriesName;
use crate::{
    stats::regression::{Change, Severity},
    types::names,
};
use serde::{Deserialize, Serialize};

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowRow {
    /// Its runs, the oldest first.
    pub runs: Vec<i64>,
    /// All their samples.
    pub samples: usize,
    /// Their median.
    pub median: f64,
    /// The commits of its oldest and its newest run.
    pub commits: Option<[String; 2]>,
}

/// A difference between a baseline and a candidate window of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegressionRow {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesName,
    /// How bad it is, if it is.
    pub severity: Grade,
    /// What it was.
    pub baseline: WindowRow,
    /// What it is.
    pub candidate: WindowRow,
    /// How much larger the candidate is (Hodges–Lehmann), in the series' unit.
    pub shift: f64,
    /// The 95 % confidence interval of that, where the samples are enough for one.
    pub shift_interval: Option<[f64; 2]>,
    /// The shift by the baseline's median.
    pub relative: f64,
    /// How likely such a difference would be if there were none (Mann–Whitney, corrected for runs that are alike).
    pub p_value: f64,
    /// The same, corrected for all series of the scan (Benjamini–Hochberg).
    pub p_adjusted: f64,
    /// Cliff's delta: how much more often a candidate's sample is the larger one, from -1 to 1.
    pub effect: f64,
    /// The smallest relative change that these windows would have shown 19 times of 20, where it can be told.
    pub detectable: Option<f64>,
    /// What differs between the environments of the two windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_changes: Vec<String>,
    /// What weakens the comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl RegressionRow {
    /// Whether it is one, rather than an improvement.
    pub fn is_regression(&self) -> bool {
        self.severity().is_some()
    }

    /// How bad it is; `None` for what is no regression.
    pub fn severity(&self) -> Option<Severity> {
        self.severity.severity()
    }
}

/// What a difference is: a regression of some severity, an improvement, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// A regression that is [`Severity::Critical`].
    Critical,
    /// One that is [`Severity::Severe`].
    Severe,
    /// One that is [`Severity::Moderate`].
    Moderate,
    /// One that is [`Severity::Minor`].
    Minor,
    /// For the better, whatever its size.
    Improvement,
    /// No difference at all.
    Unchanged,
}
names!(Grade {
    Critical = "critical",
    Severe = "severe",
    Moderate = "moderate",
    Minor = "minor",
    Improvement = "improvement",
    Unchanged = "unchanged",
});

impl Grade {
    /// That of a regression.
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Critical => Some(Severity::Critical),
            Self::Severe => Some(Severity::Severe),
            Self::Moderate => Some(Severity::Moderate),
            Self::Minor => Some(Severity::Minor),
            Self::Improvement | Self::Unchanged => None,
        }
    }
}

impl From<Change> for Grade {
    fn from(change: Change) -> Self {
        match change {
            Change::Regression(Severity::Critical) => Self::Critical,
            Change::Regression(Severity::Severe) => Self::Severe,
            Change::Regression(Severity::Moderate) => Self::Moderate,
            Change::Regression(Severity::Minor) => Self::Minor,
            Change::Improvement(_) => Self::Improvement,
            Change::Unchanged => Self::Unchanged,
        }
    }
}
