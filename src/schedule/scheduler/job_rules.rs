//! What happens to jobs: waiting, handed out, answered, failed.

use super::{
    Action, Recovery, Scheduler,
    end_rules::{late, without_target},
    time_rules::Timer,
};
use crate::{
    schedule::{
        breakers::{Permits, blames_target},
        jobs::{Attempt, Avoid, Guilt, Job, JobRecovery, JobSpec, Place, Verdict, is_killing, spends_worker},
        policy::Pauses,
        recovery::JobFailure,
        sessions::SessionCall,
        tabs::{Companions, InFlight},
    },
    types::{Cause, Failure, JobId, ModelId, Strategy, TabId, Target},
};
use std::time::{Duration, Instant};

/// What a tab had been handed and is done with.
pub(super) struct Answered {
    pub target: Target,
    pub elapsed_ms: f64,
    pub permits: Option<Permits>,
    pub guilt: Guilt,
    pub job: JobId,
    /// Who ran together with the job.
    pub with: Companions,
    /// Whether the tab loaded the model for it.
    pub cold: bool,
    /// The model that was loaded, if that was all.
    pub loads: Option<ModelId>,
}

impl Answered {
    /// A job alone, of which nothing else is known.
    pub fn of(job: JobId, target: Target) -> Self {
        let with = Companions::default();
        Self { target, elapsed_ms: 0.0, permits: None, guilt: Guilt::Own, job, with, cold: false, loads: None }
    }

    /// All whose run it was.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + '_ {
        std::iter::once(self.job).chain(self.with.jobs.iter().copied())
    }
}

impl Scheduler {
    pub(super) fn submit(&mut self, id: JobId, spec: JobSpec, now: Instant) {
        if spec.expires <= now {
            self.actions.push_back(Action::EndWithFailure { job: id, failure: late(), attempts: Vec::new() });
            return;
        }
        let order = self.next_order;
        self.next_order += 1;
        if let Some(SessionCall { session, begins: false, .. }) = spec.session {
            return self.submit_call(id, spec, session, order, now);
        }
        if spec.allowed.intersection(self.hopeful()).is_empty() {
            let failure = self.no_target(spec.allowed);
            self.actions.push_back(without_target(id, spec.fallback, failure, Vec::new()));
            return;
        }
        self.expiries.insert((spec.expires, id));
        if spec.turn_by < spec.expires {
            self.timers.insert((spec.turn_by, Timer::Turn(id)));
        }
        self.jobs.insert(id, Job::new(id, spec, order, now));
        self.gather_or_wait(id, now);
    }

    /// Takes what was answered off its tab.
    pub(super) fn take_answered(&mut self, tab: TabId, id: JobId, now: Instant) -> Option<Answered> {
        self.tabs.update(tab, |tab| {
            let position = tab.in_flight.iter().position(|in_flight| in_flight.job == id)?;
            let elapsed_ms = now.saturating_duration_since(tab.head_since).as_secs_f64() * 1e3;
            let in_flight = tab.take(position, now)?;
            let InFlight { permits, with, cold, loads, .. } = in_flight;
            Some(Answered { target: tab.target, elapsed_ms, permits, guilt: Guilt::Own, job: id, with, cold, loads })
        })?
    }

    /// Whether the job still waits for what this tab says of it.
    pub(super) fn waits_for(&self, id: JobId, tab: TabId) -> bool {
        self.jobs.get(&id).is_some_and(|job| job.place == Place::InFlight(tab))
    }

    pub(super) fn succeeded(&mut self, tab: TabId, id: JobId, run: Duration, now: Instant) {
        let Some(answered) = self.take_answered(tab, id, now) else { return };
        let waiting: Vec<JobId> = answered.jobs().filter(|id| self.waits_for(*id, tab)).collect();
        let mut waiting = waiting.into_iter();
        let first = waiting.next().and_then(|id| Some((id, self.forget(id)?)));
        let Some((id, job)) = first else { return self.leave_nothing(tab, now) };
        self.learn_from(&job, &answered, run);
        self.note_success(tab, answered, &job, run, now);
        self.end_with_result(id, job, tab, now);
        for id in waiting {
            if let Some(job) = self.forget(id) {
                self.end_with_result(id, job, tab, now);
            }
        }
        self.leave_nothing(tab, now);
        self.retire_if_worn(tab, now);
    }

    fn end_with_result(&mut self, id: JobId, job: Job, tab: TabId, now: Instant) {
        self.call_succeeded(tab, &job.spec, now);
        if let Some(recovery) = job.recovery {
            self.conclude_job(id, recovery, true, now);
        }
        self.actions.push_back(Action::EndWithResult { job: id, attempts: job.attempts });
    }

    /// Breakers, health and baselines take in a success.
    fn note_success(&mut self, tab: TabId, answered: Answered, job: &Job, run: Duration, now: Instant) {
        let (target, model) = (answered.target, job.spec.model);
        let slowdown = self.alone(job, &answered, run).and_then(|run| match answered.cold {
            true => self.speeds.take_in_cold(model, target, run),
            false => self.speeds.take_in(model, target, run),
        });
        if let Some(scale) = self.scales.get_mut(&target) {
            // Each job of a run counts.
            answered.jobs().for_each(|_| scale.answered(model, now));
        }
        let limit = self.policy.breaker(target.browser).slow_call_duration_threshold;
        let is_slow = run > limit && slowdown.is_some_and(|times| times >= self.policy.slow_call_factor);
        let slow = is_slow.then(|| {
            let times = slowdown.unwrap_or_default();
            format!("a run took {run:?}, {times:.1} times what the model takes there")
        });
        if let Some(permits) = answered.permits {
            let changes = self.breakers.succeeded(permits, target, model, slow.as_deref(), now);
            self.breakers_changed(changes);
        }
        self.vitals[target].succeeded(slowdown);
        let mut ready_since = None;
        if let Some(tab) = self.tabs.get_mut(tab) {
            tab.vitals.succeeded(slowdown);
            ready_since = tab.ready_since;
        }
        if let Some(slot) = self.slots.get_mut(&target.browser) {
            slot.vitals.succeeded(slowdown);
            ready_since.into_iter().for_each(|since| slot.tab_answered(since));
        }
    }

    /// Health takes in that a tab failed.
    pub(super) fn note_failure(&mut self, tab: TabId) {
        let Some(tab) = self.tabs.get_mut(tab) else { return };
        tab.vitals.failed();
        tab.failures += 1;
        let target = tab.target;
        self.vitals[target].failed();
        if let Some(slot) = self.slots.get_mut(&target.browser) {
            slot.vitals.failed();
        }
    }

    pub(super) fn failed(&mut self, tab: TabId, id: JobId, failure: Failure, now: Instant) {
        let spent = spends_worker(failure.cause);
        if let Cause::ModelLoad | Cause::ModelDownload = failure.cause
            && let Some(job) = self.jobs.get(&id)
            && let Some(tab) = self.tabs.get_mut(tab)
        {
            tab.loaded.remove(&job.spec.model);
        }
        let answered = self.take_answered(tab, id, now);
        if let Some(answered) = answered {
            self.run_failed(tab, &failure, answered, now);
        }
        if spent {
            self.displace(tab, now);
            self.repair_worker(tab, failure, now);
        } else {
            self.leave_nothing(tab, now);
        }
        self.retire_if_worn(tab, now);
    }

    /// Books a failed attempt: the job waits again, or ends.
    pub(super) fn attempt_failed(&mut self, id: JobId, tab: TabId, failure: Failure, answered: Answered, now: Instant) {
        let Answered { target, elapsed_ms, permits, guilt, .. } = answered;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let number = job.attempts.len() as u32 + 1;
        let (model, severity) = (job.spec.model, failure.severity_in(number));
        let attempt = Attempt { target, tab, failure: failure.clone(), elapsed_ms };
        self.actions.push_back(Action::AttemptFailed { job: id, model, number, severity, attempt: attempt.clone() });
        let verdict = job.fail(attempt, guilt);
        let (kills, recovery) = (job.kills, job.recovery.take());
        let barred = !job.open_to.contains(target);
        self.blame(tab, target, model, permits, &failure, now);
        if barred {
            self.bar_stage(model, target);
        }
        if let Some(recovery) = recovery {
            self.conclude_job(id, recovery, false, now);
        }
        let Some(job) = self.jobs.get(&id) else { return };
        if kills >= self.policy.quarantine_after && is_killing(failure.cause) {
            self.quarantine(id);
        } else if verdict == Verdict::End || job.open_to.intersection(self.hopeful()).is_empty() {
            let failure = self.call_failed(id, failure);
            let Some(job) = self.jobs.get(&id) else { return };
            if job.has_nowhere_to_go(self.hopeful()) {
                self.end_without_target(id, failure);
            } else {
                self.end(id, failure);
            }
        } else {
            self.try_again(id, tab, target, number, &failure, now);
        }
    }

    /// Breakers and health take in a failure that a job met.
    pub(super) fn blame(
        &mut self,
        tab: TabId,
        target: Target,
        model: ModelId,
        permits: Option<Permits>,
        failure: &Failure,
        now: Instant,
    ) {
        if blames_target(failure.cause) {
            self.note_failure(tab);
        }
        if let Some(permits) = permits {
            let why = (failure.cause, failure.message.as_str());
            let changes = self.breakers.failed(permits, target, model, why, now);
            self.breakers_changed(changes);
        }
    }

    pub(super) fn quarantine(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let ended: Vec<String> = job
            .attempts
            .iter()
            .filter(|attempt| is_killing(attempt.failure.cause))
            .map(|attempt| format!("{}: {}", attempt.target, attempt.failure))
            .collect();
        let message = format!("quarantined: it ended what ran it {} times ({})", ended.len(), ended.join("; "));
        self.end(id, Failure::new(Cause::Quarantined, message));
    }

    /// Chooses how the job goes on after a failed attempt, and lets it.
    pub(super) fn try_again(
        &mut self,
        id: JobId,
        tab: TabId,
        target: Target,
        attempt: u32,
        failure: &Failure,
        now: Instant,
    ) {
        let hopeful = self.hopeful();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let mut others = job.open_to.intersection(hopeful);
        others.remove(target);
        let strategy = self.recoveries.for_job(JobFailure {
            browser: target.browser,
            category: failure.category(),
            severity: failure.severity_in(attempt),
            attempt,
            priority: job.spec.priority,
            other_target: !others.is_empty(),
            other_tab: self.tabs.ready(target).any(|(_, other)| other != tab),
        });
        job.avoid = match strategy {
            // What it ended once, it may end again: then at least not the same.
            _ if is_killing(failure.cause) => Avoid::Target(target),
            Strategy::OtherTab => Avoid::Tab(tab),
            Strategy::Failover => Avoid::Target(target),
            _ => Avoid::Nothing,
        };
        job.recovery = Some(JobRecovery { failure: failure.clone(), failed_on: (target, tab), strategy, since: now });
        if strategy == Strategy::RetryWithBackoff {
            if job.pauses.is_none() {
                job.pauses = self.policy.pauses(id.0).ok();
            }
            let pause = job.pauses.as_mut().map(Pauses::next).unwrap_or_default();
            let until = (now + pause).min(job.spec.expires);
            job.place = Place::Paused(until);
            self.timers.insert((until, Timer::Retry(id)));
        } else {
            self.wait(id);
        }
    }

    pub(super) fn retry_due(&mut self, id: JobId) {
        if self.gathered(id) {
            return;
        }
        let Some(job) = self.jobs.get(&id).filter(|job| matches!(job.place, Place::Paused(_))) else { return };
        match job.attempts.last() {
            Some(last) if job.open_to.intersection(self.hopeful()).is_empty() => {
                self.end_without_target(id, last.failure.clone());
            }
            _ => self.wait(id),
        }
    }

    fn conclude_job(&mut self, id: JobId, recovery: JobRecovery, succeeded: bool, now: Instant) {
        let JobRecovery { failure, failed_on: (target, tab), strategy, since } = recovery;
        let (browser, took) = (target.browser, now.saturating_duration_since(since));
        let (target, tab, job) = (Some(target), Some(tab), Some(id));
        self.book(Recovery { browser, target, tab, job, failure, strategy, succeeded, took });
    }
}
