//! The scheduler in a simulated world: it hands out actions, the world answers them as the test says.

mod health;
mod many;
mod placement;
mod stages;

use super::*;
use crate::types::{
    Backend, BreakerState, Browser, BrowserId, Caller, Cause, Failure, Family, JobId, ModelId, Priority, TabId, Target,
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

const CHROME_WASM: Target = Target::new(Browser::Chrome, Backend::Wasm);
const CHROME_WEBGPU: Target = Target::new(Browser::Chrome, Backend::Webgpu);
const FIREFOX_WASM: Target = Target::new(Browser::Firefox, Backend::Wasm);

/// A world in which browsers and tabs come up at once, and jobs are answered when the test says so.
struct World {
    scheduler: Scheduler,
    now: Instant,
    browsers: BTreeMap<BrowserId, Browser>,
    tabs: BTreeMap<TabId, (BrowserId, Target)>,
    /// What each tab was handed, in order.
    handed: BTreeMap<TabId, Vec<JobId>>,
    /// How each job ended, and after which attempts.
    ended: BTreeMap<JobId, (Result<(), Cause>, Vec<Attempt>)>,
    restarted: Vec<TabId>,
    given_up: Vec<Target>,
    unavailable: Vec<Target>,
    /// What a tab answers to the canary.
    canary: Option<Cause>,
    canaries: Vec<TabId>,
    /// Which stages were loaded where.
    loads: Vec<(TabId, ModelId)>,
    /// Whether tabs and browsers answer heartbeats.
    alive: bool,
    breakers: Vec<(Target, Option<ModelId>, BreakerState)>,
    recoveries: Vec<(crate::types::Strategy, bool)>,
    blamed: Vec<(JobId, Cause)>,
    next_job: u64,
}

impl World {
    fn new(targets: &[Target], policy: Policy) -> Self {
        Self::without(&[], targets, policy)
    }

    /// As [`new`](Self::new), but some backends do not work.
    fn without(unavailable: &[Target], targets: &[Target], policy: Policy) -> Self {
        let now = Instant::now();
        let mut world = Self {
            scheduler: Scheduler::new(policy, targets.iter().copied().collect(), now),
            now,
            browsers: BTreeMap::new(),
            tabs: BTreeMap::new(),
            handed: BTreeMap::new(),
            ended: BTreeMap::new(),
            restarted: Vec::new(),
            given_up: Vec::new(),
            unavailable: unavailable.to_vec(),
            canary: None,
            canaries: Vec::new(),
            loads: Vec::new(),
            alive: true,
            breakers: Vec::new(),
            recoveries: Vec::new(),
            blamed: Vec::new(),
            next_job: 1,
        };
        world.carry_out();
        world
    }

    fn tell(&mut self, input: Input) {
        self.scheduler.handle(input, self.now);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(action) = self.scheduler.next_action() {
            let answer = match action {
                Action::LaunchBrowser { id, browser } => {
                    self.browsers.insert(id, browser);
                    Some(Input::BrowserStarted { id })
                }
                Action::EndBrowser { id } => Some(self.browser_ends(id)),
                Action::OpenTab { tab, browser, target } => {
                    self.tabs.insert(tab, (browser, target));
                    self.handed.insert(tab, Vec::new());
                    Some(Input::TabConnected { tab })
                }
                Action::StartBackend { tab, target } if self.unavailable.contains(&target) => {
                    Some(Input::TabFailed { tab, failure: Failure::new(Cause::BackendUnavailable, "no adapter") })
                }
                Action::StartBackend { tab, .. } => Some(Input::TabReady { tab }),
                Action::RestartWorker { tab, .. } => {
                    self.restarted.push(tab);
                    self.handed.insert(tab, Vec::new());
                    Some(Input::TabConnected { tab })
                }
                Action::CloseTab { tab, .. } => {
                    self.tabs.remove(&tab);
                    self.handed.remove(&tab);
                    None
                }
                Action::StartAttempt { tab, job, .. } => {
                    self.handed.get_mut(&tab).expect("an attempt starts in an open tab").push(job);
                    None
                }
                Action::LoadModel { tab, model } => {
                    self.loads.push((tab, model));
                    Some(Input::StageLoaded { tab, model, failure: None })
                }
                Action::DropModel { .. } => None,
                Action::RunCanary { tab } => {
                    self.canaries.push(tab);
                    let failure = self.canary.map(|cause| Failure::new(cause, "the canary"));
                    Some(Input::CanaryAnswered { tab, failure })
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
                Action::Recovered(Recovery { strategy, succeeded, .. }) => {
                    self.recoveries.push((strategy, succeeded));
                    None
                }
                Action::AttemptFailed { job, attempt, .. } => {
                    self.blamed.push((job, attempt.failure.cause));
                    None
                }
                Action::HealthChecked { .. } | Action::Disconnected { .. } => None,
                Action::EndWithResult { job, attempts } => self.end(job, Ok(()), attempts),
                Action::EndWithFailure { job, failure, attempts } => self.end(job, Err(failure.cause), attempts),
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

    fn end(&mut self, job: JobId, how: Result<(), Cause>, attempts: Vec<Attempt>) -> Option<Input> {
        let before = self.ended.insert(job, (how, attempts));
        assert!(before.is_none(), "{job} ended twice");
        None
    }

    fn browser_ends(&mut self, id: BrowserId) -> Input {
        self.browsers.remove(&id);
        Input::BrowserExited { id, failure: Failure::new(Cause::BrowserExited, "killed") }
    }

    fn submit(&mut self, allowed: &[Target]) -> JobId {
        self.submit_spec(allowed, |_| {})
    }

    fn submit_spec(&mut self, allowed: &[Target], change: impl FnOnce(&mut JobSpec)) -> JobId {
        let job = JobId(self.next_job);
        self.next_job += 1;
        let mut spec = self.spec(allowed);
        change(&mut spec);
        self.tell(Input::Submit { job, spec });
        job
    }

    fn spec(&self, allowed: &[Target]) -> JobSpec {
        JobSpec {
            model: ModelId(1),
            family: Family::Other,
            allowed: allowed.iter().copied().collect(),
            recommended: TargetSet::EMPTY,
            bytes: 256,
            attempt_timeout: Duration::from_secs(1),
            expires: self.now + Duration::from_secs(60),
            attempts: 3,
            priority: Priority::Normal,
            caller: Caller::default(),
        }
    }

    fn tab_of(&self, job: JobId) -> Option<TabId> {
        self.handed.iter().find(|(_, jobs)| jobs.contains(&job)).map(|(tab, _)| *tab)
    }

    fn target_of(&self, job: JobId) -> Option<Target> {
        self.tab_of(job).map(|tab| self.tabs[&tab].1)
    }

    fn answer(&mut self, job: JobId, failure: Option<Failure>) {
        let tab = self.tab_of(job).expect("the job is in a tab");
        self.handed.get_mut(&tab).expect("an open tab").retain(|handed| *handed != job);
        self.tell(match failure {
            None => Input::AttemptSucceeded { tab, job, run: Duration::from_millis(10) },
            Some(failure) => Input::AttemptFailed { tab, job, failure },
        });
    }

    /// The tab's socket closes: nothing that it was handed is answered.
    fn cut(&mut self, tab: TabId) {
        self.handed.get_mut(&tab).expect("an open tab").clear();
        self.tell(Input::WorkerLost { tab, failure: Failure::new(Cause::SocketClosed, "cut") });
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.tell(Input::Timeout);
    }
}

fn one_tab() -> Policy {
    Policy { tabs_per_target: 1, ..Policy::default() }
}

fn crash() -> Failure {
    Failure::new(Cause::TabCrashed, "crashed")
}

#[test]
fn a_job_ends_with_its_result() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let job = world.submit(&[CHROME_WASM]);
    world.answer(job, None);
    assert_eq!(world.ended[&job].0, Ok(()));
    assert_eq!(world.scheduler.unfinished(), 0);
}

#[test]
fn only_the_first_job_of_a_crashed_tab_is_blamed() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let (guilty, innocent) = (world.submit(&[CHROME_WASM]), world.submit(&[CHROME_WASM]));
    let tab = world.tab_of(guilty).expect("handed out");
    world.tell(Input::TabLost { tab, failure: crash() });
    for job in [guilty, innocent] {
        assert_ne!(world.tab_of(job), Some(tab), "a lost tab runs nothing");
        world.answer(job, None);
    }
    assert_eq!(world.ended[&guilty].1.len(), 1);
    assert_eq!(world.ended[&innocent].1.len(), 0);
}

#[test]
fn a_job_that_kills_what_runs_it_is_quarantined_after_two_and_the_fleet_goes_on() {
    let mut world = World::new(&[CHROME_WASM, FIREFOX_WASM], one_tab());
    let job = world.submit_spec(&[CHROME_WASM, FIREFOX_WASM], |spec| spec.attempts = 10);
    let targets: BTreeSet<Target> = (0..2)
        .map(|_| {
            let (tab, target) = (world.tab_of(job).expect("tried again"), world.target_of(job).expect("somewhere"));
            world.tell(Input::TabLost { tab, failure: crash() });
            target
        })
        .collect();
    assert_eq!(targets.len(), 2, "on different targets");
    assert_eq!(world.ended[&job].0, Err(Cause::Quarantined));
    assert_eq!(world.ended[&job].1.len(), 2);
    let next = world.submit(&[CHROME_WASM]);
    world.answer(next, None);
    assert_eq!(world.ended[&next].0, Ok(()));
}

#[test]
fn a_lost_worker_is_restarted_but_a_tab_that_sends_rubbish_is_replaced() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let tab = *world.tabs.keys().next().expect("open");
    world.tell(Input::WorkerLost { tab, failure: Failure::new(Cause::WorkerCrashed, "aborted") });
    assert_eq!(world.restarted, [tab]);
    world.tell(Input::WorkerLost { tab, failure: Failure::new(Cause::BadFrame, "rubbish") });
    assert!(!world.tabs.contains_key(&tab));
    assert_eq!(world.tabs.len(), 1, "another one was opened");
}

#[test]
fn a_closed_socket_moves_its_jobs_at_once_and_is_blamed_when_it_is_explained() {
    let mut world = World::new(&[CHROME_WASM, FIREFOX_WASM], one_tab());
    let job = world.submit(&[CHROME_WASM, FIREFOX_WASM]);
    let tab = world.tab_of(job).expect("handed out");
    world.cut(tab);
    let next = world.tab_of(job).expect("moved at once");
    assert_ne!(next, tab);
    assert_eq!(world.blamed, [], "it is not yet known for what");
    world.tell(Input::TabLost { tab, failure: crash() });
    assert_eq!(world.blamed, [(job, Cause::TabCrashed)]);
    world.cut(next);
    assert_eq!(world.restarted, [], "it is not yet known to live");
    world.wait(Policy::default().cut_grace);
    assert_eq!(world.restarted, [next]);
    world.answer(job, None);
    let causes: Vec<Cause> = world.ended[&job].1.iter().map(|attempt| attempt.failure.cause).collect();
    assert_eq!(causes, [Cause::TabCrashed, Cause::SocketClosed]);
}

#[test]
fn a_job_that_was_answered_before_its_crash_was_explained_is_told_of_all_the_same() {
    let mut world = World::new(&[CHROME_WASM, FIREFOX_WASM], one_tab());
    let job = world.submit(&[CHROME_WASM, FIREFOX_WASM]);
    let tab = world.tab_of(job).expect("handed out");
    world.cut(tab);
    world.answer(job, None);
    world.tell(Input::TabLost { tab, failure: crash() });
    assert_eq!(world.blamed, [(job, Cause::TabCrashed)]);
    assert_eq!(world.ended[&job].1.len(), 1);
}

#[test]
fn a_last_attempt_waits_for_what_the_socket_meant() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let job = world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 1);
    let tab = world.tab_of(job).expect("handed out");
    world.cut(tab);
    assert!(!world.ended.contains_key(&job));
    world.tell(Input::TabLost { tab, failure: crash() });
    assert_eq!(world.ended[&job].0, Err(Cause::TabCrashed));
}

#[test]
fn a_job_that_has_nowhere_else_to_go_pauses_before_its_third_attempt() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let job = world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 5);
    let fail = |world: &mut World| world.answer(job, Some(Failure::new(Cause::ModelDownload, "no network")));
    fail(&mut world);
    assert!(world.tab_of(job).is_some(), "at once the first time");
    fail(&mut world);
    assert_eq!(world.tab_of(job), None);
    world.wait(Duration::from_millis(200));
    world.answer(job, None);
    assert_eq!(world.ended[&job].0, Ok(()));
}

#[test]
fn an_overdue_job_costs_its_worker_not_its_tab_and_the_clock_starts_when_the_worker_turns_to_it() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let first = world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 1);
    let second = world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 1);
    let tab = world.tab_of(first).expect("handed out");
    world.wait(Duration::from_millis(900));
    world.answer(first, None);
    world.wait(Duration::from_millis(900));
    assert!(!world.ended.contains_key(&second), "it was only 900 ms at the head of the line");
    world.wait(Duration::from_millis(200));
    assert_eq!(world.ended[&second].0, Err(Cause::DeadlineExceeded));
    assert_eq!(world.restarted, [tab]);
    assert!(world.tabs.contains_key(&tab));
}

#[test]
fn a_job_expires_wherever_it_is_and_its_late_answer_is_ignored() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let job = world.submit_spec(&[CHROME_WASM], |spec| {
        spec.expires -= Duration::from_secs(59);
        spec.attempt_timeout = Duration::from_secs(30);
    });
    let tab = world.tab_of(job).expect("handed out");
    world.wait(Duration::from_secs(2));
    assert_eq!(world.ended[&job].0, Err(Cause::DeadlineExceeded));
    assert_eq!(world.ended[&job].1.len(), 1, "the tab was at it: that was an attempt");
    world.tell(Input::AttemptSucceeded { tab, job, run: Duration::ZERO });
    let next = world.submit(&[CHROME_WASM]);
    world.answer(next, None);
    assert_eq!(world.ended.len(), 2);
}

#[test]
fn a_model_that_fails_on_one_target_is_tried_on_another_but_not_again_on_the_first() {
    let mut world = World::new(&[CHROME_WEBGPU, CHROME_WASM], one_tab());
    let job = world.submit(&[CHROME_WEBGPU, CHROME_WASM]);
    let first = world.target_of(job).expect("handed out");
    world.answer(job, Some(Failure::new(Cause::ModelLoad, "no such operator")));
    let second = world.target_of(job).expect("tried elsewhere");
    assert_ne!(first, second);
    world.answer(job, Some(Failure::new(Cause::ModelLoad, "no such operator")));
    assert_eq!(world.ended[&job].0, Err(Cause::ModelLoad), "two attempts of three, but nowhere left to try");
}

#[test]
fn bad_inputs_are_not_tried_again() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let job = world.submit(&[CHROME_WASM]);
    world.answer(job, Some(Failure::new(Cause::BadInput, "wrong shape")));
    assert_eq!(world.ended[&job].0, Err(Cause::BadInput));
}

#[test]
fn the_preferred_browser_comes_first_until_it_is_busy() {
    let mut world = World::new(&[CHROME_WASM, FIREFOX_WASM], one_tab());
    let audio: Vec<Option<Target>> = (0..4)
        .map(|_| {
            let job = world.submit_spec(&[CHROME_WASM, FIREFOX_WASM], |spec| spec.family = Family::Audio);
            world.target_of(job)
        })
        .collect();
    assert_eq!(audio, [Some(FIREFOX_WASM), Some(FIREFOX_WASM), Some(CHROME_WASM), Some(CHROME_WASM)]);
}

#[test]
fn measurements_come_before_the_family() {
    let both = [CHROME_WASM, FIREFOX_WASM];
    let mut world = World::new(&both, one_tab());
    let mut submit = |recommended: TargetSet| {
        let job = world.submit_spec(&both, |spec| (spec.family, spec.recommended) = (Family::Audio, recommended));
        let target = world.target_of(job);
        world.answer(job, None);
        target
    };
    assert_eq!(submit(TargetSet::EMPTY), Some(FIREFOX_WASM));
    assert_eq!(submit([CHROME_WASM].into_iter().collect()), Some(CHROME_WASM));
    assert_eq!(submit([CHROME_WEBGPU].into_iter().collect()), Some(FIREFOX_WASM), "what is not there helps nobody");
}

#[test]
fn a_gpu_backend_that_computes_on_the_cpu_comes_after_wasm() {
    let mut world = World::new(&[CHROME_WEBGPU, CHROME_WASM], one_tab());
    world.tell(Input::TargetIsSoftware { target: CHROME_WEBGPU });
    let job = world.submit(&[CHROME_WEBGPU, CHROME_WASM]);
    assert_eq!(world.target_of(job), Some(CHROME_WASM));
}

#[test]
fn a_browser_that_dies_is_launched_again_and_its_jobs_go_elsewhere_at_once() {
    let mut world = World::new(&[CHROME_WASM, FIREFOX_WASM], one_tab());
    let job = world.submit(&[CHROME_WASM, FIREFOX_WASM]);
    let dead = world.target_of(job).expect("handed out").browser;
    let id = *world.browsers.iter().find(|(_, browser)| **browser == dead).expect("running").0;
    let exit = world.browser_ends(id);
    world.tell(exit);
    let target = world.target_of(job).expect("moved at once");
    assert_ne!(target.browser, dead);
    assert_eq!(world.browsers.len(), 1);
    world.wait(Duration::from_millis(100));
    assert_eq!(world.browsers.len(), 2, "launched again after its pause");
}

#[test]
fn a_missing_browser_ends_the_jobs_that_can_run_nowhere_else() {
    let now = Instant::now();
    let mut scheduler = Scheduler::new(one_tab(), [CHROME_WASM].into_iter().collect(), now);
    let Some(Action::LaunchBrowser { id, .. }) = scheduler.next_action() else { panic!("a browser is launched first") };
    let spec = JobSpec {
        model: ModelId(1),
        family: Family::Other,
        allowed: TargetSet::all(),
        recommended: TargetSet::EMPTY,
        bytes: 0,
        attempt_timeout: Duration::from_secs(1),
        expires: now + Duration::from_secs(60),
        attempts: 1,
        priority: Priority::Normal,
        caller: Caller::default(),
    };
    scheduler.handle(Input::Submit { job: JobId(1), spec: spec.clone() }, now);
    scheduler.handle(Input::BrowserMissing { id, failure: Failure::new(Cause::LaunchFailed, "no chrome found") }, now);
    scheduler.handle(Input::Submit { job: JobId(2), spec }, now);
    let ends: Vec<(JobId, Cause)> = std::iter::from_fn(|| scheduler.next_action())
        .filter_map(|action| match action {
            Action::EndWithFailure { job, failure, .. } => {
                assert!(failure.message.contains("no chrome found"), "{failure}");
                Some((job, failure.cause))
            }
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(JobId(1), Cause::NoTarget), (JobId(2), Cause::NoTarget)]);
}

#[test]
fn a_backend_that_does_not_start_is_given_up_and_the_others_go_on() {
    let mut world = World::without(&[CHROME_WEBGPU], &[CHROME_WEBGPU, CHROME_WASM], one_tab());
    assert_eq!(world.given_up, [CHROME_WEBGPU]);
    let job = world.submit(&[CHROME_WEBGPU, CHROME_WASM]);
    assert_eq!(world.target_of(job), Some(CHROME_WASM));
}

#[test]
fn a_backend_that_worked_and_is_no_longer_offered_costs_its_browser_not_the_target() {
    let mut world = World::new(&[CHROME_WEBGPU], one_tab());
    let browser = *world.browsers.keys().next().expect("running");
    let tab = *world.tabs.keys().next().expect("open");
    world.tell(Input::TabLost { tab, failure: crash() });
    let tab = *world.tabs.keys().next().expect("opened again");
    world.tell(Input::TabFailed { tab, failure: Failure::new(Cause::BackendUnavailable, "no adapter") });
    assert_eq!(world.given_up, []);
    world.wait(Duration::from_secs(1));
    assert!(!world.browsers.contains_key(&browser));
    let job = world.submit(&[CHROME_WEBGPU]);
    assert!(world.tab_of(job).is_some());
}

#[test]
fn inputs_too_large_for_a_tab_that_is_at_work_wait_and_others_pass_them() {
    let policy = Policy { in_flight_bytes_per_tab: 1000, ..one_tab() };
    let mut world = World::new(&[CHROME_WASM], policy);
    let first = world.submit_spec(&[CHROME_WASM], |spec| spec.bytes = 5000);
    let large = world.submit_spec(&[CHROME_WASM], |spec| spec.bytes = 5000);
    assert!(world.tab_of(first).is_some(), "one may always go");
    assert_eq!(world.tab_of(large), None);
    world.answer(first, None);
    assert!(world.tab_of(large).is_some());
}

/// One step of a random life of the fleet.
#[derive(Clone, Debug)]
enum Step {
    Submit { targets: usize, attempts: u32 },
    Answer { which: usize, ok: bool, cause: Cause },
    LoseTab { which: usize },
    LoseWorker { which: usize },
    CutSocket { which: usize },
    ForgetModel,
    Canary { fails: Option<Cause> },
    Hang { hangs: bool },
    LoseBrowser { which: usize },
    Cancel { which: u64 },
    Wait { ms: u64 },
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let cause = prop::sample::select(vec![
        Cause::ModelLoad,
        Cause::ModelRun,
        Cause::OutOfMemory,
        Cause::DeviceLost,
        Cause::BadInput,
        Cause::ModelDownload,
    ]);
    let step = prop_oneof![
        4 => (0..4_usize, 1..4_u32).prop_map(|(targets, attempts)| Step::Submit { targets, attempts }),
        4 => (any::<usize>(), any::<bool>(), cause).prop_map(|(which, ok, cause)| Step::Answer { which, ok, cause }),
        1 => any::<usize>().prop_map(|which| Step::LoseTab { which }),
        1 => any::<usize>().prop_map(|which| Step::LoseWorker { which }),
        1 => any::<usize>().prop_map(|which| Step::LoseBrowser { which }),
        1 => any::<usize>().prop_map(|which| Step::CutSocket { which }),
        1 => Just(Step::ForgetModel),
        1 => prop::option::of(Just(Cause::WrongOutput)).prop_map(|fails| Step::Canary { fails }),
        1 => any::<bool>().prop_map(|hangs| Step::Hang { hangs }),
        1 => (0..60_u64).prop_map(|which| Step::Cancel { which }),
        1 => (1..2_000_u64).prop_map(|ms| Step::Wait { ms }),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn whatever_happens_every_job_ends_exactly_once(steps in steps(), tabs in 1..4_usize) {
        let groups: [&[Target]; 4] =
            [&[CHROME_WASM], &[CHROME_WEBGPU, CHROME_WASM], &[FIREFOX_WASM], &[CHROME_WASM, FIREFOX_WASM]];
        let policy = Policy { tabs_per_target: tabs, in_flight_per_tab: 3, ..Policy::default() };
        let mut world = World::new(&[CHROME_WASM, CHROME_WEBGPU, FIREFOX_WASM], policy);
        let mut submitted = BTreeSet::new();
        for step in steps {
            match step {
                Step::Submit { targets, attempts } => {
                    submitted.insert(world.submit_spec(groups[targets], |spec| spec.attempts = attempts));
                }
                Step::Answer { which, ok, cause } => {
                    // A worker answers in order: only the first of what a tab was handed.
                    let heads: Vec<JobId> = world.handed.values().filter_map(|jobs| jobs.first().copied()).collect();
                    if !heads.is_empty() {
                        world.answer(heads[which % heads.len()], (!ok).then(|| Failure::new(cause, "failed")));
                    }
                }
                Step::LoseTab { which } if !world.tabs.is_empty() => {
                    let tab = *world.tabs.keys().nth(which % world.tabs.len()).expect("in range");
                    world.tell(Input::TabLost { tab, failure: crash() });
                }
                Step::LoseWorker { which } if !world.tabs.is_empty() => {
                    let tab = *world.tabs.keys().nth(which % world.tabs.len()).expect("in range");
                    world.tell(Input::WorkerLost { tab, failure: Failure::new(Cause::WorkerCrashed, "aborted") });
                }
                Step::CutSocket { which } if !world.tabs.is_empty() => {
                    let tab = *world.tabs.keys().nth(which % world.tabs.len()).expect("in range");
                    world.handed.get_mut(&tab).expect("open").clear();
                    world.cut(tab);
                }
                Step::ForgetModel => world.tell(Input::ForgetModel { model: ModelId(1) }),
                Step::Canary { fails } => world.canary = fails,
                Step::Hang { hangs } => world.alive = !hangs,
                Step::LoseBrowser { which } if !world.browsers.is_empty() => {
                    let id = *world.browsers.keys().nth(which % world.browsers.len()).expect("in range");
                    let exit = world.browser_ends(id);
                    world.tell(exit);
                }
                Step::Cancel { which } => world.tell(Input::Cancel { job: JobId(which) }),
                Step::Wait { ms } => world.wait(Duration::from_millis(ms)),
                _ => {}
            }
            prop_assert_eq!(world.scheduler.unfinished() + world.ended.len(), submitted.len());
        }
        // However it went, the rest can still be answered; nothing is stuck anywhere.
        (world.canary, world.alive) = (None, true);
        for _ in 0..submitted.len() * 5 {
            world.wait(Duration::from_millis(100));
            let heads: Vec<JobId> = world.handed.values().filter_map(|jobs| jobs.first().copied()).collect();
            heads.into_iter().for_each(|job| if world.tab_of(job).is_some() { world.answer(job, None) });
        }
        prop_assert_eq!(world.ended.len(), submitted.len());
        prop_assert_eq!(world.scheduler.queued(), 0);
        prop_assert_eq!(world.scheduler.permits_out(), 0, "a permit was not given back");
        prop_assert!(world.handed.values().all(Vec::is_empty), "no tab holds a job that nobody waits for");
    }

    #[test]
    fn closing_ends_every_job(jobs in 0..40_usize, answered in 0..40_usize) {
        let mut world = World::new(&[CHROME_WASM], Policy { in_flight_per_tab: 4, ..one_tab() });
        let submitted: Vec<JobId> = (0..jobs).map(|_| world.submit(&[CHROME_WASM])).collect();
        for job in submitted.iter().take(answered) {
            world.answer(*job, None);
        }
        world.tell(Input::Close);
        prop_assert_eq!(world.ended.len(), jobs);
        prop_assert_eq!(world.scheduler.unfinished(), 0);
    }
}
