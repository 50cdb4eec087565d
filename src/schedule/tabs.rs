//! All tabs, and the orders in which they are asked for.

mod tab;

use super::{by_id::ById, per_target::PerTarget};
use crate::types::{Browser, ModelId, TabId, Target};
use std::{
    collections::BTreeSet,
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
    all: ById<TabId, Placed>,
    /// In the order in which they were opened.
    ids: BTreeSet<TabId>,
    line: Line,
    orders: Orders,
    counts: PerTarget<usize>,
    /// Those that are to be replaced, the oldest first.
    worn: BTreeSet<TabId>,
}

/// A tab, and where it stands in the orders.
#[derive(Debug)]
struct Placed {
    tab: Tab,
    standing: Standing,
}

#[derive(Debug, Default)]
struct Orders {
    /// The ready ones: those first that have room, and the least loaded first among both.
    ready: PerTarget<BTreeSet<(Load, TabId)>>,
    /// When others will have room, though nothing else happens.
    openings: BTreeSet<(Instant, TabId)>,
    deadlines: BTreeSet<(Instant, TabId)>,
    /// What the tabs of each browser hold.
    held: [usize; Browser::ALL.len()],
    /// How many tabs have not been ready yet.
    coming: PerTarget<usize>,
}

/// How much a ready tab holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Load {
    is_full: bool,
    held: usize,
}

/// Where a tab stands in the orders.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    held: usize,
    ready: Option<Load>,
    opening: Option<Instant>,
    deadline: Option<Instant>,
    coming: usize,
}

impl Tabs {
    pub fn new(line: Line) -> Self {
        let (orders, counts) = (Orders::default(), PerTarget::default());
        Self { all: ById::default(), ids: BTreeSet::new(), line, orders, counts, worn: BTreeSet::new() }
    }

    pub fn get(&self, id: TabId) -> Option<&Tab> {
        self.all.get(&id).map(|placed| &placed.tab)
    }

    pub fn insert(&mut self, id: TabId, tab: Tab) {
        let standing = Standing::of(&tab, self.line);
        self.orders.change((id, tab.target), Standing::default(), standing);
        self.counts[tab.target] += 1;
        self.all.insert(id, Placed { tab, standing });
        self.ids.insert(id);
    }

    pub fn remove(&mut self, id: TabId) -> Option<Tab> {
        let Placed { tab, standing } = self.all.remove(&id)?;
        self.ids.remove(&id);
        self.orders.change((id, tab.target), standing, Standing::default());
        if !self.worn.remove(&id) {
            self.counts[tab.target] -= 1;
        }
        Some(tab)
    }

    /// The tab is to be replaced: it no longer counts as one of its target's.
    pub fn wear_out(&mut self, id: TabId, why: String) {
        let Some(tab) = self.get_mut(id) else { return };
        let target = tab.target;
        tab.worn = Some(why);
        if self.worn.insert(id) {
            self.counts[target] -= 1;
        }
    }

    /// Those that are to be replaced, the oldest first.
    pub fn worn(&self) -> impl Iterator<Item = TabId> {
        self.worn.iter().copied()
    }

    /// Changes a tab and keeps the orders true.
    pub fn update<T>(&mut self, id: TabId, change: impl FnOnce(&mut Tab) -> T) -> Option<T> {
        let Placed { tab, standing } = self.all.get_mut(&id)?;
        let result = change(tab);
        let before = std::mem::replace(standing, Standing::of(tab, self.line));
        self.orders.change((id, tab.target), before, *standing);
        Some(result)
    }

    /// Changes what no order depends on: anything but stage, line and head.
    pub fn get_mut(&mut self, id: TabId) -> Option<&mut Tab> {
        self.all.get_mut(&id).map(|placed| &mut placed.tab)
    }

    pub fn forget_model(&mut self, model: ModelId) {
        for placed in self.all.values_mut() {
            placed.tab.loaded.remove(&model);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (TabId, &Tab)> {
        self.ids.iter().filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// How many tabs the target has, those that are to be replaced left out.
    pub fn count(&self, target: Target) -> usize {
        self.counts[target]
    }

    /// How many tabs of the target have not been ready yet.
    pub fn coming(&self, target: Target) -> usize {
        self.orders.coming[target]
    }

    /// Whether a tab of `target` is ready.
    pub fn has_ready(&self, target: Target) -> bool {
        !self.orders.ready[target].is_empty()
    }

    /// Ready tabs of `target` and how much they hold: those first that take another job, and of both the least loaded.
    pub fn ready(&self, target: Target) -> impl Iterator<Item = (usize, TabId)> {
        self.orders.ready[target].iter().map(|(load, id)| (load.held, *id))
    }

    /// The tab, if it is one of those that take another job.
    pub fn get_with_room(&self, id: TabId) -> Option<&Tab> {
        let has_room = |placed: &&Placed| placed.standing.ready.is_some_and(|load| !load.is_full);
        self.all.get(&id).filter(has_room).map(|placed| &placed.tab)
    }

    /// Whether the tab holds as much as it should.
    pub fn holds_enough(&self, id: TabId) -> bool {
        self.get(id).is_none_or(|tab| tab.holds_enough(self.line))
    }

    /// Those of them that take another job.
    pub fn with_room(&self, target: Target) -> impl Iterator<Item = (usize, TabId)> {
        self.orders.ready[target].iter().take_while(|(load, _)| !load.is_full).map(|(load, id)| (load.held, *id))
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
            ready: (tab.stage == Stage::Ready).then_some(Load { is_full: room != Room::Now, held }),
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
        replace(&mut self.ready[target], id, from.ready, to.ready);
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
