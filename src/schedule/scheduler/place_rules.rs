//! Which of the waiting jobs go to tabs now.

use super::{Action, Scheduler, time_rules::Timer};
use crate::{
    schedule::{
        TargetSet,
        jobs::{Avoid, Place},
        placement::Placing,
        tabs::{Companions, InFlight, Tab},
    },
    types::{JobId, Placement, TabId, Target},
};
use std::time::Instant;

impl Scheduler {
    pub(super) fn place_waiting(&mut self, now: Instant) {
        if self.queue.len() == 0 {
            return;
        }
        self.tabs.open(now);
        let hopeful = self.hopeful();
        let has_room = |target: &Target| self.tabs.with_room(*target).next().is_some() && !self.is_full(target.browser);
        let mut free: TargetSet = hopeful.iter().filter(has_room).collect();
        let mut ejected = self.breakers.ejected();
        while !free.is_empty() {
            let admitted = |route| self.admitted(route, hopeful, ejected);
            // The first test is part of the second, and spares it where nothing is free anyway.
            let may_go = |route: TargetSet| {
                !route.intersection(free).is_empty() && !admitted(route).intersection(free).is_empty()
            };
            let Some(id) = self.queue.first(may_go) else { return };
            let Some(job) = self.jobs.get(&id) else { return };
            let route = self.route(job);
            if route != job.route {
                // Its model's breaker let a last probe through meanwhile, or has room for one again.
                self.queue.remove(job.route, &job.ticket);
                self.wait(id);
                continue;
            }
            let admitted = admitted(route);
            let (tabs, policy, speeds, vitals) = (&self.tabs, &self.policy, &self.speeds, &self.vitals);
            let (software, sessions) = (self.software, &self.sessions);
            let placing = Placing { tabs, policy, speeds, vitals, sessions, software, now };
            let Some((tab, placement)) = placing.choose(job, self.not_full(admitted)) else {
                // Its inputs are too many bytes for what the tabs already hold: it waits, and keeps its place.
                free = free.difference(admitted);
                continue;
            };
            let companions = self.companions(id, tab, now);
            let Some(target) = self.hand_out(id, &companions, tab, placement, now) else { return };
            self.tabs.open(now);
            if self.tabs.with_room(target).next().is_none() {
                free.remove(target);
            }
            free = self.not_full(free);
            ejected = self.breakers.ejected();
        }
    }

    /// Hands a job to a tab, and in the same run those that go along with it.
    pub(super) fn hand_out(
        &mut self,
        id: JobId,
        companions: &[JobId],
        tab: TabId,
        placement: Placement,
        now: Instant,
    ) -> Option<Target> {
        let Tab { target, is_used, .. } = *self.tabs.get(tab)?;
        let alone = self.jobs.get(&id)?.wants_solitude();
        if alone && is_used {
            return self.reserve(id, tab, placement, now);
        }
        let attempt = self.goes_to(id, tab, target, now)?;
        let with: Vec<(JobId, u32)> =
            companions.iter().filter_map(|other| Some((*other, self.goes_to(*other, tab, target, now)?))).collect();
        let job = self.jobs.get(&id)?;
        let (model, timeout, release) = (job.spec.model, job.spec.attempt_timeout, job.spec.release);
        if self.stages.get(model).is_none() && !job.is_seated() && job.route.len() > 1 {
            self.speeds.count(model);
        }
        let all = || std::iter::once(id).chain(with.iter().map(|(job, _)| *job)).filter_map(|id| self.jobs.get(&id));
        let bytes = all().map(|job| job.spec.bytes).sum();
        // Whoever is due first has ended by then, and the others still wait for the run.
        let expires = all().map(|job| job.spec.expires).max();
        let rows = all().filter_map(|job| job.spec.batch.as_ref()).map(|batch| batch.rows).sum();
        let work = self.expected_run(model, target, rows).unwrap_or_default();
        let permits = self.take_permits(target, model, now);
        let companions = Companions { jobs: with.iter().map(|(job, _)| *job).collect(), rows };
        self.tabs.update(tab, |tab| {
            if release {
                tab.loaded.remove(&model);
            } else {
                tab.loaded.insert(model);
            }
            let loads = None;
            tab.hand(InFlight { job: id, with: companions, bytes, timeout, expires, work, alone, permits, loads }, now);
        });
        self.actions.push_back(Action::StartAttempt { tab, job: id, attempt, placement, with });
        Some(target)
    }

    /// A job leaves wherever it waits. Tells the number of its attempt.
    fn goes_to(&mut self, id: JobId, tab: TabId, target: Target, now: Instant) -> Option<u32> {
        let job = self.jobs.get_mut(&id)?;
        match job.place {
            Place::Paused(until) => _ = self.timers.remove(&(until, Timer::Retry(id))),
            _ if self.stages.get(job.spec.model).is_some() => self.stages.remove(&job.ticket),
            Place::Waiting if !job.is_seated() => self.queue.take(job.route, &job.ticket, target, now),
            _ => {}
        }
        if let Some(kind) = job.kind() {
            self.batches.remove(&kind, &job.ticket);
        }
        job.place = Place::InFlight(tab);
        job.avoid = Avoid::Nothing;
        if let Some(recovery) = &mut job.recovery {
            recovery.strategy = recovery.realised(target, tab);
        }
        Some(job.attempts.len() as u32 + 1)
    }
}
