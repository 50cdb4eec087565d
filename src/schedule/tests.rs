//! The scheduler in a simulated world: it hands out actions, the world answers them as the test says.

mod batching;
mod deadlines;
mod fallback;
mod health;
mod isolation;
mod limits;
mod many;
mod opening;
mod placement;
mod retirement;
mod scaling;
mod sessions;
mod stages;
mod warm;
mod world;

use super::*;
use crate::types::{
    Backend, BreakerState, Browser, BrowserId, Caller, Category, Cause, Failure, Family, Isolation, JobId, ModelId,
    Priority, SessionEnd, SessionId, TabId, Target,
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use world::World;

const CHROME_WASM: Target = Target::new(Browser::Chrome, Backend::Wasm);
const CHROME_WEBGPU: Target = Target::new(Browser::Chrome, Backend::Webgpu);
const FIREFOX_WASM: Target = Target::new(Browser::Firefox, Backend::Wasm);

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
        turn_by: now + Duration::from_secs(60),
        attempts: 1,
        priority: Priority::Normal,
        caller: Caller::default(),
        release: false,
        batch: None,
        session: None,
        isolation: Isolation::Shared,
        fallback: Fallback::Off,
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
    Call { session: u64, begins: bool },
    Answer { which: usize, ok: bool, cause: Cause },
    LoseTab { which: usize },
    LoseWorker { which: usize },
    CutSocket { which: usize },
    ForgetModel,
    KeepWarm { tabs: usize },
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
        2 => (0..4_u64, any::<bool>()).prop_map(|(session, begins)| Step::Call { session, begins }),
        4 => (any::<usize>(), any::<bool>(), cause).prop_map(|(which, ok, cause)| Step::Answer { which, ok, cause }),
        1 => any::<usize>().prop_map(|which| Step::LoseTab { which }),
        1 => any::<usize>().prop_map(|which| Step::LoseWorker { which }),
        1 => any::<usize>().prop_map(|which| Step::LoseBrowser { which }),
        1 => any::<usize>().prop_map(|which| Step::CutSocket { which }),
        1 => Just(Step::ForgetModel),
        1 => (0..4_usize).prop_map(|tabs| Step::KeepWarm { tabs }),
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
        let retirement = Retirement { jobs: 4, jobs_not_before: Duration::ZERO, failures: 2, ..Retirement::default() };
        let policy = Policy { tabs_per_target: tabs, in_flight_per_tab: 3, retirement, ..Policy::default() };
        let all = [CHROME_WASM, CHROME_WEBGPU, FIREFOX_WASM];
        let mut world = World::new(&all, policy);
        let mut submitted = BTreeSet::new();
        for step in steps {
            match step {
                Step::Submit { targets, attempts } => {
                    let isolation = if attempts == 3 { Isolation::FreshTab } else { Isolation::Shared };
                    submitted.insert(world.submit_spec(groups[targets], |spec| {
                        (spec.attempts, spec.isolation) = (attempts, isolation);
                    }));
                }
                Step::Call { session, begins } => {
                    let time_to_live = Duration::from_secs(2);
                    let call = SessionCall { session: SessionId(session), begins, time_to_live };
                    submitted.insert(world.submit_spec(groups[1], |spec| spec.session = Some(call)));
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
                    world.handed.get_mut(&tab).expect("open").clear();
                    world.tell(Input::WorkerLost { tab, failure: Failure::new(Cause::WorkerCrashed, "aborted") });
                }
                Step::CutSocket { which } if !world.tabs.is_empty() => {
                    let tab = *world.tabs.keys().nth(which % world.tabs.len()).expect("in range");
                    world.handed.get_mut(&tab).expect("open").clear();
                    world.cut(tab);
                }
                Step::ForgetModel => world.tell(Input::ForgetModel { model: ModelId(1) }),
                Step::KeepWarm { tabs } => {
                    world.tell(Input::WarmUp { model: ModelId(2), tabs, timeout: Duration::from_secs(1) });
                }
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
        // Who wants a worker to itself waits for the sessions that live in it to end.
        for _ in 0..submitted.len() * 5 + 50 {
            world.wait(Duration::from_millis(100));
            let heads: Vec<JobId> = world.handed.values().filter_map(|jobs| jobs.first().copied()).collect();
            heads.into_iter().for_each(|job| if world.tab_of(job).is_some() { world.answer(job, None) });
        }
        prop_assert_eq!(world.ended.len(), submitted.len());
        prop_assert_eq!(world.scheduler.queued(), 0);
        prop_assert_eq!(world.scheduler.permits_out(), 0, "a permit was not given back");
        prop_assert!(world.handed.values().all(Vec::is_empty), "no tab holds a job that nobody waits for");
        // A browser that failed may pause for so long, and a session nobody ends keeps its tab for its time to live.
        world.wait(Policy::default().relaunch_pause_cap);
        world.wait(Duration::from_secs(2));
        prop_assert!(!world.scheduler.is_warming(ModelId(2)), "nobody waits for a model for ever");
        for target in all.iter().filter(|target| !world.given_up.contains(target)) {
            let open = world.tabs.values().filter(|(_, of)| of == target).count();
            prop_assert_eq!(open, tabs, "{} has as many tabs as are wanted", target);
        }
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
