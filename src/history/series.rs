//! What a history is to whoever analyses it: series of points, one for each run that measured.

use super::{Environment, History, HistoryError, Metric, collect::Collected, database::Database};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::SystemTime};

/// What must be the same for numbers to be compared. `None` is what nobody told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The model's name.
    pub model: String,
    /// What was done with it: `infer`, or what an imported report calls it.
    pub operation: String,
    /// The batch size.
    pub batch: Option<u32>,
    /// The precision: `float32`.
    pub precision: Option<String>,
    /// Where: `chrome/webgpu`, or `chrome@beta/webgpu` of a further build of the browser.
    pub target: String,
    /// The adapter by vendor, architecture and device; on WebNN its device type.
    pub adapter: Option<String>,
    /// The host's class: processor, cores, operating system, architecture. Of an imported report that does not tell those,
    /// its host's name.
    pub host: String,
    /// What was measured.
    pub metric: Metric,
}

/// One series, the oldest point first.
///
/// Points are in the order in which the runs were recorded, whatever the clock said meanwhile. An imported or merged
/// run has no such place: it comes before the first recorded run that started after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the points have in common.
    pub key: SeriesKey,
    /// At least one; each has at least one sample.
    pub points: Vec<RunPoint>,
}

/// What one run measured of a series. A run whose environment changed midway makes one point for each.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPoint {
    /// The run; of a rolled-up day its last.
    pub run_id: i64,
    /// When the run started; of a rolled-up day, when its first attempt ended.
    pub at: SystemTime,
    /// Every finite number measured, in the order in which they came. Of a rolled-up day no more than 32 quantiles,
    /// which stand for `measured` of them.
    pub samples: Vec<f64>,
    /// How many numbers were measured.
    pub measured: u64,
    /// Their median.
    pub median: f64,
    /// Attempts of the model there, those that failed and those that created a session included.
    pub attempts: u64,
    /// How many of them failed. They gave no samples.
    pub failures: u64,
    /// The commit, where there was one.
    pub git_commit: Option<Arc<str>>,
    /// Its branch.
    pub git_branch: Option<Arc<str>>,
    /// What else the numbers hang on.
    pub environment: Arc<Environment>,
}

/// Which series, and which of their points. The default is all of them.
#[derive(Clone, Debug, Default)]
pub struct SeriesFilter {
    /// Runs that started at this time or later.
    pub since: Option<SystemTime>,
    /// Runs that started before this time.
    pub until: Option<SystemTime>,
    /// Only so many runs, the last ones: of those that measured anything and that the rest of the filter lets through.
    pub last: Option<usize>,
    /// Runs of this branch.
    pub branch: Option<String>,
    /// The model of this name.
    pub model: Option<String>,
    /// The target of this name.
    pub target: Option<String>,
    /// This operation.
    pub operation: Option<String>,
    /// These metrics; empty for all.
    pub metrics: Vec<Metric>,
}

impl SeriesFilter {
    pub(super) fn wanted(&self) -> Vec<Metric> {
        if self.metrics.is_empty() { Metric::ALL.to_vec() } else { self.metrics.clone() }
    }
}

impl History {
    /// Every series that the filter lets through, by key.
    ///
    /// # Errors
    /// [`HistoryError::Statement`] when the file is damaged.
    pub fn series(&self, filter: &SeriesFilter) -> Result<Vec<Series>, HistoryError> {
        read(&self.database, filter)
    }

    /// The same one by one, which takes far less memory: what was measured is kept close together, and only one series
    /// at a time as points.
    ///
    /// # Errors
    /// [`HistoryError::Statement`] when the file is damaged.
    pub fn each_series(&self, filter: &SeriesFilter, visit: impl FnMut(Series)) -> Result<(), HistoryError> {
        each(&self.database, filter, visit)
    }
}

pub(super) fn read(database: &Database, filter: &SeriesFilter) -> Result<Vec<Series>, HistoryError> {
    let mut all = Vec::new();
    each(database, filter, |series| all.push(series))?;
    Ok(all)
}

fn each(database: &Database, filter: &SeriesFilter, visit: impl FnMut(Series)) -> Result<(), HistoryError> {
    let collected = Collected::read(database.connection(), filter).map_err(database.failed("read"))?;
    collected.each(visit);
    Ok(())
}
