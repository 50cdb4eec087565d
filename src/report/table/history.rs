//! Answers of the history: what was asked for, a table each.

mod series;
mod targets;

use super::{TableStyle, align_right, joined, keep_whole};
use crate::{
    report::quantity,
    report::{Findings, Grade, LookedAt, Question, RegressionRow, SeriesName},
};
use comfy_table::Cell;
use std::ops::RangeInclusive;
use time::{OffsetDateTime, UtcOffset};

/// The unit of memory.
const BYTES: &str = "bytes";

/// Most rows of a table in the terminal; JSON and HTML have them all.
const LISTED: usize = 60;

/// What a question to the history was answered with, as tables.
pub fn history_table(findings: &Findings, style: TableStyle) -> String {
    let answer = match findings.question {
        Question::Show => series::series(findings, style),
        Question::Regressions => series::regressions(findings, style),
        Question::ChangePoints => series::change_points(findings, style),
        Question::Trends => series::trends(findings, style),
        Question::Anomalies => series::anomalies(findings, style),
        Question::Forecast => series::forecasts(findings, style),
        Question::Correlations => targets::correlations(findings, style),
        Question::Health => targets::health(findings, style),
        Question::Recommend | Question::Report => targets::recommendations(findings, style),
    };
    let nothing = || format!("{}: nothing to tell of.", findings.question);
    let answer = if answer.is_empty() { nothing() } else { answer };
    joined([answer, not_judged(findings, style), sum(findings)])
}

fn sum(findings: &Findings) -> String {
    let LookedAt { series, runs } = findings.looked_at;
    let (series, runs) = (counted(series, "series", "series"), counted(runs, "run", "runs"));
    let mut text = format!("{series} of {runs} in {}", findings.file);
    if findings.question == Question::Regressions {
        let count = |is: fn(&RegressionRow) -> bool| findings.regressions.iter().filter(|row| is(row)).count();
        let regressions = count(RegressionRow::is_regression);
        let improvements = count(|row| row.severity == Grade::Improvement);
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

/// A table of an answer.
struct Columns<const N: usize> {
    heads: [&'static str; N],
    /// Numbers: they end below one another.
    right: RangeInclusive<usize>,
    /// What is not broken into lines where the terminal is narrow.
    whole: &'static [usize],
}

impl<const N: usize> Columns<N> {
    /// The table with the rows that a terminal shows, and how many more there are; nothing where there is no row.
    fn of<T, C: Into<Cell>>(self, rows: &[T], style: TableStyle, row: impl Fn(&T) -> [C; N]) -> String {
        if rows.is_empty() {
            return String::new();
        }
        let mut table = style.table(&self.heads);
        for each in rows.iter().take(LISTED) {
            table.add_row(row(each).map(Into::into));
        }
        align_right(&mut table, self.right);
        keep_whole(&mut table, self.whole.iter().copied());
        match rows.len().saturating_sub(LISTED) {
            0 => table.trim_fmt(),
            more => format!("{}\n and {more} more; --json and --html have them all", table.trim_fmt()),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn what_is_unchanged_is_no_improvement() {
        let row = |severity: &str| {
            let window = json!({ "runs": [1], "samples": 5, "median": 1.0, "commits": null });
            serde_json::from_value(json!({
                "model": "add", "operation": "infer", "batch": null, "precision": null, "target": "chrome/wasm",
                "adapter": null, "host": "", "metric": "run_ms", "unit": "ms", "severity": severity, "baseline": window,
                "candidate": window, "shift": 0.0, "shift_interval": null, "relative": 0.0, "p_value": 1.0,
                "p_adjusted": 1.0, "effect": 0.0, "detectable": null
            }))
            .unwrap()
        };
        let mut findings = Findings::new(Question::Regressions, Path::new("h.duckdb"));
        findings.regressions = ["minor", "improvement", "unchanged", "unchanged"].map(row).to_vec();
        assert_eq!(sum(&findings), "0 series of 0 runs in h.duckdb: 1 regression, 1 improvement");
    }
}
