//! The number of a target's tabs follows its load and what a further one was measured to bring.

use super::{Action, Scheduler, time_rules::Timer};
use crate::{
    schedule::{
        scaling::{Change, LOOKS, Look, Scale},
        tabs::{Stage, Tab},
    },
    types::{TabId, Target},
};
use std::time::Instant;

impl Scheduler {
    /// Begins to look at the tabs, where their number may change.
    pub(super) fn begin_scaling(&mut self, now: Instant) {
        let (least, most) = (self.policy.tabs_per_target, self.policy.scaling.max_tabs);
        if most <= least {
            return;
        }
        for target in self.wanted.iter() {
            self.scales.insert(target, Scale::new(least..=most, &self.policy.scaling));
            self.timers.insert((now + LOOKS, Timer::Scale(target)));
        }
    }

    /// How many tabs the target is to have.
    pub(super) fn tabs_wanted(&self, target: Target) -> usize {
        self.scales.get(&target).map_or(self.policy.tabs_per_target, Scale::wanted)
    }

    pub(super) fn scale_due(&mut self, target: Target, now: Instant) {
        if !self.hopeful().contains(target) {
            self.scales.remove(&target);
            return;
        }
        self.timers.insert((now + LOOKS, Timer::Scale(target)));
        let look = self.look_at(target);
        let (policy, speeds) = (&self.policy.scaling, &self.speeds);
        let work = |model| speeds.expected(model, target).unwrap_or_default();
        let change = self.scales.get_mut(&target).and_then(|scale| scale.look(look, policy, work, now));
        self.scaled(target, change);
        self.close_surplus(target, now);
    }

    pub(super) fn scaled(&mut self, target: Target, change: Option<Change>) {
        if let Some(Change { from, to, reason }) = change {
            self.actions.push_back(Action::Scaled { target, from, to, reason });
        }
    }

    fn look_at(&self, target: Target) -> Look {
        let ready = || self.tabs.ready(target).filter_map(|(_, id)| self.tabs.get(id));
        let busy = ready().filter(|tab| !tab.in_flight.is_empty()).count();
        Look {
            ready: ready().count(),
            busy,
            seasoned: ready().filter(|tab| tab.jobs > 0).count(),
            waiting: self.queue.waits_for(target),
            has_memory: self.further_tabs_in_memory(target) > 0,
            has_cores: self.has_cores_for_another_tab(target),
        }
    }

    /// How many more tabs of the size of those it has the browser could hold and stay below its limit.
    pub(super) fn further_tabs_in_memory(&self, target: Target) -> usize {
        let memory = self.slots.get(&target.browser).and_then(|slot| slot.vitals.memory());
        let Some(bytes) = memory else { return usize::MAX };
        let tabs = self.tabs.iter().filter(|(_, tab)| tab.target.browser == target.browser).count() as u64;
        let left = self.policy.browser_memory.soft.saturating_sub(bytes);
        (left / (bytes / tabs.max(1)).max(1)) as usize
    }

    /// Whether the cores suffice for the threads of all tabs that are at work and of one more. True where threads or cores
    /// are not known.
    fn has_cores_for_another_tab(&self, target: Target) -> bool {
        let (Some(cores), Some(threads)) = (self.policy.scaling.cores, self.threads.get(&target)) else { return true };
        let at_work = self.tabs.iter().filter(|(_, tab)| !tab.in_flight.is_empty());
        let busy: usize = at_work.filter_map(|(_, tab)| self.threads.get(&tab.target)).sum();
        busy + threads <= cores
    }

    /// Tabs that are more than there are to be take no more jobs; those with least to do go first.
    fn close_surplus(&mut self, target: Target, now: Instant) {
        while self.tabs.count(target) > self.tabs_wanted(target) {
            // One that keeps a session's state stays until that has ended.
            let may_go =
                |id: &TabId| self.tabs.get(*id).is_some_and(|tab| tab.worn.is_none()) && !self.sessions.live_in(*id);
            let Some(id) = self.tabs.ready(target).map(|(_, id)| id).find(may_go) else { return };
            self.tabs.wear_out(id, "its target needs fewer tabs".to_owned());
            self.tabs.update(id, |tab: &mut Tab| tab.enter(Stage::Retiring));
            self.fill_pools(now);
        }
    }
}
