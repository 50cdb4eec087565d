//! What happens to browsers: launched, ended, launched again, given up.

use super::{Action, Scheduler};
use crate::{
    schedule::browsers::{self, Slot},
    types::{Browser, BrowserId, Cause, Failure, TabId},
};
use std::time::Instant;

impl Scheduler {
    pub(super) fn launch(&mut self, browser: Browser) {
        let id = BrowserId(self.next_browser);
        self.next_browser += 1;
        match self.slots.get_mut(&browser) {
            Some(slot) => slot.stage = browsers::Stage::Launching(id),
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

    pub(super) fn end_browser(&mut self, id: BrowserId, now: Instant) {
        if self.slots.values().any(|slot| slot.running() == Some(id)) {
            self.with_slot(id, |slot| slot.stage = browsers::Stage::Ending(id));
            let failure = Failure::new(Cause::BrowserExited, "the browser was restarted because its tabs did not open");
            self.lose_tabs(id, now, |scheduler, tab, _| {
                scheduler.displace(tab);
                scheduler.remove_tab(tab, &failure);
            });
            self.actions.push_back(Action::EndBrowser { id });
        }
    }

    pub(super) fn browser_gone(&mut self, id: BrowserId, failure: Failure, give_up_after: u32, now: Instant) {
        let Some(browser) = self.slots.iter().find(|(_, slot)| slot.id() == Some(id)).map(|(browser, _)| *browser)
        else {
            return;
        };
        self.with_slot(id, |slot| slot.failed(&failure, give_up_after, now));
        self.lose_tabs(id, now, |scheduler, tab, now| {
            scheduler.blame_first(tab, &failure, now);
            scheduler.displace(tab);
            scheduler.remove_tab(tab, &failure);
        });
        if let Some(browsers::Stage::GivenUp(why)) = self.slots.get(&browser).map(|slot| slot.stage.clone()) {
            for target in self.hopeful().iter().filter(|target| target.browser == browser) {
                self.give_up(target, why.clone());
            }
        }
    }

    pub(super) fn lose_tabs(&mut self, id: BrowserId, now: Instant, mut lose: impl FnMut(&mut Self, TabId, Instant)) {
        let tabs: Vec<TabId> = self.tabs.iter().filter(|(_, tab)| tab.browser == id).map(|(tab, _)| tab).collect();
        tabs.into_iter().for_each(|tab| lose(self, tab, now));
    }
}
