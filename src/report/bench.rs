//! What a benchmark measured: one series of runs per model, target and concurrency, and how targets compare.

use super::TargetRow;
use crate::{
    host::Host,
    types::{Category, Family, TabId, Target},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What a benchmark measured. As JSON it is described field by field in docs/JSON.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// The version of tabfleet that ran it.
    pub tabfleet: String,
    /// When it started.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// The machine.
    pub host: Host,
    /// Every target asked for, those that do not work here included.
    pub targets: Vec<TargetRow>,
    /// What was measured.
    pub series: Vec<BenchSeries>,
    /// How the targets compare, model by model.
    pub comparisons: Vec<Comparison>,
    /// What could not be measured, and why.
    pub failures: Vec<BenchFailure>,
}

impl BenchReport {
    /// A report without measurements, of this tabfleet on this machine.
    pub fn new(started: OffsetDateTime) -> Self {
        Self {
            tabfleet: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            host: Host::detect(),
            targets: Vec::new(),
            series: Vec::new(),
            comparisons: Vec::new(),
            failures: Vec::new(),
        }
    }
}

/// The measured runs of one model on one target at one concurrency. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchSeries {
    /// The model's name.
    pub model: String,
    /// The model's kind of work.
    pub family: Option<Family>,
    /// Where it ran.
    pub target: Target,
    /// How many runs were under way at once.
    pub concurrency: usize,
    /// How many runs were measured.
    pub samples: usize,
    /// How many runs before them were not.
    pub warmup: usize,
    /// Fetching the model and creating the session.
    pub load_ms: Option<f64>,
    /// The median run.
    pub median_ms: f64,
    /// The 95 % confidence interval of the median: from, to.
    pub median_ci: Option<[f64; 2]>,
    /// The 95th percentile.
    pub p95_ms: Option<f64>,
    /// The 99th percentile; `None` where the samples are too few for one.
    pub p99_ms: Option<f64>,
    /// The arithmetic mean.
    pub mean_ms: Option<f64>,
    /// Runs finished per second, all of the concurrency together.
    pub throughput_per_s: Option<f64>,
    /// Whether the session needed the CPU for some nodes; `None` where the runtime cannot tell.
    pub cpu_fallback: Option<bool>,
    /// Which rule ended the series: `precision`, `sample-limit`, `time-limit`, `interrupted`.
    pub stopped_by: String,
    /// Every measured run, in the order in which they ended.
    pub samples_ms: Vec<f64>,
    /// The stages that the model was cut into, in order, whose times a run is the sum of; empty for a model that ran
    /// whole.
    #[serde(default)]
    pub stages: Vec<BenchStage>,
}

/// A stage of a model that ran in several tabs, as it was in the last run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchStage {
    /// Where it ran.
    pub target: Target,
    /// In which tab.
    pub tab: TabId,
    /// Its median run in this tab.
    pub median_ms: f64,
    /// How many bytes of its inputs came straight from the tab of the stage before.
    pub direct_bytes: usize,
}

/// Two targets that ran the same model, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The model's name.
    pub model: String,
    /// The one.
    pub a: Target,
    /// The other.
    pub b: Target,
    /// The median of `a` by the median of `b`: below 1, `a` is faster.
    pub ratio: f64,
    /// How likely a difference this large would be if both were equally fast.
    pub p_value: f64,
    /// The same, corrected for how many comparisons this report makes.
    pub p_adjusted: f64,
    /// Whether the difference counts as real.
    pub significant: bool,
}

/// A model that could not be measured on a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchFailure {
    /// The model's name.
    pub model: String,
    /// Where it was tried.
    pub target: Target,
    /// The kind of failure.
    pub category: Category,
    /// The words of whoever noticed it first.
    pub message: String,
}
