//! What happens to tabs: opened, started, restarted, replaced; and targets that never start.

use super::{Action, Scheduler, batch_rules::FailedBatch, job_rules::Answered, time_rules::Timer};
use crate::{
    schedule::{
        browsers::Slot,
        jobs::{Attempt, Guilt, Place, is_killing},
        tabs::{CANARY, InFlight, Stage, Suspect, Tab},
    },
    types::{Cause, Failure, JobId, Strategy, TabId, Target},
};
use std::time::Instant;

impl Scheduler {
    /// A tab's worker is gone: what the tab was handed is put back into the queue, where it keeps its place.
    pub(super) fn displace(&mut self, tab: TabId, now: Instant) {
        self.lose_sessions(tab);
        if let Some((job, _)) = self.tabs.update(tab, |tab| tab.reserved.take()).flatten() {
            self.wait(job);
        }
        let held = self.tabs.update(tab, |tab| tab.clear(now));
        for id in held.iter().flatten().flat_map(InFlight::jobs) {
            if self.jobs.get(&id).is_some_and(|job| job.place == Place::InFlight(tab)) && !self.end_displaced_call(id) {
                self.wait(id);
            }
        }
    }

    /// The worker serves jobs in order, so what it died of is the first one's doing; the others only stood behind it.
    pub(super) fn blame_first(&mut self, id: TabId, failure: &Failure, now: Instant) {
        self.blame_first_as(id, failure, Guilt::Own, now);
    }

    pub(super) fn blame_first_as(&mut self, id: TabId, failure: &Failure, guilt: Guilt, now: Instant) {
        if self.blame_suspect(id, failure, guilt, now) {
            return;
        }
        let Some(head) = self.tabs.get(id).and_then(|tab| tab.in_flight.front()).map(|head| head.job) else { return };
        let Some(answered) = self.take_answered(id, head, now) else { return };
        if head == CANARY {
            self.canary_ended(id, answered.target, answered.permits, Some(failure.clone()), now);
        } else if let Some(model) = answered.loads {
            self.not_warmed(model, answered.target);
        } else {
            self.run_failed(id, failure, Answered { guilt, ..answered }, now);
        }
    }

    /// A socket closed: the job that the worker was at moves on at once, and is blamed when it is known for what.
    fn suspect_first(&mut self, id: TabId, now: Instant) {
        let Some(head) = self.tabs.get(id).and_then(|tab| tab.in_flight.front()).map(|head| head.job) else { return };
        let Some(answered) = self.take_answered(id, head, now) else { return };
        if let Some(model) = answered.loads {
            self.not_warmed(model, answered.target);
        }
        if !answered.with.jobs.is_empty() {
            self.suspect_one_of_several(id, answered);
            return;
        }
        let Answered { target, elapsed_ms, permits, .. } = answered;
        let Some(job) = self.jobs.get_mut(&head).filter(|job| job.place == Place::InFlight(id)) else { return };
        let model = job.spec.model;
        let number = job.attempts.len() as u32 + 1;
        let goes_on = number < job.spec.attempts && !job.is_seated();
        if goes_on {
            // Told apart when the cause is known; should it be answered before, this is what its result says.
            job.attempts.push(Attempt { target, tab: id, failure: cut(), elapsed_ms });
        }
        let number = goes_on.then_some(number);
        let suspect = Suspect { job: head, model, number, elapsed_ms, permits, jobs: 1 };
        self.tabs.update(id, |tab| tab.suspect = Some(suspect));
        if let Some(number) = number {
            self.try_again(head, id, target, number, &cut(), now);
        }
    }

    /// Several jobs ran together: they move on in halves, and what happened is told when it is known.
    fn suspect_one_of_several(&mut self, id: TabId, answered: Answered) {
        let jobs: Vec<JobId> = answered.jobs().filter(|job| self.waits_for(*job, id)).collect();
        let first = jobs.first().and_then(|first| Some((*first, self.jobs.get(first)?.spec.model)));
        let Some((job, model)) = first else { return };
        let together = answered.with.jobs.len() + 1;
        let Answered { elapsed_ms, permits, .. } = answered;
        let suspect = Suspect { job, model, number: None, elapsed_ms, permits, jobs: together };
        self.tabs.update(id, |tab| tab.suspect = Some(suspect));
        self.halve(jobs);
    }

    /// What the socket's end meant is known now. Tells whether there was a job to blame for it.
    fn blame_suspect(&mut self, id: TabId, failure: &Failure, guilt: Guilt, now: Instant) -> bool {
        let taken = self.tabs.update(id, |tab| (tab.suspect.take(), tab.target));
        let Some((Some(Suspect { job: suspect, model, number, elapsed_ms, permits, jobs }), target)) = taken else {
            return false;
        };
        if jobs > 1 {
            self.batch_failed(FailedBatch { tab: id, target, model, jobs, permits }, failure, now);
            return true;
        }
        let Some(number) = number else {
            if self.jobs.get(&suspect).is_some_and(|job| job.place == Place::InFlight(id)) {
                let answered = Answered { elapsed_ms, permits, guilt, ..Answered::of(suspect, target) };
                self.attempt_failed(suspect, id, failure.clone(), answered, now);
            }
            return true;
        };
        let attempt = Attempt { target, tab: id, failure: failure.clone(), elapsed_ms };
        let severity = failure.severity_in(number);
        self.blame(id, target, model, permits, failure, now);
        if let Some(job) = self.jobs.get_mut(&suspect) {
            if let Some(told) = job.attempts.get_mut(number as usize - 1) {
                *told = attempt.clone();
            }
            if let Some(recovery) = &mut job.recovery {
                recovery.failure = failure.clone();
            }
            job.kills += u32::from(guilt == Guilt::Own && is_killing(failure.cause));
            // One that runs again by now may finish: it is ended only if it kills once more.
            if job.kills >= self.policy.quarantine_after && !matches!(job.place, Place::InFlight(_)) {
                self.quarantine(suspect);
            }
        }
        self.actions.push_back(Action::AttemptFailed { job: suspect, model, number, severity, attempt });
        true
    }

    /// A worker is of no more use: what helped before, from the cheapest step on, but a tab that failed too often in a
    /// row is replaced.
    pub(super) fn repair_worker(&mut self, id: TabId, failure: Failure, now: Instant) {
        let Some(tab) = self.tabs.get(id) else { return };
        let (target, browser) = (tab.target, tab.browser);
        if tab.stage == Stage::Retiring {
            // Another one stands in for it already.
            return self.remove_tab(id, &failure, now);
        }
        let worn_out = tab.vitals.failures_in_a_row() >= self.policy.replace_tab_after;
        let least = if worn_out { Strategy::ReplaceTab } else { Strategy::RestartWorker };
        let strategy = self.choose_repair(target, &failure, least);
        match strategy {
            Strategy::RestartWorker => {
                self.repair_tab(id, target, &failure, strategy, now);
                self.restart_worker(id, failure.message);
            }
            Strategy::RestartBrowser => self.restart_browser(browser, target.browser, &failure, now),
            _ => {
                self.remove_tab(id, &failure, now);
                self.repair_tab(id, target, &failure, Strategy::ReplaceTab, now);
            }
        }
    }

    pub(super) fn restart_worker(&mut self, tab: TabId, reason: String) {
        let restarts = self.tabs.update(tab, |tab| {
            let restarts = tab.enter(Stage::Restarting(None));
            if restarts {
                tab.loaded.clear();
            }
            restarts
        });
        if restarts == Some(true) {
            self.actions.push_back(Action::RestartWorker { tab, reason });
        }
    }

    /// The browser has done its part: from now on the worker is waited for.
    pub(super) fn worker_starts(&mut self, tab: TabId, now: Instant) {
        let (opened, restarted) = (now + self.policy.open_timeout, now + self.policy.restart_timeout);
        self.tabs.update(tab, |tab| match &mut tab.stage {
            Stage::Opening(give_up @ None) => *give_up = Some(opened),
            Stage::Restarting(give_up @ None) => *give_up = Some(restarted),
            _ => {}
        });
    }

    pub(super) fn tab_connected(&mut self, tab: TabId, now: Instant) {
        if matches!(self.tabs.get(tab).map(|tab| tab.stage), Some(Stage::Cut(_))) {
            self.blame_first(tab, &cut(), now);
            self.displace(tab, now);
        }
        let give_up = now + self.policy.start_timeout;
        let target = self.tabs.update(tab, |tab| tab.enter(Stage::Starting(give_up)).then_some(tab.target));
        if let Some(target) = target.flatten() {
            self.actions.push_back(Action::StartBackend { tab, target });
        }
    }

    pub(super) fn tab_ready(&mut self, id: TabId, now: Instant) {
        let found = self.tabs.update(id, |tab| {
            tab.enter(Stage::Ready).then(|| {
                tab.head_since = now;
                (tab.is_used, tab.is_alone) = (false, false);
                (tab.target, tab.browser, tab.ready_since.replace(now))
            })
        });
        let Some((target, browser, ready_before)) = found.flatten() else { return };
        self.start_failures.remove(&target);
        self.proven.insert(target);
        self.with_slot(browser, Slot::worked);
        self.repaired(id, target, now);
        if ready_before.is_none() {
            self.look_after_tab(id, now);
            self.succeed_worn(id, target, now);
        }
        self.hand_out_reserved(id, now);
        self.fill_pools(now);
    }

    pub(super) fn tab_failed(&mut self, tab: TabId, failure: Failure, now: Instant) {
        let Some(found) = self.tabs.get(tab) else { return };
        let (target, browser) = (found.target, found.browser);
        let never_worked = !self.proven.contains(target);
        if failure.cause == Cause::BackendUnavailable && never_worked {
            self.remove_tab(tab, &failure, now);
            self.give_up(target, failure, now);
            return;
        }
        if self.tabs.ready(target).any(|(_, other)| other != tab) {
            return self.further_tab_failed(tab, target, &failure, now);
        }
        let failures = self.start_failures.entry(target).or_default();
        *failures += 1;
        let failures = *failures;
        self.displace(tab, now);
        self.remove_tab(tab, &failure, now);
        self.target_failed(target, &failure, now);
        if failures >= self.policy.give_up_after {
            self.give_up(target, failure, now);
        } else if failures > 1 || failure.cause == Cause::BackendUnavailable {
            // A fresh page did not help, or what the browser had it no longer offers (Chromium has no adapter after its
            // GPU process has crashed twice): the browser itself is to be made afresh.
            self.restart_browser(browser, target.browser, &failure, now);
        }
    }

    /// A tab did not start while another one of its target works: neither that one's browser nor the target is to blame.
    fn further_tab_failed(&mut self, tab: TabId, target: Target, failure: &Failure, now: Instant) {
        self.displace(tab, now);
        self.remove_tab(tab, failure, now);
        let again = now + self.policy.relaunch_pause_cap;
        self.not_before.insert(target, again);
        self.timers.insert((again, Timer::Open(target)));
        let scale = self.scales.get_mut(&target);
        let change = scale.and_then(|scale| scale.not_started(&failure.message, &self.policy.scaling, now));
        self.scaled(target, change);
    }

    pub(super) fn worker_lost(&mut self, tab: TabId, failure: Failure, now: Instant) {
        match self.tabs.get(tab).map(|tab| tab.stage) {
            // A page that breaks the protocol is not trusted to start a better worker.
            Some(Stage::Ready) if failure.cause == Cause::BadFrame => self.tab_lost(tab, failure, now),
            // It may be a crash that is told a moment later: whoever blames a job for it should know which.
            Some(Stage::Ready) if failure.cause == Cause::SocketClosed => {
                if let Some(target) = self.tabs.get(tab).map(|tab| tab.target) {
                    let failure = failure.clone();
                    self.actions.push_back(Action::Disconnected { tab, target, failure });
                }
                self.suspect_first(tab, now);
                self.displace(tab, now);
                let give_up = now + self.policy.cut_grace;
                self.tabs.update(tab, |tab| {
                    tab.enter(Stage::Cut(give_up));
                    tab.loaded.clear();
                    tab.vitals.dropped(now);
                });
                self.connection_dropped(tab, now);
            }
            Some(Stage::Ready | Stage::Cut(_)) => {
                self.blame_first(tab, &failure, now);
                self.displace(tab, now);
                self.repair_worker(tab, failure, now);
            }
            Some(Stage::Starting(_)) => self.tab_failed(tab, failure, now),
            // Another one stands in for it already.
            Some(Stage::Retiring) => self.tab_lost(tab, failure, now),
            // The page reconnects or its stage times out.
            Some(Stage::Opening(_) | Stage::Restarting(_)) | None => {}
        }
    }

    fn connection_dropped(&mut self, tab: TabId, now: Instant) {
        let Some(target) = self.tabs.get(tab).map(|tab| tab.target) else { return };
        self.vitals[target].dropped(now);
        if let Some(slot) = self.slots.get_mut(&target.browser) {
            slot.vitals.dropped(now);
        }
    }

    pub(super) fn tab_lost(&mut self, id: TabId, failure: Failure, now: Instant) {
        let Some(tab) = self.tabs.get(id) else { return };
        let (stage, target, browser) = (tab.stage, tab.target, tab.browser);
        match stage {
            Stage::Ready | Stage::Cut(_) | Stage::Restarting(_) => {
                self.blame_first(id, &failure, now);
                self.displace(id, now);
                self.remove_tab(id, &failure, now);
                let within = self.policy.tab_deaths_within;
                let died = self.slots.get_mut(&target.browser).map_or(0, |slot| slot.tab_died(within, now));
                if died >= self.policy.restart_browser_after {
                    self.restart_browser(browser, target.browser, &failure, now);
                } else {
                    self.repair_tab(id, target, &failure, Strategy::ReplaceTab, now);
                }
            }
            Stage::Retiring => {
                self.blame_first(id, &failure, now);
                self.displace(id, now);
                self.remove_tab(id, &failure, now);
            }
            Stage::Opening(_) | Stage::Starting(_) => self.tab_failed(id, failure, now),
        }
    }

    pub(super) fn remove_tab(&mut self, tab: TabId, failure: &Failure, now: Instant) {
        // Whoever still waits to learn what its closed socket meant learns it now.
        self.blame_suspect(tab, failure, Guilt::Shared, now);
        if self.tabs.remove(tab).is_some() {
            self.not_repaired(tab, now);
            self.actions.push_back(Action::CloseTab { tab, failure: failure.clone() });
        }
    }

    pub(super) fn open_missing_tabs(&mut self, now: Instant) {
        for target in self.hopeful().iter() {
            let missing = self.tabs_wanted(target).saturating_sub(self.tabs.count(target));
            let works = || self.tabs.has_ready(target);
            if missing == 0 || self.not_before.contains_key(&target) && works() {
                continue;
            }
            let Some(browser) = self.slots.get(&target.browser).and_then(Slot::running) else { continue };
            for _ in 0..missing {
                let tab = TabId(self.next_tab);
                self.next_tab += 1;
                self.tabs.insert(tab, Tab::new(target, browser, now));
                self.actions.push_back(Action::OpenTab { tab, browser, target });
            }
        }
    }

    pub(super) fn give_up(&mut self, target: Target, failure: Failure, now: Instant) {
        if self.given_up.contains_key(&target) {
            return;
        }
        self.hopeful.remove(target);
        self.given_up.insert(target, failure.clone());
        let tabs: Vec<TabId> = self.tabs.iter().filter(|(_, tab)| tab.target == target).map(|(id, _)| id).collect();
        for tab in tabs {
            self.displace(tab, now);
            self.remove_tab(tab, &failure, now);
        }
        self.beyond_repair(target, now);
        self.actions.push_back(Action::GiveUpTarget { target, failure });
        self.keep_tabs_for_pools();
        self.fill_pools(now);
        let hopeful = self.hopeful();
        for job in self.queue.all(|route| route.intersection(hopeful).is_empty()) {
            let Some(waiting) = self.jobs.get(&job) else { continue };
            if !waiting.open_to.intersection(hopeful).is_empty() {
                // Only its model's breaker kept it where nothing works any more.
                self.queue.remove(waiting.route, &waiting.ticket);
                self.wait(job);
                continue;
            }
            let failure = match waiting.attempts.last() {
                Some(attempt) => attempt.failure.clone(),
                None => self.no_target(waiting.spec.allowed),
            };
            self.end_without_target(job, failure);
        }
    }
}

/// What is said of a socket's end when nothing else explains it.
pub(super) fn cut() -> Failure {
    Failure::new(Cause::SocketClosed, "the tab's socket was closed, and the tab lives")
}
