//! What happens within a series: changes of its level, trends, points that stand out.

use super::rows::{commit, commits, days, medians, not_judged};
use crate::{
    history::Series,
    report::{AnomalyRow, ChangeRow, Findings, TrendRow},
    stats::{
        anomalies::{Anomalies, Verdict},
        change_points,
        multiple::benjamini_hochberg,
        trend::{self, Course},
    },
};

/// Where each series changed its level, the newest change first.
pub fn change_points(series: &[Series], findings: &mut Findings) {
    for series in series {
        for change in change_points::change_points(&medians(series)) {
            let (before, point) = (&series.points[change.index - 1], &series.points[change.index]);
            findings.change_points.push(ChangeRow {
                series: (&series.key).into(),
                index: change.index,
                run_id: point.run_id,
                at: point.at.into(),
                before: change.before,
                after: change.after,
                relative: change.relative(),
                confidence: change.confidence,
                worse: series.key.metric.better().is_worse(change.after - change.before),
                commits: commits(before, point),
                environment_changes: before.environment.changes(&point.environment),
            });
        }
    }
    findings.change_points.sort_by(|a, b| b.at.cmp(&a.at).then(a.series.cmp(&b.series)));
}

/// Where each series is going, judged together (of many series without a trend some seem to have one), those that get
/// worse first.
pub fn trends(series: &[Series], findings: &mut Findings) {
    let settings = trend::TrendSettings::default();
    let mut found = Vec::new();
    for series in series {
        let points: Vec<(f64, f64)> = days(series).into_iter().zip(medians(series)).collect();
        match trend::trend(&points, series.key.metric.better(), &settings) {
            Ok(trend) => found.push((series, trend)),
            Err(reason) => findings.not_judged.push(not_judged(series, reason)),
        }
    }
    let p_values: Vec<f64> = found.iter().map(|(_, trend)| trend.p).collect();
    for ((series, trend), p_adjusted) in found.into_iter().zip(benjamini_hochberg(&p_values)) {
        let middle = crate::stats::median(&medians(series)).filter(|middle| *middle != 0.0);
        findings.trends.push(TrendRow {
            series: (&series.key).into(),
            trend: trend.course_by(p_adjusted, series.key.metric.better(), &settings),
            slope_per_day: trend.slope,
            slope_interval: trend.slope_interval,
            relative_per_30_days: middle.map(|middle| trend.slope * 30.0 / middle.abs()),
            p_value: trend.p,
            p_adjusted,
            points: trend.points,
        });
    }
    let order = |row: &TrendRow| match row.trend {
        Course::Degrading => 0,
        Course::Improving => 1,
        Course::Stable => 2,
    };
    let size = |row: &TrendRow| row.relative_per_30_days.map_or(f64::INFINITY, f64::abs);
    findings.trends.sort_by(|a, b| order(a).cmp(&order(b)).then(size(b).total_cmp(&size(a))));
}

/// Points of each series that stand out from those before, the newest first.
pub fn anomalies(series: &[Series], findings: &mut Findings) {
    for series in series {
        let values = medians(series);
        let mut detector = Anomalies::default();
        for (index, value) in values.iter().enumerate() {
            let Verdict::Outlier { expected, deviations } = detector.push(*value) else { continue };
            let point = &series.points[index];
            findings.anomalies.push(AnomalyRow {
                series: (&series.key).into(),
                index,
                run_id: point.run_id,
                at: point.at.into(),
                value: *value,
                expected,
                deviations,
                commit: commit(point),
            });
        }
    }
    findings.anomalies.sort_by(|a, b| b.at.cmp(&a.at).then(a.series.cmp(&b.series)));
}
