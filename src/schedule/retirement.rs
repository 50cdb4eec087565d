//! When a tab is replaced by a fresh one though nothing is wrong with it.

use super::tabs::Tab;
use std::time::{Duration, Instant};

/// When a tab has done enough. Browsers' memory creeps, and what failed now and then may fail more often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retirement {
    /// Jobs.
    pub jobs: u32,
    /// Before this age, a tab is not replaced for its jobs: opening another costs about a second, in which small models
    /// run thousands of times.
    pub jobs_not_before: Duration,
    /// How long it lives.
    pub age: Duration,
    /// How long it may have had no job; health checks are none.
    pub idle: Duration,
    /// Failures in all, also where successes came in between.
    pub failures: u32,
    /// How long a tab that is worn out is kept for the sessions that live in it; then their state is gone. Twice as long
    /// as a session that nobody calls lives by itself, so it is only met by those that are in use.
    pub session_grace: Duration,
}

impl Default for Retirement {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self {
            jobs: 1_000,
            jobs_not_before: minutes(1),
            age: minutes(60),
            idle: minutes(30),
            failures: 5,
            session_grace: minutes(10),
        }
    }
}

impl Retirement {
    /// Why the tab has done enough, if it has.
    pub(super) fn reached(&self, tab: &Tab, now: Instant) -> Option<String> {
        let age = now.saturating_duration_since(tab.opened);
        let idle = now.saturating_duration_since(tab.last_job);
        if tab.jobs >= self.jobs && age >= self.jobs_not_before {
            Some(format!("it has done {} jobs", tab.jobs))
        } else if tab.failures >= self.failures {
            Some(format!("it has failed {} times", tab.failures))
        } else if age >= self.age {
            Some(format!("it is {age:.0?} old"))
        } else if tab.in_flight.is_empty() && idle >= self.idle {
            Some(format!("it had no job for {idle:.0?}"))
        } else {
            None
        }
    }
}
