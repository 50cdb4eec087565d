//! The state machine: inputs and the time in, actions out.

mod browser_rules;
mod job_rules;
mod tab_rules;
mod time_rules;

use super::{
    Policy, TargetSet,
    browsers::{self, Slot},
    jobs::{Attempt, Job, JobSpec},
    queue::Queue,
    tabs::Tabs,
};
use crate::types::{Browser, BrowserId, Cause, Failure, JobId, TabId, Target};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Instant,
};

/// Something that happened outside.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // The field names are the words of the fleet.
pub enum Input {
    /// A browser that was asked for runs.
    BrowserStarted { id: BrowserId },
    /// A browser that was asked for did not start; the next try may succeed.
    BrowserFailed { id: BrowserId, failure: Failure },
    /// A browser that was asked for cannot be had on this machine.
    BrowserMissing { id: BrowserId, failure: Failure },
    /// A browser ended, whether it was told to or not.
    BrowserExited { id: BrowserId, failure: Failure },
    /// A tab's worker is connected.
    TabConnected { tab: TabId },
    /// A tab's backend works: it takes jobs.
    TabReady { tab: TabId },
    /// A tab could not be opened, or its backend could not be started.
    TabFailed { tab: TabId, failure: Failure },
    /// A tab's worker is of no more use, but its page lives.
    WorkerLost { tab: TabId, failure: Failure },
    /// A tab is gone.
    TabLost { tab: TabId, failure: Failure },
    /// A target computes on the CPU what is meant for a GPU; others are preferred to it.
    TargetIsSoftware { target: Target },
    /// A job is asked for.
    Submit { job: JobId, spec: JobSpec },
    /// A job is no longer wanted.
    Cancel { job: JobId },
    /// A tab answered with a result.
    AttemptSucceeded { tab: TabId, job: JobId },
    /// A tab answered with a failure.
    AttemptFailed { tab: TabId, job: JobId, failure: Failure },
    /// The instant told by [`Scheduler::next_deadline`] has come.
    Timeout,
    /// The fleet closes: every job ends.
    Close,
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // The field names are the words of the fleet.
pub enum Action {
    /// Launch a browser; answered by `BrowserStarted`, `BrowserFailed` or `BrowserMissing`.
    LaunchBrowser { id: BrowserId, browser: Browser },
    /// End a browser; answered by `BrowserExited`.
    EndBrowser { id: BrowserId },
    /// Open a harness page; answered by `TabConnected` or `TabFailed`.
    OpenTab { tab: TabId, browser: BrowserId, target: Target },
    /// Start the tab's backend; answered by `TabReady` or `TabFailed`.
    StartBackend { tab: TabId, target: Target },
    /// End the tab's worker and start a fresh one; answered by `TabConnected` or `TabLost`.
    RestartWorker { tab: TabId, failure: Failure },
    /// Close the tab and forget it.
    CloseTab { tab: TabId, failure: Failure },
    /// Hand the job to the tab.
    StartAttempt { tab: TabId, job: JobId, attempt: u32 },
    /// An attempt failed; for those who watch.
    AttemptFailed { job: JobId, number: u32, attempt: Attempt },
    /// The job ended with the result that its last attempt brought.
    EndWithResult { job: JobId, attempts: Vec<Attempt> },
    /// The job ended without a result.
    EndWithFailure { job: JobId, failure: Failure, attempts: Vec<Attempt> },
    /// The target does not work here and is no longer tried.
    GiveUpTarget { target: Target, failure: Failure },
}

/// The fleet's decisions. See the module's documentation.
#[derive(Debug)]
pub struct Scheduler {
    policy: Policy,
    wanted: TargetSet,
    given_up: BTreeMap<Target, Failure>,
    start_failures: BTreeMap<Target, u32>,
    software: TargetSet,
    slots: BTreeMap<Browser, Slot>,
    tabs: Tabs,
    jobs: HashMap<JobId, Job>,
    queue: Queue,
    expiries: BTreeSet<(Instant, JobId)>,
    actions: VecDeque<Action>,
    next_browser: u64,
    next_tab: u64,
    next_order: u64,
}

impl Scheduler {
    /// A scheduler for `targets`; its first actions launch their browsers.
    pub fn new(policy: Policy, targets: TargetSet) -> Self {
        let mut scheduler = Self {
            policy,
            wanted: targets,
            given_up: BTreeMap::new(),
            start_failures: BTreeMap::new(),
            software: TargetSet::EMPTY,
            slots: BTreeMap::new(),
            tabs: Tabs::default(),
            jobs: HashMap::new(),
            queue: Queue::default(),
            expiries: BTreeSet::new(),
            actions: VecDeque::new(),
            next_browser: 1,
            next_tab: 1,
            next_order: 0,
        };
        let browsers: BTreeSet<Browser> = targets.iter().map(|target| target.browser).collect();
        browsers.into_iter().for_each(|browser| scheduler.launch(browser));
        scheduler
    }

    /// The next thing to do, until there is none.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Timeout`] is due, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        let tab = self.tabs.next_deadline().map(|(at, _)| at);
        let job = self.expiries.first().map(|(at, _)| *at);
        let browser = self.slots.values().filter_map(|slot| match slot.stage {
            browsers::Stage::Paused(at) => Some(at),
            _ => None,
        });
        tab.into_iter().chain(job).chain(browser).min()
    }

    /// Jobs that wait for a tab.
    pub const fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Jobs that have not ended.
    pub fn unfinished(&self) -> usize {
        self.jobs.len()
    }

    /// The targets that work or may yet work.
    pub fn hopeful(&self) -> TargetSet {
        self.wanted.difference(self.given_up.keys().copied().collect())
    }

    /// Whether every hopeful target has a ready tab.
    pub fn settled(&self) -> bool {
        self.hopeful().iter().all(|target| self.tabs.least_loaded(target).is_some())
    }

    /// Takes in what happened at `now` and decides what is to be done about it.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Submit { job, spec } => self.submit(job, spec),
            Input::AttemptSucceeded { tab, job } => self.succeeded(tab, job, now),
            Input::AttemptFailed { tab, job, failure } => self.failed(tab, job, failure, now),
            Input::Cancel { job } => self.end(job, Failure::new(Cause::Cancelled, "the job was cancelled")),
            Input::BrowserStarted { id } => self.with_slot(id, |slot| slot.stage = browsers::Stage::Running(id)),
            Input::BrowserFailed { id, failure } | Input::BrowserExited { id, failure } => {
                self.browser_gone(id, failure, self.policy.give_up_after, now);
            }
            Input::BrowserMissing { id, failure } => self.browser_gone(id, failure, 1, now),
            Input::TabConnected { tab } => self.tab_connected(tab, now),
            Input::TabReady { tab } => self.tab_ready(tab, now),
            Input::TabFailed { tab, failure } => self.tab_failed(tab, failure, now),
            Input::WorkerLost { tab, failure } => self.worker_lost(tab, failure, now),
            Input::TabLost { tab, failure } => self.tab_lost(tab, failure, now),
            Input::TargetIsSoftware { target } => self.software.insert(target),
            Input::Timeout => self.timeout(now),
            Input::Close => self.close(),
        }
        self.open_missing_tabs(now);
        self.place_waiting(now);
    }
}
