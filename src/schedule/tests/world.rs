//! The simulated world: it hands out actions, the world answers them as the test says.

use super::*;

/// A world in which browsers and tabs come up at once, and jobs are answered when the test says so.
pub(super) struct World {
    pub(super) scheduler: Scheduler,
    pub(super) now: Instant,
    pub(super) browsers: BTreeMap<BrowserId, Browser>,
    pub(super) tabs: BTreeMap<TabId, (BrowserId, Target)>,
    /// What each tab was handed, in order.
    pub(super) handed: BTreeMap<TabId, Vec<JobId>>,
    /// How each job ended, and after which attempts.
    pub(super) ended: BTreeMap<JobId, (Result<(), Cause>, Vec<Attempt>)>,
    /// Who went along with each job, last time.
    pub(super) together: BTreeMap<JobId, Vec<JobId>>,
    /// Of how many jobs each run was that was halved.
    pub(super) split: Vec<u32>,
    pub(super) restarted: Vec<TabId>,
    /// Whether fresh workers never connect.
    pub(super) restarts_hang: bool,
    /// Whether tabs are opened only when the test says so.
    pub(super) opens_slowly: bool,
    /// Whether tabs cannot be opened.
    pub(super) opens_nothing: bool,
    /// Whether models are loaded only when the test says so.
    pub(super) loads_slowly: bool,
    pub(super) retired: Vec<TabId>,
    pub(super) warmed: Vec<(TabId, ModelId)>,
    /// What tabs were told to drop of sessions.
    pub(super) forgotten: Vec<(TabId, SessionId)>,
    pub(super) sessions_ended: Vec<SessionId>,
    /// Sessions that have a state, and how others' ended.
    pub(super) states: BTreeMap<SessionId, TabId>,
    pub(super) states_ended: Vec<(SessionId, SessionEnd)>,
    pub(super) given_up: Vec<Target>,
    pub(super) unavailable: Vec<Target>,
    /// What a tab answers to the canary.
    pub(super) canary: Option<Cause>,
    pub(super) canaries: Vec<TabId>,
    /// Whether tabs and browsers answer heartbeats.
    pub(super) alive: bool,
    pub(super) breakers: Vec<(Target, Option<ModelId>, BreakerState)>,
    pub(super) recoveries: Vec<(crate::types::Strategy, bool)>,
    /// How often each was told, and how often it helped.
    pub(super) told: BTreeMap<(Browser, Category, crate::types::Strategy), (u64, u64)>,
    pub(super) blamed: Vec<(JobId, Cause)>,
    /// How the number of a target's tabs changed.
    pub(super) scaled: Vec<(Target, usize, usize)>,
    /// Jobs that were left to the fallback, and why.
    pub(super) fell_back: Vec<(JobId, Cause)>,
    pub(super) next_job: u64,
    /// How long every run takes that brings a result.
    pub(super) run: Duration,
}

impl World {
    pub(super) fn new(targets: &[Target], policy: Policy) -> Self {
        Self::without(&[], targets, policy)
    }

    /// As [`new`](Self::new), but some backends do not work.
    pub(super) fn without(unavailable: &[Target], targets: &[Target], policy: Policy) -> Self {
        let now = Instant::now();
        let mut world = Self {
            scheduler: Scheduler::new(policy, targets.iter().copied().collect(), now),
            now,
            browsers: BTreeMap::new(),
            tabs: BTreeMap::new(),
            handed: BTreeMap::new(),
            ended: BTreeMap::new(),
            together: BTreeMap::new(),
            split: Vec::new(),
            restarted: Vec::new(),
            restarts_hang: false,
            opens_slowly: false,
            opens_nothing: false,
            loads_slowly: false,
            retired: Vec::new(),
            warmed: Vec::new(),
            forgotten: Vec::new(),
            sessions_ended: Vec::new(),
            states: BTreeMap::new(),
            states_ended: Vec::new(),
            given_up: Vec::new(),
            unavailable: unavailable.to_vec(),
            canary: None,
            canaries: Vec::new(),
            alive: true,
            breakers: Vec::new(),
            recoveries: Vec::new(),
            told: BTreeMap::new(),
            blamed: Vec::new(),
            scaled: Vec::new(),
            fell_back: Vec::new(),
            next_job: 1,
            run: Duration::from_millis(10),
        };
        world.carry_out();
        world
    }

    pub(super) fn tell(&mut self, input: Input) {
        self.scheduler.handle(input, self.now);
        self.carry_out();
    }

    pub(super) fn carry_out(&mut self) {
        while let Some(action) = self.scheduler.next_action() {
            let answer = match action {
                Action::LaunchBrowser { id, browser } => {
                    self.browsers.insert(id, browser);
                    Some(Input::BrowserStarted { id })
                }
                Action::EndBrowser { id } => Some(self.browser_ends(id)),
                Action::OpenTab { tab, .. } if self.opens_nothing => {
                    Some(Input::TabFailed { tab, failure: Failure::new(Cause::TabFailed, "it cannot be opened") })
                }
                Action::OpenTab { tab, browser, target } => {
                    self.tabs.insert(tab, (browser, target));
                    self.handed.insert(tab, Vec::new());
                    (!self.opens_slowly).then_some(Input::TabConnected { tab })
                }
                Action::StartBackend { tab, target } if self.unavailable.contains(&target) => {
                    Some(Input::TabFailed { tab, failure: Failure::new(Cause::BackendUnavailable, "no adapter") })
                }
                Action::StartBackend { tab, .. } => Some(Input::TabReady { tab }),
                Action::RestartWorker { tab, .. } => {
                    self.restarted.push(tab);
                    self.handed.insert(tab, Vec::new());
                    let hangs = self.restarts_hang;
                    Some(if hangs { Input::WorkerStarts { tab } } else { Input::TabConnected { tab } })
                }
                Action::CloseTab { tab, .. } => {
                    self.tabs.remove(&tab);
                    self.handed.remove(&tab);
                    None
                }
                Action::StartAttempt { tab, job, with, .. } => {
                    self.together.insert(job, with.into_iter().map(|(job, _)| job).collect());
                    self.handed.get_mut(&tab).expect("an attempt starts in an open tab").push(job);
                    None
                }
                Action::BatchSplit { jobs, .. } => {
                    self.split.push(jobs);
                    None
                }
                Action::RunCanary { tab } => {
                    self.canaries.push(tab);
                    let failure = self.canary.map(|cause| Failure::new(cause, "the canary"));
                    Some(Input::CanaryAnswered { tab, failure })
                }
                Action::ForgetSession { tab, session } => {
                    self.forgotten.push((tab, session));
                    None
                }
                Action::SessionEnded { session } => {
                    self.sessions_ended.push(session);
                    None
                }
                Action::StateBegun { session, tab, .. } => {
                    assert!(self.states.insert(session, tab).is_none(), "{session} has a state already");
                    None
                }
                Action::StateEnded { session, why, .. } => {
                    self.states.remove(&session).expect("a state that began");
                    self.states_ended.push((session, why));
                    None
                }
                Action::DropModel { .. } => None,
                Action::LoadModel { tab, model } | Action::WarmModel { tab, model } => {
                    self.warmed.push((tab, model));
                    (!self.loads_slowly).then_some(Input::ModelLoaded { tab, model, failure: None })
                }
                Action::RetireTab { tab, .. } => {
                    self.tabs.remove(&tab);
                    let held = self.handed.remove(&tab).expect("an open tab");
                    assert!(!held.iter().any(|job| self.scheduler.is_at(tab, *job)), "it finishes first");
                    self.retired.push(tab);
                    None
                }
                Action::PingTab { tab } => self.alive.then_some(Input::TabAlive { tab, heap_bytes: None }),
                Action::PingBrowser { id } => {
                    let hung = Failure::new(Cause::DriverHung, "no answer");
                    let answer = if self.alive { Ok(Some(Duration::from_millis(1))) } else { Err(hung) };
                    Some(Input::BrowserHeartbeat { id, answer })
                }
                Action::MeasureMemory { id } => Some(Input::BrowserMemory { id, bytes: 1 << 30 }),
                Action::BreakerChanged { target, model, to, .. } => {
                    self.breakers.push((target, model, to));
                    None
                }
                Action::Recovered(Recovery { browser, failure, strategy, succeeded, .. }) => {
                    let told = self.told.entry((browser, failure.category(), strategy)).or_default();
                    *told = (told.0 + 1, told.1 + u64::from(succeeded));
                    self.recoveries.push((strategy, succeeded));
                    None
                }
                Action::AttemptFailed { job, attempt, .. } => {
                    self.blamed.push((job, attempt.failure.cause));
                    None
                }
                Action::Scaled { target, from, to, .. } => {
                    self.scaled.push((target, from, to));
                    None
                }
                Action::HealthChecked { .. } | Action::Disconnected { .. } => None,
                Action::EndWithResult { job, attempts } => self.end(job, Ok(()), attempts),
                Action::EndWithFailure { job, failure, attempts } => self.end(job, Err(failure.cause), attempts),
                Action::FallBack { job, failure, .. } => {
                    self.fell_back.push((job, failure.cause));
                    None
                }
                Action::GiveUpTarget { target, .. } => {
                    self.given_up.push(target);
                    None
                }
            };
            if let Some(input) = answer {
                self.scheduler.handle(input, self.now);
            }
        }
    }

    pub(super) fn end(&mut self, job: JobId, how: Result<(), Cause>, attempts: Vec<Attempt>) -> Option<Input> {
        let before = self.ended.insert(job, (how, attempts));
        assert!(before.is_none(), "{job} ended twice");
        None
    }

    pub(super) fn browser_ends(&mut self, id: BrowserId) -> Input {
        self.browsers.remove(&id);
        Input::BrowserExited { id, failure: Failure::new(Cause::BrowserExited, "killed") }
    }

    pub(super) fn submit(&mut self, allowed: &[Target]) -> JobId {
        self.submit_spec(allowed, |_| {})
    }

    pub(super) fn submit_spec(&mut self, allowed: &[Target], change: impl FnOnce(&mut JobSpec)) -> JobId {
        let job = JobId(self.next_job);
        self.next_job += 1;
        let mut spec = self.spec(allowed);
        change(&mut spec);
        self.tell(Input::Submit { job, spec });
        job
    }

    pub(super) fn spec(&self, allowed: &[Target]) -> JobSpec {
        JobSpec {
            model: ModelId(1),
            family: Family::Other,
            allowed: allowed.iter().copied().collect(),
            recommended: TargetSet::EMPTY,
            bytes: 256,
            attempt_timeout: Duration::from_secs(1),
            expires: self.now + Duration::from_secs(60),
            turn_by: self.now + Duration::from_secs(60),
            attempts: 3,
            priority: Priority::Normal,
            caller: Caller::default(),
            release: false,
            batch: None,
            session: None,
            isolation: Isolation::Shared,
            fallback: Fallback::Off,
        }
    }

    pub(super) fn tab_of(&self, job: JobId) -> Option<TabId> {
        self.handed.iter().find(|(_, jobs)| jobs.contains(&job)).map(|(tab, _)| *tab)
    }

    pub(super) fn target_of(&self, job: JobId) -> Option<Target> {
        self.tab_of(job).map(|tab| self.tabs[&tab].1)
    }

    pub(super) fn answer(&mut self, job: JobId, failure: Option<Failure>) {
        let tab = self.tab_of(job).expect("the job is in a tab");
        let handed = self.handed.get_mut(&tab).expect("an open tab");
        handed.retain(|handed| *handed != job);
        if failure.as_ref().is_some_and(|failure| crate::schedule::jobs::spends_worker(failure.cause)) {
            // It says nothing more.
            handed.clear();
        }
        self.tell(match failure {
            None => Input::AttemptSucceeded { tab, job, run: self.run },
            Some(failure) => Input::AttemptFailed { tab, job, failure },
        });
    }

    /// The tab's socket closes: nothing that it was handed is answered.
    pub(super) fn cut(&mut self, tab: TabId) {
        self.handed.get_mut(&tab).expect("an open tab").clear();
        self.tell(Input::WorkerLost { tab, failure: Failure::new(Cause::SocketClosed, "cut") });
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now += time;
        self.tell(Input::Timeout);
    }
}
