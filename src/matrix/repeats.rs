//! Trying again: after which failures, and what several runs of a case say together.

use super::MatrixOptions;
use crate::{
    report::{CaseResult, ErrorRow, FailedAttempt},
    types::{Category, Verdict, names},
};
use std::collections::BTreeSet;

/// A kind of failure after which a case may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RetryOn {
    /// The worker, the tab or the browser died.
    Crash,
    /// The GPU device or the WebNN context was lost.
    DeviceLost,
    /// No answer in time.
    Timeout,
    /// A connection was cut, or what came over it made no sense.
    Connection,
    /// The session could not be created.
    LoadError,
    /// Running it failed.
    RunError,
    /// The outputs were wrong. Numbers that are right only the second time are no less wrong the first, so this is only
    /// done when it is asked for.
    Wrong,
}
names!(RetryOn {
    Crash = "crash",
    DeviceLost = "device-lost",
    Timeout = "timeout",
    Connection = "connection",
    LoadError = "load-error",
    RunError = "run-error",
    Wrong = "wrong",
});

impl RetryOn {
    /// What may be the browser's doing and not the model's.
    pub const DEFAULT: [Self; 4] = [Self::Crash, Self::DeviceLost, Self::Timeout, Self::Connection];

    /// Whether a failure is of one of these kinds.
    pub(super) fn is_among(kinds: &BTreeSet<Self>, verdict: Verdict, category: Category) -> bool {
        let by_verdict = match verdict {
            Verdict::Crash => Some(Self::Crash),
            Verdict::DeviceLost => Some(Self::DeviceLost),
            Verdict::Timeout => Some(Self::Timeout),
            Verdict::LoadError => Some(Self::LoadError),
            Verdict::RunError => Some(Self::RunError),
            Verdict::Wrong => Some(Self::Wrong),
            Verdict::Pass | Verdict::Skipped | Verdict::Unavailable => None,
        };
        let connection = matches!(category, Category::Connection | Category::Communication);
        let tried = by_verdict.is_some();
        by_verdict.is_some_and(|kind| kinds.contains(&kind))
            || (tried && connection && kinds.contains(&Self::Connection))
    }
}

/// How often a case is to be run whose first run ended like this; `is_news` says whether its verdict is not the known one.
pub(super) fn wanted(options: &MatrixOptions, first: &CaseResult, is_news: bool) -> usize {
    let verify = if first.verdict.is_tried() && (is_news || first.flaky) { options.verify } else { 1 };
    options.repeat_each.max(verify).max(1) as usize
}

/// One run's result: its last attempt's, after those that failed. Where the target was gone by then, nothing was tried
/// any more, and what failed last is what is known of the case.
pub(super) fn after(mut failed: Vec<FailedAttempt>, mut last: CaseResult) -> CaseResult {
    let before: f64 = failed.iter().map(|attempt| attempt.elapsed_ms).sum();
    if last.verdict == Verdict::Unavailable
        && let Some(FailedAttempt { verdict, category, message, .. }) = failed.pop()
    {
        let error = Some(ErrorRow { category, message });
        last = CaseResult { verdict, error, attempts: 1, spent_ms: Some(0.0), ..last };
    }
    last.spent_ms = last.spent_ms.map(|spent| spent + before);
    last.attempts += failed.len() as u32;
    last.flaky = last.verdict == Verdict::Pass && !failed.is_empty();
    last.failed_attempts = failed;
    last
}

/// What several runs of a case say together: the first that failed, or else the first that passed, and how often each
/// verdict was given. It is flaky when some passed and some failed.
pub(super) fn joined(mut runs: Vec<CaseResult>) -> CaseResult {
    if runs.len() == 1 {
        return runs.remove(0);
    }
    let mut repeats = std::collections::BTreeMap::new();
    runs.iter().for_each(|run| *repeats.entry(run.verdict).or_default() += 1);
    let spent = runs.iter().filter_map(|run| run.spent_ms).fold(None, |sum, spent| Some(sum.unwrap_or(0.0) + spent));
    let failed = runs.iter().position(|run| run.verdict.is_failure());
    let passed = runs.iter().position(|run| run.verdict == Verdict::Pass);
    let flaky = runs.iter().any(|run| run.flaky) || (failed.is_some() && passed.is_some());
    let attempts = runs.iter().map(|run| run.attempts).sum();
    let failed_attempts = runs.iter_mut().flat_map(|run| std::mem::take(&mut run.failed_attempts)).collect();
    let telling = failed.or(passed).unwrap_or(0);
    CaseResult { repeats, spent_ms: spent, flaky, attempts, failed_attempts, ..runs.swap_remove(telling) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{
        Past,
        expectations::tests::target,
        tests::{planned, report, result},
    };

    #[test]
    fn wrong_numbers_and_what_the_model_lacks_are_not_tried_again_unless_it_is_asked_for() {
        let kinds: BTreeSet<RetryOn> = RetryOn::DEFAULT.into();
        let again = |verdict, category| RetryOn::is_among(&kinds, verdict, category);
        assert!(again(Verdict::Crash, Category::Session) && again(Verdict::Timeout, Category::Timeout));
        assert!(again(Verdict::DeviceLost, Category::Session));
        assert!(again(Verdict::LoadError, Category::Communication), "its files could not be fetched");
        assert!(!again(Verdict::LoadError, Category::Session) && !again(Verdict::RunError, Category::Inference));
        assert!(!again(Verdict::Wrong, Category::Inference) && !again(Verdict::Pass, Category::Connection));
        assert!(!again(Verdict::Unavailable, Category::Connection));
        assert!(RetryOn::is_among(&[RetryOn::Wrong].into(), Verdict::Wrong, Category::Inference));
        assert!(!RetryOn::is_among(&BTreeSet::new(), Verdict::Crash, Category::Connection));
    }

    #[test]
    fn what_was_not_tried_is_not_verified() {
        let options = MatrixOptions { verify: 3, ..MatrixOptions::default() };
        let wanted = |verdict, is_news| wanted(&options, &result("a", "chrome/wasm", verdict), is_news);
        assert_eq!((wanted(Verdict::Wrong, true), wanted(Verdict::Wrong, false)), (3, 1));
        assert_eq!((wanted(Verdict::Unavailable, true), wanted(Verdict::Skipped, true)), (1, 1));
    }

    #[test]
    fn a_case_that_ended_its_target_for_good_has_failed() {
        let crash = |elapsed_ms| FailedAttempt {
            verdict: Verdict::Crash,
            category: Category::Connection,
            message: "the browser ended (sample)".into(),
            elapsed_ms,
        };
        let gone = CaseResult { attempts: 0, ..result("a", "chrome/wasm", Verdict::Unavailable) };
        let told = after(vec![crash(2.0), crash(3.0)], gone.clone());
        assert_eq!((told.verdict, told.attempts, told.flaky, told.spent_ms), (Verdict::Crash, 2, false, Some(5.0)));
        assert_eq!(told.error.as_ref().unwrap().message, "the browser ended (sample)");
        assert_eq!(told.failed_attempts, [crash(2.0)]);
        let past = Past::of(vec![report(vec![told])]);
        assert!(past.ended_it(&planned("a", &[]).row, target("chrome/wasm", "156.0").column()), "and comes last now");

        assert_eq!(after(Vec::new(), gone).verdict, Verdict::Unavailable);
        let passed = after(vec![crash(2.0)], result("a", "chrome/wasm", Verdict::Pass));
        assert_eq!((passed.verdict, passed.attempts, passed.flaky), (Verdict::Pass, 2, true));
    }

    #[test]
    fn repeated_runs_are_one_result_that_tells_how_often() {
        let once = joined(vec![result("a", "chrome/wasm", Verdict::Pass)]);
        assert!(once.repeats.is_empty() && !once.flaky);

        let stable = joined(vec![result("a", "chrome/wasm", Verdict::Wrong); 3]);
        assert_eq!((stable.verdict, stable.flaky, stable.attempts), (Verdict::Wrong, false, 3));
        assert_eq!(stable.repeats, [(Verdict::Wrong, 3)].into());

        let verdicts = [Verdict::Pass, Verdict::Wrong, Verdict::Pass, Verdict::Crash];
        let mixed = joined(verdicts.map(|verdict| result("a", "chrome/wasm", verdict)).into());
        assert_eq!((mixed.verdict, mixed.flaky), (Verdict::Wrong, true), "the first that failed");
        assert_eq!(mixed.repeats, [(Verdict::Pass, 2), (Verdict::Wrong, 1), (Verdict::Crash, 1)].into());

        let lost = |verdicts: &[Verdict]| {
            let joined = joined(verdicts.iter().map(|verdict| result("a", "chrome/wasm", *verdict)).collect());
            (joined.verdict, joined.flaky)
        };
        assert_eq!(lost(&[Verdict::Pass, Verdict::Unavailable, Verdict::Wrong]), (Verdict::Wrong, true));
        assert_eq!(lost(&[Verdict::Unavailable, Verdict::Pass]), (Verdict::Pass, false), "nothing failed");
        assert_eq!(lost(&[Verdict::Unavailable; 2]), (Verdict::Unavailable, false));

        let mut retried = result("a", "chrome/wasm", Verdict::Pass);
        retried.flaky = true;
        assert!(joined(vec![retried, result("a", "chrome/wasm", Verdict::Pass)]).flaky);
    }
}
