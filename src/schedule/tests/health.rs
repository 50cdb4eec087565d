//! Breakers, canaries, heartbeats, memory, and what is repaired when.

use super::*;

/// Fails `count` jobs on the target with a cause that is the target's own.
fn fail_on(world: &mut World, target: Target, count: usize, model: impl Fn(usize) -> u64) {
    for n in 0..count {
        let job = world.submit_spec(&[target], |spec| {
            spec.attempts = 1;
            spec.model = ModelId(model(n));
        });
        world.answer(job, Some(Failure::new(Cause::ModelDownload, "no network")));
    }
}

#[test]
fn a_target_that_fails_is_passed_over_until_canary_and_probes_have_succeeded() {
    let both = [CHROME_WASM, FIREFOX_WASM];
    let mut world = World::new(&both, one_tab());
    fail_on(&mut world, CHROME_WASM, 5, |n| n as u64 + 1);
    assert_eq!(world.breakers, [(CHROME_WASM, None, BreakerState::Open)]);
    let jobs: Vec<JobId> = (0..2).map(|_| world.submit(&both)).collect();
    assert!(jobs.iter().all(|job| world.target_of(*job) == Some(FIREFOX_WASM)), "though chrome is idle");
    world.canaries.clear();
    world.wait(Duration::from_secs(34));
    let chrome = *world.tabs.iter().find(|(_, (_, target))| *target == CHROME_WASM).expect("it lives").0;
    assert!(world.canaries.contains(&chrome), "the canary first");
    let states: Vec<BreakerState> = world.breakers.iter().map(|(_, _, to)| *to).collect();
    assert_eq!(
        states,
        [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed],
        "nobody waits: canaries only"
    );
    let job = world.submit_spec(&both, |spec| spec.family = Family::Vision);
    assert_eq!(world.target_of(job), Some(CHROME_WASM));
}

#[test]
fn the_last_target_stays_whatever_its_breaker_says_unless_none_has_to() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    fail_on(&mut world, CHROME_WASM, 5, |n| n as u64 + 1);
    let job = world.submit(&[CHROME_WASM]);
    assert!(world.tab_of(job).is_some(), "there is nowhere else");

    let mut world = World::new(&[CHROME_WASM], Policy { keep_targets: 0, ..one_tab() });
    fail_on(&mut world, CHROME_WASM, 5, |n| n as u64 + 1);
    let job = world.submit(&[CHROME_WASM]);
    assert_eq!(world.ended[&job].0, Err(Cause::CircuitOpen));
}

#[test]
fn a_model_that_fails_on_one_target_does_not_close_it_for_the_others() {
    let both = [CHROME_WEBGPU, CHROME_WASM];
    let mut world = World::new(&both, one_tab());
    for _ in 0..10 {
        let job = world.submit_spec(&[CHROME_WEBGPU], |spec| spec.attempts = 1);
        world.answer(job, Some(Failure::new(Cause::ModelRun, "NaN")));
    }
    assert_eq!(world.breakers, [(CHROME_WEBGPU, Some(ModelId(1)), BreakerState::Open)]);
    let same = world.submit(&both);
    assert_eq!(world.target_of(same), Some(CHROME_WASM));
    let other = world.submit_spec(&both, |spec| spec.model = ModelId(2));
    assert_eq!(world.target_of(other), Some(CHROME_WEBGPU));
}

#[test]
fn what_went_well_before_a_models_failure_counts() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    for failure in [None, None, None, None, Some(Failure::new(Cause::BrowserExited, "killed")), None] {
        let job = world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 1);
        world.answer(job, failure);
    }
    assert_eq!(world.breakers, []);
}

#[test]
fn jobs_that_wait_find_another_way_when_a_breaker_opens() {
    let both = [CHROME_WEBGPU, CHROME_WASM];
    let mut world = World::new(&both, Policy { in_flight_per_tab: 3, ..one_tab() });
    let jobs: Vec<JobId> = (0..8).map(|_| world.submit_spec(&both, |spec| spec.attempts = 9)).collect();
    for _ in 0..BreakerPolicy::of(Browser::Chrome).for_one_model().minimum_number_of_calls {
        let on_webgpu = |job: &&JobId| world.target_of(**job) == Some(CHROME_WEBGPU);
        let job = *jobs.iter().find(on_webgpu).expect("one is there");
        world.answer(job, Some(Failure::new(Cause::ModelRun, "NaN")));
    }
    assert_eq!(world.breakers, [(CHROME_WEBGPU, Some(ModelId(1)), BreakerState::Open)]);
    let mut still_there = 0;
    for _ in 0..jobs.len() {
        let job = *jobs.iter().find(|job| world.tab_of(**job).is_some()).expect("one is always at work");
        still_there += usize::from(world.target_of(job) == Some(CHROME_WEBGPU));
        world.answer(job, None);
    }
    assert_eq!(still_there, 1, "the one that it had been handed before");
    assert!(jobs.iter().all(|job| world.ended[job].0 == Ok(())));
}

#[test]
fn the_callers_mistakes_open_nothing() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    for _ in 0..20 {
        let job = world.submit(&[CHROME_WASM]);
        world.answer(job, Some(Failure::new(Cause::BadInput, "wrong shape")));
    }
    assert_eq!(world.breakers, []);
}

#[test]
fn a_wrong_answer_to_the_canary_opens_the_breaker_at_once_and_replaces_the_tab() {
    let mut world = World::new(&[CHROME_WASM, FIREFOX_WASM], one_tab());
    let before: BTreeSet<TabId> = world.tabs.keys().copied().collect();
    world.canary = Some(Cause::WrongOutput);
    world.wait(Policy::default().health_check_interval);
    let open: BTreeSet<Target> = world.breakers.iter().map(|(target, ..)| *target).collect();
    assert_eq!(open, BTreeSet::from([CHROME_WASM, FIREFOX_WASM]));
    assert!(world.tabs.keys().all(|tab| !before.contains(tab)));
    assert_eq!(world.tabs.len(), 2);
}

#[test]
fn a_browser_that_answers_no_heartbeat_is_restarted_and_its_jobs_move() {
    let both = [CHROME_WASM, FIREFOX_WASM];
    let mut world = World::new(&both, one_tab());
    let job = world.submit_spec(&both, |spec| spec.attempt_timeout = Duration::from_secs(30));
    let dead = world.target_of(job).expect("handed out").browser;
    let before: BTreeSet<BrowserId> = world.browsers.keys().copied().collect();
    world.alive = false;
    world.wait(Policy::default().heartbeat_interval);
    world.wait(Duration::ZERO);
    world.alive = true;
    assert!(!world.blamed.is_empty());
    assert_eq!(world.blamed[0], (job, Cause::HeartbeatMissed));
    world.wait(Duration::from_secs(1));
    assert!(world.browsers.keys().all(|id| !before.contains(id)), "{dead} and the other were launched again");
    assert!(world.tab_of(job).is_some());
}

#[test]
fn an_idle_tab_that_answers_no_heartbeat_is_replaced() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let tab = *world.tabs.keys().next().expect("open");
    world.alive = false;
    // The browser itself is asked, too: let it answer.
    for _ in 0..6 {
        world.now += Duration::from_secs(2);
        let now = world.now;
        world.scheduler.handle(Input::Timeout, now);
        while let Some(action) = world.scheduler.next_action() {
            match action {
                Action::PingBrowser { id } => {
                    let answer = Ok(Some(Duration::ZERO));
                    world.scheduler.handle(Input::BrowserHeartbeat { id, answer }, now);
                }
                Action::CloseTab { tab: closed, failure } => {
                    assert_eq!((closed, failure.cause), (tab, Cause::HeartbeatMissed));
                    return;
                }
                _ => {}
            }
        }
    }
    panic!("it was never replaced");
}

#[test]
fn a_tab_that_fails_three_times_in_a_row_is_replaced_instead_of_restarted() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let tab = *world.tabs.keys().next().expect("open");
    for failures in 1..=3 {
        let job = world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 1);
        world.answer(job, Some(Failure::new(Cause::OutOfMemory, "no more")));
        assert_eq!(world.tabs.contains_key(&tab), failures < 3);
    }
    assert_eq!(world.restarted, [tab, tab]);
    assert_eq!(world.tabs.len(), 1);
}

#[test]
fn three_tabs_that_die_in_a_row_cost_the_browser_once() {
    let mut world = World::new(&[CHROME_WASM], Policy { tabs_per_target: 2, ..Policy::default() });
    let browser = *world.browsers.keys().next().expect("running");
    for deaths in 1..=3 {
        let tab = *world.tabs.keys().next().expect("open");
        world.tell(Input::TabLost { tab, failure: crash() });
        assert_eq!(world.browsers.contains_key(&browser), deaths < 3);
    }
    world.wait(Duration::from_secs(1));
    assert_eq!((world.browsers.len(), world.tabs.len()), (1, 2));
    assert_eq!(world.recoveries.iter().filter(|(strategy, _)| *strategy == RESTART_BROWSER).count(), 1);
}

const RESTART_BROWSER: crate::types::Strategy = crate::types::Strategy::RestartBrowser;

#[test]
fn jobs_of_a_browser_that_is_restarted_or_dies_with_others_are_not_held_to_have_killed_it() {
    let policy = Policy { tabs_per_target: 3, in_flight_per_tab: 1, ..Policy::default() };
    let mut world = World::new(&[CHROME_WASM], policy);
    let innocent: Vec<JobId> = (0..3).map(|_| world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 9)).collect();
    for _ in 0..3 {
        let id = *world.browsers.keys().next().expect("running");
        let exit = world.browser_ends(id);
        world.tell(exit);
        world.wait(Duration::from_millis(500));
    }
    assert!(innocent.iter().all(|job| world.tab_of(*job).is_some()), "{:?}", world.ended);
    let id = *world.browsers.keys().next().expect("running");
    let attempts = world.blamed.len();
    world.tell(Input::BrowserMemory { id, bytes: 20 << 30 });
    assert_eq!(world.blamed.len(), attempts, "too much memory is nobody's attempt");
}

#[test]
fn tabs_that_die_far_apart_or_between_answers_cost_only_themselves() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let browser = *world.browsers.keys().next().expect("running");
    for _ in 0..6 {
        let tab = *world.tabs.keys().next().expect("open");
        world.tell(Input::TabLost { tab, failure: crash() });
        world.wait(Duration::from_millis(10));
        let job = world.submit(&[CHROME_WASM]);
        world.answer(job, None);
    }
    assert!(world.browsers.contains_key(&browser));
}

#[test]
fn too_much_memory_costs_a_worker_or_a_browser() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let tab = *world.tabs.keys().next().expect("open");
    world.tell(Input::TabAlive { tab, heap_bytes: Some(5 << 30) });
    assert_eq!(world.restarted, [tab]);
    let id = *world.browsers.keys().next().expect("running");
    world.tell(Input::BrowserMemory { id, bytes: 20 << 30 });
    assert!(!world.browsers.contains_key(&id));
}

#[test]
fn a_call_that_is_slow_by_its_own_past_counts_as_slow_and_one_that_always_was_does_not() {
    let seconds = Duration::from_secs;
    let run = |world: &mut World, model: u64, run: Duration| {
        let job = world.submit_spec(&[CHROME_WASM], |spec| spec.model = ModelId(model));
        let tab = world.tab_of(job).expect("handed out");
        world.handed.get_mut(&tab).expect("open").clear();
        world.tell(Input::AttemptSucceeded { tab, job, run });
    };
    let mut world = World::new(&[CHROME_WASM], one_tab());
    (0..30).for_each(|_| run(&mut world, 1, seconds(3)));
    assert_eq!(world.breakers, []);
    (0..10).for_each(|_| run(&mut world, 2, Duration::from_millis(100)));
    (0..10).for_each(|_| run(&mut world, 2, seconds(3)));
    let both = [None, Some(ModelId(2))];
    assert_eq!(world.breakers, both.map(|model| (CHROME_WASM, model, BreakerState::Open)));
}

#[test]
fn what_waits_and_what_tabs_hold_are_jobs_and_nothing_else() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let told = |world: &World| {
        let health = world.scheduler.health(world.now, std::time::SystemTime::UNIX_EPOCH, |model| model.to_string());
        (health.waiting, health.in_flight, health.tabs.iter().map(|tab| tab.in_flight).sum::<u32>())
    };
    world.loads_slowly = true;
    world.tell(Input::WarmUp { model: ModelId(9), tabs: 1, timeout: Duration::from_secs(60) });
    assert_eq!(told(&world), (0, 0, 0), "a model is loaded for later");
    let tab = *world.tabs.keys().next().expect("open");
    world.tell(Input::ModelLoaded { tab, model: ModelId(9), failure: None });
    let job = world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 5);
    let cancelled = world.submit(&[CHROME_WASM]);
    assert_eq!(told(&world), (0, 2, 2));
    world.tell(Input::Cancel { job: cancelled });
    assert_eq!(told(&world), (0, 1, 1), "the tab may still be at the other");
    (0..2).for_each(|_| world.answer(job, Some(Failure::new(Cause::ModelDownload, "no network"))));
    assert_eq!((world.scheduler.queued(), told(&world)), (0, (1, 0, 0)), "it pauses before its third attempt");
}
