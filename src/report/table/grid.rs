//! Every case on every target, one cell each, in as many blocks as the terminal's width asks for.

use super::{TableStyle, colour_of, targets};
use crate::{
    report::{CaseResult, MatrixReport, TargetBuild, TargetRow, quantity},
    types::Verdict,
};
use comfy_table::{Cell, ContentArrangement};
use std::collections::BTreeMap;

/// What a case needed the CPU for, though another backend was asked for.
const PARTLY_CPU: &str = "+cpu";

struct Column<'a> {
    target: TargetBuild<'a>,
    header: String,
    row: Option<&'a TargetRow>,
}

type Cases<'a> = BTreeMap<(&'a str, &'a str), BTreeMap<TargetBuild<'a>, &'a CaseResult>>;

/// Every case on every target that works.
pub(super) fn grid(report: &MatrixReport, style: TableStyle) -> String {
    let cases = report.by_case();
    let (columns, left_out): (Vec<_>, Vec<_>) =
        report.columns().into_iter().map(column).partition(|column| is_shown(column, &cases));
    let one_suite = cases.keys().all(|(suite, _)| cases.keys().next().is_some_and(|(first, _)| first == suite));
    let labels: Vec<String> = cases
        .keys()
        .map(|(suite, case)| if one_suite { case.to_string() } else { format!("{suite}/{case}") })
        .collect();
    let mut parts: Vec<String> = blocks(columns, &labels, &cases, style.width)
        .iter()
        .map(|block| self::block(block, &labels, &cases, style))
        .collect();
    parts.push(legend(&cases, &left_out));
    super::joined(parts).trim_end().to_owned()
}

fn column<'a>((target, row): (TargetBuild<'a>, Option<&'a TargetRow>)) -> Column<'a> {
    Column { target, header: row.map_or_else(|| target.to_string(), targets::name), row }
}

/// A target that does not work, and on which nothing was tried, would be a column of one word.
fn is_shown(column: &Column, cases: &Cases) -> bool {
    let tried = |results: &BTreeMap<TargetBuild<'_>, &CaseResult>| {
        results.get(&column.target).is_some_and(|result| result.verdict != Verdict::Unavailable)
    };
    column.row.is_none_or(|row| row.available) || cases.values().any(tried)
}

/// The columns in blocks that each fit the width beside the cases' names.
fn blocks<'a>(columns: Vec<Column<'a>>, labels: &[String], cases: &Cases, width: Option<u16>) -> Vec<Vec<Column<'a>>> {
    let padded = |text: &str| text.chars().count() + 3;
    let room = width.map_or(usize::MAX, usize::from);
    let names = labels.iter().map(|label| padded(label)).max().unwrap_or_default();
    let mut blocks: Vec<Vec<Column>> = Vec::new();
    let mut used = usize::MAX;
    for column in columns {
        let cells = cases.values().map(|results| padded(&text(results.get(&column.target).copied(), column.row)));
        let needed = cells.chain([padded(&column.header)]).max().unwrap_or_default();
        match blocks.last_mut() {
            Some(block) if used.saturating_add(needed) <= room => {
                block.push(column);
                used += needed;
            }
            _ => {
                blocks.push(vec![column]);
                used = names + needed;
            }
        }
    }
    blocks
}

fn block(columns: &[Column], labels: &[String], cases: &Cases, style: TableStyle) -> String {
    let headers: Vec<&str> = ["case"].into_iter().chain(columns.iter().map(|column| &*column.header)).collect();
    let mut table = style.table(&headers);
    table.set_content_arrangement(ContentArrangement::Disabled);
    for (label, results) in labels.iter().zip(cases.values()) {
        let cells = columns.iter().map(|column| cell(results.get(&column.target).copied(), column.row, style));
        table.add_row([Cell::new(label)].into_iter().chain(cells));
    }
    table.trim_fmt()
}

fn cell(result: Option<&CaseResult>, row: Option<&TargetRow>, style: TableStyle) -> Cell {
    style.painted(text(result, row), result.map(|result| colour_of(result.verdict)))
}

fn text(result: Option<&CaseResult>, row: Option<&TargetRow>) -> String {
    let Some(result) = result else {
        let works = row.is_none_or(|row| row.available);
        return if works { quantity::NOT_MEASURED } else { Verdict::Unavailable.name() }.to_owned();
    };
    let mut text = result.verdict.to_string();
    if result.cpu_fallback == Some(true) {
        text = format!("{text} {PARTLY_CPU}");
    }
    if result.attempts > 1 {
        text = format!("{text} ×{}", result.attempts);
    }
    text
}

fn legend(cases: &Cases, left_out: &[Column]) -> String {
    let results = || cases.values().flat_map(BTreeMap::values);
    let mut lines = Vec::new();
    if results().any(|result| result.cpu_fallback == Some(true)) {
        lines.push(format!(" {PARTLY_CPU}  some of the model ran on the CPU, not on the target's backend"));
    }
    if results().any(|result| result.attempts > 1) {
        lines.push(" ×N    took N attempts".to_owned());
    }
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|column| &*column.header).collect();
        lines.push(format!(" not shown, for they do not work here: {}", names.join(", ")));
    }
    lines.join("\n")
}
