//! Trying again: after which failures, and what several runs of a case say together.

use crate::{
    report::CaseResult,
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

/// What several runs of a case say together: the first that did not pass, and how often each verdict was given. It is
/// flaky when some passed and some did not.
pub(super) fn joined(mut runs: Vec<CaseResult>) -> CaseResult {
    if runs.len() == 1 {
        return runs.remove(0);
    }
    let mut repeats = std::collections::BTreeMap::new();
    runs.iter().for_each(|run| *repeats.entry(run.verdict).or_default() += 1);
    let spent = runs.iter().filter_map(|run| run.spent_ms).fold(None, |sum, spent| Some(sum.unwrap_or(0.0) + spent));
    let some_passed = repeats.contains_key(&Verdict::Pass);
    let flaky = runs.iter().any(|run| run.flaky) || (some_passed && repeats.len() > 1);
    let attempts = runs.iter().map(|run| run.attempts).sum();
    let failed_attempts = runs.iter_mut().flat_map(|run| std::mem::take(&mut run.failed_attempts)).collect();
    let telling = runs.iter().position(|run| run.verdict != Verdict::Pass).unwrap_or(0);
    CaseResult { repeats, spent_ms: spent, flaky, attempts, failed_attempts, ..runs.swap_remove(telling) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::tests::result;

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
    fn repeated_runs_are_one_result_that_tells_how_often() {
        let once = joined(vec![result("a", "chrome/wasm", Verdict::Pass)]);
        assert!(once.repeats.is_empty() && !once.flaky);

        let stable = joined(vec![result("a", "chrome/wasm", Verdict::Wrong); 3]);
        assert_eq!((stable.verdict, stable.flaky, stable.attempts), (Verdict::Wrong, false, 3));
        assert_eq!(stable.repeats, [(Verdict::Wrong, 3)].into());

        let verdicts = [Verdict::Pass, Verdict::Wrong, Verdict::Pass, Verdict::Crash];
        let mixed = joined(verdicts.map(|verdict| result("a", "chrome/wasm", verdict)).into());
        assert_eq!((mixed.verdict, mixed.flaky), (Verdict::Wrong, true), "the first that did not pass");
        assert_eq!(mixed.repeats, [(Verdict::Pass, 2), (Verdict::Wrong, 1), (Verdict::Crash, 1)].into());

        let mut retried = result("a", "chrome/wasm", Verdict::Pass);
        retried.flaky = true;
        assert!(joined(vec![retried, result("a", "chrome/wasm", Verdict::Pass)]).flaky);
    }
}
