//! What is done about a failure: chosen by what failed, how often, how much it matters, and what has helped so far.

use crate::types::{Browser, Category, Priority, Severity, Strategy, StrategyRecord};
use std::{collections::BTreeMap, time::Duration};

/// Tries of a strategy before its record counts for anything.
const ENOUGH_TRIES: u64 = 5;
/// The share of successes below which the next dearer strategy is preferred.
const WORTH_IT: f64 = 0.5;

/// What is known when a job's attempt has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct JobFailure {
    pub browser: Browser,
    pub category: Category,
    pub severity: Severity,
    /// Counted from 1.
    pub attempt: u32,
    pub priority: Priority,
    /// Whether the model may run on another target that works.
    pub other_target: bool,
    /// Whether its target has another ready tab.
    pub other_tab: bool,
}

/// What helped and what did not, so far.
#[derive(Debug, Default)]
pub(super) struct Recoveries(BTreeMap<(Browser, Category, Strategy), Tally>);

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    tried: u64,
    succeeded: u64,
    total: Duration,
}

impl Recoveries {
    /// Books what became of a strategy.
    pub fn book(&mut self, browser: Browser, category: Category, strategy: Strategy, succeeded: bool, took: Duration) {
        let tally = self.0.entry((browser, category, strategy)).or_default();
        tally.tried += 1;
        if succeeded {
            tally.succeeded += 1;
            tally.total += took;
        }
    }

    /// The first of `candidates`, which are in the order of their cost, that is worth trying; the last one always is.
    pub fn prefer(&self, browser: Browser, category: Category, candidates: &[Strategy]) -> Strategy {
        let worth_it = |strategy: &&Strategy| {
            self.0.get(&(browser, category, **strategy)).is_none_or(|tally| {
                tally.tried < ENOUGH_TRIES || tally.succeeded as f64 >= WORTH_IT * tally.tried as f64
            })
        };
        candidates.iter().find(worth_it).or(candidates.last()).copied().unwrap_or(Strategy::Abandon)
    }

    /// How a job goes on after a failed attempt that is worth another one.
    pub fn for_job(&self, failure: JobFailure) -> Strategy {
        let JobFailure { browser, category, severity, attempt, priority, other_target, other_tab } = failure;
        // What is wrong with a session, with memory or with answers is most often the target's; the rest is the tab's.
        let least = match category {
            Category::Session | Category::Resource | Category::HealthCheck | Category::Inference => Strategy::Failover,
            _ if priority == Priority::Low => Strategy::ImmediateRetry,
            _ if severity == Severity::Critical || attempt > 1 || priority > Priority::Normal => Strategy::Failover,
            Category::Communication => Strategy::ImmediateRetry,
            _ => Strategy::OtherTab,
        };
        let possible = |strategy: &Strategy| match strategy {
            Strategy::OtherTab => other_tab,
            Strategy::Failover => other_target,
            _ => true,
        };
        let all = [Strategy::ImmediateRetry, Strategy::OtherTab, Strategy::Failover];
        let candidates: Vec<Strategy> = all.into_iter().filter(|s| *s >= least && possible(s)).collect();
        match (candidates.is_empty(), attempt) {
            // Nowhere else to go: at once the first time, since what failed is being replaced anyway; then after a pause.
            (true, 1) => Strategy::ImmediateRetry,
            (true, _) => Strategy::RetryWithBackoff,
            (false, _) => self.prefer(browser, category, &candidates),
        }
    }

    pub fn records(&self) -> Vec<StrategyRecord> {
        let record =
            |(&(browser, category, strategy), tally): (&(Browser, Category, Strategy), &Tally)| StrategyRecord {
                browser,
                category,
                strategy,
                tried: tally.tried,
                succeeded: tally.succeeded,
                mean_ms: (tally.succeeded > 0).then(|| tally.total.as_secs_f64() * 1e3 / tally.succeeded as f64),
            };
        self.0.iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRASH: JobFailure = JobFailure {
        browser: Browser::Chrome,
        category: Category::Connection,
        severity: Severity::Major,
        attempt: 1,
        priority: Priority::Normal,
        other_target: true,
        other_tab: true,
    };

    #[test]
    fn the_smallest_step_that_can_help_comes_first() {
        let chosen = |failure| Recoveries::default().for_job(failure);
        assert_eq!(chosen(CRASH), Strategy::OtherTab);
        assert_eq!(chosen(JobFailure { other_tab: false, ..CRASH }), Strategy::Failover);
        assert_eq!(chosen(JobFailure { attempt: 2, ..CRASH }), Strategy::Failover);
        assert_eq!(chosen(JobFailure { severity: Severity::Critical, ..CRASH }), Strategy::Failover);
        assert_eq!(chosen(JobFailure { priority: Priority::Critical, ..CRASH }), Strategy::Failover);
        assert_eq!(chosen(JobFailure { category: Category::Session, ..CRASH }), Strategy::Failover);
        assert_eq!(chosen(JobFailure { category: Category::Communication, ..CRASH }), Strategy::ImmediateRetry);
        let alone = JobFailure { other_tab: false, other_target: false, ..CRASH };
        assert_eq!(chosen(alone), Strategy::ImmediateRetry);
        assert_eq!(chosen(JobFailure { attempt: 2, ..alone }), Strategy::RetryWithBackoff);
    }

    #[test]
    fn what_has_not_helped_is_passed_over_for_that_browser_and_category_alone() {
        let mut recoveries = Recoveries::default();
        for n in 0..6 {
            let (browser, category) = (Browser::Chrome, Category::Connection);
            recoveries.book(browser, category, Strategy::OtherTab, n == 0, Duration::from_millis(80));
        }
        assert_eq!(recoveries.for_job(CRASH), Strategy::Failover);
        assert_eq!(recoveries.for_job(JobFailure { browser: Browser::Firefox, ..CRASH }), Strategy::OtherTab);
        assert_eq!(recoveries.for_job(JobFailure { category: Category::Timeout, ..CRASH }), Strategy::OtherTab);
        assert_eq!(recoveries.for_job(JobFailure { other_target: false, ..CRASH }), Strategy::OtherTab, "all there is");
        let [record] = &recoveries.records()[..] else { panic!("one strategy was tried") };
        assert_eq!((record.tried, record.succeeded, record.mean_ms), (6, 1, Some(80.0)));
    }
}
