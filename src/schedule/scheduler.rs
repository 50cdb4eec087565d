//! The state machine: inputs and the time in, actions out.

mod batch_rules;
mod breaker_rules;
mod browser_rules;
mod check_rules;
mod end_rules;
mod health;
mod isolation_rules;
mod job_rules;
mod limit_rules;
mod place_rules;
mod repairs;
mod retire_rules;
mod scale_rules;
mod session_rules;
mod stage_rules;
mod tab_rules;
mod time_rules;
mod warm_rules;

use super::{
    Policy, TargetSet,
    batching::Batches,
    breakers::Breakers,
    browsers::{self, Slot},
    by_id::ById,
    jobs::{Attempt, Job, JobSpec},
    per_target::PerTarget,
    pools::Pools,
    queue::{Ageing, Queue},
    recovery::Recoveries,
    scaling::Scale,
    sessions::Sessions,
    speeds::Speeds,
    stages::{StageSpec, Stages},
    tabs::{Line, Tabs},
    vitals::Vitals,
};
use crate::types::{
    BreakerState, Browser, BrowserId, Failure, JobId, ModelId, Placement, SessionEnd, SessionId, Severity, Strategy,
    TabId, Target,
};
use repairs::Repairs;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};
use time_rules::Timer;

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
    /// A tab's page is loaded, or was told to start a fresh worker, which is now to connect.
    WorkerStarts { tab: TabId },
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
    /// A job of the target computes on so many threads of the CPU.
    TargetThreads { target: Target, threads: usize },
    /// A job is asked for.
    Submit { job: JobId, spec: JobSpec },
    /// A job is no longer wanted.
    Cancel { job: JobId },
    /// A tab answered with a result, for which the model ran so long.
    AttemptSucceeded { tab: TabId, job: JobId, run: Duration },
    /// A tab answered with a failure.
    AttemptFailed { tab: TabId, job: JobId, failure: Failure },
    /// A tab loaded a model that it was to load, or could not.
    ModelLoaded { tab: TabId, model: ModelId, failure: Option<Failure> },
    /// A tab answered the canary: rightly, or with what was wrong.
    CanaryAnswered { tab: TabId, failure: Option<Failure> },
    /// A tab's worker is there, and its WASM memory is so large.
    TabAlive { tab: TabId, heap_bytes: Option<u64> },
    /// A browser answered a heartbeat after so long, or could not be asked just now, or failed to answer.
    BrowserHeartbeat { id: BrowserId, answer: Result<Option<Duration>, Failure> },
    /// A browser's processes hold so much memory.
    BrowserMemory { id: BrowserId, bytes: u64 },
    /// A model is a stage of a pipeline: it is given a home at once.
    DeclareStage { model: ModelId, spec: StageSpec },
    /// A model is to be warm in so many tabs from now on, those included that have it; it may take each so long.
    WarmUp { model: ModelId, tabs: usize, timeout: Duration },
    /// A model's outputs are not of as many rows as its inputs: its jobs run alone from now on.
    CannotBatch { model: ModelId },
    /// A session is closed: its state is dropped.
    EndSession { session: SessionId },
    /// A call of a session was answered, and has left so much in the tab for the next.
    SessionKept { session: SessionId, bytes: u64 },
    /// Nobody can ask for a model any more.
    ForgetModel { model: ModelId },
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
    /// Open a harness page; answered by `WorkerStarts` and `TabConnected`, in whichever order, or by `TabFailed`.
    OpenTab { tab: TabId, browser: BrowserId, target: Target },
    /// Start the tab's backend; answered by `TabReady` or `TabFailed`.
    StartBackend { tab: TabId, target: Target },
    /// End the tab's worker and start a fresh one; answered by `WorkerStarts` and `TabConnected`, in whichever order, or
    /// by `TabLost`.
    RestartWorker { tab: TabId, reason: String },
    /// A tab's socket closed, and what it was handed moves; for those who watch.
    Disconnected { tab: TabId, target: Target, failure: Failure },
    /// Close the tab and forget it.
    CloseTab { tab: TabId, failure: Failure },
    /// Hand the job to the tab, and with it in one run these, each with the number of its attempt. The run is answered by
    /// the first job's name.
    StartAttempt { tab: TabId, job: JobId, attempt: u32, placement: Placement, with: Vec<(JobId, u32)> },
    /// A run of so many jobs failed, which go on in halves; for those who watch.
    BatchSplit { tab: TabId, target: Target, model: ModelId, jobs: u32, failure: Failure },
    /// Have the tab drop a model's session.
    DropModel { tab: TabId, model: ModelId },
    /// Have the tab drop what it keeps of a session.
    ForgetSession { tab: TabId, session: SessionId },
    /// A session was closed, or its time to live is over: nothing more is needed of it.
    SessionEnded { session: SessionId },
    /// A session has a state in this tab from now on; for those who watch.
    StateBegun { session: SessionId, model: ModelId, tab: TabId, target: Target },
    /// The state of a session is no more; for those who watch.
    StateEnded { session: SessionId, target: Target, why: SessionEnd },
    /// Have the tab run the canary; answered by `CanaryAnswered`, unless the tab is lost.
    RunCanary { tab: TabId },
    /// Have the tab load a model before a job needs it; answered by `ModelLoaded`, unless the tab is lost.
    LoadModel { tab: TabId, model: ModelId },
    /// As `LoadModel`, and have the tab run the model once.
    WarmModel { tab: TabId, model: ModelId },
    /// Close a tab that is worn out: it holds nothing, and another stands in for it.
    RetireTab { tab: TabId, target: Target, reason: String },
    /// Ask the tab's worker whether it is there; answered by `TabAlive`, if it is.
    PingTab { tab: TabId },
    /// Ask the browser whether it is there; answered by `BrowserHeartbeat` in every case.
    PingBrowser { id: BrowserId },
    /// Read the memory of the browser's processes; answered by `BrowserMemory`, if it can be read.
    MeasureMemory { id: BrowserId },
    /// An attempt failed; for those who watch. It may be told after the job has ended, when it took a moment to learn
    /// what a closed socket meant.
    AttemptFailed { job: JobId, model: ModelId, number: u32, severity: Severity, attempt: Attempt },
    /// A breaker changed its state; for those who watch. Without a model it is the target's.
    BreakerChanged {
        target: Target,
        model: Option<ModelId>,
        from: BreakerState,
        to: BreakerState,
        reason: String,
        wait: Option<Duration>,
    },
    /// A tab was checked; for those who watch.
    HealthChecked { tab: TabId, target: Target, failure: Option<Failure> },
    /// Something was done about a failure, and this became of it; for those who watch.
    Recovered(Recovery),
    /// The job ended with the result that its last attempt brought.
    EndWithResult { job: JobId, attempts: Vec<Attempt> },
    /// The job ended without a result.
    EndWithFailure { job: JobId, failure: Failure, attempts: Vec<Attempt> },
    /// A target is to have another number of tabs; for those who watch.
    Scaled { target: Target, from: usize, to: usize, reason: String },
    /// No target can take the job, and it may [fall back](crate::schedule::Fallback): it has ended for the scheduler.
    FallBack { job: JobId, failure: Failure, attempts: Vec<Attempt> },
    /// The target does not work here and is no longer tried.
    GiveUpTarget { target: Target, failure: Failure },
}

/// What was done about a failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// In which kind of browser it failed.
    pub browser: Browser,
    /// Where, unless the whole browser failed.
    pub target: Option<Target>,
    /// The tab that failed, if one did.
    pub tab: Option<TabId>,
    /// The job that was helped, if it was one.
    pub job: Option<JobId>,
    /// What failed.
    pub failure: Failure,
    /// What was done.
    pub strategy: Strategy,
    /// Whether it helped.
    pub succeeded: bool,
    /// From the failure until it had helped, or was seen not to.
    pub took: Duration,
}

/// The fleet's decisions. See the module's documentation.
#[derive(Debug)]
pub struct Scheduler {
    policy: Policy,
    wanted: TargetSet,
    /// Those that work or may yet work.
    hopeful: TargetSet,
    given_up: BTreeMap<Target, Failure>,
    start_failures: BTreeMap<Target, u32>,
    software: TargetSet,
    /// On how many threads of the CPU jobs of a target compute, where that is known.
    threads: BTreeMap<Target, usize>,
    /// Targets that have had a ready tab.
    proven: TargetSet,
    slots: BTreeMap<Browser, Slot>,
    tabs: Tabs,
    /// When a tab is opened again beside those that work, where one did not start.
    not_before: BTreeMap<Target, Instant>,
    jobs: ById<JobId, Job>,
    queue: Queue,
    stages: Stages,
    batches: Batches,
    pools: Pools,
    sessions: Sessions,
    expiries: BTreeSet<(Instant, JobId)>,
    timers: BTreeSet<(Instant, Timer)>,
    breakers: Breakers,
    recoveries: Recoveries,
    repairs: Repairs,
    vitals: PerTarget<Vitals>,
    speeds: Speeds,
    /// Of targets whose number of tabs may change.
    scales: BTreeMap<Target, Scale>,
    actions: VecDeque<Action>,
    next_browser: u64,
    next_tab: u64,
    next_order: u64,
}

impl Scheduler {
    /// A scheduler for `targets`; its first actions launch their browsers. The policy is one that
    /// [`validate`](Policy::validate) accepts.
    pub fn new(policy: Policy, targets: TargetSet, now: Instant) -> Self {
        let mut scheduler = Self {
            timers: BTreeSet::new(),
            breakers: Breakers::new(&policy, targets, now),
            recoveries: Recoveries::default(),
            repairs: Repairs::default(),
            vitals: PerTarget::default(),
            speeds: Speeds::default(),
            scales: BTreeMap::new(),
            tabs: Tabs::new(Line { jobs: policy.in_flight_per_tab, work: policy.line_work }),
            not_before: BTreeMap::new(),
            queue: Queue::new(Ageing { after: policy.aged_after, share: policy.aged_share }),
            policy,
            wanted: targets,
            hopeful: targets,
            given_up: BTreeMap::new(),
            start_failures: BTreeMap::new(),
            software: TargetSet::EMPTY,
            threads: BTreeMap::new(),
            proven: TargetSet::EMPTY,
            slots: BTreeMap::new(),
            jobs: ById::default(),
            stages: Stages::default(),
            batches: Batches::default(),
            pools: Pools::default(),
            sessions: Sessions::default(),
            expiries: BTreeSet::new(),
            actions: VecDeque::new(),
            next_browser: 1,
            next_tab: 1,
            next_order: 0,
        };
        let browsers: BTreeSet<Browser> = targets.iter().map(|target| target.browser).collect();
        browsers.into_iter().for_each(|browser| scheduler.launch(browser));
        scheduler.begin_scaling(now);
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
        let timer = self.timers.first().map(|(at, _)| *at);
        // Nobody is waited for by a tab that has room for another job when none waits.
        let opening = self.tabs.next_opening().filter(|_| self.queue.len() > 0);
        let breaker = self.breakers.next_deadline();
        tab.into_iter().chain(job).chain(timer).chain(opening).chain(breaker).chain(browser).min()
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
    pub const fn hopeful(&self) -> TargetSet {
        self.hopeful
    }

    /// Whether every hopeful target has a ready tab.
    pub fn settled(&self) -> bool {
        self.hopeful().iter().all(|target| self.tabs.has_ready(target))
    }

    /// Permits that tabs hold for jobs.
    #[cfg(test)]
    pub(super) fn permits_out(&self) -> u32 {
        self.breakers.outstanding()
    }

    /// Whether the job still waits for what this tab says of it.
    #[cfg(test)]
    pub(super) fn is_at(&self, tab: TabId, job: JobId) -> bool {
        self.waits_for(job, tab)
    }

    /// Takes in what happened at `now` and decides what is to be done about it.
    pub fn handle(&mut self, input: Input, now: Instant) {
        // Before anything else: what has no time left is not handed out because a tab happens to answer first.
        self.expire_due(now);
        match input {
            Input::Submit { job, spec } => self.submit(job, spec, now),
            Input::AttemptSucceeded { tab, job, run } => self.succeeded(tab, job, run, now),
            Input::AttemptFailed { tab, job, failure } => self.failed(tab, job, failure, now),
            Input::Cancel { job } => self.cancel(job, now),
            Input::BrowserStarted { id } => self.browser_started(id, now),
            Input::BrowserFailed { id, failure } | Input::BrowserExited { id, failure } => {
                self.browser_gone(id, failure, self.policy.give_up_after, now);
            }
            Input::BrowserMissing { id, failure } => self.browser_gone(id, failure, 1, now),
            Input::WorkerStarts { tab } => self.worker_starts(tab, now),
            Input::TabConnected { tab } => self.tab_connected(tab, now),
            Input::TabReady { tab } => self.tab_ready(tab, now),
            Input::TabFailed { tab, failure } => self.tab_failed(tab, failure, now),
            Input::WorkerLost { tab, failure } => self.worker_lost(tab, failure, now),
            Input::TabLost { tab, failure } => self.tab_lost(tab, failure, now),
            Input::TargetIsSoftware { target } => self.software.insert(target),
            Input::TargetThreads { target, threads } => drop(self.threads.insert(target, threads)),
            Input::CanaryAnswered { tab, failure } => self.canary_answered(tab, failure, now),
            Input::ModelLoaded { tab, model, failure } => self.model_loaded(tab, model, failure, now),
            Input::TabAlive { tab, heap_bytes } => self.tab_alive(tab, heap_bytes, now),
            Input::BrowserHeartbeat { id, answer } => self.browser_heartbeat(id, answer, now),
            Input::BrowserMemory { id, bytes } => self.browser_memory(id, bytes, now),
            Input::DeclareStage { model, spec } => self.declare_stage(model, spec),
            Input::WarmUp { model, tabs, timeout } => self.keep_warm(model, tabs, timeout, now),
            Input::CannotBatch { model } => self.cannot_batch(model),
            Input::EndSession { session } => self.end_session(session, SessionEnd::Closed),
            Input::SessionKept { session, bytes } => self.session_kept(session, bytes),
            Input::ForgetModel { model } => self.forget_model(model),
            Input::Timeout => self.timeout(now),
            Input::Close => self.close(),
        }
        self.tend_worn(now);
        self.open_missing_tabs(now);
        self.tend_stages(now);
        self.place_waiting(now);
        self.probe_half_open(now);
    }
}
