//! Limits of jobs under way, and jobs that had no turn in time because of one.

use super::Scheduler;
use crate::{
    schedule::{TargetSet, jobs::Place},
    types::{Browser, Cause, Failure, JobId},
};

impl Scheduler {
    /// Whether a browser's tabs hold as many jobs as they may together.
    pub(super) fn is_full(&self, browser: Browser) -> bool {
        self.policy.in_flight_per_browser.is_some_and(|most| self.tabs.held_by(browser) >= most)
    }

    /// Targets of browsers that may be handed another job.
    pub(super) fn not_full(&self, targets: TargetSet) -> TargetSet {
        match self.policy.in_flight_per_browser {
            Some(_) => targets.iter().filter(|target| !self.is_full(target.browser)).collect(),
            None => targets,
        }
    }

    /// A job waited as long as it was to. One that a tab has had is no longer held to it.
    pub(super) fn turn_missed(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id).filter(|job| job.place == Place::Waiting && job.attempts.is_empty()) else {
            return;
        };
        let targets = job.open_to.intersection(self.hopeful());
        let has_room = |targets: TargetSet| targets.iter().any(|target| self.tabs.with_room(target).next().is_some());
        let names: Vec<String> = targets.iter().map(|target| target.to_string()).collect();
        let (names, ready) = (names.join(", "), targets.iter().any(|target| self.tabs.has_ready(target)));
        let failure = match self.policy.in_flight_per_browser {
            Some(most) if has_room(targets) && self.not_full(targets).is_empty() => Failure::new(
                Cause::BrowserLimit,
                format!(
                    "the job had no turn in time: its browsers hold {most} jobs each, which is their limit ({names}); \
                     raise in_flight_per_browser, let it wait longer (queue_timeout), or ask for less at once"
                ),
            ),
            _ if ready => Failure::new(
                Cause::TabLimit,
                format!(
                    "the job had no turn in time: every tab that it may go to has as much to do as a tab is given \
                     ({names}); open more tabs, let it wait longer (queue_timeout), or ask for less at once"
                ),
            ),
            _ => Failure::new(
                Cause::TabLimit,
                format!(
                    "the job had no turn in time: no tab that it may go to takes jobs now ({names}); `tabfleet health` \
                     tells why, or let it wait longer (queue_timeout)"
                ),
            ),
        };
        self.end(id, failure);
    }
}
