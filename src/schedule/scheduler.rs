//! The state machine: inputs and the time in, actions out.

use super::{
    Policy, TargetSet,
    browsers::{self, Slot},
    jobs::{Attempt, Job, JobSpec, Place, Verdict},
    placement,
    queue::Queue,
    tabs::{InFlight, Stage, Tab, Tabs},
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

    // ---- jobs

    fn submit(&mut self, id: JobId, spec: JobSpec) {
        let order = self.next_order;
        self.next_order += 1;
        if spec.allowed.intersection(self.hopeful()).is_empty() {
            let failure = self.no_target(spec.allowed);
            self.actions.push_back(Action::EndWithFailure { job: id, failure, attempts: Vec::new() });
            return;
        }
        self.expiries.insert((spec.expires, id));
        self.queue.insert(spec.allowed, order, id);
        self.jobs.insert(id, Job::new(spec, order));
    }

    fn place_waiting(&mut self, now: Instant) {
        let mut free: TargetSet = self
            .hopeful()
            .iter()
            .filter(|target| self.tabs.least_loaded(*target).is_some_and(|(n, _)| n < self.policy.in_flight_per_tab))
            .collect();
        while let Some(id) = self.queue.first_for(free) {
            let Some(job) = self.jobs.get_mut(&id) else { return };
            let software = self.software;
            let Some(tab) = placement::choose(job, &self.tabs, &self.policy, |target| software.contains(target)) else {
                // Its inputs are too many bytes for what the tabs already hold: it waits, and keeps its place.
                free = free.difference(job.open_to);
                continue;
            };
            self.queue.remove(job.open_to, job.order);
            job.place = Place::InFlight(tab);
            let (bytes, timeout) = (job.spec.bytes, job.spec.attempt_timeout);
            let attempt = job.attempts.len() as u32 + 1;
            let per_tab = self.policy.in_flight_per_tab;
            let target = self.tabs.update(tab, |tab| {
                if tab.in_flight.is_empty() {
                    tab.head_since = now;
                }
                tab.in_flight.push_back(InFlight { job: id, bytes, timeout });
                tab.bytes += bytes;
                tab.target
            });
            self.actions.push_back(Action::StartAttempt { tab, job: id, attempt });
            if let Some(target) = target
                && self.tabs.least_loaded(target).is_none_or(|(load, _)| load >= per_tab)
            {
                free.remove(target);
            }
        }
    }

    /// Takes an answered job off its tab. Tells how long the tab worked on it, if the job still waits for this answer.
    fn answered(&mut self, tab: TabId, id: JobId, now: Instant) -> Option<f64> {
        let elapsed_ms = self.tabs.update(tab, |tab| {
            let position = tab.in_flight.iter().position(|in_flight| in_flight.job == id)?;
            let elapsed_ms = now.saturating_duration_since(tab.head_since).as_secs_f64() * 1e3;
            let in_flight = tab.in_flight.remove(position)?;
            tab.bytes -= in_flight.bytes;
            tab.head_since = now;
            Some(elapsed_ms)
        })??;
        (self.jobs.get(&id)?.place == Place::InFlight(tab)).then_some(elapsed_ms)
    }

    fn succeeded(&mut self, tab: TabId, id: JobId, now: Instant) {
        if self.answered(tab, id, now).is_none() {
            return;
        }
        if let Some(job) = self.forget(id) {
            self.actions.push_back(Action::EndWithResult { job: id, attempts: job.attempts });
        }
    }

    fn failed(&mut self, tab: TabId, id: JobId, failure: Failure, now: Instant) {
        let worker_is_spent = matches!(failure.cause, Cause::DeviceLost | Cause::WorkerCrashed | Cause::OutOfMemory);
        if let Some(elapsed_ms) = self.answered(tab, id, now) {
            self.attempt_failed(id, tab, failure.clone(), elapsed_ms);
        }
        if worker_is_spent {
            self.displace(tab);
            self.restart_worker(tab, failure, now);
        }
    }

    /// Books a failed attempt: the job waits again, or ends.
    fn attempt_failed(&mut self, id: JobId, tab: TabId, failure: Failure, elapsed_ms: f64) {
        let Some(target) = self.tabs.get(tab).map(|tab| tab.target) else { return };
        let hopeful = self.hopeful();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let attempt = Attempt { target, tab, failure: failure.clone(), elapsed_ms };
        let number = job.attempts.len() as u32 + 1;
        self.actions.push_back(Action::AttemptFailed { job: id, number, attempt: attempt.clone() });
        let verdict = job.fail(attempt);
        if verdict == Verdict::Retry && !job.open_to.intersection(hopeful).is_empty() {
            job.place = Place::Waiting;
            self.queue.insert(job.open_to, job.order, id);
        } else {
            self.end(id, failure);
        }
    }

    fn end(&mut self, id: JobId, failure: Failure) {
        if let Some(job) = self.forget(id) {
            self.actions.push_back(Action::EndWithFailure { job: id, failure, attempts: job.attempts });
        }
    }

    /// Takes a job out of every order it stands in. What a tab still works on stays booked there until it is answered.
    fn forget(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.expiries.remove(&(job.spec.expires, id));
        if job.place == Place::Waiting {
            self.queue.remove(job.open_to, job.order);
        }
        Some(job)
    }

    fn no_target(&self, allowed: TargetSet) -> Failure {
        let reasons: Vec<String> = allowed
            .iter()
            .filter_map(|target| self.given_up.get(&target).map(|why| format!("{target}: {}", why.message)))
            .collect();
        let message = if reasons.is_empty() {
            let asked: Vec<String> = allowed.iter().map(|target| target.to_string()).collect();
            format!("no target of this fleet can take the job (it may run on: {})", asked.join(", "))
        } else {
            format!("no target can take the job ({})", reasons.join("; "))
        };
        Failure::new(Cause::NoTarget, message)
    }

    // ---- tabs

    /// Puts what a tab was handed back into the queue, where it keeps its place.
    fn displace(&mut self, tab: TabId) {
        let held = self.tabs.update(tab, |tab| {
            tab.bytes = 0;
            std::mem::take(&mut tab.in_flight)
        });
        for in_flight in held.into_iter().flatten() {
            if let Some(job) = self.jobs.get_mut(&in_flight.job)
                && job.place == Place::InFlight(tab)
            {
                job.place = Place::Waiting;
                self.queue.insert(job.open_to, job.order, in_flight.job);
            }
        }
    }

    /// The worker serves jobs in order, so what it died of is the first one's doing; the others only stood behind it.
    fn blame_first(&mut self, tab: TabId, failure: &Failure, now: Instant) {
        let head = self.tabs.get(tab).and_then(|tab| tab.in_flight.front()).map(|head| head.job);
        if let Some(job) = head
            && let Some(elapsed_ms) = self.answered(tab, job, now)
        {
            self.attempt_failed(job, tab, failure.clone(), elapsed_ms);
        }
    }

    fn restart_worker(&mut self, tab: TabId, failure: Failure, now: Instant) {
        let give_up = now + self.policy.restart_timeout;
        let was_ready = self.tabs.update(tab, |tab| {
            let was_ready = tab.stage == Stage::Ready;
            if was_ready {
                tab.stage = Stage::Restarting(give_up);
            }
            was_ready
        });
        if was_ready == Some(true) {
            self.actions.push_back(Action::RestartWorker { tab, failure });
        }
    }

    fn tab_connected(&mut self, tab: TabId, now: Instant) {
        let give_up = now + self.policy.start_timeout;
        let target = self.tabs.update(tab, |tab| {
            tab.stage = Stage::Starting(give_up);
            tab.target
        });
        if let Some(target) = target {
            self.actions.push_back(Action::StartBackend { tab, target });
        }
    }

    fn tab_ready(&mut self, tab: TabId, now: Instant) {
        let found = self.tabs.update(tab, |tab| {
            tab.stage = Stage::Ready;
            tab.head_since = now;
            (tab.target, tab.browser)
        });
        if let Some((target, browser)) = found {
            self.start_failures.remove(&target);
            self.with_slot(browser, Slot::worked);
        }
    }

    fn tab_failed(&mut self, tab: TabId, failure: Failure, now: Instant) {
        let Some(found) = self.tabs.get(tab) else { return };
        let (target, browser) = (found.target, found.browser);
        if failure.cause == Cause::BackendUnavailable {
            self.remove_tab(tab, &failure);
            self.give_up(target, failure);
            return;
        }
        let failures = self.start_failures.entry(target).or_default();
        *failures += 1;
        let failures = *failures;
        self.displace(tab);
        self.remove_tab(tab, &failure);
        if failures >= self.policy.give_up_after {
            self.give_up(target, failure);
        } else if failures > 1 {
            // A fresh page did not help: the browser itself may be wedged.
            self.end_browser(browser, now);
        }
    }

    fn worker_lost(&mut self, tab: TabId, failure: Failure, now: Instant) {
        match self.tabs.get(tab).map(|tab| tab.stage) {
            Some(Stage::Ready) => {
                self.blame_first(tab, &failure, now);
                self.displace(tab);
                self.restart_worker(tab, failure, now);
            }
            Some(Stage::Starting(_)) => self.tab_failed(tab, failure, now),
            // The page reconnects or its stage times out.
            Some(Stage::Opening(_) | Stage::Restarting(_)) | None => {}
        }
    }

    fn tab_lost(&mut self, tab: TabId, failure: Failure, now: Instant) {
        match self.tabs.get(tab).map(|tab| tab.stage) {
            Some(Stage::Ready | Stage::Restarting(_)) => {
                self.blame_first(tab, &failure, now);
                self.displace(tab);
                self.remove_tab(tab, &failure);
            }
            Some(Stage::Opening(_) | Stage::Starting(_)) => self.tab_failed(tab, failure, now),
            None => {}
        }
    }

    fn remove_tab(&mut self, tab: TabId, failure: &Failure) {
        if self.tabs.remove(tab).is_some() {
            self.actions.push_back(Action::CloseTab { tab, failure: failure.clone() });
        }
    }

    fn open_missing_tabs(&mut self, now: Instant) {
        for target in self.hopeful().iter() {
            let Some(browser) = self.slots.get(&target.browser).and_then(Slot::running) else { continue };
            for _ in self.tabs.count(target)..self.policy.tabs_per_target {
                let tab = TabId(self.next_tab);
                self.next_tab += 1;
                self.tabs.insert(tab, Tab::new(target, browser, now + self.policy.open_timeout, now));
                self.actions.push_back(Action::OpenTab { tab, browser, target });
            }
        }
    }

    fn give_up(&mut self, target: Target, failure: Failure) {
        if self.given_up.contains_key(&target) {
            return;
        }
        self.given_up.insert(target, failure.clone());
        let tabs: Vec<TabId> = self.tabs.iter().filter(|(_, tab)| tab.target == target).map(|(id, _)| id).collect();
        for tab in tabs {
            self.displace(tab);
            self.remove_tab(tab, &failure);
        }
        self.actions.push_back(Action::GiveUpTarget { target, failure });
        for job in self.queue.stranded(self.hopeful()) {
            if let Some(waiting) = self.jobs.get(&job) {
                let failure = match waiting.attempts.last() {
                    Some(attempt) => attempt.failure.clone(),
                    None => self.no_target(waiting.spec.allowed),
                };
                self.end(job, failure);
            }
        }
    }

    // ---- browsers

    fn launch(&mut self, browser: Browser) {
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

    fn with_slot(&mut self, id: BrowserId, change: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots.values_mut().find(|slot| slot.id() == Some(id)) {
            change(slot);
        }
    }

    fn end_browser(&mut self, id: BrowserId, now: Instant) {
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

    fn browser_gone(&mut self, id: BrowserId, failure: Failure, give_up_after: u32, now: Instant) {
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

    fn lose_tabs(&mut self, id: BrowserId, now: Instant, mut lose: impl FnMut(&mut Self, TabId, Instant)) {
        let tabs: Vec<TabId> = self.tabs.iter().filter(|(_, tab)| tab.browser == id).map(|(tab, _)| tab).collect();
        tabs.into_iter().for_each(|tab| lose(self, tab, now));
    }

    // ---- time

    fn timeout(&mut self, now: Instant) {
        while let Some((at, job)) = self.expiries.first().copied()
            && at <= now
        {
            self.end(job, Failure::new(Cause::DeadlineExceeded, "the job's deadline passed before it had a result"));
        }
        while let Some((at, tab)) = self.tabs.next_deadline()
            && at <= now
        {
            self.tab_overdue(tab, now);
        }
        let due: Vec<Browser> = self
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot.stage, browsers::Stage::Paused(at) if at <= now))
            .map(|(browser, _)| *browser)
            .collect();
        due.into_iter().for_each(|browser| self.launch(browser));
    }

    fn tab_overdue(&mut self, id: TabId, now: Instant) {
        let Some(tab) = self.tabs.get(id) else { return };
        match tab.stage {
            Stage::Ready => {
                let limit = tab.in_flight.front().map(|head| head.timeout).unwrap_or_default();
                let message = format!("no answer within {} ms; its worker was ended", limit.as_millis());
                let failure = Failure::new(Cause::DeadlineExceeded, message);
                self.blame_first(id, &failure, now);
                // A job that had already ended is answered by nobody: it goes with the worker.
                self.displace(id);
                self.restart_worker(id, failure, now);
            }
            Stage::Opening(_) => {
                let failure = Failure::new(Cause::TabFailed, "the harness page opened, but its worker never connected");
                self.tab_failed(id, failure, now);
            }
            Stage::Starting(_) => {
                let failure = Failure::new(Cause::TabFailed, "the backend did not start in time");
                self.tab_failed(id, failure, now);
            }
            Stage::Restarting(_) => {
                let failure = Failure::new(Cause::TabFailed, "a fresh worker did not connect in time");
                self.displace(id);
                self.remove_tab(id, &failure);
            }
        }
    }

    fn close(&mut self) {
        self.wanted = TargetSet::EMPTY;
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for job in jobs {
            self.end(job, Failure::new(Cause::FleetClosed, "the fleet was closed before the job had a result"));
        }
    }
}
