//! What happens when time has passed, and when it is over.

use super::{Scheduler, tab_rules::cut};
use crate::{
    schedule::{TargetSet, browsers, tabs::Stage},
    types::{Browser, Cause, Failure, JobId, TabId},
};
use std::time::Instant;

impl Scheduler {
    pub(super) fn timeout(&mut self, now: Instant) {
        while let Some((at, job)) = self.expiries.first().copied()
            && at <= now
        {
            self.expire(job, now);
        }
        while let Some((at, tab)) = self.tabs.next_deadline()
            && at <= now
        {
            self.tab_overdue(tab, now);
        }
        let due: Vec<Browser> = self
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot.stage, browsers::Stage::Paused(at) if at <= now))
            .map(|(browser, _)| *browser)
            .collect();
        due.into_iter().for_each(|browser| self.launch(browser));
    }

    pub(super) fn tab_overdue(&mut self, id: TabId, now: Instant) {
        let Some(tab) = self.tabs.get(id) else { return };
        match tab.stage {
            Stage::Ready => {
                let limit = tab.in_flight.front().map(|head| head.timeout).unwrap_or_default();
                let message = format!("no answer within {} ms; its worker was ended", limit.as_millis());
                let failure = Failure::new(Cause::DeadlineExceeded, message);
                self.blame_first(id, &failure, now);
                // A job that had already ended is answered by nobody: it goes with the worker.
                self.displace(id);
                self.restart_worker(id, failure, now);
            }
            Stage::Opening(_) => {
                let failure = Failure::new(Cause::TabFailed, "the harness page opened, but its worker never connected");
                self.tab_failed(id, failure, now);
            }
            Stage::Starting(_) => {
                let failure = Failure::new(Cause::TabFailed, "the backend did not start in time");
                self.tab_failed(id, failure, now);
            }
            Stage::Cut(_) => self.worker_lost(id, cut(), now),
            Stage::Restarting(_) => {
                let failure = Failure::new(Cause::TabFailed, "a fresh worker did not connect in time");
                self.displace(id);
                self.remove_tab(id, &failure);
            }
        }
    }

    pub(super) fn close(&mut self) {
        self.wanted = TargetSet::EMPTY;
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for job in jobs {
            self.end(job, Failure::new(Cause::FleetClosed, "the fleet was closed before the job had a result"));
        }
    }
}
