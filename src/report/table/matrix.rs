//! A matrix run: its targets, every case where they are few, the totals, and what failed.

use super::{TableStyle, align_right, colour_of, grid, joined, keep_whole, targets};
use crate::{
    report::{
        CaseResult, MatrixDiff, MatrixReport, TargetBuild,
        attention::{Group, attention},
        gist::gist,
        quantity,
    },
    types::Verdict,
};
use comfy_table::{Color, ContentArrangement};
use std::collections::BTreeMap;

/// Above this many cases the grid is left out: it would be longer than anyone reads in a terminal.
const MOST_CASES_IN_GRID: usize = 40;

/// Above this many rows of what wants attention the rest is only counted.
const MOST_LISTED: usize = 200;

/// An error message is cut after this many characters; the JSON has all of it.
const MOST_OF_A_MESSAGE: usize = 160;

/// A matrix run: where its numbers come from, every case on every target where there are at most 40 cases, the totals
/// of each target, and what wants attention. That is what failed; with expectations what is unexpected, and with the run
/// before what is worse than it was.
pub fn matrix_table(report: &MatrixReport, since: Option<&MatrixDiff>, style: TableStyle) -> String {
    let cases = report.by_case().len();
    let grid = if (1..=MOST_CASES_IN_GRID).contains(&cases) { grid::grid(report, style) } else { String::new() };
    joined([
        quantity::provenance(&report.tabfleet, report.started, &report.host),
        targets::targets(&report.targets, style),
        grid,
        totals(report, style),
        wanting_attention(report, since, style),
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

fn wanting_attention(report: &MatrixReport, since: Option<&MatrixDiff>, style: TableStyle) -> String {
    let groups = attention(report, since);
    let told: usize = groups
        .iter()
        .flat_map(|group| &group.results)
        .filter(|noted| noted.result.is_some_and(CaseResult::has_failed))
        .count();
    let failed = report.by_case().values().flat_map(BTreeMap::values).filter(|result| result.has_failed()).count();
    let mut parts: Vec<String> = groups.iter().map(|group| listed(group, style)).collect();
    if failed > told {
        parts.push(format!(" {} more failed, and did so in the run before", failed - told));
    }
    parts.join("\n\n")
}

fn listed(group: &Group<'_>, style: TableStyle) -> String {
    let mut table = style.table(&[group.name, "target", "verdict", "error"]);
    let (rows, left) = group.rows(MOST_LISTED);
    for row in &rows {
        let colour = row.noted.result.map(|result| colour_of(result.verdict));
        table.add_row([
            style.painted(row.noted.id(), None),
            style.painted(row.targets(), None),
            style.painted(row.noted.verdict(), colour),
            style.painted(quantity::or_dash(row.noted.message().map(|message| gist(message, MOST_OF_A_MESSAGE))), None),
        ]);
    }
    keep_whole(&mut table, [2]);
    let mut text = table.trim_fmt();
    if left > 0 {
        text += &format!("\n … and {left} more, which the JSON and HTML reports have");
    }
    text
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
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
    let (cases, targets) = (counted(cases, "case"), counted(report.columns().len(), "target"));
    format!("{cases} on {targets}: {counts}{flaky}{unexpected}{state}")
}
