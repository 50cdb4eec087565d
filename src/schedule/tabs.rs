//! Tabs: their life, and what each has been handed.

use super::{batching::budget::Budget, breakers::Permits, vitals::Vitals};
use crate::types::{Browser, BrowserId, JobId, ModelId, Placement, TabId, TabStage, Target};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// What stands in a tab's line for its health check: no job ever has this number.
pub(super) const CANARY: JobId = JobId(0);

/// What stands in a tab's line for a model that it loads before a job needs it: no job ever has this number.
pub(super) const WARM_UP: JobId = JobId(u64::MAX);

/// Where a tab is in its life. The instants are when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The page was asked for; its worker is not yet connected.
    Opening(Instant),
    /// The worker is connected; its backend is not yet ready.
    Starting(Instant),
    /// It takes jobs.
    Ready,
    /// Its socket is closed, and nobody has said why.
    Cut(Instant),
    /// Its worker was ended; the next one is not yet connected.
    Restarting(Instant),
    /// It finishes what it holds, and goes.
    Retiring,
}

impl Stage {
    /// Whether a tab may go from this stage to `next`. From each it may also end.
    const fn may_become(self, next: Self) -> bool {
        match next {
            Self::Opening(_) => false,
            Self::Starting(_) => !matches!(self, Self::Retiring),
            Self::Ready => matches!(self, Self::Starting(_)),
            Self::Cut(_) | Self::Retiring => matches!(self, Self::Ready),
            Self::Restarting(_) => matches!(self, Self::Ready | Self::Cut(_)),
        }
    }
}

impl From<Stage> for TabStage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Opening(_) => Self::Opening,
            Stage::Starting(_) => Self::Starting,
            Stage::Ready => Self::Ready,
            Stage::Cut(_) => Self::Cut,
            Stage::Restarting(_) => Self::Restarting,
            Stage::Retiring => Self::Retiring,
        }
    }
}

/// A job that was handed to a tab and is not yet answered, or the canary.
#[derive(Debug)]
pub(super) struct InFlight {
    pub job: JobId,
    /// Who runs together with it.
    pub with: Companions,
    pub bytes: usize,
    /// How long the worker may be at it.
    pub timeout: Duration,
    /// When the work is stopped, however long it was at it; `None` for the canary.
    pub expires: Option<Instant>,
    /// How long it will take, by what was measured; zero where nothing was.
    pub work: Duration,
    /// Whether it wants the worker to itself.
    pub alone: bool,
    /// The breakers' leave to run it, given back when this is dropped.
    pub permits: Option<Permits>,
}

/// Those who run together with a job.
#[derive(Debug, Default)]
pub(super) struct Companions {
    pub jobs: Vec<JobId>,
    /// Of how many rows the run is, the job's own included; 0 for a job that may only run alone.
    pub rows: usize,
}

impl InFlight {
    /// All whose run it is.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + '_ {
        std::iter::once(self.job).chain(self.with.jobs.iter().copied())
    }
}

/// The job that a tab worked on when its socket closed. It has moved on; what it is to be blamed for is not yet known.
#[derive(Debug)]
pub(super) struct Suspect {
    pub job: JobId,
    pub model: ModelId,
    /// The number of the attempt; `None` while the job itself still waits for the verdict, since this was its last one.
    pub number: Option<u32>,
    pub elapsed_ms: f64,
    pub permits: Option<Permits>,
    /// How many ran together. Several have moved on with no attempt spent.
    pub jobs: usize,
}

#[derive(Debug)]
pub(super) struct Tab {
    pub target: Target,
    pub browser: BrowserId,
    pub stage: Stage,
    /// In the order in which the worker serves them; the first is the one being worked on.
    pub in_flight: VecDeque<InFlight>,
    pub bytes: usize,
    /// How long all of `in_flight` will take, as far as that is known.
    pub work: Duration,
    /// How much a run of several jobs may take.
    pub budget: Budget,
    /// The models whose sessions it holds.
    pub loaded: BTreeSet<ModelId>,
    /// When the worker turned to the first of `in_flight`.
    pub head_since: Instant,
    pub suspect: Option<Suspect>,
    pub vitals: Vitals,
    /// When it was asked whether it is there, and has not yet said so.
    pub pinged: Option<Instant>,
    pub missed_heartbeats: u32,
    /// When it was last told to be ready; `None` before the first time.
    pub ready_since: Option<Instant>,
    pub opened: Instant,
    /// Jobs that it was done with, well or not.
    pub jobs: u32,
    /// How often it failed.
    pub failures: u32,
    /// Why it is to be replaced by a fresh one, if it is.
    pub worn: Option<String>,
    /// The tab that is to stand in for it.
    pub successor: Option<TabId>,
    /// Whether its worker has been handed a job.
    pub is_used: bool,
    /// Whether that was one which wants the worker to itself.
    pub is_alone: bool,
    /// The job that its next worker is for.
    pub reserved: Option<(JobId, Placement)>,
}

impl Tab {
    pub fn new(target: Target, browser: BrowserId, give_up: Instant, now: Instant) -> Self {
        Self {
            target,
            browser,
            stage: Stage::Opening(give_up),
            in_flight: VecDeque::new(),
            bytes: 0,
            work: Duration::ZERO,
            budget: Budget::new(now),
            loaded: BTreeSet::new(),
            head_since: now,
            suspect: None,
            vitals: Vitals::default(),
            pinged: None,
            missed_heartbeats: 0,
            ready_since: None,
            opened: now,
            jobs: 0,
            failures: 0,
            worn: None,
            successor: None,
            is_used: false,
            is_alone: false,
            reserved: None,
        }
    }

    /// Goes on to the next stage of its life, if there is a way there; tells whether there was.
    pub fn enter(&mut self, next: Stage) -> bool {
        let may = self.stage.may_become(next);
        if may {
            self.stage = next;
        }
        may
    }

    /// Hands it a job, or the canary.
    pub fn hand(&mut self, in_flight: InFlight, now: Instant) {
        if self.in_flight.is_empty() {
            self.head_since = now;
        }
        self.budget.busy(now);
        self.bytes += in_flight.bytes;
        self.work += in_flight.work;
        self.is_used |= in_flight.job != CANARY && in_flight.job != WARM_UP;
        self.is_alone |= in_flight.alone;
        self.in_flight.push_back(in_flight);
    }

    /// Takes what stands at `position` out of its line.
    pub fn take(&mut self, position: usize, now: Instant) -> Option<InFlight> {
        let in_flight = self.in_flight.remove(position)?;
        self.bytes -= in_flight.bytes;
        self.work -= in_flight.work;
        if in_flight.job != CANARY && in_flight.job != WARM_UP {
            self.jobs += in_flight.jobs().count() as u32;
        }
        self.head_since = now;
        if self.in_flight.is_empty() {
            self.budget.idle(now);
        }
        self.budget.adapt(now);
        Some(in_flight)
    }

    /// Takes everything out of its line.
    pub fn clear(&mut self, now: Instant) -> VecDeque<InFlight> {
        self.budget.idle(now);
        (self.bytes, self.work) = (0, Duration::ZERO);
        std::mem::take(&mut self.in_flight)
    }

    /// How many jobs it holds, those that run together all counted.
    pub fn jobs_in_flight(&self) -> usize {
        self.in_flight.iter().map(|in_flight| in_flight.jobs().count()).sum()
    }

    /// Whether another job may be handed to it.
    fn has_room(&self, line: Line) -> bool {
        let short = self.in_flight.is_empty() || self.work <= line.work;
        self.stage == Stage::Ready && self.in_flight.len() < line.jobs && short && !self.is_alone
    }

    /// Whether the canary stands in its line.
    pub fn runs_canary(&self) -> bool {
        self.in_flight.iter().any(|in_flight| in_flight.job == CANARY)
    }

    /// Whether it failed and has not succeeded since.
    pub const fn is_degraded(&self) -> bool {
        self.vitals.failures_in_a_row() > 0
    }

    /// When the tab's present stage, or the job it works on, has taken too long.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Opening(at) | Stage::Starting(at) | Stage::Cut(at) | Stage::Restarting(at) => Some(at),
            Stage::Ready | Stage::Retiring => self.in_flight.front().map(|head| {
                let at = self.head_since + head.timeout;
                head.expires.map_or(at, |expires| expires.min(at))
            }),
        }
    }
}

/// How long a tab's line may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub jobs: usize,
    /// A tab with more than so much work takes no further job.
    pub work: Duration,
}

/// All tabs, with the ready ones of each target kept in order of load.
#[derive(Debug)]
pub(super) struct Tabs {
    all: BTreeMap<TabId, Tab>,
    orders: Orders,
    counts: BTreeMap<Target, usize>,
}

#[derive(Debug)]
struct Orders {
    line: Line,
    by_load: BTreeMap<Target, BTreeSet<(usize, TabId)>>,
    /// Those of them that have room.
    with_room: BTreeMap<Target, BTreeSet<(usize, TabId)>>,
    deadlines: BTreeSet<(Instant, TabId)>,
    /// What the tabs of each browser hold.
    held: BTreeMap<Browser, usize>,
}

impl Tabs {
    pub fn new(line: Line) -> Self {
        let orders = Orders {
            line,
            by_load: BTreeMap::new(),
            with_room: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            held: BTreeMap::new(),
        };
        Self { all: BTreeMap::new(), orders, counts: BTreeMap::new() }
    }

    pub fn get(&self, id: TabId) -> Option<&Tab> {
        self.all.get(&id)
    }

    pub fn insert(&mut self, id: TabId, tab: Tab) {
        self.orders.index(id, &tab);
        *self.counts.entry(tab.target).or_default() += 1;
        self.all.insert(id, tab);
    }

    pub fn remove(&mut self, id: TabId) -> Option<Tab> {
        let tab = self.all.remove(&id)?;
        self.orders.unindex(id, &tab);
        if tab.worn.is_none() {
            self.count_less(tab.target);
        }
        Some(tab)
    }

    /// The tab is to be replaced: it no longer counts as one of its target's.
    pub fn wear_out(&mut self, id: TabId, why: String) {
        let Some(tab) = self.all.get_mut(&id) else { return };
        if tab.worn.replace(why).is_none() {
            let target = tab.target;
            self.count_less(target);
        }
    }

    fn count_less(&mut self, target: Target) {
        if let Some(count) = self.counts.get_mut(&target) {
            *count -= 1;
        }
    }

    /// Changes a tab and keeps the orders by load and by deadline true.
    pub fn update<T>(&mut self, id: TabId, change: impl FnOnce(&mut Tab) -> T) -> Option<T> {
        let tab = self.all.get_mut(&id)?;
        self.orders.unindex(id, tab);
        let result = change(tab);
        self.orders.index(id, tab);
        Some(result)
    }

    /// Changes what no order depends on: anything but stage, line and head.
    pub fn get_mut(&mut self, id: TabId) -> Option<&mut Tab> {
        self.all.get_mut(&id)
    }

    pub fn forget_model(&mut self, model: ModelId) {
        for tab in self.all.values_mut() {
            tab.loaded.remove(&model);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (TabId, &Tab)> {
        self.all.iter().map(|(id, tab)| (*id, tab))
    }

    /// How many tabs the target has, those that are to be replaced left out.
    pub fn count(&self, target: Target) -> usize {
        self.counts.get(&target).copied().unwrap_or_default()
    }

    /// The ready tab of `target` with the fewest jobs, and how many those are.
    pub fn least_loaded(&self, target: Target) -> Option<(usize, TabId)> {
        self.orders.by_load.get(&target)?.first().copied()
    }

    /// Ready tabs of `target`, the least loaded first.
    pub fn ready(&self, target: Target) -> impl Iterator<Item = (usize, TabId)> {
        self.orders.by_load.get(&target).into_iter().flatten().copied()
    }

    /// Those of them that take another job.
    pub fn with_room(&self, target: Target) -> impl Iterator<Item = (usize, TabId)> {
        self.orders.with_room.get(&target).into_iter().flatten().copied()
    }

    /// How much the tabs of a browser hold.
    pub fn held_by(&self, browser: Browser) -> usize {
        self.orders.held.get(&browser).copied().unwrap_or_default()
    }

    pub fn next_deadline(&self) -> Option<(Instant, TabId)> {
        self.orders.deadlines.first().copied()
    }
}

impl Orders {
    fn index(&mut self, id: TabId, tab: &Tab) {
        *self.held.entry(tab.target.browser).or_default() += tab.in_flight.len();
        if tab.stage == Stage::Ready {
            self.by_load.entry(tab.target).or_default().insert((tab.in_flight.len(), id));
        }
        if tab.has_room(self.line) {
            self.with_room.entry(tab.target).or_default().insert((tab.in_flight.len(), id));
        }
        if let Some(at) = tab.deadline() {
            self.deadlines.insert((at, id));
        }
    }

    fn unindex(&mut self, id: TabId, tab: &Tab) {
        if let Some(held) = self.held.get_mut(&tab.target.browser) {
            *held -= tab.in_flight.len();
        }
        if let Some(ready) = self.by_load.get_mut(&tab.target) {
            ready.remove(&(tab.in_flight.len(), id));
        }
        if let Some(with_room) = self.with_room.get_mut(&tab.target) {
            with_room.remove(&(tab.in_flight.len(), id));
        }
        if let Some(at) = tab.deadline() {
            self.deadlines.remove(&(at, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_goes_only_where_its_life_leads() {
        let at = Instant::now();
        let stages = [
            Stage::Opening(at),
            Stage::Starting(at),
            Stage::Ready,
            Stage::Cut(at),
            Stage::Restarting(at),
            Stage::Retiring,
        ];
        let ways: Vec<String> = stages
            .iter()
            .map(|from| {
                let to = stages.iter().filter(|to| from.may_become(**to)).map(|to| TabStage::from(*to).to_string());
                format!("{} → {}", TabStage::from(*from), to.collect::<Vec<_>>().join(", "))
            })
            .collect();
        assert_eq!(
            ways,
            [
                "opening → starting",
                "starting → starting, ready",
                "ready → starting, cut, restarting, retiring",
                "cut → starting, restarting",
                "restarting → starting",
                "retiring → ",
            ]
        );
    }
}
