//! What differs between two sets of results: two runs, or two browsers within one. Described field by field in
//! docs/JSON.md.

mod kind;
mod side;
#[cfg(test)]
mod tests;

pub use kind::{ChangeKind, Outcome};
pub use side::{Side, SideRow};

use super::CaseResult;
use crate::{stats, types::Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One case on one target that is not what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseChange {
    /// How it differs.
    pub kind: ChangeKind,
    /// The suite's name.
    pub suite: String,
    /// The case's name in it.
    pub case: String,
    /// The target; where two browsers are compared, the backend.
    pub target: String,
    /// What became of it before; `None` without a result.
    pub before: Option<Outcome>,
    /// What became of it after.
    pub after: Option<Outcome>,
}

/// What is to be said of one target as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetDiff {
    /// The target; where two browsers are compared, the backend.
    pub target: String,
    /// The browser's version before and after; `None` where it is not known.
    pub versions: [Option<String>; 2],
    /// How many changes of each kind.
    pub totals: BTreeMap<String, usize>,
    /// The cases that passed and were timed on both sides.
    pub timed: usize,
    /// The median, over them, of the run time after by that before: above 1, it got slower. Each case was timed once, so
    /// it shows large shifts of the whole; whether a single case got slower is a question to the history.
    pub run_time_ratio: Option<f64>,
}

/// What differs between two sets of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixDiff {
    /// The version of tabfleet that compared.
    pub tabfleet: String,
    /// The one side.
    pub before: SideRow,
    /// The other.
    pub after: SideRow,
    /// How many cases on targets have a result on both sides.
    pub compared: usize,
    /// How many results are the same on both sides, as far as anybody wants to know.
    pub same: usize,
    /// For each target of either side, what is to be said of all of it.
    pub targets: Vec<TargetDiff>,
    /// What is not what it was: first what wants attention most, then by name.
    pub changes: Vec<CaseChange>,
}

impl MatrixDiff {
    /// Compares the two sides. What the second was not to try is left out: it is no news that it was not.
    pub fn of(before: &Side<'_>, after: &Side<'_>) -> Self {
        let was_to_try = before.results.keys().filter(|key| after.was_to_try(key));
        let keys: BTreeSet<_> = was_to_try.chain(after.results.keys()).collect();
        let mut changes: Vec<CaseChange> = keys
            .iter()
            .filter_map(|key| change(key, before.results.get(*key).copied(), after.results.get(*key).copied()))
            .collect();
        let same = keys.len() - changes.len();
        let compared = before.results.keys().filter(|key| after.results.contains_key(*key)).count();
        // Within a kind they stay in the order of their names.
        changes.sort_by_key(|change| change.kind);
        let columns: BTreeSet<&String> =
            before.versions.keys().chain(after.versions.keys()).chain(keys.iter().map(|key| &key.2)).collect();
        let targets = columns.into_iter().map(|column| target_diff(column, before, after, &changes)).collect();
        let tabfleet = env!("CARGO_PKG_VERSION").to_owned();
        Self { tabfleet, before: before.about.clone(), after: after.about.clone(), compared, same, targets, changes }
    }

    /// How many changes there are of each kind that there is one of.
    pub fn totals(&self) -> BTreeMap<ChangeKind, usize> {
        totals(&self.changes)
    }

    /// Whether something is worse than it was.
    pub fn is_worse(&self) -> bool {
        self.changes.iter().any(|change| change.kind.is_worse())
    }
}

fn change(
    (suite, case, target): &(&str, &str, String),
    before: Option<&CaseResult>,
    after: Option<&CaseResult>,
) -> Option<CaseChange> {
    let (before, after) = (before.map(Outcome::from), after.map(Outcome::from));
    let kind = ChangeKind::between(before.as_ref(), after.as_ref())?;
    let [suite, case, target] = [suite, case, &**target].map(str::to_owned);
    Some(CaseChange { kind, suite, case, target, before, after })
}

fn target_diff(target: &String, before: &Side<'_>, after: &Side<'_>, changes: &[CaseChange]) -> TargetDiff {
    let ratios: Vec<f64> = before
        .results
        .iter()
        .filter(|(key, _)| key.2 == *target)
        .filter_map(|(key, was)| Some(passed_in(after.results.get(key)?)? / passed_in(was)?))
        .filter(|ratio| ratio.is_finite())
        .collect();
    let version = |side: &Side<'_>| side.versions.get(target).copied().flatten().map(str::to_owned);
    let of_target = changes.iter().filter(|change| change.target == *target);
    TargetDiff {
        target: target.clone(),
        versions: [version(before), version(after)],
        totals: totals(of_target).into_iter().map(|(kind, n)| (kind.to_string(), n)).collect(),
        timed: ratios.len(),
        run_time_ratio: stats::median(&ratios),
    }
}

fn passed_in(result: &CaseResult) -> Option<f64> {
    result.run_ms.filter(|_| result.verdict == Verdict::Pass)
}

fn totals<'a>(changes: impl IntoIterator<Item = &'a CaseChange>) -> BTreeMap<ChangeKind, usize> {
    let mut totals = BTreeMap::new();
    for change in changes {
        *totals.entry(change.kind).or_default() += 1;
    }
    totals
}
