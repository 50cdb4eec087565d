//! What is being done about tabs and browsers that failed, until it is known whether it helped.

use super::{Action, Recovery, Scheduler};
use crate::types::{Browser, Failure, Strategy, TabId, Target};
use std::time::Instant;

/// Repairs under way.
#[derive(Debug, Default)]
pub(super) struct Repairs(Vec<Repair>);

#[derive(Debug)]
struct Repair {
    browser: Browser,
    target: Option<Target>,
    tab: Option<TabId>,
    failure: Failure,
    strategy: Strategy,
    since: Instant,
}

impl Repair {
    /// Whether a tab of `target` that became ready shows that it helped.
    fn is_done_by(&self, tab: TabId, target: Target) -> bool {
        match self.strategy {
            Strategy::RestartWorker => self.tab == Some(tab),
            Strategy::ReplaceTab => self.target == Some(target) && self.tab != Some(tab),
            _ => self.browser == target.browser,
        }
    }
}

impl Scheduler {
    /// Chooses what is done about a tab's failure: the cheapest step from `least` on that has helped against such
    /// failures before.
    pub(super) fn choose_repair(&self, target: Target, failure: &Failure, least: Strategy) -> Strategy {
        let steps = [Strategy::RestartWorker, Strategy::ReplaceTab, Strategy::RestartBrowser];
        let from = steps.iter().position(|step| *step == least).unwrap_or_default();
        self.recoveries.prefer(target.browser, failure.category(), &steps[from..])
    }

    pub(super) fn repair_tab(
        &mut self,
        tab: TabId,
        target: Target,
        failure: &Failure,
        strategy: Strategy,
        now: Instant,
    ) {
        let (browser, target, tab) = (target.browser, Some(target), Some(tab));
        self.repairs.0.push(Repair { browser, target, tab, failure: failure.clone(), strategy, since: now });
    }

    pub(super) fn repair_browser(&mut self, browser: Browser, failure: &Failure, now: Instant) {
        // A browser that does not come up is launched again: that is still the same repair.
        let under_way = |repair: &Repair| repair.browser == browser && repair.strategy == Strategy::RestartBrowser;
        if !self.repairs.0.iter().any(under_way) {
            let strategy = Strategy::RestartBrowser;
            let repair = Repair { browser, target: None, tab: None, failure: failure.clone(), strategy, since: now };
            self.repairs.0.push(repair);
        }
    }

    /// A tab is ready: what was waiting for it has helped.
    pub(super) fn repaired(&mut self, tab: TabId, target: Target, now: Instant) {
        // One new tab stands for one that was replaced, however many were.
        let mut replaced = false;
        let done = self.repairs.0.extract_if(.., |repair| {
            repair.is_done_by(tab, target)
                && (repair.strategy != Strategy::ReplaceTab || !std::mem::replace(&mut replaced, true))
        });
        let done: Vec<Repair> = done.collect();
        done.into_iter().for_each(|repair| self.conclude(repair, true, now));
    }

    /// A tab was lost before it was ready: a worker that was being restarted in it was not.
    pub(super) fn not_repaired(&mut self, tab: TabId, now: Instant) {
        let failed = |repair: &mut Repair| repair.strategy == Strategy::RestartWorker && repair.tab == Some(tab);
        let failed: Vec<Repair> = self.repairs.0.extract_if(.., failed).collect();
        failed.into_iter().for_each(|repair| self.conclude(repair, false, now));
    }

    /// A target was given up: nothing that was done about it helped.
    pub(super) fn beyond_repair(&mut self, target: Target, now: Instant) {
        let browser_is_lost = !self.hopeful().iter().any(|hopeful| hopeful.browser == target.browser);
        let failed = |repair: &mut Repair| match repair.target {
            Some(of) => of == target,
            None => browser_is_lost && repair.browser == target.browser,
        };
        let failed: Vec<Repair> = self.repairs.0.extract_if(.., failed).collect();
        failed.into_iter().for_each(|repair| self.conclude(repair, false, now));
    }

    fn conclude(&mut self, repair: Repair, succeeded: bool, now: Instant) {
        let Repair { browser, target, tab, failure, strategy, since } = repair;
        let took = now.saturating_duration_since(since);
        self.recoveries.book(browser, failure.category(), strategy, succeeded, took);
        let recovery = Recovery { browser, target, tab, job: None, failure, strategy, succeeded, took };
        self.actions.push_back(Action::Recovered(recovery));
    }
}
