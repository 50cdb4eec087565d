//! What was injected, and what the fleet said and did about it: pure, from events and the time at which they came.

use crate::types::{BreakerState, Browser, BrowserId, Cause, EventKind, FailureMode, TabId, Target};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long what was broken may take to answer jobs again; after that it is not waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a job that is to run into its time limit may take to do so: others stand before it.
const TURN: Duration = Duration::from_secs(90);

/// How long a browser is left alone after it has recovered.
pub(super) const CALM: Duration = Duration::from_millis(500);

/// One injection and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Injection {
    pub mode: FailureMode,
    pub browser: BrowserId,
    pub kind: Browser,
    pub what: String,
    pub at: Instant,
    /// When what lasts a while was over.
    pub over: Option<Instant>,
    /// When the fleet noticed, and what it took it for.
    pub detected: Option<(Instant, String)>,
    pub recovered: Option<Instant>,
    affected: Affected,
    /// The time limit of a job that is to run into it, which may have to wait for its turn.
    limit: Option<Duration>,
    open: bool,
}

/// What has to answer again, as far as the fleet has told.
#[derive(Clone, Copy, Debug)]
enum Affected {
    Browser,
    Target(Target),
    Tab(TabId, Target),
}

/// What was done, as its injector tells it.
#[derive(Clone, Debug)]
pub(super) struct Injected {
    pub mode: FailureMode,
    pub browser: BrowserId,
    pub kind: Browser,
    pub what: String,
    pub at: Instant,
    /// The time limit of a job that is to run into it; what is timed then counts from the limit.
    pub limit: Option<Duration>,
}

struct Tab {
    browser: BrowserId,
    target: Target,
    ready: Option<Instant>,
}

/// Every injection so far, and what the fleet consists of at the moment.
#[derive(Default)]
pub(super) struct Ledger {
    pub injections: Vec<Injection>,
    kinds: HashMap<BrowserId, Browser>,
    tabs: HashMap<TabId, Tab>,
    /// When each browser was last left alone.
    calm: HashMap<Browser, Instant>,
}

/// What is told of a tab whose worker was replaced without a word about why.
const RESTARTED: &str = "worker restarted";

impl Ledger {
    /// A tab that was there before events were read.
    pub fn know(&mut self, tab: TabId, browser: BrowserId, target: Target, now: Instant) {
        self.kinds.insert(browser, target.browser);
        self.tabs.insert(tab, Tab { browser, target, ready: Some(now) });
    }

    /// The browsers that may be broken now: with a tab that takes jobs, nothing else broken in them, and a moment of calm
    /// since.
    pub fn free(&self, now: Instant) -> Vec<Browser> {
        let calm = |kind: &Browser| self.calm.get(kind).is_none_or(|since| *since + CALM <= now);
        let free = |kind: &Browser| calm(kind) && self.open(*kind).is_none() && self.running(*kind).is_some();
        Browser::ALL.iter().copied().filter(free).collect()
    }

    /// The launch of a browser that has a tab which takes jobs.
    pub fn running(&self, kind: Browser) -> Option<BrowserId> {
        let of_kind = self.tabs.values().filter(|tab| tab.ready.is_some() && tab.target.browser == kind);
        of_kind.map(|tab| tab.browser).max()
    }

    /// The tabs of a launch that take jobs.
    pub fn tabs_of(&self, browser: BrowserId) -> Vec<(TabId, Target)> {
        let of_it = self.tabs.iter().filter(|(_, tab)| tab.browser == browser && tab.ready.is_some());
        let mut tabs: Vec<_> = of_it.map(|(id, tab)| (*id, tab.target)).collect();
        tabs.sort();
        tabs
    }

    pub fn inject(&mut self, injected: Injected) {
        let Injected { mode, browser, kind, what, at, limit } = injected;
        self.injections.push(Injection {
            mode,
            browser,
            kind,
            what,
            at,
            over: None,
            detected: None,
            recovered: None,
            affected: Affected::Browser,
            limit,
            open: true,
        });
    }

    /// What lasted in a browser is over.
    pub fn over(&mut self, kind: Browser, at: Instant) {
        if let Some(index) = self.open(kind) {
            self.injections[index].over = Some(at);
        }
    }

    /// Whether anything broken is still waited for.
    pub fn is_open(&self) -> bool {
        self.injections.iter().any(|injection| injection.open)
    }

    /// The last injection before `at` into one of these browsers, or into any when there was none.
    pub fn blame(&self, at: Instant, browsers: &[Browser]) -> Option<FailureMode> {
        let before = || self.injections.iter().rev().filter(|injection| injection.at <= at);
        let there = before().find(|injection| browsers.contains(&injection.kind));
        there.or_else(|| before().next()).map(|injection| injection.mode)
    }

    /// Stops waiting for what has not recovered in time, and returns it.
    pub fn expire(&mut self, now: Instant) -> Vec<Injection> {
        let late: Vec<usize> = (0..self.injections.len())
            .filter(|index| {
                let injection = &self.injections[*index];
                let waits = injection.limit.is_some() && injection.detected.is_none();
                injection.open && injection.at + if waits { TURN } else { PATIENCE } <= now
            })
            .collect();
        late.into_iter().map(|index| self.end(index, now)).collect()
    }

    /// Takes an event into account; returns the injection that is got over with it.
    pub fn hear(&mut self, at: Instant, event: &EventKind) -> Option<Injection> {
        if let Some((index, told_as, affected)) = self.detection(at, event) {
            let injection = &mut self.injections[index];
            if let (Some(limit), EventKind::AttemptFailed { failure, elapsed_ms, .. }) = (injection.limit, event)
                && failure.cause == Cause::DeadlineExceeded
            {
                // The job ran into its limit as it was to: what is timed is how long after that.
                let late = Duration::from_secs_f64(elapsed_ms / 1e3).saturating_sub(limit);
                injection.at = at.checked_sub(late).unwrap_or(at);
            }
            let first = injection.detected.take().map_or(at, |(first, _)| first);
            injection.detected = Some((first, told_as));
            injection.affected = affected;
        }
        self.widen(event);
        let recovered = self.recovery(at, event);
        self.keep_up(at, event);
        recovered
    }

    /// What was noticed at one of a browser's tabs affects them all when the browser ends.
    fn widen(&mut self, event: &EventKind) {
        if let EventKind::BrowserEnded { browser, .. } = event
            && let Some(index) = self.kinds.get(browser).and_then(|kind| self.open(*kind))
            && self.injections[index].browser == *browser
        {
            self.injections[index].affected = Affected::Browser;
        }
    }

    /// The open injection that an event is the first to tell of, what as, and what is seen to be affected. A closed socket
    /// is often the first to be told of; what it meant is told by the next.
    fn detection(&self, at: Instant, event: &EventKind) -> Option<(usize, String, Affected)> {
        let (kind, launch, told_as, affected) = self.told(event)?;
        let index = self.open(kind)?;
        let injection = &self.injections[index];
        let same_launch = launch.is_none_or(|launch| launch == injection.browser);
        // A job that runs into its limit is told of as a job; what else is told meanwhile came of something before it.
        let of_a_job = injection.limit.is_none() || tells_of_an_end(event);
        // A worker that is ready again says that it was replaced, not why.
        let explains = told_as != RESTARTED;
        let unexplained = |(_, told_as): &(Instant, String)| explains && told_as == Cause::SocketClosed.name();
        let first =
            injection.detected.as_ref().is_none_or(unexplained) && injection.at <= at && same_launch && of_a_job;
        first.then_some((index, told_as, affected))
    }

    /// What an event says is wrong: with which browser, which launch of it, and with what in it.
    fn told(&self, event: &EventKind) -> Option<(Browser, Option<BrowserId>, String, Affected)> {
        let of_tab = |tab: &TabId, told_as: &str, affected: Affected| {
            let tab = self.tabs.get(tab)?;
            Some((tab.target.browser, Some(tab.browser), told_as.to_owned(), affected))
        };
        match event {
            EventKind::BrowserEnded { browser, failure } => {
                let told_as = failure.as_ref().map_or("ended by the fleet", |failure| failure.cause.name());
                Some((*self.kinds.get(browser)?, Some(*browser), told_as.to_owned(), Affected::Browser))
            }
            EventKind::TabDisconnected { tab, target, failure } => {
                of_tab(tab, failure.cause.name(), Affected::Tab(*tab, *target))
            }
            EventKind::TabLost { tab, target, failure } => of_tab(tab, failure.cause.name(), Affected::Target(*target)),
            EventKind::AttemptFailed { tab, target, failure, .. }
            | EventKind::HealthChecked { tab, target, failure: Some(failure) } => {
                of_tab(tab, failure.cause.name(), Affected::Tab(*tab, *target))
            }
            EventKind::TabReady { tab, info, .. } if self.tabs.get(tab)?.ready.is_some() => {
                of_tab(tab, RESTARTED, Affected::Tab(*tab, info.target))
            }
            EventKind::Recovery { browser, target, tab, failure, .. } => {
                let affected = match (tab, target) {
                    (Some(tab), Some(target)) => Affected::Tab(*tab, *target),
                    (None, Some(target)) => Affected::Target(*target),
                    _ => Affected::Browser,
                };
                let launch = tab.and_then(|tab| self.tabs.get(&tab)).map(|tab| tab.browser);
                Some((*browser, launch, failure.cause.name().to_owned(), affected))
            }
            EventKind::BreakerChanged { target, to: BreakerState::Open, .. } => {
                Some((target.browser, None, "circuit open".to_owned(), Affected::Target(*target)))
            }
            EventKind::TargetUnavailable { info } => {
                Some((info.target.browser, None, "target given up".to_owned(), Affected::Target(info.target)))
            }
            _ => None,
        }
    }

    /// An answer may be the first of what was broken.
    fn recovery(&mut self, at: Instant, event: &EventKind) -> Option<Injection> {
        let EventKind::AttemptSucceeded { tab: id, .. } = event else { return None };
        let tab = self.tabs.get(id)?;
        let index = self.open(tab.target.browser)?;
        let injection = &self.injections[index];
        if at < injection.at {
            return None;
        }
        let fresh = tab.ready.is_some_and(|ready| ready > injection.at);
        let recovered = match (&injection.detected, injection.affected) {
            (Some(_), Affected::Browser) => fresh,
            (Some(_), Affected::Target(target)) => fresh && tab.target == target,
            (Some(_), Affected::Tab(affected, target)) => *id == affected || (fresh && tab.target == target),
            (None, _) => injection.over.is_some_and(|over| over < at) && tab.browser == injection.browser,
        };
        recovered.then(|| {
            self.injections[index].recovered = Some(at);
            self.end(index, at)
        })
    }

    fn end(&mut self, index: usize, at: Instant) -> Injection {
        self.injections[index].open = false;
        self.calm.insert(self.injections[index].kind, at);
        self.injections[index].clone()
    }

    fn keep_up(&mut self, at: Instant, event: &EventKind) {
        match event {
            EventKind::BrowserStarted { browser, identity } => {
                self.kinds.insert(*browser, identity.browser);
            }
            EventKind::TabReady { tab, browser, info } => {
                self.tabs.insert(*tab, Tab { browser: *browser, target: info.target, ready: Some(at) });
            }
            EventKind::TabLost { tab, .. } | EventKind::TabClosed { tab, .. } => {
                self.tabs.remove(tab);
            }
            EventKind::BrowserEnded { browser, .. } => self.tabs.retain(|_, tab| tab.browser != *browser),
            _ => {}
        }
    }

    fn open(&self, kind: Browser) -> Option<usize> {
        self.injections.iter().rposition(|injection| injection.open && injection.kind == kind)
    }
}

/// Whether an event says that a job, tab or browser came to an end.
const fn tells_of_an_end(event: &EventKind) -> bool {
    matches!(event, EventKind::AttemptFailed { .. } | EventKind::TabLost { .. } | EventKind::BrowserEnded { .. })
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
