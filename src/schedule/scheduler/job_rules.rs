//! What happens to jobs: waiting, handed out, answered, ended.

use super::{Action, Scheduler};
use crate::{
    schedule::{
        TargetSet,
        jobs::{Attempt, Job, JobSpec, Place, Verdict},
        placement,
        tabs::InFlight,
    },
    types::{Cause, Failure, JobId, TabId},
};
use std::time::Instant;

impl Scheduler {
    pub(super) fn submit(&mut self, id: JobId, spec: JobSpec) {
        let order = self.next_order;
        self.next_order += 1;
        if spec.allowed.intersection(self.hopeful()).is_empty() {
            let failure = self.no_target(spec.allowed);
            self.actions.push_back(Action::EndWithFailure { job: id, failure, attempts: Vec::new() });
            return;
        }
        self.expiries.insert((spec.expires, id));
        self.queue.insert(spec.allowed, order, id);
        self.jobs.insert(id, Job::new(spec, order));
    }

    pub(super) fn place_waiting(&mut self, now: Instant) {
        let mut free: TargetSet = self
            .hopeful()
            .iter()
            .filter(|target| self.tabs.least_loaded(*target).is_some_and(|(n, _)| n < self.policy.in_flight_per_tab))
            .collect();
        while let Some(id) = self.queue.first_for(free) {
            let Some(job) = self.jobs.get_mut(&id) else { return };
            let software = self.software;
            let Some(tab) = placement::choose(job, &self.tabs, &self.policy, |target| software.contains(target)) else {
                // Its inputs are too many bytes for what the tabs already hold: it waits, and keeps its place.
                free = free.difference(job.open_to);
                continue;
            };
            self.queue.remove(job.open_to, job.order);
            job.place = Place::InFlight(tab);
            let (bytes, timeout) = (job.spec.bytes, job.spec.attempt_timeout);
            let attempt = job.attempts.len() as u32 + 1;
            let per_tab = self.policy.in_flight_per_tab;
            let target = self.tabs.update(tab, |tab| {
                if tab.in_flight.is_empty() {
                    tab.head_since = now;
                }
                tab.in_flight.push_back(InFlight { job: id, bytes, timeout });
                tab.bytes += bytes;
                tab.target
            });
            self.actions.push_back(Action::StartAttempt { tab, job: id, attempt });
            if let Some(target) = target
                && self.tabs.least_loaded(target).is_none_or(|(load, _)| load >= per_tab)
            {
                free.remove(target);
            }
        }
    }

    /// Takes an answered job off its tab. Tells how long the tab worked on it, if the job still waits for this answer.
    pub(super) fn answered(&mut self, tab: TabId, id: JobId, now: Instant) -> Option<f64> {
        let elapsed_ms = self.tabs.update(tab, |tab| {
            let position = tab.in_flight.iter().position(|in_flight| in_flight.job == id)?;
            let elapsed_ms = now.saturating_duration_since(tab.head_since).as_secs_f64() * 1e3;
            let in_flight = tab.in_flight.remove(position)?;
            tab.bytes -= in_flight.bytes;
            tab.head_since = now;
            Some(elapsed_ms)
        })??;
        (self.jobs.get(&id)?.place == Place::InFlight(tab)).then_some(elapsed_ms)
    }

    pub(super) fn succeeded(&mut self, tab: TabId, id: JobId, now: Instant) {
        if self.answered(tab, id, now).is_none() {
            return;
        }
        if let Some(job) = self.forget(id) {
            self.actions.push_back(Action::EndWithResult { job: id, attempts: job.attempts });
        }
    }

    pub(super) fn failed(&mut self, tab: TabId, id: JobId, failure: Failure, now: Instant) {
        let worker_is_spent = matches!(failure.cause, Cause::DeviceLost | Cause::WorkerCrashed | Cause::OutOfMemory);
        if let Some(elapsed_ms) = self.answered(tab, id, now) {
            self.attempt_failed(id, tab, failure.clone(), elapsed_ms);
        }
        if worker_is_spent {
            self.displace(tab);
            self.restart_worker(tab, failure, now);
        }
    }

    /// Books a failed attempt: the job waits again, or ends.
    pub(super) fn attempt_failed(&mut self, id: JobId, tab: TabId, failure: Failure, elapsed_ms: f64) {
        let Some(target) = self.tabs.get(tab).map(|tab| tab.target) else { return };
        let hopeful = self.hopeful();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let attempt = Attempt { target, tab, failure: failure.clone(), elapsed_ms };
        let number = job.attempts.len() as u32 + 1;
        self.actions.push_back(Action::AttemptFailed { job: id, number, attempt: attempt.clone() });
        let verdict = job.fail(attempt);
        if verdict == Verdict::Retry && !job.open_to.intersection(hopeful).is_empty() {
            job.place = Place::Waiting;
            self.queue.insert(job.open_to, job.order, id);
        } else {
            self.end(id, failure);
        }
    }

    /// The job's own deadline has passed. If a tab was working on it, that was an attempt.
    pub(super) fn expire(&mut self, id: JobId, now: Instant) {
        let failure = Failure::new(Cause::DeadlineExceeded, "the job's deadline passed before it had a result");
        if let Some(job) = self.jobs.get_mut(&id)
            && let Place::InFlight(tab_id) = job.place
            && let Some(tab) = self.tabs.get(tab_id)
            && tab.in_flight.front().is_some_and(|head| head.job == id)
        {
            let elapsed_ms = now.saturating_duration_since(tab.head_since).as_secs_f64() * 1e3;
            let attempt = Attempt { target: tab.target, tab: tab_id, failure: failure.clone(), elapsed_ms };
            let number = job.attempts.len() as u32 + 1;
            job.attempts.push(attempt.clone());
            self.actions.push_back(Action::AttemptFailed { job: id, number, attempt });
        }
        self.end(id, failure);
    }

    pub(super) fn end(&mut self, id: JobId, failure: Failure) {
        if let Some(job) = self.forget(id) {
            self.actions.push_back(Action::EndWithFailure { job: id, failure, attempts: job.attempts });
        }
    }

    /// Takes a job out of every order it stands in. What a tab still works on stays booked there until it is answered.
    pub(super) fn forget(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.expiries.remove(&(job.spec.expires, id));
        if job.place == Place::Waiting {
            self.queue.remove(job.open_to, job.order);
        }
        Some(job)
    }

    pub(super) fn no_target(&self, allowed: TargetSet) -> Failure {
        let reasons: Vec<String> = allowed
            .iter()
            .filter_map(|target| self.given_up.get(&target).map(|why| format!("{target}: {}", why.message)))
            .collect();
        let message = if reasons.is_empty() {
            let asked: Vec<String> = allowed.iter().map(|target| target.to_string()).collect();
            format!("no target of this fleet can take the job (it may run on: {})", asked.join(", "))
        } else {
            format!("no target can take the job ({})", reasons.join("; "))
        };
        Failure::new(Cause::NoTarget, message)
    }
}
