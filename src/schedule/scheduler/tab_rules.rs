//! What happens to tabs: opened, started, restarted, replaced; and targets that never start.

use super::{Action, Scheduler};
use crate::{
    schedule::{
        browsers::Slot,
        jobs::Place,
        tabs::{Stage, Tab},
    },
    types::{Cause, Failure, TabId, Target},
};
use std::time::Instant;

impl Scheduler {
    /// Puts what a tab was handed back into the queue, where it keeps its place.
    pub(super) fn displace(&mut self, tab: TabId) {
        let held = self.tabs.update(tab, |tab| {
            tab.bytes = 0;
            std::mem::take(&mut tab.in_flight)
        });
        for in_flight in held.into_iter().flatten() {
            if let Some(job) = self.jobs.get_mut(&in_flight.job)
                && job.place == Place::InFlight(tab)
            {
                job.place = Place::Waiting;
                self.queue.insert(job.open_to, job.order, in_flight.job);
            }
        }
    }

    /// The worker serves jobs in order, so what it died of is the first one's doing; the others only stood behind it.
    pub(super) fn blame_first(&mut self, tab: TabId, failure: &Failure, now: Instant) {
        let head = self.tabs.get(tab).and_then(|tab| tab.in_flight.front()).map(|head| head.job);
        if let Some(job) = head
            && let Some(elapsed_ms) = self.answered(tab, job, now)
        {
            self.attempt_failed(job, tab, failure.clone(), elapsed_ms);
        }
    }

    pub(super) fn restart_worker(&mut self, tab: TabId, failure: Failure, now: Instant) {
        let give_up = now + self.policy.restart_timeout;
        let was_ready = self.tabs.update(tab, |tab| {
            let was_ready = matches!(tab.stage, Stage::Ready | Stage::Cut(_));
            if was_ready {
                tab.stage = Stage::Restarting(give_up);
            }
            was_ready
        });
        if was_ready == Some(true) {
            self.actions.push_back(Action::RestartWorker { tab, failure });
        }
    }

    pub(super) fn tab_connected(&mut self, tab: TabId, now: Instant) {
        if matches!(self.tabs.get(tab).map(|tab| tab.stage), Some(Stage::Cut(_))) {
            self.blame_first(tab, &cut(), now);
            self.displace(tab);
        }
        let give_up = now + self.policy.start_timeout;
        let target = self.tabs.update(tab, |tab| {
            tab.stage = Stage::Starting(give_up);
            tab.target
        });
        if let Some(target) = target {
            self.actions.push_back(Action::StartBackend { tab, target });
        }
    }

    pub(super) fn tab_ready(&mut self, tab: TabId, now: Instant) {
        let found = self.tabs.update(tab, |tab| {
            tab.stage = Stage::Ready;
            tab.head_since = now;
            (tab.target, tab.browser)
        });
        if let Some((target, browser)) = found {
            self.start_failures.remove(&target);
            self.with_slot(browser, Slot::worked);
        }
    }

    pub(super) fn tab_failed(&mut self, tab: TabId, failure: Failure, now: Instant) {
        let Some(found) = self.tabs.get(tab) else { return };
        let (target, browser) = (found.target, found.browser);
        if failure.cause == Cause::BackendUnavailable {
            self.remove_tab(tab, &failure);
            self.give_up(target, failure);
            return;
        }
        let failures = self.start_failures.entry(target).or_default();
        *failures += 1;
        let failures = *failures;
        self.displace(tab);
        self.remove_tab(tab, &failure);
        if failures >= self.policy.give_up_after {
            self.give_up(target, failure);
        } else if failures > 1 {
            // A fresh page did not help: the browser itself may be wedged.
            self.end_browser(browser, now);
        }
    }

    pub(super) fn worker_lost(&mut self, tab: TabId, failure: Failure, now: Instant) {
        match self.tabs.get(tab).map(|tab| tab.stage) {
            // A page that breaks the protocol is not trusted to start a better worker.
            Some(Stage::Ready) if failure.cause == Cause::BadFrame => self.tab_lost(tab, failure, now),
            // It may be a crash that is told a moment later: whoever blames a job for it should know which.
            Some(Stage::Ready) if failure.cause == Cause::SocketClosed => {
                let give_up = now + self.policy.cut_grace;
                self.tabs.update(tab, |tab| tab.stage = Stage::Cut(give_up));
            }
            Some(Stage::Ready | Stage::Cut(_)) => {
                self.blame_first(tab, &failure, now);
                self.displace(tab);
                self.restart_worker(tab, failure, now);
            }
            Some(Stage::Starting(_)) => self.tab_failed(tab, failure, now),
            // The page reconnects or its stage times out.
            Some(Stage::Opening(_) | Stage::Restarting(_)) | None => {}
        }
    }

    pub(super) fn tab_lost(&mut self, tab: TabId, failure: Failure, now: Instant) {
        match self.tabs.get(tab).map(|tab| tab.stage) {
            Some(Stage::Ready | Stage::Cut(_) | Stage::Restarting(_)) => {
                self.blame_first(tab, &failure, now);
                self.displace(tab);
                self.remove_tab(tab, &failure);
            }
            Some(Stage::Opening(_) | Stage::Starting(_)) => self.tab_failed(tab, failure, now),
            None => {}
        }
    }

    pub(super) fn remove_tab(&mut self, tab: TabId, failure: &Failure) {
        if self.tabs.remove(tab).is_some() {
            self.actions.push_back(Action::CloseTab { tab, failure: failure.clone() });
        }
    }

    pub(super) fn open_missing_tabs(&mut self, now: Instant) {
        for target in self.hopeful().iter() {
            let Some(browser) = self.slots.get(&target.browser).and_then(Slot::running) else { continue };
            for _ in self.tabs.count(target)..self.policy.tabs_per_target {
                let tab = TabId(self.next_tab);
                self.next_tab += 1;
                self.tabs.insert(tab, Tab::new(target, browser, now + self.policy.open_timeout, now));
                self.actions.push_back(Action::OpenTab { tab, browser, target });
            }
        }
    }

    pub(super) fn give_up(&mut self, target: Target, failure: Failure) {
        if self.given_up.contains_key(&target) {
            return;
        }
        self.given_up.insert(target, failure.clone());
        let tabs: Vec<TabId> = self.tabs.iter().filter(|(_, tab)| tab.target == target).map(|(id, _)| id).collect();
        for tab in tabs {
            self.displace(tab);
            self.remove_tab(tab, &failure);
        }
        self.actions.push_back(Action::GiveUpTarget { target, failure });
        for job in self.queue.stranded(self.hopeful()) {
            if let Some(waiting) = self.jobs.get(&job) {
                let failure = match waiting.attempts.last() {
                    Some(attempt) => attempt.failure.clone(),
                    None => self.no_target(waiting.spec.allowed),
                };
                self.end(job, failure);
            }
        }
    }
}

/// What is said of a socket's end when nothing else explains it.
pub(super) fn cut() -> Failure {
    Failure::new(Cause::SocketClosed, "the tab's socket was closed, and the tab lives")
}
