//! Models that are to be warm, loaded and run once, in so many tabs, whatever becomes of those.

use super::TargetSet;
use crate::types::{ModelId, Target};
use std::{collections::BTreeMap, time::Duration};

/// Failures in a row after which a model is left to the jobs that need it.
const ENOUGH_FAILURES: u32 = 2;

/// The tabs that one model is to be warm in.
#[derive(Debug)]
pub(super) struct Pool {
    pub tabs: usize,
    /// How long a tab may take to load and run it.
    pub timeout: Duration,
    /// How often in a row it could not be loaded, or the worker was lost that loaded it.
    failures: BTreeMap<Target, u32>,
}

impl Pool {
    /// Where it is not to be warmed.
    pub fn barred(&self) -> TargetSet {
        let barred = |(target, failures): (&Target, &u32)| (*failures >= ENOUGH_FAILURES).then_some(*target);
        self.failures.iter().filter_map(barred).collect()
    }
}

/// The pools of all models that have one.
#[derive(Debug, Default)]
pub(super) struct Pools(BTreeMap<ModelId, Pool>);

impl Pools {
    /// A model is to be warm in so many tabs from now on; what failed before is tried again.
    pub fn set(&mut self, model: ModelId, tabs: usize, timeout: Duration) {
        self.0.insert(model, Pool { tabs, timeout, failures: BTreeMap::new() });
    }

    pub fn get(&self, model: ModelId) -> Option<&Pool> {
        self.0.get(&model)
    }

    pub fn models(&self) -> Vec<ModelId> {
        self.0.keys().copied().collect()
    }

    /// How many tabs the largest needs.
    pub fn most(&self) -> usize {
        self.0.values().map(|pool| pool.tabs).max().unwrap_or_default()
    }

    pub fn loaded(&mut self, model: ModelId, target: Target) {
        if let Some(pool) = self.0.get_mut(&model) {
            pool.failures.remove(&target);
        }
    }

    pub fn failed(&mut self, model: ModelId, target: Target) {
        if let Some(pool) = self.0.get_mut(&model) {
            *pool.failures.entry(target).or_default() += 1;
        }
    }

    pub fn forget(&mut self, model: ModelId) {
        self.0.remove(&model);
    }
}
