//! A benchmark: what was measured, how the targets compare, and what could not be measured.

use super::{TableStyle, align_right, joined, targets};
use crate::report::{BenchReport, BenchSeries, Comparison, gist::gist, quantity};
use crate::types::{ByteSize, Target};
use comfy_table::{Cell, Color};

/// A benchmark: where its numbers come from, a row for every model, target and concurrency, how the targets compare,
/// and what could not be measured. Times are in milliseconds.
pub fn bench_table(report: &BenchReport, style: TableStyle) -> String {
    joined([
        quantity::provenance(&report.tabfleet, report.started, &report.host),
        targets::targets(&report.targets, style),
        series(report, style),
        stages(report, style),
        comparisons(report, style),
        failures(report, style),
    ])
}

const SERIES: [&str; 12] = [
    "model",
    "target",
    "at once",
    "runs",
    "load ms",
    "median ms",
    "95 % CI",
    "p95 ms",
    "p99 ms",
    "mean ms",
    "per s",
    "stopped by",
];

fn series(report: &BenchReport, style: TableStyle) -> String {
    if report.series.is_empty() {
        return String::new();
    }
    let mut table = style.table(&SERIES);
    for series in &report.series {
        table.add_row(row(report, series));
    }
    align_right(&mut table, 2..=10);
    let mut text = table.trim_fmt();
    if report.series.iter().any(|series| series.cpu_fallback == Some(true)) {
        text += "\n +cpu  some of the model ran on the CPU, not on the target's backend";
    }
    text
}

fn row(report: &BenchReport, series: &BenchSeries) -> Vec<Cell> {
    let cpu = if series.cpu_fallback == Some(true) { " +cpu" } else { "" };
    let interval = series.median_ci.map(|[from, to]| format!("{}–{}", quantity::number(from), quantity::number(to)));
    [
        series.model.clone(),
        format!("{}{cpu}", name(report, series.target)),
        series.concurrency.to_string(),
        series.samples.to_string(),
        quantity::number_or_dash(series.load_ms),
        quantity::number(series.median_ms),
        quantity::or_dash(interval),
        quantity::number_or_dash(series.p95_ms),
        quantity::number_or_dash(series.p99_ms),
        quantity::number_or_dash(series.mean_ms),
        quantity::number_or_dash(series.throughput_per_s),
        series.stopped_by.clone(),
    ]
    .map(Cell::new)
    .into()
}

/// Where the stages of models in stages ran.
fn stages(report: &BenchReport, style: TableStyle) -> String {
    if report.series.iter().all(|series| series.stages.is_empty()) {
        return String::new();
    }
    let mut table = style.table(&["in stages", "at once", "stage", "ran in", "median ms", "from tab to tab"]);
    for series in &report.series {
        for (index, stage) in series.stages.iter().enumerate() {
            table.add_row([
                series.model.clone(),
                series.concurrency.to_string(),
                format!("{} of {}", index + 1, series.stages.len()),
                format!("{} {}", name(report, stage.target), stage.tab),
                quantity::number(stage.median_ms),
                quantity::or_dash((stage.direct_bytes > 0).then(|| ByteSize(stage.direct_bytes as u64).to_string())),
            ]);
        }
    }
    align_right(&mut table, [1, 4, 5]);
    table.trim_fmt()
}

fn comparisons(report: &BenchReport, style: TableStyle) -> String {
    if report.comparisons.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["model", "compared", "median ratio", "p", "p adjusted", "so"]);
    for comparison in &report.comparisons {
        let (a, b) = (name(report, comparison.a), name(report, comparison.b));
        let colour = if comparison.significant { Color::Green } else { Color::DarkGrey };
        table.add_row([
            style.painted(&comparison.model, None),
            style.painted(format!("{a} by {b}"), None),
            style.painted(quantity::number(comparison.ratio), None),
            style.painted(quantity::p_value(comparison.p_value), None),
            style.painted(quantity::p_value(comparison.p_adjusted), None),
            style.painted(conclusion(comparison, &a), Some(colour)),
        ]);
    }
    align_right(&mut table, 2..=4);
    table.trim_fmt()
}

fn conclusion(comparison: &Comparison, a: &str) -> String {
    if !comparison.significant {
        return "no significant difference".to_owned();
    }
    let (times, word) =
        if comparison.ratio < 1.0 { (1.0 / comparison.ratio, "fast") } else { (comparison.ratio, "slow") };
    format!("{a} is {}× as {word}", quantity::number(times))
}

fn failures(report: &BenchReport, style: TableStyle) -> String {
    if report.failures.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["not measured", "target", "error"]);
    for failure in &report.failures {
        let error = format!("{}: {}", failure.category, gist(&failure.message, 160));
        table.add_row([failure.model.clone(), name(report, failure.target), error]);
    }
    table.trim_fmt()
}

fn name(report: &BenchReport, target: Target) -> String {
    targets::name_of(&report.targets, target)
}
