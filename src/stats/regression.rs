//! Which of many series got worse, which got better, and how much each finding is worth.

use super::Direction;
use super::multiple::benjamini_hochberg;
use super::shift::{Shift, ShiftError, ShiftSettings, compare};
use crate::types::names;
use serde::{Deserialize, Serialize};

/// How bad a regression is, or how good an improvement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Everything that is neither large nor sure enough for the others.
    Minor,
    /// By 5% or more.
    Moderate,
    /// By 15% or more.
    Severe,
    /// By more than 25%.
    Critical,
}

names!(Severity { Minor = "minor", Moderate = "moderate", Severe = "severe", Critical = "critical" });

/// What a severity above minor asks for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// The least change, as a share of the baseline.
    pub least_change: f64,
    /// The adjusted p-value has to lie below this.
    pub p_below: f64,
}

/// The gates of the severities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// More than 25% and p < 0.01: only here the change has to exceed the gate's.
    pub critical: Gate,
    /// 15% and p < 0.05.
    pub severe: Gate,
    /// 5% and p < 0.1.
    pub moderate: Gate,
    /// A minor difference is worth telling where its adjusted p-value lies below this. 0.05.
    pub minor_p_below: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            critical: Gate { least_change: 0.25, p_below: 0.01 },
            severe: Gate { least_change: 0.15, p_below: 0.05 },
            moderate: Gate { least_change: 0.05, p_below: 0.1 },
            minor_p_below: 0.05,
        }
    }
}

impl Thresholds {
    /// The highest severity whose gate a change of this size, with this adjusted p-value, passes: a large change that
    /// is not sure enough for its own class is in the class that it is sure enough for.
    #[must_use]
    pub fn severity(&self, relative_change: f64, adjusted_p: f64) -> Severity {
        let change = relative_change.abs();
        let passes = |gate: &Gate| change >= gate.least_change && adjusted_p < gate.p_below;
        if change > self.critical.least_change && passes(&self.critical) {
            Severity::Critical
        } else if passes(&self.severe) {
            Severity::Severe
        } else if passes(&self.moderate) {
            Severity::Moderate
        } else {
            Severity::Minor
        }
    }
}

impl Thresholds {
    /// Whether a difference of this severity, with this adjusted p-value, is worth telling unasked.
    #[must_use]
    pub fn matters(&self, severity: Severity, adjusted_p: f64) -> bool {
        severity > Severity::Minor || adjusted_p < self.minor_p_below
    }
}

/// What became of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change", content = "severity")]
pub enum Change {
    /// It got worse.
    Regression(Severity),
    /// It got better.
    Improvement(Severity),
    /// The shift is exactly 0.
    Unchanged,
}

impl Change {
    /// The severity of a regression.
    #[must_use]
    pub const fn regression(self) -> Option<Severity> {
        match self {
            Change::Regression(severity) => Some(severity),
            Change::Improvement(_) | Change::Unchanged => None,
        }
    }
}

/// Two windows of one series.
#[derive(Clone, Debug)]
pub struct Pair<K> {
    /// What the caller calls the series.
    pub series: K,
    /// Which way its metric gets better.
    pub direction: Direction,
    /// What is compared with, by run.
    pub baseline: Vec<Vec<f64>>,
    /// What is judged, by run.
    pub candidate: Vec<Vec<f64>>,
}

/// What a scan found in one series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding<K> {
    /// The caller's name for it.
    pub series: K,
    /// What became of it.
    #[serde(flatten)]
    pub change: Change,
    /// The p-value adjusted for all series of the scan (Benjamini and Hochberg).
    pub adjusted_p: f64,
    /// The comparison.
    #[serde(flatten)]
    pub shift: Shift,
}

/// What a scan found.
#[derive(Clone, Debug)]
pub struct Scan<K> {
    /// One for each series that could be compared, in the order given.
    pub findings: Vec<Finding<K>>,
    /// The series that could not, and why.
    pub refused: Vec<(K, ShiftError)>,
}

impl<K> Scan<K> {
    /// The highest severity among the regressions; `None` without any.
    #[must_use]
    pub fn worst_regression(&self) -> Option<Severity> {
        self.findings.iter().filter_map(|finding| finding.change.regression()).max()
    }
}

/// Compares the windows of each pair, one pair after the other as they come, and judges them together.
pub fn scan<K>(pairs: impl IntoIterator<Item = Pair<K>>, thresholds: &Thresholds, settings: &ShiftSettings) -> Scan<K> {
    let (mut compared, mut refused) = (Vec::new(), Vec::new());
    for pair in pairs {
        match compare(&pair.baseline, &pair.candidate, settings) {
            Ok(shift) => compared.push((pair.series, pair.direction, shift)),
            Err(error) => refused.push((pair.series, error)),
        }
    }
    let p_values: Vec<f64> = compared.iter().map(|(_, _, shift)| shift.p).collect();
    let findings = compared
        .into_iter()
        .zip(benjamini_hochberg(&p_values))
        .map(|((series, direction, shift), adjusted_p)| Finding {
            series,
            change: judge(direction, &shift, adjusted_p, thresholds),
            adjusted_p,
            shift,
        })
        .collect();
    Scan { findings, refused }
}

fn judge(direction: Direction, shift: &Shift, adjusted_p: f64, thresholds: &Thresholds) -> Change {
    // From a baseline of zero any change is larger than any share of it.
    let relative = shift.relative.unwrap_or(f64::INFINITY);
    let severity = thresholds.severity(relative, adjusted_p);
    if shift.shift == 0.0 {
        Change::Unchanged
    } else if direction.is_worse(shift.shift) {
        Change::Regression(severity)
    } else {
        Change::Improvement(severity)
    }
}

#[cfg(test)]
#[path = "regression_tests.rs"]
mod tests;
