//! Which series a finding is about, and the points of a series.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Which series it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesName {
    /// The model.
    pub model: String,
    /// What was done with it: `infer`, or what an import calls it.
    pub operation: String,
    /// How many inputs at once, where known.
    pub batch: Option<u32>,
    /// The element type that it computes in, where known.
    pub precision: Option<String>,
    /// Where.
    pub target: String,
    /// The adapter, where the browser names one.
    pub adapter: Option<String>,
    /// The class of machine: operating system, processor, cores; of an imported report that does not tell those, its name.
    pub host: String,
    /// What was measured: `run_ms`, ….
    pub metric: String,
    /// In which unit.
    pub unit: String,
}

/// A series and its points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesRow {
    /// Which one.
    #[serde(flatten)]
    pub name: SeriesName,
    /// Whether less of it is better.
    pub lower_is_better: bool,
    /// Its runs, the oldest first.
    pub points: Vec<PointRow>,
}

/// One run in a series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointRow {
    /// Which run.
    pub run_id: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The median of its samples.
    pub median: f64,
    /// The lower and the upper quartile of its samples.
    pub quartiles: [f64; 2],
    /// How many there are.
    pub samples: usize,
    /// Attempts of the run, the failed ones included.
    pub attempts: u64,
    /// Failed ones.
    pub failures: u64,
    /// The commit it ran on.
    pub commit: Option<String>,
    /// What changed in its environment since the point before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_changes: Vec<String>,
}

/// A series that could not be judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotJudged {
    /// Which.
    #[serde(flatten)]
    pub series: SeriesName,
    /// Why, and what would help.
    pub reason: String,
}
