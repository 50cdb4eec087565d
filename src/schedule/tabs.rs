//! All tabs, and the orders in which they are asked for.

mod tab;

use super::per_target::PerTarget;
use crate::types::{Browser, ModelId, TabId, Target};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tab::Room;
pub(super) use tab::{CANARY, Companions, InFlight, Stage, Suspect, Tab, WARM_UP};

/// How long a tab's line may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub jobs: usize,
    /// A tab that needs longer for what it holds takes no further job, until half of this is left of a single long one.
    pub work: Duration,
}

/// All tabs, with the ready ones of each target kept in order of load.
#[derive(Debug)]
pub(super) struct Tabs {
    all: BTreeMap<TabId, Tab>,
    line: Line,
    orders: Orders,
    counts: PerTarget<usize>,
    /// Those that are to be replaced, the oldest first.
    worn: BTreeSet<TabId>,
}

#[derive(Debug, Default)]
struct Orders {
    by_load: PerTarget<BTreeSet<(usize, TabId)>>,
    /// Those of them that have room.
    with_room: PerTarget<BTreeSet<(usize, TabId)>>,
    /// When others will have room, though nothing else happens.
    openings: BTreeSet<(Instant, TabId)>,
    deadlines: BTreeSet<(Instant, TabId)>,
    /// What the tabs of each browser hold.
    held: [usize; Browser::ALL.len()],
    /// How many tabs have not been ready yet.
    coming: PerTarget<usize>,
}

/// Where a tab stands in the orders.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    held: usize,
    by_load: Option<usize>,
    with_room: Option<usize>,
    opening: Option<Instant>,
    deadline: Option<Instant>,
    coming: usize,
}

impl Tabs {
    pub fn new(line: Line) -> Self {
        let (orders, counts) = (Orders::default(), PerTarget::default());
        Self { all: BTreeMap::new(), line, orders, counts, worn: BTreeSet::new() }
    }

    pub fn get(&self, id: TabId) -> Option<&Tab> {
        self.all.get(&id)
    }

    pub fn insert(&mut self, id: TabId, tab: Tab) {
        self.orders.change((id, tab.target), Standing::default(), Standing::of(&tab, self.line));
        self.counts[tab.target] += 1;
        self.all.insert(id, tab);
    }

    pub fn remove(&mut self, id: TabId) -> Option<Tab> {
        let tab = self.all.remove(&id)?;
        self.orders.change((id, tab.target), Standing::of(&tab, self.line), Standing::default());
        if !self.worn.remove(&id) {
            self.counts[tab.target] -= 1;
        }
        Some(tab)
    }

    /// The tab is to be replaced: it no longer counts as one of its target's.
    pub fn wear_out(&mut self, id: TabId, why: String) {
        let Some(tab) = self.all.get_mut(&id) else { return };
        tab.worn = Some(why);
        if self.worn.insert(id) {
            self.counts[tab.target] -= 1;
        }
    }

    /// Those that are to be replaced, the oldest first.
    pub fn worn(&self) -> impl Iterator<Item = TabId> {
        self.worn.iter().copied()
    }

    /// Changes a tab and keeps the orders true.
    pub fn update<T>(&mut self, id: TabId, change: impl FnOnce(&mut Tab) -> T) -> Option<T> {
        let tab = self.all.get_mut(&id)?;
        let before = Standing::of(tab, self.line);
        let result = change(tab);
        self.orders.change((id, tab.target), before, Standing::of(tab, self.line));
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
        self.counts[target]
    }

    /// How many tabs of the target have not been ready yet.
    pub fn coming(&self, target: Target) -> usize {
        self.orders.coming[target]
    }

    /// The ready tab of `target` with the fewest jobs, and how many those are.
    pub fn least_loaded(&self, target: Target) -> Option<(usize, TabId)> {
        self.orders.by_load[target].first().copied()
    }

    /// Ready tabs of `target`, the least loaded first.
    pub fn ready(&self, target: Target) -> impl Iterator<Item = (usize, TabId)> {
        self.orders.by_load[target].iter().copied()
    }

    /// Whether the tab is one of those that take another job.
    pub fn has_room(&self, id: TabId) -> bool {
        self.all.get(&id).is_some_and(|tab| tab.room(self.line) == Room::Now)
    }

    /// Whether the tab holds as much as it should.
    pub fn holds_enough(&self, id: TabId) -> bool {
        self.all.get(&id).is_none_or(|tab| tab.holds_enough(self.line))
    }

    /// Those of them that take another job.
    pub fn with_room(&self, target: Target) -> impl Iterator<Item = (usize, TabId)> {
        self.orders.with_room[target].iter().copied()
    }

    /// Tabs that are so near to the end of what they are at that another job may follow are among those with room from
    /// now on.
    pub fn open(&mut self, now: Instant) {
        while let Some((at, id)) = self.orders.openings.first().copied()
            && at <= now
        {
            self.update(id, |tab| tab.is_short = true);
        }
    }

    /// When [`open`](Self::open) would find another.
    pub fn next_opening(&self) -> Option<Instant> {
        self.orders.openings.first().map(|(at, _)| *at)
    }

    /// How much the tabs of a browser hold.
    pub fn held_by(&self, browser: Browser) -> usize {
        self.orders.held[browser as usize]
    }

    pub fn next_deadline(&self) -> Option<(Instant, TabId)> {
        self.orders.deadlines.first().copied()
    }
}

impl Standing {
    fn of(tab: &Tab, line: Line) -> Self {
        let (held, room) = (tab.in_flight.len(), tab.room(line));
        Self {
            held,
            by_load: (tab.stage == Stage::Ready).then_some(held),
            with_room: (room == Room::Now).then_some(held),
            opening: if let Room::From(at) = room { Some(at) } else { None },
            deadline: tab.deadline(),
            coming: usize::from(tab.ready_since.is_none()),
        }
    }
}

impl Orders {
    fn change(&mut self, (id, target): (TabId, Target), from: Standing, to: Standing) {
        let held = &mut self.held[target.browser as usize];
        *held = *held + to.held - from.held;
        let coming = &mut self.coming[target];
        *coming = *coming + to.coming - from.coming;
        replace(&mut self.by_load[target], id, from.by_load, to.by_load);
        replace(&mut self.with_room[target], id, from.with_room, to.with_room);
        replace(&mut self.openings, id, from.opening, to.opening);
        replace(&mut self.deadlines, id, from.deadline, to.deadline);
    }
}

fn replace<K: Copy + Ord>(order: &mut BTreeSet<(K, TabId)>, id: TabId, from: Option<K>, to: Option<K>) {
    if from != to {
        from.into_iter().for_each(|key| _ = order.remove(&(key, id)));
        order.extend(to.map(|key| (key, id)));
    }
}
