//! A matrix run: its targets, every case where they are few, the totals, and what failed.

use super::{TableStyle, align_right, colour_of, grid, joined, keep_whole, targets};
use crate::{
    report::{CaseResult, MatrixReport, TargetBuild, quantity},
    types::Verdict,
};
use comfy_table::{Color, ContentArrangement};
use std::collections::BTreeMap;

/// Above this many cases the grid is left out: it would be longer than anyone reads in a terminal.
const MOST_CASES_IN_GRID: usize = 40;

/// Above this many failures the rest is only counted.
const MOST_FAILURES_LISTED: usize = 200;

/// An error message is cut after this many characters; the JSON has all of it.
const MOST_OF_A_MESSAGE: usize = 160;

/// A matrix run: where its numbers come from, every case on every target where there are at most 40 cases, the totals
/// of each target, and what failed.
pub fn matrix_table(report: &MatrixReport, style: TableStyle) -> String {
    let cases = report.by_case().len();
    let grid = if cases <= MOST_CASES_IN_GRID { grid::grid(report, style) } else { String::new() };
    joined([
        quantity::provenance(&report.tabfleet, report.started, &report.host),
        targets::targets(&report.targets, style),
        grid,
        totals(report, style),
        failures(report, style),
        summary(report, cases),
    ])
}

fn totals(report: &MatrixReport, style: TableStyle) -> String {
    let totals = report.totals();
    let given = |verdict: &&Verdict| totals.values().any(|counts| counts.contains_key(verdict.name()));
    let verdicts: Vec<Verdict> = Verdict::ALL.iter().filter(given).copied().collect();
    if verdicts.is_empty() {
        return String::new();
    }
    let rows: Vec<(String, Option<Counts>)> = report
        .columns()
        .into_keys()
        .map(|target| (name(report, target), totals.get(&target.to_string()).filter(|counts| !counts.is_empty())))
        .collect();
    let plain = totals_in_columns(&rows, &verdicts, TableStyle { colour: false, ..style });
    let widest = plain.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    if style.width.is_none_or(|width| widest <= width.into()) {
        totals_in_columns(&rows, &verdicts, style)
    } else {
        totals_in_words(&rows, style)
    }
}

type Counts<'a> = &'a BTreeMap<String, usize>;

fn totals_in_columns(rows: &[(String, Option<Counts>)], verdicts: &[Verdict], style: TableStyle) -> String {
    let headers: Vec<&str> = ["target"].into_iter().chain(verdicts.iter().map(|verdict| verdict.name())).collect();
    let mut table = style.table(&headers);
    table.set_content_arrangement(ContentArrangement::Disabled);
    for (name, counts) in rows {
        let count = |verdict: &Verdict| match counts {
            None => style.painted(quantity::NOT_MEASURED, Some(Color::DarkGrey)),
            Some(counts) => match counts.get(verdict.name()) {
                Some(count) => style.painted(count, Some(colour_of(*verdict))),
                None => style.painted(0, Some(Color::DarkGrey)),
            },
        };
        table.add_row([style.painted(name, None)].into_iter().chain(verdicts.iter().map(count)));
    }
    align_right(&mut table, 1..=verdicts.len());
    table.trim_fmt()
}

fn totals_in_words(rows: &[(String, Option<Counts>)], style: TableStyle) -> String {
    let mut table = style.table(&["target", "results"]);
    for (name, counts) in rows {
        let words = counts.map(|counts| {
            let given = Verdict::ALL.iter().filter_map(|verdict| Some((verdict, counts.get(verdict.name())?)));
            given.map(|(verdict, count)| format!("{count} {verdict}")).collect::<Vec<_>>().join(", ")
        });
        table.add_row([name.clone(), quantity::or_dash(words)]);
    }
    keep_whole(&mut table, [0]);
    table.trim_fmt()
}

fn name(report: &MatrixReport, target: TargetBuild<'_>) -> String {
    targets::name_of(&report.targets, target)
}

fn failures(report: &MatrixReport, style: TableStyle) -> String {
    let cases = report.by_case();
    // What is expected to fail is nothing to look at.
    let has_failed = |result: &&&CaseResult| result.unexpected.unwrap_or(result.verdict.is_failure());
    let failed = || cases.values().flat_map(|results| results.values()).filter(has_failed);
    let count = failed().count();
    if count == 0 {
        return String::new();
    }
    let what = if report.expectations.is_some() { "unexpected" } else { "failed" };
    let mut table = style.table(&[what, "target", "verdict", "error"]);
    for result in failed().take(MOST_FAILURES_LISTED) {
        table.add_row([
            style.painted(format!("{}/{}", result.suite, result.case), None),
            style.painted(name(report, result.column()), None),
            style.painted(result.verdict, Some(colour_of(result.verdict))),
            style.painted(error(result), None),
        ]);
    }
    keep_whole(&mut table, [1, 2]);
    let mut text = table.trim_fmt();
    if count > MOST_FAILURES_LISTED {
        text += &format!("\n … and {} more, which the JSON and HTML reports have", count - MOST_FAILURES_LISTED);
    }
    text
}

fn error(result: &CaseResult) -> String {
    let error = result.error.as_ref();
    quantity::or_dash(error.map(|e| format!("{}: {}", e.category, quantity::one_line(&e.message, MOST_OF_A_MESSAGE))))
}

fn summary(report: &MatrixReport, cases: usize) -> String {
    let count = |verdict| report.results.iter().filter(|result| result.verdict == verdict).count();
    let counts: Vec<String> = Verdict::ALL
        .iter()
        .map(|verdict| (verdict, count(*verdict)))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    let state = if report.finished.is_some() { "" } else { " (unfinished)" };
    let counts = if counts.is_empty() { "no results".to_owned() } else { counts.join(", ") };
    let flaky = report.results.iter().filter(|result| result.flaky).count();
    let flaky = if flaky > 0 { format!("; {flaky} flaky") } else { String::new() };
    let unexpected = report.results.iter().filter(|result| result.unexpected == Some(true)).count();
    let unexpected = if report.expectations.is_some() { format!("; {unexpected} unexpected") } else { String::new() };
    format!("{cases} cases on {} targets: {counts}{flaky}{unexpected}{state}", report.columns().len())
}
