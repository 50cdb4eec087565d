//! Models that tabs load before a job needs them.

use super::{Action, Scheduler};
use crate::{
    schedule::tabs::{Companions, InFlight, WARM_UP},
    types::{Failure, ModelId, TabId},
};
use std::time::{Duration, Instant};

impl Scheduler {
    /// Has the least busy tabs load the model, by turns of every target, until so many have it.
    pub(super) fn warm_up_some(&mut self, model: ModelId, tabs: usize, now: Instant) {
        let has_it = |id: TabId| self.tabs.get(id).is_some_and(|tab| tab.loaded.contains(&model));
        let (mut warm, mut cold) = (0, Vec::new());
        for target in self.hopeful().iter() {
            let (with, without): (Vec<_>, Vec<_>) = self.tabs.ready(target).partition(|(_, id)| has_it(*id));
            warm += with.len();
            cold.extend(without.into_iter().enumerate().map(|(turn, (load, id))| (turn, load, id)));
        }
        cold.sort_unstable();
        for (_, _, id) in cold.into_iter().take(tabs.saturating_sub(warm)) {
            self.warm_up(id, model, now);
        }
    }

    /// Has a tab load a model before a job needs it.
    pub(super) fn warm_up(&mut self, id: TabId, model: ModelId, now: Instant) {
        let (timeout, work) = (self.policy.start_timeout, Duration::ZERO);
        let load = InFlight {
            job: WARM_UP,
            with: Companions::default(),
            bytes: 0,
            timeout,
            expires: None,
            work,
            alone: false,
            permits: None,
        };
        self.tabs.update(id, |tab| {
            tab.loaded.insert(model);
            tab.hand(load, now);
        });
        self.actions.push_back(Action::LoadModel { tab: id, model });
    }

    pub(super) fn model_loaded(&mut self, id: TabId, model: ModelId, failure: Option<Failure>, now: Instant) {
        let Some(answered) = self.take_answered(id, WARM_UP, now) else { return };
        if failure.is_some()
            && let Some(tab) = self.tabs.get_mut(id)
        {
            // Whichever job asks for it next is told why.
            tab.loaded.remove(&model);
        }
        self.stage_loaded(id, model, answered.target, failure, now);
    }
}
