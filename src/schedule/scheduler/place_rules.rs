//! Which of the waiting jobs go to tabs now.

use super::{Action, Scheduler, time_rules::Timer};
use crate::{
    schedule::{
        TargetSet,
        jobs::{Avoid, Job, Place},
        placement::Placing,
        queue::Queue,
        tabs::{Companions, InFlight, Tab},
    },
    types::{Cause, Failure, JobId, Placement, TabId, Target},
};
use std::time::Instant;

/// Jobs that stand aside for others each time that tabs are filled, at the most.
const STAND_ASIDE: usize = 8;

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
        let mut aside = Vec::new();
        while !free.is_empty() {
            let admitted = |route| self.admitted(route, hopeful, ejected);
            // The first test is part of the second, and spares it where nothing is free anyway.
            let may_go = |route: TargetSet| {
                !route.intersection(free).is_empty() && !admitted(route).intersection(free).is_empty()
            };
            let Some(id) = self.queue.first(&aside, may_go) else { return };
            let Some(job) = self.jobs.get(&id) else { return };
            let route = self.route(job);
            if route != job.route {
                // Its model's breaker let a last probe through meanwhile, or has room for one again.
                self.queue.remove(job.route, &job.ticket);
                self.wait(id);
                continue;
            }
            let in_time = self.in_time(job, route, now);
            if in_time.is_empty() {
                self.end_unsent(id, now);
                continue;
            }
            let admitted = admitted(route);
            let (tabs, policy, speeds, vitals) = (&self.tabs, &self.policy, &self.speeds, &self.vitals);
            let (software, sessions) = (self.software, &self.sessions);
            let placing = Placing { tabs, policy, speeds, vitals, sessions, software, now };
            let Some((tab, placement)) = placing.choose(job, self.not_full(admitted.intersection(in_time))) else {
                if aside.len() < STAND_ASIDE
                    && placing.may_be_passed(job, admitted.intersection(free).intersection(in_time))
                {
                    aside.push(id);
                } else {
                    // Its inputs are too many bytes for what the tabs already hold, or it wants one that is idle: they
                    // take nothing else until it has its turn.
                    free = free.difference(admitted);
                }
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

    /// Where the job can be done by its deadline, as far as that is known. One that nobody waits behind is tried anywhere:
    /// what was measured may be out of date.
    fn in_time(&self, job: &Job, route: TargetSet, now: Instant) -> TargetSet {
        let route = route.intersection(self.hopeful());
        let Some(speed) = self.speeds.of(job.spec.model).filter(|_| self.queue.len() > 1) else { return route };
        let left_ms = job.spec.expires.saturating_duration_since(now).as_secs_f64() * 1e3;
        route
            .iter()
            .filter(|target| speed.shortest_ms(*target).is_none_or(|shortest_ms| shortest_ms <= left_ms))
            .collect()
    }

    /// A job has less time left than it takes anywhere: a tab that was handed it would be at it for nothing, while others
    /// wait.
    fn end_unsent(&mut self, id: JobId, now: Instant) {
        let Some(job) = self.jobs.get(&id) else { return };
        let speed = self.speeds.of(job.spec.model);
        let known = job.route.iter().filter_map(|target| Some((target, speed?.shortest_ms(target)?)));
        let takes = known
            .map(|(target, shortest_ms)| format!("{shortest_ms:.1} ms on {target}"))
            .collect::<Vec<_>>()
            .join(", ");
        let left = job.spec.expires.saturating_duration_since(now);
        let message = format!(
            "the job was not sent: its deadline is in {left:.1?}, and a run takes at least {takes}; give it more time, or \
             a higher priority"
        );
        self.end(id, Failure::new(Cause::DeadlineExceeded, message));
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
        let take = |queue: &mut Queue, job: &Job| queue.take(job.route, &job.ticket, target, now);
        let attempt = self.goes_to(id, tab, target, take)?;
        let take_along = |queue: &mut Queue, job: &Job| queue.take_along(job.route, &job.ticket);
        let with: Vec<(JobId, u32)> = companions
            .iter()
            .filter_map(|other| Some((*other, self.goes_to(*other, tab, target, take_along)?)))
            .collect();
        let job = self.jobs.get(&id)?;
        let (model, timeout, release) = (job.spec.model, job.spec.attempt_timeout, job.spec.release);
        let queued = self.stages.get(model).is_none() && !job.is_seated();
        if queued && job.route.len() > 1 {
            match placement.explored {
                true => self.speeds.explored(model),
                false => self.speeds.count(model),
            }
        }
        self.speeds.handed(model, target, tab);
        let all = || std::iter::once(id).chain(with.iter().map(|(job, _)| *job)).filter_map(|id| self.jobs.get(&id));
        let bytes = all().map(|job| job.spec.bytes).sum();
        let rows = all().filter_map(|job| job.spec.batch.as_ref()).map(|batch| batch.rows).sum();
        let work = self.expected_run(model, target, rows).unwrap_or_default();
        let permits = self.take_permits(target, model, now);
        let companions = Companions { jobs: with.iter().map(|(job, _)| *job).collect(), rows };
        self.tabs.update(tab, |tab| {
            // Where every run loads it, one is as good as another.
            let is_new = tab.loaded.insert(model);
            if release {
                tab.loaded.remove(&model);
            }
            let cold = is_new && !release && !alone;
            let loads = None;
            tab.hand(
                InFlight { job: id, with: companions, bytes, timeout, work, alone, queued, cold, permits, loads },
                now,
            );
        });
        self.actions.push_back(Action::StartAttempt { tab, job: id, attempt, placement, with });
        Some(target)
    }

    /// A job leaves wherever it waits, the queue as `take` says. Tells the number of its attempt.
    fn goes_to(&mut self, id: JobId, tab: TabId, target: Target, take: impl FnOnce(&mut Queue, &Job)) -> Option<u32> {
        let job = self.jobs.get_mut(&id)?;
        match job.place {
            Place::Paused(until) => _ = self.timers.remove(&(until, Timer::Retry(id))),
            _ if self.stages.get(job.spec.model).is_some() => self.stages.remove(&job.ticket),
            Place::Waiting if !job.is_seated() => take(&mut self.queue, job),
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
