//! What earlier runs in the history say of where models run best, for the placement of this fleet's jobs.

use crate::{
    history::{History, HistoryError, Metric, SeriesFilter, analysis},
    report::{Findings, Question},
    schedule::TargetSet,
    types::Target,
};
use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, SystemTime},
};

/// Older measurements are of other browsers.
const RECENT: Duration = Duration::from_secs(60 * 24 * 3600);
/// Runs that are looked at: the ranking takes no more of a series.
const RUNS: usize = 40;
/// Below this confidence the family's prior decides. It is what ten samples a target, six weeks old, of targets that
/// differ clearly still have.
const CONFIDENT: f64 = 0.05;

/// By a model's name, the targets that it runs best on: several where they are as good as each other.
pub(super) type Measured = HashMap<String, TargetSet>;

/// What the history says, as far as it was measured on machines like this one. Without a file it says nothing; one that
/// cannot be read is the recorder's to refuse.
pub(super) fn read(path: &Path, host: &str) -> Measured {
    if !path.exists() {
        return Measured::new();
    }
    from_history(path, host).unwrap_or_else(|error| {
        tracing::debug!(%error, "the history could not be asked where models run best");
        Measured::new()
    })
}

fn from_history(path: &Path, host: &str) -> Result<Measured, HistoryError> {
    let now = SystemTime::now();
    let filter = SeriesFilter {
        since: now.checked_sub(RECENT),
        last: Some(RUNS),
        metrics: vec![Metric::RunMs],
        ..SeriesFilter::default()
    };
    let mut series = History::open(path)?.series(&filter)?;
    // Another build of a browser, or what an imported report calls a target, is none that a fleet could choose.
    series.retain(|series| series.key.target.parse::<Target>().is_ok());
    let mut findings = Findings::new(Question::Recommend, path);
    analysis::recommendations(&series, now, &mut findings);
    let here = findings.recommendations.into_iter().filter(|row| row.host == host && row.targets.len() > 1);
    let confident = here.filter(|row| row.confidence.is_some_and(|confidence| confidence >= CONFIDENT));
    let measured = confident.map(|row| {
        let best = row.targets.iter().enumerate().filter(|(place, target)| *place == 0 || target.tied);
        let targets: TargetSet = best.filter_map(|(_, target)| target.target.parse::<Target>().ok()).collect();
        tracing::info!(model = row.model, best = row.targets[0].target, says = row.says, "measured before");
        (row.model, targets)
    });
    Ok(measured.collect())
}
