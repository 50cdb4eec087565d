//! Tabs: their life, and what each has been handed.

use crate::types::{BrowserId, JobId, TabId, Target};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

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
}

/// A job that was handed to a tab and is not yet answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub job: JobId,
    pub bytes: usize,
    pub timeout: std::time::Duration,
}

#[derive(Debug)]
pub(super) struct Tab {
    pub target: Target,
    pub browser: BrowserId,
    pub stage: Stage,
    /// In the order in which the worker serves them; the first is the one being worked on.
    pub in_flight: VecDeque<InFlight>,
    pub bytes: usize,
    /// When the worker turned to the first of `in_flight`.
    pub head_since: Instant,
}

impl Tab {
    pub const fn new(target: Target, browser: BrowserId, give_up: Instant, now: Instant) -> Self {
        Self { target, browser, stage: Stage::Opening(give_up), in_flight: VecDeque::new(), bytes: 0, head_since: now }
    }

    /// When the tab's present stage, or the job it works on, has taken too long.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Opening(at) | Stage::Starting(at) | Stage::Cut(at) | Stage::Restarting(at) => Some(at),
            Stage::Ready => self.in_flight.front().map(|head| self.head_since + head.timeout),
        }
    }
}

/// All tabs, with the ready ones of each target kept in order of load.
#[derive(Debug, Default)]
pub(super) struct Tabs {
    all: BTreeMap<TabId, Tab>,
    by_load: BTreeMap<Target, BTreeSet<(usize, TabId)>>,
    deadlines: BTreeSet<(Instant, TabId)>,
}

impl Tabs {
    pub fn get(&self, id: TabId) -> Option<&Tab> {
        self.all.get(&id)
    }

    pub fn insert(&mut self, id: TabId, tab: Tab) {
        self.index(id, &tab);
        self.all.insert(id, tab);
    }

    pub fn remove(&mut self, id: TabId) -> Option<Tab> {
        let tab = self.all.remove(&id)?;
        self.unindex(id, &tab);
        Some(tab)
    }

    /// Changes a tab and keeps the orders by load and by deadline true.
    pub fn update<T>(&mut self, id: TabId, change: impl FnOnce(&mut Tab) -> T) -> Option<T> {
        let mut tab = self.all.remove(&id)?;
        self.unindex(id, &tab);
        let result = change(&mut tab);
        self.insert(id, tab);
        Some(result)
    }

    pub fn iter(&self) -> impl Iterator<Item = (TabId, &Tab)> {
        self.all.iter().map(|(id, tab)| (*id, tab))
    }

    pub fn count(&self, target: Target) -> usize {
        self.all.values().filter(|tab| tab.target == target).count()
    }

    /// The ready tab of `target` with the fewest jobs, and how many those are.
    pub fn least_loaded(&self, target: Target) -> Option<(usize, TabId)> {
        self.by_load.get(&target)?.first().copied()
    }

    /// Ready tabs of `target`, the least loaded first.
    pub fn ready(&self, target: Target) -> impl Iterator<Item = (usize, TabId)> {
        self.by_load.get(&target).into_iter().flatten().copied()
    }

    pub fn next_deadline(&self) -> Option<(Instant, TabId)> {
        self.deadlines.first().copied()
    }

    fn index(&mut self, id: TabId, tab: &Tab) {
        if tab.stage == Stage::Ready {
            self.by_load.entry(tab.target).or_default().insert((tab.in_flight.len(), id));
        }
        if let Some(at) = tab.deadline() {
            self.deadlines.insert((at, id));
        }
    }

    fn unindex(&mut self, id: TabId, tab: &Tab) {
        if let Some(ready) = self.by_load.get_mut(&tab.target) {
            ready.remove(&(tab.in_flight.len(), id));
        }
        if let Some(at) = tab.deadline() {
            self.deadlines.remove(&(at, id));
        }
    }
}
