//! What was found in series, a row each.

use super::{super::TableStyle, Columns, because, commit, counted, day, measured, name, percent, plain};
use crate::{
    report::{Findings, Grade, WindowRow, quantity},
    stats::trend::Course,
};
use comfy_table::{Cell, Color};

pub(super) fn series(findings: &Findings, style: TableStyle) -> String {
    let columns = Columns {
        heads: [
            "model",
            "target",
            "metric",
            "runs",
            "samples",
            "failed",
            "first",
            "latest",
            "of the first",
            "last run",
        ],
        right: 3..=8,
        whole: &[1, 2, 3, 4, 5, 6, 7, 8, 9],
    };
    columns.of(&findings.series, style, |row| {
        let (samples, failures) = row
            .points
            .iter()
            .fold((0, 0), |(samples, failures), point| (samples + point.samples, failures + point.failures));
        let (first, last) = (row.points.first(), row.points.last());
        let ratio =
            first.zip(last).filter(|(first, _)| first.median != 0.0).map(|(first, last)| last.median / first.median);
        let shown = |point: Option<&crate::report::PointRow>| {
            quantity::or_dash(point.map(|point| measured(point.median, &row.name)))
        };
        [
            name(&row.name),
            row.name.target.clone(),
            row.name.metric.clone(),
            row.points.len().to_string(),
            samples.to_string(),
            failures.to_string(),
            shown(first),
            shown(last),
            quantity::or_dash(ratio.map(|ratio| percent(ratio - 1.0))),
            quantity::or_dash(last.map(|point| day(point.at))),
        ]
    })
}

const fn severity_colour(severity: Grade) -> Color {
    match severity {
        Grade::Critical | Grade::Severe => Color::Red,
        Grade::Moderate => Color::Yellow,
        Grade::Improvement => Color::Green,
        Grade::Minor | Grade::Unchanged => Color::DarkGrey,
    }
}

pub(super) fn regressions(findings: &Findings, style: TableStyle) -> String {
    let columns = Columns {
        heads: [
            "severity",
            "model",
            "target",
            "metric",
            "was",
            "is",
            "change",
            "95 % CI",
            "p adjusted",
            "samples",
            "what else changed",
        ],
        right: 4..=9,
        whole: &[0, 2, 3, 4, 5, 6, 7, 8, 9],
    };
    columns.of(&findings.regressions, style, |row| {
        let by_baseline = |shift: f64| if row.baseline.median == 0.0 { f64::NAN } else { shift / row.baseline.median };
        let interval = row.shift_interval.map(|ends| ends.map(|end| percent(by_baseline(end))).join(" to "));
        let mut also = because(&row.environment_changes, commits_between(&row.baseline, &row.candidate).as_ref());
        if let Some(note) = &row.note {
            also = if also.is_empty() { note.clone() } else { format!("{also}; {note}") };
        }
        [
            style.painted(row.severity, Some(severity_colour(row.severity))),
            Cell::new(name(&row.series)),
            Cell::new(&row.series.target),
            Cell::new(&row.series.metric),
            Cell::new(measured(row.baseline.median, &row.series)),
            Cell::new(measured(row.candidate.median, &row.series)),
            Cell::new(percent(row.relative)),
            Cell::new(quantity::or_dash(interval)),
            Cell::new(quantity::p_value(row.p_adjusted)),
            Cell::new(format!("{} + {}", row.baseline.samples, row.candidate.samples)),
            Cell::new(also),
        ]
    })
}

fn commits_between(baseline: &WindowRow, candidate: &WindowRow) -> Option<[String; 2]> {
    let ([_, from], [_, to]) = (baseline.commits.clone()?, candidate.commits.clone()?);
    Some([from, to])
}

pub(super) fn change_points(findings: &Findings, style: TableStyle) -> String {
    let columns = Columns {
        heads: [
            "when",
            "model",
            "target",
            "metric",
            "before",
            "after",
            "change",
            "confidence",
            "run",
            "what else changed",
        ],
        right: 4..=8,
        whole: &[0, 2, 3, 4, 5, 6, 7, 8],
    };
    columns.of(&findings.change_points, style, |row| {
        let colour = if row.worse { Color::Red } else { Color::Green };
        [
            Cell::new(day(row.at)),
            Cell::new(name(&row.series)),
            Cell::new(&row.series.target),
            Cell::new(&row.series.metric),
            Cell::new(measured(row.before, &row.series)),
            Cell::new(measured(row.after, &row.series)),
            style.painted(quantity::or_dash(row.relative.map(percent)), Some(colour)),
            Cell::new(format!("{:.2}", row.confidence)),
            Cell::new(row.run_id),
            Cell::new(because(&row.environment_changes, row.commits.as_ref())),
        ]
    })
}

pub(super) fn trends(findings: &Findings, style: TableStyle) -> String {
    let columns = Columns {
        heads: ["trend", "model", "target", "metric", "a day", "95 % CI", "in 30 days", "p adjusted", "points"],
        right: 4..=8,
        whole: &[0, 2, 3, 4, 5, 6, 7, 8],
    };
    columns.of(&findings.trends, style, |row| {
        let colour = match row.trend {
            Course::Degrading => Some(Color::Red),
            Course::Improving => Some(Color::Green),
            Course::Stable => None,
        };
        let [from, to] = row.slope_interval.map(quantity::number);
        [
            style.painted(row.trend, colour),
            Cell::new(name(&row.series)),
            Cell::new(&row.series.target),
            Cell::new(&row.series.metric),
            Cell::new(measured(row.slope_per_day, &row.series)),
            Cell::new(format!("{from} to {to}")),
            Cell::new(quantity::or_dash(row.relative_per_30_days.map(percent))),
            Cell::new(quantity::p_value(row.p_adjusted)),
            Cell::new(row.points),
        ]
    })
}

pub(super) fn anomalies(findings: &Findings, style: TableStyle) -> String {
    let columns = Columns {
        heads: ["when", "model", "target", "metric", "was", "expected", "deviations", "run", "commit"],
        right: 4..=7,
        whole: &[0, 2, 3, 4, 5, 6, 7, 8],
    };
    columns.of(&findings.anomalies, style, |row| {
        [
            day(row.at),
            name(&row.series),
            row.series.target.clone(),
            row.series.metric.clone(),
            measured(row.value, &row.series),
            measured(row.expected, &row.series),
            format!("{:+.1}", row.deviations),
            row.run_id.to_string(),
            quantity::or_dash(row.commit.as_deref().map(commit)),
        ]
    })
}

pub(super) fn forecasts(findings: &Findings, style: TableStyle) -> String {
    let columns = Columns {
        heads: ["model", "target", "metric", "next", "interval", "last step", "interval", "budget"],
        right: 3..=6,
        whole: &[1, 2, 3, 4, 5, 6],
    };
    columns.of(&findings.forecasts, style, |row| {
        let shown = |point: Option<&[f64; 3]>| match point {
            Some([value, low, high]) => {
                [measured(*value, &row.series), format!("{}–{}", plain(*low, &row.series), plain(*high, &row.series))]
            }
            None => [quantity::NOT_MEASURED, quantity::NOT_MEASURED].map(str::to_owned),
        };
        let ([next, next_interval], [last, last_interval]) = (shown(row.points.first()), shown(row.points.last()));
        let ahead = match row.step_days {
            Some(days) => format!("{} days", quantity::number(row.points.len() as f64 * days)),
            None => counted(row.points.len(), "run", "runs"),
        };
        [
            name(&row.series),
            row.series.target.clone(),
            row.series.metric.clone(),
            next,
            next_interval,
            format!("{last} in {ahead}"),
            last_interval,
            quantity::or_dash(row.crossing.clone()),
        ]
    })
}
