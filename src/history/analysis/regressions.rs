//! What got slower, or faster, since a baseline.

use super::rows::{commits, not_judged};
use crate::{
    history::{RunPoint, Series},
    report::{Findings, RegressionRow, WindowRow},
    stats::{
        regression::{Change, Finding, Pair, Severity, Thresholds, scan},
        shift::{RunVariation, ShiftSettings, WindowSummary},
    },
};
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

/// A series that was last measured this long before the newest run is not judged any more: what was found would be
/// found again for ever.
const LATELY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Which runs are compared with which.
#[derive(Clone, Debug)]
pub struct Windows {
    /// The runs that are judged: so many of the newest of each series, and more where they have too few samples. 1.
    pub candidate_runs: usize,
    /// The runs that they are compared with: so many before those. 10.
    pub baseline_runs: usize,
    /// The runs that they are compared with, by number, in place of those before.
    pub pinned: Option<BTreeSet<i64>>,
    /// Only these runs are judged, each of series of its own; what they did not measure is not.
    pub judged_runs: Option<BTreeSet<i64>>,
    /// Also what is neither large nor sure enough to be anything.
    pub all: bool,
}

impl Default for Windows {
    fn default() -> Self {
        Self { candidate_runs: 1, baseline_runs: 10, pinned: None, judged_runs: None, all: false }
    }
}

impl Windows {
    /// How many of a series' points are looked at, counted back from the newest that is judged; `None` where a pinned run
    /// may be any of them.
    #[must_use]
    pub fn points_needed(&self) -> Option<usize> {
        self.pinned.is_none().then(|| self.candidate_runs.max(WIDEST) + self.baseline_runs)
    }
}

/// The most runs that a candidate window is widened to, for samples enough.
const WIDEST: usize = 7;

/// Compares the windows of every series and judges them together: what differs is in
/// [`Findings::regressions`], the worst first, what could not be compared in [`Findings::not_judged`]. Returns the
/// worst severity of a regression; one that is minor for want of evidence is none.
pub fn regressions(series: &[Series], windows: &Windows, findings: &mut Findings) -> Option<Severity> {
    let newest = series.iter().filter_map(|series| series.points.last()).map(|point| point.at).max();
    let mut pairs = Vec::new();
    for series in series {
        match split(series, windows, newest) {
            Ok(Some((baseline, candidate))) => pairs.push(Pair {
                direction: series.key.metric.better(),
                baseline: samples(&baseline),
                candidate: samples(&candidate),
                series: Split { series, baseline, candidate },
            }),
            Ok(None) => {}
            Err(reason) => findings.not_judged.push(not_judged(series, reason)),
        }
    }
    let scan = scan(pairs, &Thresholds::default(), &ShiftSettings::default());
    let sure = scan.findings.iter().filter(|finding| matters(finding));
    let worst = sure.filter_map(|finding| finding.change.regression()).max();
    let shown = |finding: &&Finding<Split<'_>>| windows.all || matters(finding);
    let mut told: Vec<(i32, RegressionRow)> =
        scan.findings.iter().filter(shown).map(|finding| (rank(finding.change), row(finding))).collect();
    told.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.relative.abs().total_cmp(&a.1.relative.abs())));
    findings.regressions.extend(told.into_iter().map(|(_, row)| row));
    findings.not_judged.extend(scan.refused.iter().map(|(split, reason)| not_judged(split.series, reason)));
    worst
}

struct Split<'a> {
    series: &'a Series,
    baseline: Vec<&'a RunPoint>,
    candidate: Vec<&'a RunPoint>,
}

type Sides<'a> = (Vec<&'a RunPoint>, Vec<&'a RunPoint>);

/// The two windows; `None` for a series that the question leaves out.
fn split<'a>(series: &'a Series, windows: &Windows, newest: Option<SystemTime>) -> Result<Option<Sides<'a>>, String> {
    let mut points: Vec<&RunPoint> = series.points.iter().collect();
    let Some(last) = points.last() else { return Ok(None) };
    if let Some(runs) = &windows.judged_runs {
        // What came after them is not their business.
        let Some(at) = points.iter().rposition(|point| runs.contains(&point.run_id)) else { return Ok(None) };
        points.truncate(at + 1);
    } else if newest.is_some_and(|newest| newest.duration_since(last.at).is_ok_and(|age| age > LATELY)) {
        return Err("it was not measured in the last seven days".to_owned());
    }
    let needed = ShiftSettings::default().least_samples;
    let pinned = |point: &&RunPoint| windows.pinned.as_ref().is_some_and(|runs| runs.contains(&point.run_id));
    let since = points.iter().rposition(&pinned).map_or(0, |last| last + 1);
    let judged = &points[since..];
    let mut width = windows.candidate_runs.clamp(1, judged.len().max(1));
    let held = |width: usize| judged.iter().rev().take(width).map(|point| point.samples.len()).sum::<usize>();
    while width < judged.len().min(WIDEST) && held(width) < needed {
        width += 1;
    }
    let (before, candidate) = judged.split_at(judged.len().saturating_sub(width));
    let baseline: Vec<&RunPoint> = match &windows.pinned {
        Some(_) => points.iter().copied().filter(pinned).collect(),
        None => before[before.len().saturating_sub(windows.baseline_runs)..].to_vec(),
    };
    match (baseline.is_empty(), candidate.is_empty()) {
        (true, _) => Err("there is no run to compare it with".to_owned()),
        (_, true) => Err("it was not measured since the baseline".to_owned()),
        _ => Ok(Some((baseline, candidate.to_vec()))),
    }
}

fn samples(points: &[&RunPoint]) -> Vec<Vec<f64>> {
    points.iter().map(|point| point.samples.clone()).collect()
}

/// Whether a finding is worth a line without being asked for: an unsure one is not, whatever its size.
fn matters(finding: &Finding<Split<'_>>) -> bool {
    match finding.change {
        Change::Regression(severity) | Change::Improvement(severity) => {
            Thresholds::default().matters(severity, finding.adjusted_p)
        }
        Change::Unchanged => false,
    }
}

fn rank(change: Change) -> i32 {
    match change {
        Change::Regression(severity) => -1 - severity as i32,
        Change::Improvement(_) => 0,
        Change::Unchanged => 1,
    }
}

fn row(finding: &Finding<Split<'_>>) -> RegressionRow {
    let Split { series, baseline, candidate } = &finding.series;
    let shift = &finding.shift;
    let environment_changes = match (baseline.last(), candidate.last()) {
        (Some(from), Some(to)) => from.environment.changes(&to.environment),
        _ => Vec::new(),
    };
    let unknown = shift.dependence.run_variation == RunVariation::Unknown;
    RegressionRow {
        series: (&series.key).into(),
        severity: finding.change.into(),
        baseline: window(baseline, &shift.baseline),
        candidate: window(candidate, &shift.candidate),
        shift: shift.shift,
        shift_interval: shift.interval,
        relative: shift.relative.unwrap_or(f64::INFINITY.copysign(shift.shift)),
        p_value: shift.p,
        p_adjusted: finding.adjusted_p,
        effect: shift.cliffs_delta,
        detectable: shift.detectable,
        environment_changes,
        note: unknown.then(|| "too few runs to know how much runs differ".to_owned()),
    }
}

fn window(points: &[&RunPoint], summary: &WindowSummary) -> WindowRow {
    let ends = points.first().zip(points.last());
    WindowRow {
        runs: points.iter().map(|point| point.run_id).collect(),
        samples: summary.samples,
        median: summary.median,
        commits: ends.and_then(|(first, last)| commits(first, last)),
    }
}
