//! What happens to browsers: launched, ended, launched again, given up.

use super::{Action, Scheduler};
use crate::{
    schedule::browsers::{self, Slot},
    types::{Browser, BrowserId, Failure, TabId},
};
use std::time::Instant;

impl Scheduler {
    pub(super) fn launch(&mut self, browser: Browser) {
        let id = BrowserId(self.next_browser);
        self.next_browser += 1;
        match self.slots.get_mut(&browser) {
            Some(slot) => slot.launched_again(id),
            None => {
                let slot = Slot::new(id, self.policy.relaunch_pause, self.policy.relaunch_pause_cap);
                self.slots.insert(browser, slot);
            }
        }
        self.actions.push_back(Action::LaunchBrowser { id, browser });
    }

    pub(super) fn with_slot(&mut self, id: BrowserId, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots.values_mut().find(|slot| slot.id() == Some(id)) {
            change(slot);
        }
    }

    pub(super) fn browser_started(&mut self, id: BrowserId, now: Instant) {
        self.with_slot(id, |slot| slot.stage = browsers::Stage::Running(id));
        self.look_after_browser(id, now);
    }

    /// Ends a running browser, which is then launched again. Its tabs' first jobs are blamed; all of them move at once.
    pub(super) fn restart_browser(&mut self, id: BrowserId, browser: Browser, failure: &Failure, now: Instant) {
        if !self.slots.values().any(|slot| slot.running() == Some(id)) {
            return;
        }
        self.with_slot(id, |slot| slot.stage = browsers::Stage::Ending(id));
        self.repair_browser(browser, failure, now);
        self.lose_tabs(id, failure, now);
        self.actions.push_back(Action::EndBrowser { id });
    }

    pub(super) fn browser_gone(&mut self, id: BrowserId, failure: Failure, give_up_after: u32, now: Instant) {
        let Some((browser, slot)) = self.slots.iter_mut().find(|(_, slot)| slot.id() == Some(id)) else { return };
        let (browser, ran) = (*browser, slot.running().is_some());
        slot.failed(&failure, give_up_after, now);
        let given_up = match &slot.stage {
            browsers::Stage::GivenUp(why) => Some(why.clone()),
            _ => None,
        };
        if ran {
            self.repair_browser(browser, &failure, now);
        }
        self.lose_tabs(id, &failure, now);
        if let Some(why) = given_up {
            for target in self.hopeful().iter().filter(|target| target.browser == browser) {
                self.give_up(target, why.clone(), now);
            }
        }
    }

    fn lose_tabs(&mut self, id: BrowserId, failure: &Failure, now: Instant) {
        let tabs: Vec<TabId> = self.tabs.iter().filter(|(_, tab)| tab.browser == id).map(|(tab, _)| tab).collect();
        for tab in tabs {
            self.blame_first(tab, failure, now);
            self.displace(tab);
            self.remove_tab(tab, failure, now);
        }
    }
}
