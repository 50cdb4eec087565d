//! Which of the waiting jobs go to tabs now.

use super::{Action, Scheduler};
use crate::{
    schedule::{
        TargetSet,
        jobs::{Avoid, Place},
        placement::Placing,
        tabs::InFlight,
    },
    types::{JobId, Placement, TabId, Target},
};
use std::time::Instant;

impl Scheduler {
    pub(super) fn place_waiting(&mut self, now: Instant) {
        if self.queue.len() == 0 {
            return;
        }
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
            let placing = Placing { tabs, policy, speeds, vitals, software: self.software, now };
            let Some((tab, placement)) = placing.choose(job, self.not_full(admitted)) else {
                // Its inputs are too many bytes for what the tabs already hold: it waits, and keeps its place.
                free = free.difference(admitted);
                continue;
            };
            let Some(target) = self.hand_out(id, tab, placement, now) else { return };
            if self.tabs.with_room(target).next().is_none() {
                free.remove(target);
            }
            free = self.not_full(free);
            ejected = self.breakers.ejected();
        }
    }

    pub(super) fn hand_out(&mut self, id: JobId, tab: TabId, placement: Placement, now: Instant) -> Option<Target> {
        let target = self.tabs.get(tab)?.target;
        let job = self.jobs.get_mut(&id)?;
        let is_stage = self.stages.get(job.spec.model).is_some();
        if is_stage {
            self.stages.remove(&job.ticket);
        } else {
            self.queue.take(job.route, &job.ticket, target, now);
        }
        job.place = Place::InFlight(tab);
        job.avoid = Avoid::Nothing;
        if let Some(recovery) = &mut job.recovery {
            recovery.strategy = recovery.realised(target, tab);
        }
        let (bytes, timeout, model) = (job.spec.bytes, job.spec.attempt_timeout, job.spec.model);
        let release = job.spec.release;
        let (expires, attempt) = (Some(job.spec.expires), job.attempts.len() as u32 + 1);
        if !is_stage && job.route.len() > 1 {
            self.speeds.count(model);
        }
        let work = self.speeds.expected(model, target).unwrap_or_default();
        let permits = self.take_permits(target, model, now);
        self.tabs.update(tab, |tab| {
            if release {
                tab.loaded.remove(&model);
            } else {
                tab.loaded.insert(model);
            }
            tab.hand(InFlight { job: id, bytes, timeout, expires, work, permits }, now);
        });
        self.actions.push_back(Action::StartAttempt { tab, job: id, attempt, placement });
        Some(target)
    }
}
