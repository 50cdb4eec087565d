//! What earlier runs found: how long cases took, which changed lately, which end what runs them.

use crate::{
    history::RecordedCase,
    report::{CaseRow, MatrixReport, TargetBuild},
    types::{Target, Verdict},
};
use std::collections::HashMap;

/// What the reports of earlier runs say.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// By suite and case.
    seen: HashMap<(String, String), Places>,
    /// What the history recorded, by the model's name: of cases that no report tells of, and what was flaky over nights.
    recorded: HashMap<String, HashMap<Target, RecordedCase>>,
}

/// What is known of a case, by target and build.
type Places = HashMap<(Target, Option<String>), Seen>;

/// What is known of a case on a target.
#[derive(Clone, Debug)]
struct Seen {
    verdict: Verdict,
    /// Whether it was not as expected, flaky, or not the same in all runs.
    restless: bool,
    /// Whether it ended what ran it.
    ended_it: bool,
    spent_ms: Option<f64>,
    /// The browser's version then.
    version: Option<String>,
}

impl Past {
    /// What the reports say; of several about a case on a target, the latest.
    pub fn of(mut reports: Vec<MatrixReport>) -> Self {
        reports.sort_by_key(|report| report.started);
        let mut past = Self::default();
        for report in &reports {
            let columns = report.columns();
            for result in report.results.iter().filter(|result| result.verdict != Verdict::Unavailable) {
                let version = columns.get(&result.column()).copied().flatten().and_then(|row| row.version.clone());
                let measured = [result.load_ms, result.run_ms].into_iter().flatten().reduce(|a, b| a + b);
                let ends_it = |verdict| matches!(verdict, Verdict::Crash | Verdict::Timeout | Verdict::DeviceLost);
                let seen = Seen {
                    verdict: result.verdict,
                    restless: result.flaky || result.unexpected == Some(true),
                    ended_it: ends_it(result.verdict) || result.failed_attempts.iter().any(|a| ends_it(a.verdict)),
                    spent_ms: result.spent_ms.or(measured),
                    version,
                };
                let case = past.seen.entry((result.suite.clone(), result.case.clone())).or_default();
                let key = (result.target, result.build.clone());
                let changed = case.get(&key).is_some_and(|before| before.verdict != seen.verdict || before.restless);
                case.insert(key, Seen { restless: seen.restless || changed, ..seen });
            }
        }
        past
    }

    /// The same with what a history recorded. Reports know more of a case, and come first.
    #[must_use]
    pub fn with_recorded(mut self, cases: impl IntoIterator<Item = RecordedCase>) -> Self {
        for case in cases {
            // Of an imported report it may be none of this tabfleet's.
            if let Ok(target) = case.target.parse() {
                self.recorded.entry(case.model.clone()).or_default().insert(target, case);
            }
        }
        self
    }

    /// Whether no verdict is known.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// The time that tabs spent on the case, on all targets together, in milliseconds.
    pub fn spent_ms(&self, case: &CaseRow) -> Option<f64> {
        let reported = || self.seen.get(&key(case))?.values().filter_map(|seen| seen.spent_ms).reduce(|a, b| a + b);
        let recorded = || self.recorded(case)?.values().filter_map(|seen| seen.spent_ms).reduce(|a, b| a + b);
        reported().or_else(recorded)
    }

    fn recorded(&self, case: &CaseRow) -> Option<&HashMap<Target, RecordedCase>> {
        self.recorded.get(&format!("{}/{}", case.suite, case.case)).or_else(|| self.recorded.get(&case.case))
    }

    /// The case's verdict there.
    pub fn verdict(&self, case: &CaseRow, column: TargetBuild<'_>) -> Option<Verdict> {
        self.seen(case, column).map(|seen| seen.verdict)
    }

    /// Whether the case ended what ran it there.
    pub fn ended_it(&self, case: &CaseRow, column: TargetBuild<'_>) -> bool {
        self.seen(case, column).is_some_and(|seen| seen.ended_it)
    }

    /// How much there is to learn from running the case there: the less, the higher. First what changed lately, was not as
    /// expected or flaky, then what was never run in this version of the browser, then what fails, then the rest.
    pub(super) fn rank(&self, case: &CaseRow, column: TargetBuild<'_>, version: Option<&str>) -> u8 {
        // Builds of a browser are not told apart there.
        let recorded = self.recorded(case).and_then(|targets| targets.get(&column.target));
        let recorded = recorded.filter(|_| column.build.is_none());
        let flaky = recorded.is_some_and(|recorded| recorded.flaky_runs > 0);
        let reported = self.seen(case, column).map(|seen| (seen.restless, &seen.version, seen.verdict.is_failure()));
        match reported.or_else(|| recorded.map(|recorded| (false, &recorded.version, recorded.failed))) {
            Some((restless, ..)) if restless || flaky => 0,
            None => 1,
            Some((_, before, _)) if before.as_deref() != version => 1,
            Some((.., true)) => 2,
            Some(_) => 3,
        }
    }

    fn seen(&self, case: &CaseRow, column: TargetBuild<'_>) -> Option<&Seen> {
        self.seen.get(&key(case))?.get(&(column.target, column.build.map(str::to_owned)))
    }
}

fn key(case: &CaseRow) -> (String, String) {
    (case.suite.clone(), case.case.clone())
}
