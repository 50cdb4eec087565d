//! Series as what tables, JSON and pages show.

use crate::{
    history::{RunPoint, Series, SeriesKey},
    report::{NotJudged, PointRow, SeriesName, SeriesRow},
    stats::Direction,
};
use time::OffsetDateTime;

impl From<&SeriesKey> for SeriesName {
    fn from(key: &SeriesKey) -> Self {
        Self {
            model: key.model.clone(),
            operation: key.operation.clone(),
            batch: key.batch,
            precision: key.precision.clone(),
            target: key.target.clone(),
            adapter: key.adapter.clone(),
            host: key.host.clone(),
            metric: key.metric.name().to_owned(),
            unit: key.metric.unit().to_owned(),
        }
    }
}

/// The series with all their points.
pub fn series_rows(series: &[Series]) -> Vec<SeriesRow> {
    series.iter().map(row).collect()
}

fn row(series: &Series) -> SeriesRow {
    let before = std::iter::once(None).chain(series.points.iter().map(Some));
    let points = before.zip(&series.points).map(|(before, point)| point_row(before, point));
    SeriesRow {
        name: (&series.key).into(),
        lower_is_better: series.key.metric.better() == Direction::LowerIsBetter,
        points: points.collect(),
    }
}

fn point_row(before: Option<&RunPoint>, point: &RunPoint) -> PointRow {
    let mut sorted = point.samples.clone();
    sorted.sort_by(f64::total_cmp);
    let nearest_rank = |quarter: usize| {
        let rank = (sorted.len() * quarter).div_ceil(4).saturating_sub(1);
        sorted.get(rank).copied().unwrap_or(point.median)
    };
    PointRow {
        run_id: point.run_id,
        at: OffsetDateTime::from(point.at),
        median: point.median,
        quartiles: [nearest_rank(1), nearest_rank(3)],
        samples: usize::try_from(point.measured).unwrap_or(usize::MAX),
        attempts: point.attempts,
        failures: point.failures,
        commit: commit(point),
        environment_changes: before.map(|before| before.environment.changes(&point.environment)).unwrap_or_default(),
    }
}

pub(super) fn commit(point: &RunPoint) -> Option<String> {
    point.git_commit.as_deref().map(str::to_owned)
}

/// The commits of two points, where both are known.
pub(super) fn commits(from: &RunPoint, to: &RunPoint) -> Option<[String; 2]> {
    Some([commit(from)?, commit(to)?])
}

pub(super) fn not_judged(series: &Series, reason: impl ToString) -> NotJudged {
    NotJudged { series: (&series.key).into(), reason: reason.to_string() }
}

/// The points' medians.
pub(super) fn medians(series: &Series) -> Vec<f64> {
    series.points.iter().map(|point| point.median).collect()
}

/// The times of the points in days since the first, never running backwards: a clock that was set back meanwhile must
/// not turn a series around.
pub(super) fn days(series: &Series) -> Vec<f64> {
    let Some(first) = series.points.first() else { return Vec::new() };
    let mut latest = 0.0_f64;
    let since_first = |point: &RunPoint| {
        let elapsed = point.at.duration_since(first.at).unwrap_or_default().as_secs_f64() / 86_400.0;
        latest = latest.max(elapsed);
        latest
    };
    series.points.iter().map(since_first).collect()
}
