//! What happens within a series: changes of its level, where it is going, what stands out, what is to be expected.

use super::SeriesName;
use crate::stats::trend::Course;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A place where a series changed its level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeRow {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesName,
    /// The first point of the new level, counted from 0.
    pub index: usize,
    /// Its run.
    pub run_id: i64,
    /// When that was.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The level before.
    pub before: f64,
    /// The level since.
    pub after: f64,
    /// The change by the level before; `None` when that is 0.
    pub relative: Option<f64>,
    /// How sure it is, from 0 to 1.
    pub confidence: f64,
    /// Whether it is for the worse.
    pub worse: bool,
    /// The commit of the last point before, and that of the first since.
    pub commits: Option<[String; 2]>,
    /// What changed in the environment at that point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_changes: Vec<String>,
}

/// Where a series is going.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrendRow {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesName,
    /// Where.
    pub trend: Course,
    /// Theil–Sen slope: units a day.
    pub slope_per_day: f64,
    /// Its 95 % confidence interval.
    pub slope_interval: [f64; 2],
    /// What that is in 30 days, by the series' median; `None` when that is 0.
    pub relative_per_30_days: Option<f64>,
    /// Mann–Kendall, corrected for autocorrelation.
    pub p_value: f64,
    /// The same, corrected for all series looked at (Benjamini–Hochberg): what `trend` goes by.
    pub p_adjusted: f64,
    /// Points it is of.
    pub points: usize,
}

/// A point that stands out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnomalyRow {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesName,
    /// Its place, counted from 0.
    pub index: usize,
    /// Its run.
    pub run_id: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What was measured.
    pub value: f64,
    /// What was to be expected.
    pub expected: f64,
    /// How far off that is, in robust standard deviations.
    pub deviations: f64,
    /// The commit it ran on.
    pub commit: Option<String>,
}

/// What is to be expected of a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForecastRow {
    /// Which series.
    #[serde(flatten)]
    pub series: SeriesName,
    /// The first run that it was made of: the last change of level, or the series' start.
    pub from_run: i64,
    /// Share of future points that are to lie within the intervals.
    pub level: f64,
    /// The days that a step takes: the median between two runs; `None` where all came at once.
    pub step_days: Option<f64>,
    /// For each step ahead: the point, and its interval.
    pub points: Vec<[f64; 3]>,
    /// The budget that was asked about.
    pub budget: Option<f64>,
    /// What is to be said of it: "will cross it in 12 days, likely between 8 and 20".
    pub crossing: Option<String>,
}
