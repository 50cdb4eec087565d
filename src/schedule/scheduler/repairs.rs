//! What is being done about tabs and browsers that failed, until it is known whether it helped.

use super::{Action, Recovery, Scheduler};
use crate::types::{Browser, Failure, Strategy, TabId, Target};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

/// Repairs under way, by what will show that they helped.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// The tab is ready again.
    workers: BTreeMap<TabId, Vec<Repair>>,
    /// A tab of the target becomes ready. It stands for one that was replaced, however many were: the oldest.
    tabs: BTreeMap<Target, VecDeque<Repair>>,
    /// A tab of the browser becomes ready.
    browsers: BTreeMap<Browser, Repair>,
}

#[derive(Debug)]
struct Repair {
    browser: Browser,
    target: Option<Target>,
    tab: Option<TabId>,
    failure: Failure,
    strategy: Strategy,
    since: Instant,
}

impl Scheduler {
    /// Chooses what is done about a tab's failure: the cheapest step from `least` on that has helped against such
    /// failures before.
    pub(super) fn choose_repair(&self, target: Target, failure: &Failure, least: Strategy) -> Strategy {
        let steps = [Strategy::RestartWorker, Strategy::ReplaceTab, Strategy::RestartBrowser];
        let from = steps.iter().position(|step| *step == least).unwrap_or_default();
        self.recoveries.prefer(target.browser, failure.category(), &steps[from..])
    }

    /// A fresh worker or a fresh tab is to help.
    pub(super) fn repair_tab(
        &mut self,
        tab: TabId,
        target: Target,
        failure: &Failure,
        strategy: Strategy,
        now: Instant,
    ) {
        let (browser, failure) = (target.browser, failure.clone());
        let repair = Repair { browser, target: Some(target), tab: Some(tab), failure, strategy, since: now };
        if strategy == Strategy::RestartWorker {
            self.repairs.workers.entry(tab).or_default().push(repair);
        } else {
            self.repairs.tabs.entry(target).or_default().push_back(repair);
        }
    }

    pub(super) fn repair_browser(&mut self, browser: Browser, failure: &Failure, now: Instant) {
        // A browser that does not come up is launched again: that is still the same repair.
        self.repairs.browsers.entry(browser).or_insert_with(|| {
            let (strategy, failure) = (Strategy::RestartBrowser, failure.clone());
            Repair { browser, target: None, tab: None, failure, strategy, since: now }
        });
    }

    /// A tab is ready: what was waiting for it has helped.
    pub(super) fn repaired(&mut self, tab: TabId, target: Target, now: Instant) {
        let worker = self.repairs.workers.remove(&tab).unwrap_or_default();
        let replaced = self.repairs.tabs.get_mut(&target).and_then(VecDeque::pop_front);
        let browser = self.repairs.browsers.remove(&target.browser);
        let done = worker.into_iter().chain(replaced).chain(browser);
        done.for_each(|repair| self.conclude(repair, true, now));
    }

    /// A tab was lost before it was ready: a worker that was being restarted in it was not.
    pub(super) fn not_repaired(&mut self, tab: TabId, now: Instant) {
        let failed = self.repairs.workers.remove(&tab).unwrap_or_default();
        failed.into_iter().for_each(|repair| self.conclude(repair, false, now));
    }

    /// A target was given up, and its tabs are gone: nothing that was done about it helped.
    pub(super) fn beyond_repair(&mut self, target: Target, now: Instant) {
        let tabs = self.repairs.tabs.remove(&target).unwrap_or_default();
        let browser_is_lost = !self.hopeful().iter().any(|hopeful| hopeful.browser == target.browser);
        let browser = browser_is_lost.then(|| self.repairs.browsers.remove(&target.browser)).flatten();
        tabs.into_iter().chain(browser).for_each(|repair| self.conclude(repair, false, now));
    }

    fn conclude(&mut self, repair: Repair, succeeded: bool, now: Instant) {
        let Repair { browser, target, tab, failure, strategy, since } = repair;
        let took = now.saturating_duration_since(since);
        self.book(Recovery { browser, target, tab, job: None, failure, strategy, succeeded, took });
    }

    /// It is known what became of something that was done about a failure.
    pub(super) fn book(&mut self, recovery: Recovery) {
        let Recovery { browser, strategy, succeeded, took, .. } = recovery;
        self.recoveries.book(browser, recovery.failure.category(), strategy, succeeded, took);
        self.actions.push_back(Action::Recovered(recovery));
    }
}
