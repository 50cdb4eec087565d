//! Jobs that wait for a tab.
//!
//! They are grouped by where they may run; of the groups that a free tab can serve, the best of their firsts goes, so a
//! job for a busy target holds up none for a free one. What counts, in this order:
//!
//! 1. the **priority**;
//! 2. whose **turn** it is: callers take turns by their weights, and the models of one caller share its turns. A caller
//!    that asks for much at once waits for itself, and not others for it;
//! 3. the earliest **deadline**;
//! 4. the order of arrival.
//!
//! And nobody waits for ever: of every [`Policy::aged_share`](super::Policy::aged_share) runs that are handed to the
//! targets a job may run on, be they of one job or of several that go together, one is that of the longest waiting there,
//! once that has waited for [`Policy::aged_after`](super::Policy::aged_after). So a job that has, with `n` older ones
//! waiting, is handed out before `aged_share × (n + 1)` other runs are, whatever arrives; unless breakers, its inputs' size
//! or, when it wants a worker to itself, sessions keep it.
//!
//! Turns are taken among jobs that may run on the same targets. So a caller that asks for some jobs on certain targets and
//! for others anywhere has a turn for each of the two: one turn for both would let a caller that is served fast on one
//! target wait on every other.
//!
//! There are few groups, and within each everything is ordered: all costs O(log n) of the jobs that wait.

mod group;
mod turns;

#[cfg(test)]
mod tests;

use super::{TargetSet, per_target::PerTarget};
use crate::types::{Caller, JobId, ModelId, Priority, Target};
use group::{Flow, Group};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};
pub(super) use turns::{ByTurns, Turn};

/// What the queue has to know of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub job: JobId,
    /// Of arrival.
    pub order: u64,
    pub submitted: Instant,
    pub expires: Instant,
    pub priority: Priority,
    pub caller: Caller,
    pub model: ModelId,
}

/// When the longest waiting goes before the best.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ageing {
    pub after: Duration,
    /// Of so many, one.
    pub share: u32,
}

/// Waiting jobs, grouped by where they may run.
#[derive(Debug)]
pub(super) struct Queue {
    groups: BTreeMap<TargetSet, Group>,
    /// The turn that each target has come to, of each priority: where those start that had nothing waiting.
    turns: PerTarget<[u64; Priority::ALL.len()]>,
    /// Turns of those that have nothing waiting now, where they had taken more than the others.
    ahead: HashMap<(TargetSet, Flow), u64>,
    ageing: Ageing,
    len: usize,
}

impl Queue {
    pub fn new(ageing: Ageing) -> Self {
        Self { groups: BTreeMap::new(), turns: PerTarget::default(), ahead: HashMap::new(), ageing, len: 0 }
    }

    pub fn insert(&mut self, route: TargetSet, ticket: &Ticket) {
        let flow = Flow::of(ticket);
        let now = self.turn(route, ticket.priority);
        let group = self.groups.entry(route).or_default();
        let ahead = if group.has(flow) { None } else { self.ahead.remove(&(route, flow)) };
        if group.insert(ticket, ahead.unwrap_or_default().max(now)) {
            self.len += 1;
        }
    }

    pub fn remove(&mut self, route: TargetSet, ticket: &Ticket) {
        let Some(group) = self.groups.get_mut(&route) else { return };
        let Some(removed) = group.remove(ticket) else { return };
        self.len -= 1;
        if group.is_empty() {
            self.groups.remove(&route);
        }
        if let Some(turn) = removed.last_of_its_flow
            && turn > self.turn(route, ticket.priority)
        {
            self.ahead.insert((route, Flow::of(ticket)), turn);
            self.forget_those_caught_up_with();
        }
    }

    /// The job goes to a tab of `target`: its caller has taken a turn, unless it went because of its age.
    pub fn take(&mut self, route: TargetSet, ticket: &Ticket, target: Target, now: Instant) {
        if let Some(turn) = self.groups.get_mut(&route).and_then(|group| group.charge(ticket, self.ageing)) {
            let reached = &mut self.turns[target][ticket.priority as usize];
            *reached = turn.max(*reached);
        }
        self.remove(route, ticket);
        for (_, group) in self.groups.iter_mut().filter(|(route, _)| route.contains(target)) {
            group.passed_over_by(ticket, self.ageing, now);
        }
    }

    /// The job goes along with another to the same tab: its caller has taken a turn, and nobody was passed over once more.
    pub fn take_along(&mut self, route: TargetSet, ticket: &Ticket) {
        if let Some(group) = self.groups.get_mut(&route) {
            group.charge_along(ticket);
        }
        self.remove(route, ticket);
    }

    /// The turn that the job's caller has come to with its model.
    pub fn turn_of(&self, route: TargetSet, ticket: &Ticket) -> Turn {
        let (flow, group) = (Flow::of(ticket), self.groups.get(&route));
        let waits = group.and_then(|group| Some(Turn { at: group.turn(flow)?, cost: group.cost(ticket) }));
        waits.unwrap_or_else(|| Turn { at: self.turn(route, ticket.priority), cost: Group::default().cost(ticket) })
    }

    /// The job that goes next of the groups that `suits` is true of, those left out that stand `aside`.
    pub fn first(&self, aside: &[JobId], suits: impl Fn(TargetSet) -> bool) -> Option<JobId> {
        let groups = || self.groups.iter().filter(|(route, _)| suits(**route)).map(|(_, group)| group);
        let aged = groups().filter_map(|group| group.due(self.ageing, aside)).min();
        let best = || groups().filter_map(|group| group.best(aside)).min();
        aged.map(|(_, job)| job).or_else(|| best().map(|(_, job)| job))
    }

    /// Whether a job goes next because of its age.
    pub fn is_due(&self, job: JobId) -> bool {
        self.groups.values().any(|group| group.due(self.ageing, &[]).is_some_and(|(_, due)| due == job))
    }

    /// Every job of the groups that `suits` is true of.
    pub fn all(&self, suits: impl Fn(TargetSet) -> bool) -> Vec<JobId> {
        self.groups.iter().filter(|(route, _)| suits(**route)).flat_map(|(_, group)| group.jobs()).collect()
    }

    /// Whether a job waits that may go to `target`.
    pub fn waits_for(&self, target: Target) -> bool {
        self.groups.keys().any(|route| route.contains(target))
    }

    pub const fn len(&self) -> usize {
        self.len
    }

    /// The turn that jobs for `route` have come to where they are served fastest.
    fn turn(&self, route: TargetSet, priority: Priority) -> u64 {
        route.iter().map(|target| self.turns[target][priority as usize]).max().unwrap_or_default()
    }

    fn forget_those_caught_up_with(&mut self) {
        const FEW: usize = 256;
        if self.ahead.len() > FEW.max(2 * self.len) {
            let mut ahead = std::mem::take(&mut self.ahead);
            ahead.retain(|(route, flow), turn| *turn > self.turn(*route, flow.priority()));
            self.ahead = ahead;
        }
    }
}

/// In which order jobs go: the least first.
type Rank = (Reverse<Priority>, u64, Instant, u64);
