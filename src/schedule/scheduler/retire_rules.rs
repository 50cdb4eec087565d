//! Tabs that are worn out though nothing is wrong with them: a fresh one is opened and loads their models, then they
//! finish what they hold and go.

use super::{Action, Scheduler};
use crate::{
    schedule::tabs::{Stage, Tab},
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
    }

    /// A tab is ready for the first time: it is to stand in for the oldest that is worn out, and loads its models.
    pub(super) fn succeed_worn(&mut self, id: TabId, target: Target, now: Instant) {
        let is_left = |worn: &TabId| {
            self.tabs.get(*worn).is_some_and(|tab| {
                tab.target == target && tab.stage != Stage::Retiring && self.successor(tab).is_none()
            })
        };
        let Some(worn) = self.tabs.worn().find(is_left) else { return };
        let models = self.tabs.update(worn, |tab| {
            tab.successor = Some(id);
            tab.loaded.clone()
        });
        for model in models.into_iter().flatten() {
            self.warm_up(id, model, now);
        }
    }

    fn successor(&self, tab: &Tab) -> Option<&Tab> {
        self.tabs.get(tab.successor?)
    }

    /// Those that are worn out take no more jobs once another one stands in for them, and go when they have finished.
    /// What is looked at is how things are, so that none is forgotten that could not go when its successor came.
    pub(super) fn tend_worn(&mut self, now: Instant) {
        let worn: Vec<TabId> = self.tabs.worn().collect();
        for id in worn {
            if self.tabs.get(id).is_some_and(|tab| tab.stage == Stage::Ready && self.is_stood_in_for(tab)) {
                self.tabs.update(id, |tab| tab.enter(Stage::Retiring));
                self.bear_sessions(id, now);
            }
            let has_finished = |tab: &Tab| tab.stage == Stage::Retiring && tab.in_flight.is_empty();
            // States of sessions are waited for, for as long as they are borne.
            if self.tabs.get(id).is_some_and(has_finished)
                && !self.sessions.live_in(id)
                && let Some(tab) = self.tabs.remove(id)
            {
                self.not_repaired(id, now);
                let (target, reason) = (tab.target, tab.worn.unwrap_or_default());
                self.actions.push_back(Action::RetireTab { tab: id, target, reason });
            }
        }
    }

    fn is_stood_in_for(&self, worn: &Tab) -> bool {
        let target = worn.target;
        match self.successor(worn) {
            Some(successor) => !successor.loads(),
            // There are enough without it, and none is on its way that would take its place.
            None => self.tabs.coming(target) == 0 && self.tabs.count(target) >= self.tabs_wanted(target),
        }
    }
}
