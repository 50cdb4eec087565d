//! What of a run somebody should look at in the morning, and nothing else.

use super::{
    CaseResult, ChangeKind, ErrorRow, MatrixDiff, MatrixReport, Outcome,
    table::{diff::said, targets},
};
use std::collections::{BTreeMap, BTreeSet};

/// Results that want attention for the same reason.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    /// The reason, in a word or two.
    pub name: &'static str,
    /// The reason, in a sentence.
    pub about: &'static str,
    /// Whether it is worth an alarm, or only a look.
    pub alarming: bool,
    /// The results.
    pub results: Vec<Noted<'a>>,
}

impl<'a> Group<'a> {
    /// The first `most` rows of a list of the results, and how many results are in none of them. What several targets say
    /// of a case in the same words is one row.
    pub fn rows(&self, most: usize) -> (Vec<Row<'_, 'a>>, usize) {
        let mut rows: Vec<Row<'_, 'a>> = Vec::new();
        for noted in &self.results {
            // A case's results stand together.
            let of_case = rows.iter_mut().rev().take_while(|row| row.noted.id() == noted.id());
            let mut alike = of_case.filter(|row| row.noted.says() == noted.says());
            match alike.next() {
                Some(row) => row.targets.push(&noted.target),
                None => rows.push(Row { noted, targets: vec![&noted.target] }),
            }
        }
        let left = rows.iter().skip(most).map(Row::count).sum();
        rows.truncate(most);
        (rows, left)
    }
}

/// What the same is to be said of: a case, and its targets.
#[derive(Clone, Debug)]
pub(super) struct Row<'g, 'a> {
    pub noted: &'g Noted<'a>,
    targets: Vec<&'g str>,
}

impl Row<'_, '_> {
    /// How many results it is.
    pub fn count(&self) -> usize {
        self.targets.len()
    }

    /// The targets in words.
    pub fn targets(&self) -> String {
        self.targets.join(", ")
    }
}

/// One of the results.
#[derive(Clone, Debug)]
pub(super) struct Noted<'a> {
    pub suite: &'a str,
    pub case: &'a str,
    /// The target's name as tables show it.
    pub target: String,
    /// What became of it in the run before, where that is the reason.
    pub before: Option<&'a Outcome>,
    /// What became of it now; `None` where there is no result any more.
    pub result: Option<&'a CaseResult>,
}

impl Noted<'_> {
    /// The case, with its suite.
    pub fn id(&self) -> String {
        format!("{}/{}", self.suite, self.case)
    }

    fn says(&self) -> (String, Option<&str>) {
        (self.verdict(), self.message())
    }

    /// What went wrong, if anything: of a flaky pass, in its first attempt that failed.
    pub fn message(&self) -> Option<&str> {
        let result = self.result?;
        let error = result.error.as_ref().map(|ErrorRow { message, .. }| message);
        error.or(result.failed_attempts.first().map(|attempt| &attempt.message)).map(|message| &**message)
    }

    /// The verdict now, and what it was or should have been.
    pub fn verdict(&self) -> String {
        let now = self.result.map_or_else(|| "no result".to_owned(), |result| said(Some(&result.into())));
        let expected = self.result.and_then(|result| result.expected.as_ref()).map(|expected| {
            let verdicts: Vec<&str> = expected.verdicts.iter().map(|verdict| verdict.name()).collect();
            format!("expected {}", verdicts.join(" or "))
        });
        let was = self.before.map(|before| format!("was {}", said(Some(before))));
        match expected.or(was) {
            Some(context) => format!("{now} ({context})"),
            None => now,
        }
    }
}

/// What of the run wants attention, each result once, under the first reason that fits: what no expectation covers, what
/// is worse than in the run before, and what is flaky. With neither expectations nor a run before, all that failed.
pub(super) fn attention<'a>(report: &'a MatrixReport, since: Option<&'a MatrixDiff>) -> Vec<Group<'a>> {
    let results: BTreeMap<(&str, &str, String), &CaseResult> = report
        .results
        .iter()
        .map(|result| ((&*result.suite, &*result.case, result.column().to_string()), result))
        .collect();
    let names: BTreeMap<String, String> = report
        .columns()
        .into_keys()
        .map(|column| (column.to_string(), targets::name_of(&report.targets, column)))
        .collect();
    let name = |target: &String| names.get(target).unwrap_or(target).clone();
    let noted = |wanted: &dyn Fn(&CaseResult) -> bool| -> Vec<Noted<'a>> {
        let wanted = results.iter().filter(|(_, result)| wanted(result));
        wanted
            .map(|((suite, case, target), result)| Noted {
                suite,
                case,
                target: name(target),
                before: None,
                result: Some(*result),
            })
            .collect()
    };
    let changed = |kind: ChangeKind| -> Vec<Noted<'a>> {
        let changes = since.into_iter().flat_map(|diff| &diff.changes).filter(|change| change.kind == kind);
        changes
            .map(|change| {
                let key = (&*change.suite, &*change.case, change.target.clone());
                let result = results.get(&key).copied();
                Noted {
                    suite: key.0,
                    case: key.1,
                    target: name(&change.target),
                    before: change.before.as_ref(),
                    result,
                }
            })
            .collect()
    };
    let group = |name, about, alarming, results| Group { name, about, alarming, results };
    let of_kind = |name, kind: ChangeKind, alarming| group(name, kind.says(), alarming, changed(kind));
    let mut groups = vec![
        group(
            "unexpected",
            "not what the expectations file says",
            true,
            noted(&|result| result.unexpected == Some(true)),
        ),
        of_kind("broke", ChangeKind::Broke, true),
        of_kind("new failures", ChangeKind::NewFailure, true),
        of_kind("not tried any more", ChangeKind::NotTried, false),
        group("flaky", "passed, but not each time that it was tried", false, noted(&|result| result.flaky)),
        of_kind("moved to the CPU", ChangeKind::ToCpu, false),
    ];
    if since.is_none() && report.expectations.is_none() {
        groups.insert(
            0,
            group(
                "failed",
                "all but passes and what was not tried",
                true,
                noted(&|result| result.verdict.is_failure()),
            ),
        );
    }
    let mut seen = BTreeSet::new();
    for group in &mut groups {
        group.results.retain(|noted| seen.insert((noted.suite, noted.case, noted.target.clone())));
    }
    groups.retain(|group| !group.results.is_empty());
    groups
}

/// The groups in a line: `2 broke, 1 flaky`.
pub(super) fn headline(groups: &[Group<'_>]) -> String {
    if groups.is_empty() {
        return "nothing wants attention".to_owned();
    }
    groups.iter().map(|group| format!("{} {}", group.results.len(), group.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Side, sample};

    #[test]
    fn each_result_is_told_once_under_the_first_reason_that_fits() {
        let (before, after) = (sample::matrix(), sample::next_matrix());
        let diff = MatrixDiff::of(&Side::run("a", &before), &Side::run("b", &after));
        let groups = attention(&after, Some(&diff));
        assert_eq!(headline(&groups), "1 unexpected, 1 not tried any more, 1 flaky, 1 moved to the CPU");
        let [unexpected, not_tried, flaky, _] = &groups[..] else { panic!("{groups:?}") };
        assert_eq!((unexpected.results[0].case, unexpected.alarming), ("conv_2d", true));
        assert_eq!(not_tried.results[0].verdict(), "skipped (was pass)");
        assert_eq!(flaky.results[0].message(), Some("the tab's renderer died (sample)"));
    }

    #[test]
    fn without_anything_to_compare_with_all_failures_are_told() {
        let report = sample::matrix();
        let groups = attention(&report, None);
        assert_eq!(headline(&groups), format!("{} failed", report.failures()));
        let side = Side::run("a", &report);
        let same = MatrixDiff::of(&side, &side);
        assert_eq!(headline(&attention(&report, Some(&same))), "nothing wants attention");
    }
}
