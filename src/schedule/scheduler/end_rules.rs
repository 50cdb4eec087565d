//! How jobs end without a result.

use super::{Action, Scheduler, time_rules::Timer};
use crate::{
    schedule::{
        Fallback, TargetSet,
        jobs::{Attempt, Job, Place},
        tabs::InFlight,
    },
    types::{Cause, Failure, JobId},
};
use std::time::{Duration, Instant};

impl Scheduler {
    /// The job's own deadline has passed. If a tab was working on it, that was an attempt.
    pub(super) fn expire(&mut self, id: JobId, now: Instant) {
        let failure = late();
        if let Some(job) = self.jobs.get_mut(&id)
            && let Place::InFlight(tab_id) = job.place
            && let Some(tab) = self.tabs.get(tab_id)
            && tab.in_flight.front().is_some_and(|head| head.jobs().any(|job| job == id))
        {
            let elapsed_ms = now.saturating_duration_since(tab.head_since).as_secs_f64() * 1e3;
            let attempt = Attempt { target: tab.target, tab: tab_id, failure: failure.clone(), elapsed_ms };
            let number = job.attempts.len() as u32 + 1;
            job.attempts.push(attempt.clone());
            let (model, severity) = (job.spec.model, failure.severity_in(number));
            self.actions.push_back(Action::AttemptFailed { job: id, model, number, severity, attempt });
        }
        let grace = self.policy.deadline_grace;
        self.abandon(id, |work, at_it| rest(work, at_it).unwrap_or(grace).min(grace), now);
        self.give_up_call(id);
        self.end(id, failure);
    }

    /// The job waits no more for what a tab says of it. When nobody else waits for the run either, the worker is ended if
    /// it is not done with it soon: by what the run takes as far as that was measured, and how long the worker was at it,
    /// `grace` tells how soon.
    fn abandon(&mut self, id: JobId, grace: impl FnOnce(Duration, Duration) -> Duration, now: Instant) {
        let Some(Place::InFlight(tab)) = self.jobs.get(&id).map(|job| job.place) else { return };
        if self.is_waited_for_by_others(tab, id) {
            return;
        }
        self.tabs.update(tab, |tab| {
            let of_job = |in_flight: &InFlight| in_flight.jobs().any(|job| job == id);
            let Some(place) = tab.in_flight.iter().position(of_job) else { return };
            let at_it = if place == 0 { now.saturating_duration_since(tab.head_since) } else { Duration::ZERO };
            let run = &mut tab.in_flight[place];
            run.timeout = run.timeout.min(at_it + grace(run.work, at_it));
        });
    }

    /// The job is no longer wanted. A tab that works on it may be done soon; if not, its worker is ended.
    pub(super) fn cancel(&mut self, id: JobId, now: Instant) {
        let grace = self.policy.cancel_grace;
        self.abandon(id, |_, _| grace, now);
        self.give_up_call(id);
        self.end(id, Failure::new(Cause::Cancelled, "the job was cancelled"));
    }

    pub(super) fn end(&mut self, id: JobId, failure: Failure) {
        if let Some(job) = self.forget(id) {
            self.actions.push_back(Action::EndWithFailure { job: id, failure, attempts: job.attempts });
        }
    }

    /// No target can take the job.
    pub(super) fn end_without_target(&mut self, id: JobId, failure: Failure) {
        if let Some(job) = self.forget(id) {
            self.actions.push_back(without_target(id, job.spec.fallback, failure, job.attempts));
        }
    }

    /// Takes a job out of every order it stands in. What a tab still works on stays booked there until it is answered.
    pub(super) fn forget(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.withdraw(&job);
        self.expiries.remove(&(job.spec.expires, id));
        if job.spec.turn_by < job.spec.expires {
            self.timers.remove(&(job.spec.turn_by, Timer::Turn(id)));
        }
        match job.place {
            Place::Waiting => {
                self.queue.remove(job.route, &job.ticket);
                self.stages.remove(&job.ticket);
            }
            Place::Paused(until) => drop(self.timers.remove(&(until, Timer::Retry(id)))),
            Place::Reserved(tab) => {
                self.tabs.update(tab, |tab| tab.reserved = None);
            }
            Place::InFlight(_) => {}
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

pub(super) fn late() -> Failure {
    Failure::new(Cause::DeadlineExceeded, "the job's deadline passed before it had a result")
}

/// How much longer a run takes at the most, by what was measured and how long the worker was at it: twice what was
/// measured is no wonder. `None` for one that was not begun, and of which nothing is known.
fn rest(work: Duration, at_it: Duration) -> Option<Duration> {
    (work + at_it > Duration::ZERO).then(|| (2 * work).saturating_sub(at_it))
}

/// What becomes of a job that no target can take.
pub(super) fn without_target(job: JobId, fallback: Fallback, failure: Failure, attempts: Vec<Attempt>) -> Action {
    match fallback {
        Fallback::Off => Action::EndWithFailure { job, failure, attempts },
        Fallback::Native => Action::FallBack { job, failure, attempts },
    }
}
