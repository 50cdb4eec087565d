//! What happens to browsers: launched, ended, launched again, given up.

use super::{Action, Scheduler};
use crate::{
    schedule::{
        browsers::{self, Slot},
        jobs::Guilt,
    },
    types::{Browser, BrowserId, Cause, Failure, TabId},
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

    /// Ends a running browser, which is then launched again. Its jobs move at once.
    pub(super) fn restart_browser(&mut self, id: BrowserId, browser: Browser, failure: &Failure, now: Instant) {
        if !self.slots.values().any(|slot| slot.running() == Some(id)) {
            return;
        }
        self.with_slot(id, |slot| slot.stage = browsers::Stage::Ending(id));
        self.repair_browser(browser, failure, now);
        if failure.cause == Cause::HeartbeatMissed {
            self.lose_tabs(id, failure, now);
        } else {
            self.clear_tabs(id, failure, now);
        }
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

    /// A browser ended, or hangs: its tabs go, and the first job of each spends an attempt. What a browser died of is one
    /// job's doing at most; where several were at work, none is held to have killed it.
    fn lose_tabs(&mut self, id: BrowserId, failure: &Failure, now: Instant) {
        let tabs = self.tabs_of(id);
        let at_work =
            |tab: &&TabId| self.tabs.get(**tab).is_some_and(|tab| !tab.in_flight.is_empty() || tab.suspect.is_some());
        let guilt = if tabs.iter().filter(at_work).count() > 1 { Guilt::Shared } else { Guilt::Own };
        for tab in tabs {
            self.blame_first_as(tab, failure, guilt, now);
            self.displace(tab, now);
            self.remove_tab(tab, failure, now);
        }
    }

    /// A browser is ended for what its jobs had no part in: they move, and spend nothing.
    fn clear_tabs(&mut self, id: BrowserId, failure: &Failure, now: Instant) {
        for tab in self.tabs_of(id) {
            self.displace(tab, now);
            self.remove_tab(tab, failure, now);
        }
    }

    fn tabs_of(&self, id: BrowserId) -> Vec<TabId> {
        self.tabs.iter().filter(|(_, tab)| tab.browser == id).map(|(tab, _)| tab).collect()
    }
}
