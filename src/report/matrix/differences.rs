//! What changes from one run to another, or from one browser to another of the same run.

use super::{CaseResult, MatrixReport, TargetBuild};
use crate::types::{Backend, Browser, Verdict};
use std::collections::BTreeMap;

/// What differs between two sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Differences {
    /// Cases that have another verdict, by suite, name and target.
    pub changes: Vec<Change>,
    /// How many cases on targets both sides have a result of.
    pub compared: usize,
    /// How many only one of them has.
    pub alone: usize,
}

/// A case with another verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `SUITE/CASE`.
    pub case: String,
    /// The target, or of two browsers the backend.
    pub place: String,
    /// Its verdict on the one side.
    pub before: Verdict,
    /// And on the other.
    pub after: Verdict,
    /// What went wrong on the other side.
    pub error: Option<String>,
}

impl Change {
    /// Whether it passed before and does not now.
    pub fn is_worse(&self) -> bool {
        self.after.is_failure() && !self.before.is_failure()
    }

    /// Whether it passes now and did not before.
    pub fn is_better(&self) -> bool {
        self.before.is_failure() && self.after == Verdict::Pass
    }
}

impl Differences {
    /// What changed from one run to another, target by target.
    pub fn of_runs(before: &MatrixReport, after: &MatrixReport) -> Self {
        let side = |report| side(report, |column: TargetBuild<'_>| Some(column.to_string()));
        Self::between(side(before), side(after))
    }

    /// What differs between two browsers of a run, or two builds of one, backend by backend.
    pub fn of_browsers(report: &MatrixReport, before: (Browser, Option<&str>), after: (Browser, Option<&str>)) -> Self {
        let of = |(browser, build): (Browser, Option<&str>)| {
            side(report, move |column: TargetBuild<'_>| {
                let backend: Backend = column.target.backend;
                (column.target.browser == browser && column.build == build).then(|| backend.to_string())
            })
        };
        Self::between(of(before), of(after))
    }

    fn between(before: Side<'_>, after: Side<'_>) -> Self {
        let mut found =
            Self { alone: after.keys().filter(|key| !before.contains_key(*key)).count(), ..Self::default() };
        for ((case, place), old) in before {
            let Some(new) = after.get(&(case.clone(), place.clone())) else {
                found.alone += 1;
                continue;
            };
            found.compared += 1;
            if old.verdict != new.verdict {
                let error = new.error.as_ref().map(|error| error.message.clone());
                found.changes.push(Change { case, place, before: old.verdict, after: new.verdict, error });
            }
        }
        found
    }
}

/// Results by case and place.
type Side<'a> = BTreeMap<(String, String), &'a CaseResult>;

fn side(report: &MatrixReport, place: impl Fn(TargetBuild<'_>) -> Option<String>) -> Side<'_> {
    let tried = report.results.iter().filter(|result| result.verdict != Verdict::Unavailable);
    let placed = tried
        .filter_map(|result| Some(((format!("{}/{}", result.suite, result.case), place(result.column())?), result)));
    placed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn runs_are_compared_target_by_target() {
        let before = sample::matrix();
        assert_eq!(Differences::of_runs(&before, &before).changes, []);
        let mut after = before.clone();
        after.results.retain(|result| result.case != "add");
        after.results.push(sample::result("gelu", "edge/webnn", Verdict::Pass));
        after.results.push(sample::result("conv_2d", "chrome/wasm", Verdict::Crash));
        let found = Differences::of_runs(&before, &after);
        let told: Vec<_> =
            found.changes.iter().map(|change| (&*change.case, &*change.place, change.is_worse())).collect();
        assert_eq!(told, [("sample/conv_2d", "chrome/wasm", true), ("sample/gelu", "edge/webnn", false)]);
        assert!(found.changes[1].is_better() && found.changes[0].error.is_some());
        assert_eq!((found.compared, found.alone), (before.results.len() - 8, 8));
    }

    #[test]
    fn builds_are_compared_backend_by_backend() {
        let mut report = sample::matrix();
        for verdict in [("conv_2d", Verdict::Wrong), ("add", Verdict::Pass)] {
            let result = sample::result(verdict.0, "chrome/wasm", verdict.1);
            report.results.push(CaseResult { build: Some("beta".into()), ..result });
        }
        let found = Differences::of_browsers(&report, (Browser::Chrome, None), (Browser::Chrome, Some("beta")));
        assert_eq!((found.compared, found.changes.len()), (2, 1));
        let change = &found.changes[0];
        assert_eq!((&*change.case, &*change.place, change.after), ("sample/conv_2d", "wasm", Verdict::Wrong));
        let none = Differences::of_browsers(&report, (Browser::Chrome, Some("esr")), (Browser::Chrome, None));
        assert_eq!(none.compared, 0);
    }
}
