//! Models that tabs load and run before a job needs them.

use super::{Action, Scheduler};
use crate::{
    schedule::{
        TargetSet,
        jobs::spends_worker,
        tabs::{InFlight, WARM_UP},
    },
    types::{Failure, ModelId, TabId, Target},
};
use std::time::{Duration, Instant};

impl Scheduler {
    /// A model is to be warm in so many tabs from now on, which are opened where their number may change.
    pub(super) fn keep_warm(&mut self, model: ModelId, tabs: usize, timeout: Duration, now: Instant) {
        self.pools.set(model, tabs, timeout);
        self.keep_tabs_for_pools();
        self.fill_pool(model, now);
    }

    /// Each target has its share of the tabs that the largest pool needs, as far as there may be so many and the
    /// browser's memory suffices.
    pub(super) fn keep_tabs_for_pools(&mut self) {
        let (most, targets) = (self.pools.most(), self.hopeful());
        for (turn, target) in targets.iter().enumerate() {
            let share = (most + targets.len() - 1 - turn) / targets.len();
            let fit = self.tabs.count(target).saturating_add(self.further_tabs_in_memory(target));
            let least = share.min(fit).max(self.policy.tabs_per_target);
            let change = self.scales.get_mut(&target).and_then(|scale| scale.keep(least));
            self.scaled(target, change);
        }
    }

    /// Something has changed by which a model may be warm in too few tabs.
    pub(super) fn fill_pools(&mut self, now: Instant) {
        self.pools.models().into_iter().for_each(|model| self.fill_pool(model, now));
    }

    /// Has the least busy tabs load the model, by turns of every target, until so many have it.
    fn fill_pool(&mut self, model: ModelId, now: Instant) {
        let Some(pool) = self.pools.get(model) else { return };
        let mut cold: Vec<(usize, usize, TabId)> = Vec::new();
        for target in self.hopeful().difference(pool.barred()).iter() {
            let without = self.lasting(target).filter(|(_, id)| !self.has(*id, model));
            cold.extend(without.enumerate().map(|(turn, (load, id))| (turn, load, id)));
        }
        cold.sort_unstable();
        let missing = pool.tabs.saturating_sub(self.warm(model));
        for (_, _, id) in cold.into_iter().take(missing) {
            self.warm_up(id, model, now);
        }
    }

    /// Ready tabs that are not to be replaced, and are not lent to one job alone.
    fn lasting(&self, target: Target) -> impl Iterator<Item = (usize, TabId)> {
        let lasts = |id: TabId| self.tabs.get(id).is_some_and(|tab| tab.worn.is_none() && !tab.is_alone);
        self.tabs.ready(target).filter(move |(_, id)| lasts(*id))
    }

    fn has(&self, id: TabId, model: ModelId) -> bool {
        self.tabs.get(id).is_some_and(|tab| tab.loaded.contains(&model))
    }

    /// In how many of them the model is, or is being loaded.
    fn warm(&self, model: ModelId) -> usize {
        let with = |target| self.lasting(target).filter(|(_, id)| self.has(*id, model)).count();
        self.hopeful().iter().map(with).sum()
    }

    /// Whether a tab is about to have the model: one that loads it, or one that is yet to come.
    pub fn is_warming(&self, model: ModelId) -> bool {
        let loads = |tab: &crate::schedule::tabs::Tab| tab.in_flight.iter().any(|at| at.loads == Some(model));
        let Some(pool) = self.pools.get(model) else { return false };
        let open: TargetSet = self.hopeful().difference(pool.barred());
        self.tabs.iter().any(|(_, tab)| loads(tab))
            || self.warm(model) < pool.tabs && open.iter().any(|target| self.is_one_coming(target))
    }

    fn is_one_coming(&self, target: Target) -> bool {
        let ready = self.lasting(target).count();
        ready < self.tabs_wanted(target) && !(self.not_before.contains_key(&target) && ready > 0)
    }

    /// Has a tab load a model, and run it once, before a job needs it.
    pub(super) fn warm_up(&mut self, id: TabId, model: ModelId, now: Instant) {
        let timeout = self.pools.get(model).map_or(self.policy.start_timeout, |pool| pool.timeout);
        self.tabs.update(id, |tab| {
            tab.loaded.insert(model);
            tab.hand(InFlight::load(model, timeout), now);
        });
        self.actions.push_back(Action::WarmModel { tab: id, model });
    }

    pub(super) fn model_loaded(&mut self, id: TabId, model: ModelId, failure: Option<Failure>, now: Instant) {
        let Some(answered) = self.take_answered(id, WARM_UP, now) else { return };
        self.stage_loaded(id, model, answered.target, failure.as_ref());
        let Some(failure) = failure else { return self.pools.loaded(model, answered.target) };
        self.not_warmed(model, answered.target);
        if let Some(tab) = self.tabs.get_mut(id) {
            // Whichever job asks for it next is told why.
            tab.loaded.remove(&model);
        }
        if spends_worker(failure.cause) {
            self.displace(id, now);
            self.repair_worker(id, failure, now);
        }
    }

    /// A model could not be loaded there, or took the worker along: it is not tried for ever.
    pub(super) fn not_warmed(&mut self, model: ModelId, target: Target) {
        self.pools.failed(model, target);
    }
}
