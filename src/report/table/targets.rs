//! The targets with all that says where their numbers come from.

use super::{TableStyle, keep_whole};
use crate::report::{TargetBuild, TargetRow, quantity};
use comfy_table::Color;
use std::collections::BTreeMap;

/// The target's name as every table shows it: a stand-in's slot has a star.
pub(in crate::report) fn name(row: &TargetRow) -> String {
    let star = if row.stand_in { "*" } else { "" };
    let build = row.build.as_ref().map(|build| format!("@{build}")).unwrap_or_default();
    format!("{}{build}{star}/{}", row.browser, row.backend)
}

/// The same, where the target may not have been described.
pub(in crate::report) fn name_of<'a>(rows: &[TargetRow], target: impl Into<TargetBuild<'a>>) -> String {
    let target = target.into();
    rows.iter().find(|row| row.column() == target).map_or_else(|| target.to_string(), name)
}

/// One row a target, and below them what needs explaining.
pub(super) fn targets(rows: &[TargetRow], style: TableStyle) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["target", "works", "browser", "driven by", "computes on, or why not"]);
    for row in rows {
        let (works, colour) = if row.available { ("yes", Color::Green) } else { ("no", Color::DarkGrey) };
        let computes_on = if row.available { quantity::or_dash(device(row)) } else { reason(row) };
        table.add_row([
            style.painted(name(row), None),
            style.painted(works, Some(colour)),
            style.painted(quantity::or_dash(browser(row)), None),
            style.painted(quantity::or_dash(row.driver.clone()), None),
            style.painted(computes_on, None),
        ]);
    }
    keep_whole(&mut table, [0, 1]);
    let lines = [table.trim_fmt(), stand_ins(rows), runtimes(rows)];
    lines.into_iter().filter(|lines| !lines.is_empty()).collect::<Vec<_>>().join("\n")
}

/// What loads the models: nearly always one version everywhere, so it is no column.
fn runtimes(rows: &[TargetRow]) -> String {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        if let Some(runtime) = &row.runtime {
            users.entry(format!("{} {}", runtime.name, runtime.version)).or_default().push(name(row));
        }
    }
    let only_one = users.len() == 1;
    let line = |(runtime, users): (String, Vec<String>)| {
        if only_one { format!(" runtime: {runtime}") } else { format!(" runtime of {}: {runtime}", users.join(", ")) }
    };
    users.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Who really fills the slots that have a star.
fn stand_ins(rows: &[TargetRow]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for row in rows.iter().filter(|row| row.stand_in) {
        let who = quantity::product(row).unwrap_or_else(|| "another product".to_owned());
        let line = format!(" {}* is a stand-in: {who} fills the slot", row.browser);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

fn browser(row: &TargetRow) -> Option<String> {
    let product = quantity::product(row)?;
    let says_so = product.to_lowercase().starts_with("headless");
    Some(if row.headless == Some(true) && !says_so { format!("{product}, headless") } else { product })
}

fn device(row: &TargetRow) -> Option<String> {
    let adapter = row.adapter.as_ref().map(quantity::adapter);
    let webnn = row.webnn_device.as_ref().map(|device| format!("WebNN {device}"));
    let threads = row
        .threads
        .map(|threads| if threads == 1 { "1 WASM thread".to_owned() } else { format!("{threads} WASM threads") });
    // WASM threads serve a GPU backend too, but are not what it computes on.
    adapter.or(webnn).or(threads)
}

fn reason(row: &TargetRow) -> String {
    row.reason.as_ref().map_or_else(|| quantity::NOT_MEASURED.to_owned(), |reason| quantity::one_line(reason, 300))
}
