//! Tabs that are worn out though nothing is wrong with them: a fresh one is opened and loads their models, then they
//! finish what they hold and go.

use super::{Action, Scheduler};
use crate::{
    schedule::tabs::{Stage, Tab, WARM_UP},
    types::{TabId, Target},
};
use std::time::Instant;

impl Scheduler {
    /// A tab was answered, or some time has passed: whether it has done enough.
    pub(super) fn retire_if_worn(&mut self, id: TabId, now: Instant) {
        let Some(tab) = self.tabs.get(id).filter(|tab| tab.stage == Stage::Ready && tab.worn.is_none()) else { return };
        let Some(why) = self.policy.retirement.reached(tab, now) else { return };
        // It no longer counts, so another one is opened; until that is ready, it goes on.
        self.tabs.wear_out(id, why);
        self.worn.insert(id);
    }

    /// A tab is ready for the first time: the oldest that is worn out may go, as soon as this one has its models.
    pub(super) fn succeed_worn(&mut self, id: TabId, target: Target, now: Instant) {
        let is_worn = |tab: &Tab| {
            let has_successor = tab.successor.is_some_and(|successor| self.tabs.get(successor).is_some());
            tab.target == target && tab.worn.is_some() && tab.stage == Stage::Ready && !has_successor
        };
        let Some(worn) = self.worn.iter().copied().find(|worn| self.tabs.get(*worn).is_some_and(is_worn)) else {
            return;
        };
        let models = self.tabs.update(worn, |tab| {
            tab.successor = Some(id);
            tab.loaded.clone()
        });
        for model in models.into_iter().flatten() {
            self.warm_up(id, model, now);
        }
        self.retire_predecessor(id, now);
    }

    /// The tab that `id` stands in for takes no more jobs, once `id` has nothing left to load.
    pub(super) fn retire_predecessor(&mut self, id: TabId, now: Instant) {
        let loads = |tab: &Tab| tab.in_flight.iter().any(|in_flight| in_flight.job == WARM_UP);
        if self.tabs.get(id).is_none_or(loads) {
            return;
        }
        let stands_in = |worn: &TabId| self.tabs.get(*worn).is_some_and(|tab| tab.successor == Some(id));
        if let Some(worn) = self.worn.iter().copied().find(stands_in) {
            self.tabs.update(worn, |tab| tab.enter(Stage::Retiring));
            self.bear_sessions(worn, now);
        }
    }

    /// Those that are worn out and have finished go.
    pub(super) fn close_retired(&mut self, now: Instant) {
        if self.worn.is_empty() {
            return;
        }
        let has_finished = |tab: &Tab| tab.stage == Stage::Retiring && tab.in_flight.is_empty();
        // States of sessions are waited for, for as long as they are borne.
        let is_done = |id: &TabId| self.tabs.get(*id).is_some_and(has_finished) && !self.sessions.live_in(*id);
        let finished: Vec<TabId> = self.worn.iter().copied().filter(is_done).collect();
        for id in finished {
            if let Some(tab) = self.tabs.remove(id) {
                self.not_repaired(id, now);
                let (target, reason) = (tab.target, tab.worn.unwrap_or_default());
                self.actions.push_back(Action::RetireTab { tab: id, target, reason });
            }
        }
        self.worn.retain(|id| self.tabs.get(*id).is_some());
    }
}
