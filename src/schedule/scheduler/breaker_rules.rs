//! Whom breakers turn away, and what happens when one changes its state.

use super::{Action, Recovery, Scheduler};
use crate::{
    schedule::{
        TargetSet,
        breaker::{Call, Change},
        breakers::{Changed, Owner, Permits},
        jobs::{Fallback, Job, Place},
        tabs::InFlight,
    },
    types::{BreakerState, Cause, Failure, JobId, ModelId, Strategy, TabId, Target},
};
use std::time::{Duration, Instant};

impl Scheduler {
    /// Where jobs that may run on `route` may be placed now. Targets are left out while their breakers let nothing
    /// through, but never so many that fewer than [`Policy::keep_targets`](crate::schedule::Policy::keep_targets) are
    /// left: then the least bad stay.
    pub(super) fn admitted(&self, route: TargetSet, hopeful: TargetSet, ejected: TargetSet) -> TargetSet {
        let mut turned_away = route.intersection(hopeful).intersection(ejected);
        let mut admitted = route.intersection(hopeful).difference(ejected);
        while admitted.len() < self.policy.keep_targets
            && let Some(least_bad) = self.breakers.least_bad(turned_away)
        {
            turned_away.remove(least_bad);
            admitted.insert(least_bad);
        }
        admitted
    }

    /// Where a job waits: where it may run, less where a breaker turns its model away, unless it would be everywhere.
    pub(super) fn route(&self, job: &Job) -> TargetSet {
        let open = job.open_to.intersection(self.hopeful());
        let narrowed = open.difference(self.breakers.ejected_for(job.spec.model));
        if narrowed.len() < self.keep_targets(job).min(open.len()) { job.open_to } else { narrowed }
    }

    /// Targets that breakers may not take from the job. One that may fall back has somebody else to take it.
    const fn keep_targets(&self, job: &Job) -> usize {
        match job.spec.fallback {
            Fallback::Off => self.policy.keep_targets,
            Fallback::Native => 0,
        }
    }

    /// Puts a job into the queue.
    pub(super) fn wait(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if self.stages.get(job.spec.model).is_some() {
            job.place = Place::Waiting;
            self.stages.insert(&job.ticket);
            return;
        }
        let Some(job) = self.jobs.get(&id) else { return };
        let route = self.route(job);
        let (open, ejected) = (job.open_to.intersection(self.hopeful()), self.breakers.ejected());
        if self.keep_targets(job) == 0 && route.intersection(open).difference(ejected).is_empty() {
            let failure = if open.is_empty() { self.no_target(job.spec.allowed) } else { circuit_open(open) };
            self.end_without_target(id, failure);
            return;
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.place = Place::Waiting;
            job.route = route;
            self.queue.insert(route, &job.ticket);
        }
        self.offer(id);
    }

    pub(super) fn take_permits(&mut self, target: Target, model: ModelId, now: Instant) -> Option<Permits> {
        self.breakers.take(&self.policy, target, model, now)
    }

    pub(super) fn breakers_changed(&mut self, changes: impl IntoIterator<Item = Changed>) {
        for Changed { owner, change } in changes {
            let (target, model) = match owner {
                Owner::Target(target) => (target, None),
                Owner::Model(target, model) => (target, Some(model)),
            };
            if model.is_none() {
                self.book_circuit(target, &change);
            }
            let (from, to, reason, wait) = (change.from, change.to, change.reason, change.wait);
            self.actions.push_back(Action::BreakerChanged { target, model, from, to, reason, wait });
            match model {
                Some(model) => self.route_again(|job| job.spec.model == model),
                // The others stay where they wait: placement keeps targets for them.
                None if self.policy.keep_targets == 0 => self.route_again(|job| job.route.contains(target)),
                None => self.route_again(|job| job.spec.fallback == Fallback::Native && job.route.contains(target)),
            }
        }
    }

    /// A target's open circuit has helped when it closes, and has not when it opens again after a probe.
    fn book_circuit(&mut self, target: Target, change: &Change) {
        let (succeeded, took) = match (change.from, change.to, change.took) {
            (_, BreakerState::Closed, Some(took)) => (true, took),
            (BreakerState::HalfOpen, BreakerState::Open, _) => (false, Duration::ZERO),
            _ => return,
        };
        let failure = Failure::new(Cause::CircuitOpen, change.reason.clone());
        let (browser, target, strategy) = (target.browser, Some(target), Strategy::OpenCircuit);
        self.book(Recovery { browser, target, tab: None, job: None, failure, strategy, succeeded, took });
    }

    /// Waiting jobs find out anew where they may go.
    fn route_again(&mut self, which: impl Fn(&Job) -> bool) {
        let waiting = self.jobs.iter().filter(|(_, job)| job.place == Place::Waiting && which(job));
        let waiting: Vec<JobId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            if let Some(job) = self.jobs.get(&id) {
                self.queue.remove(job.route, &job.ticket);
            }
            self.wait(id);
        }
    }

    /// Something failed at a target that was no job's doing.
    pub(super) fn target_failed(&mut self, target: Target, failure: &Failure, now: Instant) {
        self.vitals[target].failed();
        let changed = self.breakers.outcome(None, target, Call::Failed, &failure.message, now);
        self.breakers_changed(changed);
    }

    /// Half-open targets are probed by the canary first; jobs come when it has succeeded.
    pub(super) fn probe_half_open(&mut self, now: Instant) {
        if !self.policy.canary {
            return;
        }
        let targets: Vec<Target> = self.breakers.want_canary().collect();
        for target in targets {
            let idle = |tab| self.tabs.get(tab).is_some_and(|tab| !tab.runs_canary());
            let Some((_, tab)) = self.tabs.ready(target).find(|(_, tab)| idle(*tab)) else { continue };
            self.run_canary(tab, now);
        }
    }

    pub(super) fn run_canary(&mut self, id: TabId, now: Instant) {
        let Some(target) = self.tabs.get(id).map(|tab| tab.target) else { return };
        let permits = self.breakers.take_canary(target);
        let in_flight = InFlight::canary(self.policy.canary_timeout, permits);
        self.tabs.update(id, |tab| tab.hand(in_flight, now));
        self.actions.push_back(Action::RunCanary { tab: id });
    }

    pub(super) fn forget_model(&mut self, model: ModelId) {
        self.breakers.forget(model);
        self.end_sessions_of(model);
        for job in self.stages.forget(model).map(|stage| stage.waiting()).unwrap_or_default() {
            self.end(job, Failure::new(Cause::Cancelled, "its model was forgotten"));
        }
        self.speeds.forget(model);
        self.batches.forget(model);
        self.pools.forget(model);
        self.keep_tabs_for_pools();
        self.tabs.forget_model(model);
    }
}

fn circuit_open(route: TargetSet) -> Failure {
    let targets: Vec<String> = route.iter().map(|target| target.to_string()).collect();
    let message = format!("every circuit breaker is open that it would have to pass ({})", targets.join(", "));
    Failure::new(Cause::CircuitOpen, message)
}
