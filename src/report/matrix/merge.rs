//! One report of several runs.

use super::{CaseResult, CaseRow, ErrorRow, MatrixReport, PairRow, SuiteRow};
use crate::types::{Category, Verdict};
use std::collections::HashSet;

impl MatrixReport {
    /// One report of several runs: of shards, of other targets, of what failed and was run again. It tells of everything
    /// that any of them does; where two tell of the same, the run that started later counts. Where a target worked in some
    /// of them only, the cases of the others that nobody tried there are unavailable. `None` of no runs.
    pub fn merged(mut runs: Vec<Self>) -> Option<Self> {
        runs.sort_by_key(|run| run.started);
        let untried: Vec<CaseResult> = runs.iter().flat_map(Self::untried).collect();
        let finished = runs.iter().map(|run| run.finished).collect::<Option<Vec<_>>>();
        let mut runs = runs.into_iter();
        let mut whole = runs.next()?;
        for run in runs {
            for row in run.targets {
                match whole.targets.iter_mut().find(|known| known.column() == row.column()) {
                    Some(known) if known.available && !row.available => {}
                    Some(known) => *known = row,
                    None => whole.targets.push(row),
                }
            }
            whole.add_cases(run.suites, run.cases);
            let new = run.failed_before.into_iter().filter(|pair| !whole.failed_before.contains(pair));
            let new: Vec<PairRow> = new.collect();
            whole.failed_before.extend(new);
            whole.results.extend(run.results);
            whole.ci = run.ci.or(whole.ci);
            whole.expectations = run.expectations.or(whole.expectations);
            whole.tolerance = run.tolerance.or(whole.tolerance);
        }
        whole.targets.sort_by(|a, b| a.column().cmp(&b.column()));
        whole.finished = finished.and_then(|finished| finished.into_iter().max());
        let known: HashSet<PairRow> = whole.results.iter().map(PairRow::from).collect();
        let works =
            |result: &CaseResult| whole.targets.iter().any(|row| row.available && row.column() == result.column());
        let untried = untried.into_iter().filter(|result| works(result) && !known.contains(&result.into()));
        let untried: Vec<_> = untried.collect();
        whole.results.extend(untried);
        whole.keep_latest();
        Some(whole)
    }

    /// The run's cases on targets that did not work in it.
    fn untried(&self) -> impl Iterator<Item = CaseResult> {
        self.targets.iter().filter(|row| !row.available).flat_map(|row| {
            let message = row.reason.clone().unwrap_or_default();
            let error = ErrorRow { category: Category::Initialization, message };
            self.cases.iter().map(move |CaseRow { suite, case, .. }| CaseResult {
                error: Some(error.clone()),
                ..CaseResult::new(suite, case, row.column(), Verdict::Unavailable)
            })
        })
    }

    /// Takes suites and cases into those that the report tells of, and counts each suite's cases.
    pub fn add_cases(&mut self, suites: Vec<SuiteRow>, cases: impl IntoIterator<Item = CaseRow>) {
        for suite in suites {
            match self.suites.iter_mut().find(|known| known.name == suite.name) {
                Some(known) => known.source = suite.source.or(known.source.take()),
                None => self.suites.push(suite),
            }
        }
        self.cases.extend(cases);
        self.cases.sort_by(|a, b| (&a.suite, &a.case).cmp(&(&b.suite, &b.case)));
        self.cases.dedup_by(|a, b| (&a.suite, &a.case) == (&b.suite, &b.case));
        for suite in &mut self.suites {
            suite.cases = self.cases.iter().filter(|case| case.suite == suite.name).count();
        }
    }

    /// Of several results of a case on a target, only the last is kept.
    fn keep_latest(&mut self) {
        let mut seen = HashSet::new();
        let mut keep: Vec<bool> = self
            .results
            .iter()
            .rev()
            .map(|CaseResult { suite, case, target, build, .. }| seen.insert((suite, case, target, build)))
            .collect();
        self.results.retain(|_| keep.pop().unwrap_or(true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::sample, types::Browser};
    use time::Duration;

    #[test]
    fn shards_together_are_the_whole_run() {
        let whole = sample::matrix();
        let part = |number: usize| {
            let mut part = whole.clone();
            let mut at = 0..;
            part.results.retain(|_| at.next().is_some_and(|at: usize| at % 3 == number));
            part.started += Duration::seconds(number as i64);
            part
        };
        let merged = MatrixReport::merged(vec![part(2), part(0), part(1)]).unwrap();
        assert_eq!(merged.totals(), whole.totals());
        assert_eq!(merged.by_case(), whole.by_case());
        assert_eq!((merged.started, merged.targets.len()), (whole.started, whole.targets.len()));
        assert!(MatrixReport::merged(Vec::new()).is_none());
    }

    #[test]
    fn a_target_that_did_not_work_in_one_share_left_its_cases_untried() {
        let [mut first, mut second] = [sample::matrix(), sample::matrix()];
        let softmax = |result: &CaseResult| result.case == "softmax";
        first.results.retain(|result| !softmax(result));
        first.cases = sample::cases(&first);
        second.results.retain(softmax);
        second.cases = sample::cases(&second);
        second.started += Duration::SECOND;
        second.results.retain(|result| result.target.browser != Browser::Firefox);
        for row in second.targets.iter_mut().filter(|row| row.browser == Browser::Firefox) {
            (row.available, row.reason) = (false, Some("it did not start (sample)".into()));
        }
        let merged = MatrixReport::merged(vec![first, second]).unwrap();
        let unavailable = merged.results.iter().filter(|result| result.verdict == Verdict::Unavailable);
        let unavailable: Vec<String> = unavailable.map(|result| format!("{} {}", result.case, result.target)).collect();
        assert_eq!(unavailable, ["softmax firefox/webgpu", "softmax firefox/wasm"], "and not those that never work");
        assert!(merged.targets.iter().any(|row| row.browser == Browser::Firefox && row.available));
    }

    #[test]
    fn what_was_run_again_counts_once_and_as_it_was_the_last_time() {
        let first = sample::matrix();
        let mut again = first.clone();
        again.started += Duration::HOUR;
        again.finished = None;
        again.results = vec![sample::result("gelu", "edge/webnn", Verdict::Pass)];
        let merged = MatrixReport::merged(vec![again, first.clone()]).unwrap();
        assert_eq!(merged.results.len(), first.results.len());
        assert_eq!(merged.failures(), first.failures() - 1);
        assert_eq!(merged.finished, None, "one of them did not end");
    }
}
