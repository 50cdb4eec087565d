//! Answers of the history: what was asked for, a table each.

use super::{TableStyle, align_right, joined, keep_whole};
use crate::{
    report::quantity,
    report::{Findings, LookedAt, SeriesName, WindowRow},
};
use comfy_table::{Cell, Color, Table};
use time::{OffsetDateTime, UtcOffset};

/// The unit of memory.
const BYTES: &str = "bytes";

/// Most rows of a table in the terminal; JSON and HTML have them all.
const LISTED: usize = 60;

/// What a question to the history was answered with, as tables.
pub fn history_table(findings: &Findings, style: TableStyle) -> String {
    let answer = match findings.question.as_str() {
        "show" => series(findings, style),
        "regressions" => regressions(findings, style),
        "change-points" => change_points(findings, style),
        "trends" => trends(findings, style),
        "anomalies" => anomalies(findings, style),
        "forecast" => forecasts(findings, style),
        "correlations" => correlations(findings, style),
        "health" => health(findings, style),
        _ => recommendations(findings, style),
    };
    let nothing = || format!("{}: nothing to tell of.", findings.question);
    let answer = if answer.is_empty() { nothing() } else { answer };
    joined([answer, not_judged(findings, style), sum(findings)])
}

fn sum(findings: &Findings) -> String {
    let LookedAt { series, runs } = findings.looked_at;
    let (series, runs) = (counted(series, "series", "series"), counted(runs, "run", "runs"));
    let mut text = format!("{series} of {runs} in {}", findings.file);
    let regressions = findings.regressions.iter().filter(|row| row.is_regression()).count();
    if findings.question == "regressions" {
        let improvements = findings.regressions.len() - regressions;
        let (worse, better) =
            (counted(regressions, "regression", "regressions"), counted(improvements, "improvement", "improvements"));
        text += &format!(": {worse}, {better}");
    }
    text
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A series' name as far as it tells more than the column beside it.
fn name(series: &SeriesName) -> String {
    let mut words = vec![series.model.clone()];
    words.extend((series.operation != "infer").then(|| series.operation.clone()));
    words.extend(series.batch.map(|batch| format!("batch {batch}")));
    words.extend(series.precision.clone());
    words.join(" ")
}

fn measured(value: f64, series: &SeriesName) -> String {
    match series.unit.as_str() {
        BYTES => format!("{} MiB", plain(value, series)),
        unit => format!("{} {unit}", plain(value, series)).trim_end().to_owned(),
    }
}

/// Without its unit; bytes are told in mebibytes.
fn plain(value: f64, series: &SeriesName) -> String {
    let scale = if series.unit == BYTES { 1_f64 / f64::from(1 << 20) } else { 1.0 };
    quantity::number(value * scale)
}

/// A share as a signed percentage.
fn percent(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}

fn day(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())
}

fn commit(commit: &str) -> &str {
    commit.get(..9).unwrap_or(commit)
}

fn because(changes: &[String], commits: Option<&[String; 2]>) -> String {
    let mut words: Vec<String> = changes.to_vec();
    if let Some([from, to]) = commits.filter(|[from, to]| from != to) {
        words.push(format!("commits {}..{}", commit(from), commit(to)));
    }
    words.join("; ")
}

/// The rows that a terminal shows, and how many more there are.
fn listed<T>(rows: &[T], table: &mut Table, row: impl Fn(&T) -> Vec<Cell>) -> String {
    for each in rows.iter().take(LISTED) {
        table.add_row(row(each));
    }
    match rows.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("\n and {more} more; --json and --html have them all"),
    }
}

fn series(findings: &Findings, style: TableStyle) -> String {
    if findings.series.is_empty() {
        return String::new();
    }
    let mut table = style.table(&[
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
    ]);
    let more = listed(&findings.series, &mut table, |row| {
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
        .map(Cell::new)
        .into()
    });
    align_right(&mut table, 3..=8);
    keep_whole(&mut table, 1..=9);
    table.trim_fmt() + &more
}

fn severity_colour(severity: &str) -> Color {
    match severity {
        "critical" | "severe" => Color::Red,
        "moderate" => Color::Yellow,
        "improvement" => Color::Green,
        _ => Color::DarkGrey,
    }
}

fn regressions(findings: &Findings, style: TableStyle) -> String {
    if findings.regressions.is_empty() {
        return String::new();
    }
    let mut table = style.table(&[
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
    ]);
    let more = listed(&findings.regressions, &mut table, |row| {
        let by_baseline = |shift: f64| if row.baseline.median == 0.0 { f64::NAN } else { shift / row.baseline.median };
        let interval = row.shift_interval.map(|ends| ends.map(|end| percent(by_baseline(end))).join(" to "));
        let mut also = because(&row.environment_changes, commits_between(&row.baseline, &row.candidate).as_ref());
        if let Some(note) = &row.note {
            also = if also.is_empty() { note.clone() } else { format!("{also}; {note}") };
        }
        vec![
            style.painted(&row.severity, Some(severity_colour(&row.severity))),
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
    });
    align_right(&mut table, 4..=9);
    keep_whole(&mut table, [0, 2, 3, 4, 5, 6, 7, 8, 9]);
    table.trim_fmt() + &more
}

fn commits_between(baseline: &WindowRow, candidate: &WindowRow) -> Option<[String; 2]> {
    let ([_, from], [_, to]) = (baseline.commits.clone()?, candidate.commits.clone()?);
    Some([from, to])
}

fn change_points(findings: &Findings, style: TableStyle) -> String {
    if findings.change_points.is_empty() {
        return String::new();
    }
    let mut table = style.table(&[
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
    ]);
    let more = listed(&findings.change_points, &mut table, |row| {
        let colour = if row.worse { Color::Red } else { Color::Green };
        vec![
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
    });
    align_right(&mut table, 4..=8);
    keep_whole(&mut table, [0, 2, 3, 4, 5, 6, 7, 8]);
    table.trim_fmt() + &more
}

fn trends(findings: &Findings, style: TableStyle) -> String {
    if findings.trends.is_empty() {
        return String::new();
    }
    let mut table =
        style.table(&["trend", "model", "target", "metric", "a day", "95 % CI", "in 30 days", "p", "points"]);
    let more = listed(&findings.trends, &mut table, |row| {
        let colour = match row.trend.as_str() {
            "degrading" => Some(Color::Red),
            "improving" => Some(Color::Green),
            _ => None,
        };
        let [from, to] = row.slope_interval.map(quantity::number);
        vec![
            style.painted(&row.trend, colour),
            Cell::new(name(&row.series)),
            Cell::new(&row.series.target),
            Cell::new(&row.series.metric),
            Cell::new(measured(row.slope_per_day, &row.series)),
            Cell::new(format!("{from} to {to}")),
            Cell::new(quantity::or_dash(row.relative_per_30_days.map(percent))),
            Cell::new(quantity::p_value(row.p_value)),
            Cell::new(row.points),
        ]
    });
    align_right(&mut table, 4..=8);
    keep_whole(&mut table, [0, 2, 3, 4, 5, 6, 7, 8]);
    table.trim_fmt() + &more
}

fn anomalies(findings: &Findings, style: TableStyle) -> String {
    if findings.anomalies.is_empty() {
        return String::new();
    }
    let mut table =
        style.table(&["when", "model", "target", "metric", "was", "expected", "deviations", "run", "commit"]);
    let more = listed(&findings.anomalies, &mut table, |row| {
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
        .map(Cell::new)
        .into()
    });
    align_right(&mut table, 4..=7);
    keep_whole(&mut table, [0, 2, 3, 4, 5, 6, 7, 8]);
    table.trim_fmt() + &more
}

fn forecasts(findings: &Findings, style: TableStyle) -> String {
    if findings.forecasts.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["model", "target", "metric", "next", "interval", "last step", "interval", "budget"]);
    let more = listed(&findings.forecasts, &mut table, |row| {
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
        .map(Cell::new)
        .into()
    });
    align_right(&mut table, 3..=6);
    keep_whole(&mut table, [1, 2, 3, 4, 5, 6]);
    table.trim_fmt() + &more
}

fn correlations(findings: &Findings, style: TableStyle) -> String {
    if findings.correlations.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["model", "target", "what", "rho", "lag in runs", "p adjusted", "runs"]);
    let more = listed(&findings.correlations, &mut table, |row| {
        [
            name(&row.a),
            row.a.target.clone(),
            row.says.clone(),
            format!("{:+.2}", row.rho),
            row.lag.to_string(),
            quantity::p_value(row.p_adjusted),
            row.points.to_string(),
        ]
        .map(Cell::new)
        .into()
    });
    align_right(&mut table, 3..=6);
    keep_whole(&mut table, [1, 3, 4, 5, 6]);
    table.trim_fmt() + &more
}

fn recommendations(findings: &Findings, style: TableStyle) -> String {
    if findings.recommendations.is_empty() {
        return String::new();
    }
    let mut table =
        style.table(&["model", "place", "target", "median ms", "samples", "failed", "newest", "confidence", ""]);
    let rows: Vec<_> = findings
        .recommendations
        .iter()
        .flat_map(|of| of.targets.iter().enumerate().map(move |row| (of, row)))
        .collect();
    let more = listed(&rows, &mut table, |(of, (place, row))| {
        let says = match (&row.refused, row.tied, place) {
            (Some(refused), ..) => refused.clone(),
            (None, _, 0) => of.says.clone(),
            (None, true, _) => "as good, as far as the data tell".to_owned(),
            (None, false, _) => String::new(),
        };
        let first = |text: String| if *place == 0 { text } else { String::new() };
        let colour = if row.refused.is_some() { Color::DarkGrey } else { Color::Green };
        vec![
            Cell::new(first(of.model.clone())),
            Cell::new(place + 1),
            style.painted(&row.target, (*place == 0 || row.tied || row.refused.is_some()).then_some(colour)),
            Cell::new(quantity::number_or_dash(row.median_ms)),
            Cell::new(row.samples),
            Cell::new(format!("{:.1} %", row.failure_share * 100.0)),
            Cell::new(format!("{:.1} days", row.age_days)),
            Cell::new(first(quantity::or_dash(of.confidence.map(|confidence| format!("{confidence:.2}"))))),
            Cell::new(says),
        ]
    });
    align_right(&mut table, [1, 3, 4, 5, 6, 7]);
    keep_whole(&mut table, 1..=7);
    table.trim_fmt() + &more
}

fn health(findings: &Findings, style: TableStyle) -> String {
    if findings.health.is_empty() {
        return String::new();
    }
    let mut table = style.table(&[
        "target",
        "attempts",
        "failed",
        "breakers opened",
        "recoveries",
        "helped",
        "median ms",
        "health checks",
        "failed",
        "last attempt",
    ]);
    let more = listed(&findings.health, &mut table, |row| {
        let share = |failed: u64, of: u64| match of {
            0 => quantity::NOT_MEASURED.to_owned(),
            of => format!("{failed} ({:.1} %)", 100.0 * failed as f64 / of as f64),
        };
        [
            row.target.clone(),
            row.attempts.to_string(),
            share(row.failures, row.attempts),
            row.circuit_opened.to_string(),
            row.recoveries.to_string(),
            row.helped.to_string(),
            quantity::number_or_dash(row.recovery_ms),
            row.health_checks.to_string(),
            share(row.failed_checks, row.health_checks),
            quantity::or_dash(row.last_at.map(day)),
        ]
        .map(Cell::new)
        .into()
    });
    align_right(&mut table, 1..=8);
    keep_whole(&mut table, [0, 9]);
    table.trim_fmt() + &more
}

/// Reasons, and how many series each holds for.
fn not_judged(findings: &Findings, style: TableStyle) -> String {
    if findings.not_judged.is_empty() {
        return String::new();
    }
    let mut reasons: std::collections::BTreeMap<&str, Vec<String>> = std::collections::BTreeMap::new();
    for row in &findings.not_judged {
        let series = format!("{} on {} ({})", name(&row.series), row.series.target, row.series.metric);
        reasons.entry(&row.reason).or_default().push(series);
    }
    let mut table = style.table(&["not judged", "because", "such as"]);
    for (reason, series) in reasons {
        table.add_row([counted(series.len(), "series", "series"), reason.to_owned(), series[0].clone()]);
    }
    align_right(&mut table, [0]);
    table.trim_fmt()
}
