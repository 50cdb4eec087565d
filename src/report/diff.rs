//! What differs between two sets of results: two runs, or two browsers within one. Described field by field in
//! docs/JSON.md.

use super::{CaseResult, CiRun, ErrorRow, MatrixReport, ReportError, TargetBuild, file};
use crate::{
    stats,
    types::{Verdict, names},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use time::OffsetDateTime;

/// How what became of a case differs. In the order in which they want attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// Passed before, fails now.
    Broke,
    /// Was not tried before (there is no result, or it was skipped or unavailable), and fails now.
    NewFailure,
    /// Failed before, and fails with another verdict now.
    FailsOtherwise,
    /// Was tried before, is not now.
    NotTried,
    /// Passed before, and passes now only when it is tried again.
    Flaky,
    /// Passes on both sides; ran on the target's backend before, and needs the CPU for some nodes now.
    ToCpu,
    /// Failed before, passes now.
    Fixed,
    /// Passes on both sides; needed the CPU before, and runs on the backend now.
    OffCpu,
    /// Was not tried before, and passes now.
    NewPass,
}
names!(ChangeKind {
    Broke = "broke",
    NewFailure = "new-failure",
    FailsOtherwise = "fails-otherwise",
    NotTried = "not-tried",
    Flaky = "flaky",
    ToCpu = "to-cpu",
    Fixed = "fixed",
    OffCpu = "off-cpu",
    NewPass = "new-pass",
});

impl ChangeKind {
    /// Whether somebody wants to know of it: all but what got better, and what is new and passes.
    pub const fn is_worse(self) -> bool {
        !matches!(self, Self::Fixed | Self::OffCpu | Self::NewPass)
    }

    /// In a few words.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Broke => "passed before, fails now",
            Self::NewFailure => "was not tried before, fails now",
            Self::FailsOtherwise => "failed before, fails in another way now",
            Self::NotTried => "was tried before, is not now",
            Self::Flaky => "passed before, passes only when it is tried again now",
            Self::ToCpu => "ran on the backend before, needs the CPU for a part now",
            Self::Fixed => "failed before, passes now",
            Self::OffCpu => "needed the CPU before, runs on the backend now",
            Self::NewPass => "was not tried before, passes now",
        }
    }

    /// How these two differ; `None` where they do not, as far as anybody wants to know.
    fn between(before: Option<&Outcome>, after: Option<&Outcome>) -> Option<Self> {
        let tried = |outcome: &&Outcome| outcome.verdict.is_tried();
        let (was, is) = match (before.filter(tried), after.filter(tried)) {
            (None, None) => return None,
            (Some(_), None) => return Some(Self::NotTried),
            (None, Some(is)) if is.verdict.is_failure() => return Some(Self::NewFailure),
            (None, Some(_)) => return Some(Self::NewPass),
            (Some(was), Some(is)) => (was, is),
        };
        match (was.verdict.is_failure(), is.verdict.is_failure()) {
            (true, true) => (was.verdict != is.verdict).then_some(Self::FailsOtherwise),
            (false, true) => Some(Self::Broke),
            (true, false) => Some(Self::Fixed),
            // One that passes steadily now has not changed its verdict.
            (false, false) if was.flaky => None,
            (false, false) if is.flaky => Some(Self::Flaky),
            (false, false) => match (was.cpu_fallback == Some(true), is.cpu_fallback == Some(true)) {
                (false, true) => Some(Self::ToCpu),
                (true, false) => Some(Self::OffCpu),
                _ => None,
            },
        }
    }
}

/// What became of a case on one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether it passed, but not each time that it was tried.
    pub flaky: bool,
    /// Whether the session needed the CPU for some nodes; `None` where the runtime cannot tell.
    pub cpu_fallback: Option<bool>,
    /// The run itself, in milliseconds.
    pub run_ms: Option<f64>,
    /// What went wrong.
    pub error: Option<ErrorRow>,
}

impl From<&CaseResult> for Outcome {
    fn from(result: &CaseResult) -> Self {
        let CaseResult { verdict, flaky, cpu_fallback, run_ms, error, .. } = result;
        Self { verdict: *verdict, flaky: *flaky, cpu_fallback: *cpu_fallback, run_ms: *run_ms, error: error.clone() }
    }
}

/// Where one side's results come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideRow {
    /// What it is called: a file, or a browser.
    pub name: String,
    /// What tells its run from every other.
    pub run: Option<String>,
    /// When the run started.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// The commit and the job.
    pub ci: Option<CiRun>,
}

/// One side of a comparison: results by what they are compared by.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    about: SideRow,
    results: BTreeMap<(&'a str, &'a str, String), &'a CaseResult>,
    versions: BTreeMap<String, Option<&'a str>>,
    /// The cases that the run was to try; empty where an older tabfleet did not write them down.
    selected: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Side<'a> {
    /// All of a run, target by target.
    pub fn run(name: impl Into<String>, report: &'a MatrixReport) -> Self {
        Self::of(name, report, |column| Some(column.to_string()))
    }

    /// What is compared of a run: the results of every column that is given a name, under that name. Columns of both
    /// sides that have the same name are compared with each other. Of two results of a case in a column the later counts.
    pub fn of(
        name: impl Into<String>,
        report: &'a MatrixReport,
        column: impl Fn(TargetBuild<'a>) -> Option<String>,
    ) -> Self {
        let about =
            SideRow { name: name.into(), run: report.run.clone(), started: report.started, ci: report.ci.clone() };
        let results = report
            .results
            .iter()
            .filter_map(|result| Some(((&*result.suite, &*result.case, column(result.column())?), result)));
        let versions = report.targets.iter().filter_map(|row| Some((column(row.column())?, row.version.as_deref())));
        let selected = report.cases.iter().map(|row| (&*row.suite, &*row.case)).collect();
        Self { about, results: results.collect(), versions: versions.collect(), selected }
    }

    /// Whether the run was to try the case there: one with a filter, or on fewer targets, was not to try the rest.
    fn was_to_try(&self, (suite, case, column): &(&str, &str, String)) -> bool {
        let selected = self.selected.is_empty() || self.selected.contains(&(*suite, *case));
        selected && (self.versions.is_empty() || self.versions.contains_key(column))
    }
}

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

/// Writes the difference's JSON, as docs/JSON.md describes it. The file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old file is then left as it was.
pub fn write_diff_json(diff: &MatrixDiff, path: &Path) -> Result<(), ReportError> {
    file::write_json(path, diff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn outcome(verdict: Verdict, flaky: bool, cpu: Option<bool>) -> Outcome {
        Outcome { verdict, flaky, cpu_fallback: cpu, run_ms: None, error: None }
    }

    #[test]
    fn every_pair_of_outcomes_has_the_kind_that_its_words_say() {
        use ChangeKind::*;
        let pass = outcome(Verdict::Pass, false, Some(false));
        let cpu = outcome(Verdict::Pass, false, Some(true));
        let flaky = outcome(Verdict::Pass, true, Some(false));
        let wrong = outcome(Verdict::Wrong, false, None);
        let crash = outcome(Verdict::Crash, false, None);
        let skipped = outcome(Verdict::Skipped, false, None);
        let sides = [None, Some(&pass), Some(&cpu), Some(&flaky), Some(&wrong), Some(&crash), Some(&skipped)];
        let table = [
            [None, Some(NewPass), Some(NewPass), Some(NewPass), Some(NewFailure), Some(NewFailure), None],
            [Some(NotTried), None, Some(ToCpu), Some(Flaky), Some(Broke), Some(Broke), Some(NotTried)],
            [Some(NotTried), Some(OffCpu), None, Some(Flaky), Some(Broke), Some(Broke), Some(NotTried)],
            [Some(NotTried), None, None, None, Some(Broke), Some(Broke), Some(NotTried)],
            [Some(NotTried), Some(Fixed), Some(Fixed), Some(Fixed), None, Some(FailsOtherwise), Some(NotTried)],
            [Some(NotTried), Some(Fixed), Some(Fixed), Some(Fixed), Some(FailsOtherwise), None, Some(NotTried)],
            [None, Some(NewPass), Some(NewPass), Some(NewPass), Some(NewFailure), Some(NewFailure), None],
        ];
        for (before, row) in sides.iter().zip(table) {
            for (after, kind) in sides.iter().zip(row) {
                assert_eq!(ChangeKind::between(*before, *after), kind, "{before:?} to {after:?}");
            }
        }
    }

    #[test]
    fn a_run_compared_with_itself_is_the_same_everywhere() {
        let report = sample::matrix();
        let side = Side::run("sample.json", &report);
        let diff = MatrixDiff::of(&side, &side);
        assert_eq!((diff.changes.len(), diff.same), (0, report.results.len()));
        assert!(!diff.is_worse());
        let timed = diff.targets.iter().filter(|target| target.timed > 0).count();
        assert_eq!(timed, 8);
        assert!(diff.targets.iter().all(|target| target.run_time_ratio.is_none_or(|ratio| ratio == 1.0)));
    }

    #[test]
    fn changes_are_told_with_what_wants_attention_first() {
        let (before, after) = (sample::matrix(), sample::next_matrix());
        let diff = MatrixDiff::of(&Side::run("before.json", &before), &Side::run("after.json", &after));
        let told: Vec<_> =
            diff.changes.iter().map(|change| format!("{} {} {}", change.kind, change.case, change.target)).collect();
        insta::assert_snapshot!(told.join("\n"));
        let firefox = diff.targets.iter().find(|target| target.target == "firefox/wasm").unwrap();
        assert_eq!(firefox.versions, [Some("153.1.0".to_owned()), Some("154.0.0".to_owned())]);
        assert_eq!(firefox.run_time_ratio, Some(2.0));
    }

    #[test]
    fn what_a_run_was_not_to_try_is_no_change() {
        let before = sample::matrix();
        let mut after = sample::matrix();
        let kept = |case: &str| case == "gelu";
        after.results.retain(|result| kept(&result.case));
        let compare =
            |after: &MatrixReport| MatrixDiff::of(&Side::run("before.json", &before), &Side::run("after.json", after));
        let all = compare(&after);
        assert!(all.changes.iter().any(|change| change.kind == ChangeKind::NotTried), "nobody said that they were not");
        let row = |suite: &str| crate::report::CaseRow {
            suite: suite.to_owned(),
            case: "gelu".to_owned(),
            operators: Vec::new(),
            opset: None,
            types: Vec::new(),
        };
        let suites: BTreeSet<String> = after.results.iter().map(|result| result.suite.clone()).collect();
        after.cases = suites.iter().map(|suite| row(suite)).collect();
        let filtered = compare(&after);
        assert_eq!(filtered.changes, []);
        after.targets.retain(|row| row.target == sample::target("chrome/wasm"));
        after.results.retain(|result| result.target == sample::target("chrome/wasm"));
        assert_eq!(compare(&after).changes, []);
    }

    #[test]
    fn builds_of_one_browser_are_compared_backend_by_backend() {
        let mut report = sample::matrix();
        let beta: Vec<_> = report
            .results
            .iter()
            .filter(|result| result.target == sample::target("chrome/wasm"))
            .cloned()
            .map(|mut result| {
                result.build = Some("beta".to_owned());
                if result.case == "gelu" {
                    result.verdict = Verdict::Wrong;
                }
                result
            })
            .collect();
        report.results.extend(beta);
        let build = |wanted: Option<&'static str>| {
            move |column: TargetBuild<'_>| {
                let is_chrome = column.target == sample::target("chrome/wasm") && column.build == wanted;
                is_chrome.then(|| column.target.backend.to_string())
            }
        };
        let before = Side::of("chrome", &report, build(None));
        let diff = MatrixDiff::of(&before, &Side::of("chrome@beta", &report, build(Some("beta"))));
        let [change] = &diff.changes[..] else { panic!("{:?}", diff.changes) };
        assert_eq!((change.kind, &*change.case, &*change.target), (ChangeKind::Broke, "gelu", "wasm"));
    }
}
