//! What differs between two runs or browsers.

use super::{TableStyle, colour_of, joined, keep_whole};
use crate::report::{CaseChange, ChangeKind, MatrixDiff, Outcome, SideRow, TargetDiff, gist::gist, quantity};
use comfy_table::Color;
use std::collections::BTreeMap;

/// Most changes listed in the terminal; JSON and HTML have them all.
const LISTED: usize = 200;

/// What differs: each change, and for each target its versions and how run times moved.
pub fn diff_table(diff: &MatrixDiff, style: TableStyle) -> String {
    let more = diff.changes.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more, which --json has") } else { String::new() };
    joined([changes(diff, style), more, targets(diff, style), sum(diff)])
}

fn changes(diff: &MatrixDiff, style: TableStyle) -> String {
    if diff.changes.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["changed", "case", "target", "before", "after", "error"]);
    for change in diff.changes.iter().take(LISTED) {
        table.add_row([
            style.painted(change.kind, Some(colour(change.kind))),
            style.painted(format!("{}/{}", change.suite, change.case), None),
            style.painted(&change.target, None),
            outcome(change.before.as_ref(), style),
            outcome(change.after.as_ref(), style),
            style.painted(error(change), None),
        ]);
    }
    keep_whole(&mut table, [0, 2, 3, 4]);
    table.trim_fmt()
}

fn outcome(outcome: Option<&Outcome>, style: TableStyle) -> comfy_table::Cell {
    style.painted(said(outcome), outcome.map(|outcome| colour_of(outcome.verdict)))
}

/// A verdict with what else is to be said of a pass.
pub(in crate::report) fn said(outcome: Option<&Outcome>) -> String {
    let Some(Outcome { verdict, flaky, cpu_fallback, .. }) = outcome else { return quantity::NOT_MEASURED.to_owned() };
    match (flaky, cpu_fallback) {
        (true, _) => format!("{verdict}, flaky"),
        (false, Some(true)) => format!("{verdict} +cpu"),
        _ => verdict.to_string(),
    }
}

/// The error after, where there is one: the one before is no longer of interest.
fn error(change: &CaseChange) -> String {
    let error = change.after.as_ref().and_then(|outcome| outcome.error.as_ref());
    error.map(|error| gist(&error.message, 90)).unwrap_or_default()
}

const fn colour(kind: ChangeKind) -> Color {
    match kind {
        ChangeKind::Broke | ChangeKind::NewFailure => Color::Red,
        ChangeKind::FailsOtherwise | ChangeKind::NotTried | ChangeKind::Flaky | ChangeKind::ToCpu => Color::Yellow,
        ChangeKind::Fixed | ChangeKind::OffCpu | ChangeKind::NewPass => Color::Green,
    }
}

fn targets(diff: &MatrixDiff, style: TableStyle) -> String {
    if diff.targets.is_empty() {
        return String::new();
    }
    let mut table = style.table(&["target", "browser version", "changed", "run time (median of cases)"]);
    for target in &diff.targets {
        table.add_row([
            style.painted(&target.target, None),
            style.painted(versions(target), None),
            style.painted(counted(&target.totals), None),
            style.painted(ratio(target), None),
        ]);
    }
    keep_whole(&mut table, [0]);
    table.trim_fmt()
}

/// The browser's version, or from which to which.
pub(in crate::report) fn versions(target: &TargetDiff) -> String {
    let [before, after] = target.versions.clone().map(quantity::or_dash);
    if before == after { before } else { format!("{before} → {after}") }
}

/// How much of the run time before it took after.
pub(in crate::report) fn ratio(target: &TargetDiff) -> String {
    target.run_time_ratio.map_or_else(
        || quantity::NOT_MEASURED.to_owned(),
        |ratio| format!("×{} ({} cases)", quantity::number(ratio), target.timed),
    )
}

/// How many of each kind, in words.
pub(in crate::report) fn counted<K: std::fmt::Display>(totals: &BTreeMap<K, usize>) -> String {
    if totals.is_empty() {
        return "nothing".to_owned();
    }
    totals.iter().map(|(kind, n)| format!("{n} {kind}")).collect::<Vec<_>>().join(", ")
}

fn sum(diff: &MatrixDiff) -> String {
    format!(
        "from {} to {}: {}; {} results are the same",
        side(&diff.before),
        side(&diff.after),
        counted(&diff.totals()),
        diff.same
    )
}

/// A side's name, with when it ran and on which commit.
pub(in crate::report) fn side(side: &SideRow) -> String {
    let commit = side.ci.as_ref().and_then(|ci| ci.commit.as_deref());
    let commit = commit.map(|commit| format!(", {}", commit.get(..10).unwrap_or(commit))).unwrap_or_default();
    format!("{} ({}{commit})", side.name, quantity::minute(side.started))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Side, sample};

    #[test]
    fn two_runs() {
        let (before, after) = (sample::matrix(), sample::next_matrix());
        let diff = MatrixDiff::of(&Side::run("before.json", &before), &Side::run("after.json", &after));
        insta::assert_snapshot!(diff_table(&diff, TableStyle { colour: false, width: Some(140) }));
    }

    #[test]
    fn a_run_and_itself() {
        let report = sample::matrix();
        let side = Side::run("sample.json", &report);
        insta::assert_snapshot!(diff_table(&MatrixDiff::of(&side, &side), TableStyle::default()));
    }
}
