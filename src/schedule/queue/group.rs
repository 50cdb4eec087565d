//! The waiting jobs that may run on the same targets, in the order in which they go.

use super::{Ageing, Rank, Ticket};
use crate::types::{JobId, ModelId, Priority};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// What one job costs a caller of weight 1 that waits for one model. Divisible by many weights and numbers of models.
const TURN: u64 = 5040;

/// Flows whose turns are in one round go by their first jobs' deadlines.
pub(super) const fn round(turn: u64) -> u64 {
    turn / TURN
}

/// The jobs of one priority that one caller asked one model for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Flow {
    sharer: Sharer,
    model: ModelId,
}

/// A caller within a priority: its models share its turns.
type Sharer = (Reverse<Priority>, u64);

impl Flow {
    pub fn of(ticket: &Ticket) -> Self {
        Self { sharer: (Reverse(ticket.priority), ticket.caller.id()), model: ticket.model }
    }

    pub const fn priority(&self) -> Priority {
        self.sharer.0.0
    }
}

#[derive(Debug)]
struct Waiting {
    turn: u64,
    /// By deadline, then by arrival.
    jobs: BTreeSet<(Instant, u64, JobId)>,
}

/// A job that is no longer in the group.
pub(super) struct Removed {
    /// The turn of its caller and model, if nothing else of them waits here.
    pub last_of_its_flow: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    flows: BTreeMap<Flow, Waiting>,
    /// The first of each flow.
    firsts: BTreeSet<(Rank, JobId, Flow)>,
    /// How many models each caller waits for.
    models: BTreeMap<Sharer, u64>,
    by_age: BTreeMap<u64, (JobId, Instant)>,
    /// How often the longest waiting, since it is aged, has seen a younger one go.
    passed_over: u32,
}

impl Group {
    pub fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }

    pub fn has(&self, flow: Flow) -> bool {
        self.flows.contains_key(&flow)
    }

    /// Adds a job; `turn` is its flow's, if it has nothing else waiting. Tells whether it was not there before.
    pub fn insert(&mut self, ticket: &Ticket, turn: u64) -> bool {
        let flow = Flow::of(ticket);
        if !self.has(flow) {
            *self.models.entry(flow.sharer).or_default() += 1;
            self.flows.insert(flow, Waiting { turn, jobs: BTreeSet::new() });
        }
        self.change(flow, |waiting| waiting.jobs.insert((ticket.expires, ticket.order, ticket.job)));
        self.by_age.insert(ticket.order, (ticket.job, ticket.submitted)).is_none()
    }

    pub fn remove(&mut self, ticket: &Ticket) -> Option<Removed> {
        if self.by_age.first_key_value().is_some_and(|(order, _)| *order == ticket.order) {
            self.passed_over = 0;
        }
        self.by_age.remove(&ticket.order)?;
        let flow = Flow::of(ticket);
        self.change(flow, |waiting| waiting.jobs.remove(&(ticket.expires, ticket.order, ticket.job)));
        let waiting = self.flows.get(&flow)?;
        if !waiting.jobs.is_empty() {
            return Some(Removed { last_of_its_flow: None });
        }
        let turn = waiting.turn;
        self.flows.remove(&flow);
        if let Some(models) = self.models.get_mut(&flow.sharer) {
            *models -= 1;
            if *models == 0 {
                self.models.remove(&flow.sharer);
            }
        }
        Some(Removed { last_of_its_flow: Some(turn) })
    }

    /// The job goes: its flow has had its turn, unless it went because of its age. Tells which one that was.
    pub fn charge(&mut self, ticket: &Ticket, ageing: Ageing) -> Option<u64> {
        let is_aged = self.due(ageing, &[]).is_some_and(|(_, job)| job == ticket.job);
        let is_best = self.best(&[]).is_some_and(|(_, job)| job == ticket.job);
        if is_aged && !is_best { None } else { self.charge_along(ticket) }
    }

    /// The job goes along with another: its flow has had its turn.
    pub fn charge_along(&mut self, ticket: &Ticket) -> Option<u64> {
        let (flow, cost) = (Flow::of(ticket), self.cost(ticket));
        let turn = self.turn(flow)?;
        self.change(flow, |waiting| waiting.turn += cost);
        Some(turn)
    }

    /// The turn that a flow has come to, if anything of it waits.
    pub fn turn(&self, flow: Flow) -> Option<u64> {
        self.flows.get(&flow).map(|waiting| waiting.turn)
    }

    /// What a turn costs the job's flow.
    pub fn cost(&self, ticket: &Ticket) -> u64 {
        let models = self.models.get(&Flow::of(ticket).sharer).copied().unwrap_or(1);
        (TURN * models / u64::from(ticket.caller.weight())).max(1)
    }

    /// Another job went to where one of this group could have gone.
    pub fn passed_over_by(&mut self, other: &Ticket, ageing: Ageing, now: Instant) {
        if let Some((order, (_, submitted))) = self.by_age.first_key_value()
            && *order < other.order
            && now.saturating_duration_since(*submitted) >= ageing.after
        {
            self.passed_over += 1;
        }
    }

    /// The longest waiting with its order of arrival, when it has been passed over as often as it may be.
    pub fn due(&self, ageing: Ageing, aside: &[JobId]) -> Option<(u64, JobId)> {
        let (order, (job, _)) = self.by_age.first_key_value()?;
        (self.passed_over + 1 >= ageing.share && !aside.contains(job)).then_some((*order, *job))
    }

    /// The best, of those that do not stand aside; with one that does stand those behind it in its flow.
    pub fn best(&self, aside: &[JobId]) -> Option<(Rank, JobId)> {
        let mut firsts = self.firsts.iter().filter(|(_, job, _)| !aside.contains(job));
        firsts.next().map(|(rank, job, _)| (*rank, *job))
    }

    pub fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.by_age.values().map(|(job, _)| *job)
    }

    /// Changes a flow and keeps the order of the firsts true.
    fn change<T>(&mut self, flow: Flow, change: impl FnOnce(&mut Waiting) -> T) {
        let Some(waiting) = self.flows.get_mut(&flow) else { return };
        let before = waiting.first(flow);
        change(waiting);
        let after = waiting.first(flow);
        if before != after {
            before.inspect(|first| _ = self.firsts.remove(first));
            self.firsts.extend(after);
        }
    }
}

impl Waiting {
    fn first(&self, flow: Flow) -> Option<(Rank, JobId, Flow)> {
        let (expires, order, job) = self.jobs.first()?;
        Some(((flow.sharer.0, round(self.turn), *expires, *order), *job, flow))
    }
}
