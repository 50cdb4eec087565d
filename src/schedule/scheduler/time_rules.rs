//! What happens when time has passed, and when it is over.

use super::{Scheduler, tab_rules::cut};
use crate::{
    schedule::{
        TargetSet, browsers,
        tabs::{CANARY, Stage},
    },
    types::{Browser, BrowserId, Cause, Failure, JobId, SessionId, TabId, Target},
};
use std::time::Instant;

/// What is done at a certain time, if what it is about is then still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    TabHeartbeat(TabId),
    TabCheck(TabId),
    BrowserHeartbeat(BrowserId),
    BrowserCheck(BrowserId),
    Retry(JobId),
    Session(SessionId),
    /// A tab that is to go was kept for its sessions.
    Worn(TabId),
    /// The job is to have had its turn.
    Turn(JobId),
    Scale(Target),
    /// A tab that did not start is tried again.
    Open(Target),
}

impl Scheduler {
    /// Ends the jobs whose deadlines have passed.
    pub(super) fn expire_due(&mut self, now: Instant) {
        while let Some((at, job)) = self.expiries.first().copied()
            && at <= now
        {
            self.expire(job, now);
        }
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        while let Some((at, tab)) = self.tabs.next_deadline()
            && at <= now
        {
            self.tab_overdue(tab, now);
        }
        while let Some((at, timer)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.pop_first();
            self.timer_due(timer, now);
        }
        let changes = self.breakers.tick(now);
        self.breakers_changed(changes);
        let due: Vec<Browser> = self
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot.stage, browsers::Stage::Paused(at) if at <= now))
            .map(|(browser, _)| *browser)
            .collect();
        due.into_iter().for_each(|browser| self.launch(browser));
    }

    fn timer_due(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::TabHeartbeat(tab) => self.tab_heartbeat_due(tab, now),
            Timer::TabCheck(tab) => self.tab_check_due(tab, now),
            Timer::BrowserHeartbeat(id) => self.browser_heartbeat_due(id),
            Timer::BrowserCheck(id) => self.browser_check_due(id, now),
            Timer::Retry(job) => self.retry_due(job),
            Timer::Session(session) => self.session_due(session, now),
            Timer::Worn(tab) => self.evict_sessions(tab),
            Timer::Turn(job) => self.turn_missed(job),
            Timer::Scale(target) => self.scale_due(target, now),
            Timer::Open(target) => _ = self.not_before.remove(&target),
        }
    }

    pub(super) fn tab_overdue(&mut self, id: TabId, now: Instant) {
        let Some(tab) = self.tabs.get(id) else { return };
        match tab.stage {
            Stage::Ready | Stage::Retiring => {
                let head = tab.in_flight.front();
                let limit = head.map(|head| head.timeout).unwrap_or_default();
                let what = if head.is_some_and(|head| head.job == CANARY) { "the canary had " } else { "" };
                let message = format!("{what}no answer within {} ms; its worker was ended", limit.as_millis());
                let failure = Failure::new(Cause::DeadlineExceeded, message);
                self.blame_first(id, &failure, now);
                // A job that had already ended is answered by nobody: it goes with the worker.
                self.displace(id, now);
                self.repair_worker(id, failure, now);
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
                let target = tab.target;
                self.displace(id, now);
                self.remove_tab(id, &failure, now);
                self.repair_tab(id, target, &failure, crate::types::Strategy::ReplaceTab, now);
            }
        }
    }

    pub(super) fn close(&mut self) {
        (self.wanted, self.hopeful) = (TargetSet::EMPTY, TargetSet::EMPTY);
        self.timers.clear();
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for job in jobs {
            self.end(job, Failure::new(Cause::FleetClosed, "the fleet was closed before the job had a result"));
        }
    }
}
