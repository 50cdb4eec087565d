//! Tabs that are worn out.

use super::*;

fn short_lived(change: impl FnOnce(&mut Retirement)) -> Policy {
    let mut policy = Policy { heartbeat_interval: Duration::from_secs(1), ..one_tab() };
    change(&mut policy.retirement);
    policy
}

fn only_tab(world: &World) -> TabId {
    assert_eq!(world.tabs.len(), 1);
    *world.tabs.keys().next().expect("one")
}

#[test]
fn a_tab_that_has_done_enough_is_replaced_by_one_that_has_its_models_and_finishes_first() {
    let mut world = World::new(
        &[CHROME_WASM],
        short_lived(|retirement| {
            (retirement.jobs, retirement.jobs_not_before) = (3, Duration::ZERO);
        }),
    );
    let old = only_tab(&world);
    // So short that the tab holds all of the others, once that is known.
    world.run = Duration::from_micros(100);
    let first = world.submit(&[CHROME_WASM]);
    world.answer(first, None);
    let jobs: Vec<JobId> = (0..4).map(|_| world.submit(&[CHROME_WASM])).collect();
    jobs[..2].iter().for_each(|job| world.answer(*job, None));
    let fresh = *world.tabs.keys().last().expect("another one was opened");
    assert_ne!(fresh, old);
    assert_eq!(world.warmed, [(fresh, ModelId(1))]);
    assert_eq!(world.retired, [], "it still holds two");
    let next = world.submit(&[CHROME_WASM]);
    assert_eq!(world.tab_of(next), Some(fresh), "it takes no more");
    jobs[2..].iter().for_each(|job| world.answer(*job, None));
    assert_eq!(world.retired, [old]);
    world.answer(next, None);
    assert!(world.ended.values().all(|(how, attempts)| how.is_ok() && attempts.is_empty()));
}

#[test]
fn small_models_do_not_wear_a_tab_out_within_its_first_minute() {
    let mut world = World::new(&[CHROME_WASM], short_lived(|retirement| retirement.jobs = 10));
    let old = only_tab(&world);
    for _ in 0..100 {
        let job = world.submit(&[CHROME_WASM]);
        world.answer(job, None);
    }
    assert_eq!(only_tab(&world), old);
    (0..60).for_each(|_| world.wait(Duration::from_secs(1)));
    assert_eq!(world.retired, [old]);
}

#[test]
fn tabs_retire_for_their_age_for_idleness_and_for_failures() {
    let retired_after = |change: fn(&mut Retirement)| {
        let policy = Policy { health_check_interval: Duration::from_secs(10), ..short_lived(change) };
        let mut world = World::new(&[CHROME_WASM], policy);
        (1..=60).find(|_| {
            world.wait(Duration::from_secs(1));
            !world.retired.is_empty()
        })
    };
    assert_eq!(retired_after(|_| {}), None);
    assert_eq!(retired_after(|retirement| retirement.age = Duration::from_secs(20)), Some(20));
    assert_eq!(retired_after(|retirement| retirement.idle = Duration::from_secs(30)), Some(30));

    let mut world = World::new(&[CHROME_WASM], short_lived(|retirement| retirement.failures = 2));
    let old = only_tab(&world);
    for _ in 0..2 {
        let failing = world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 1);
        world.answer(failing, Some(Failure::new(Cause::ModelDownload, "no network")));
        let job = world.submit(&[CHROME_WASM]);
        world.answer(job, None);
    }
    assert_eq!(world.retired, [old]);
}

/// A tab, and one that was opened since it is worn out and is not there yet.
fn worn_and_fresh(change: impl FnOnce(&mut World)) -> (World, TabId, TabId) {
    let mut world = World::new(&[CHROME_WASM], short_lived(|retirement| retirement.age = Duration::from_secs(20)));
    let worn = only_tab(&world);
    let job = world.submit(&[CHROME_WASM]);
    world.answer(job, None);
    world.opens_slowly = true;
    change(&mut world);
    (0..20).for_each(|_| world.wait(Duration::from_secs(1)));
    let fresh = *world.tabs.keys().last().expect("another one was opened");
    assert_ne!(fresh, worn);
    (world, worn, fresh)
}

fn crashed(tab: TabId) -> Input {
    Input::WorkerLost { tab, failure: Failure::new(Cause::WorkerCrashed, "aborted") }
}

#[test]
fn a_worn_tab_that_is_given_a_fresh_worker_when_its_successor_comes_goes_after_that() {
    let (mut world, worn, fresh) = worn_and_fresh(|world| world.restarts_hang = true);
    world.tell(crashed(worn));
    world.tell(Input::TabConnected { tab: fresh });
    assert_eq!(world.retired, [], "it may be about a job");
    world.tell(Input::TabConnected { tab: worn });
    assert_eq!((world.retired.as_slice(), only_tab(&world)), ([worn].as_slice(), fresh));
}

#[test]
fn a_worn_tab_that_is_given_a_fresh_worker_while_its_successor_loads_goes_after_that() {
    let (mut world, worn, fresh) = worn_and_fresh(|world| (world.restarts_hang, world.loads_slowly) = (true, true));
    world.tell(Input::TabConnected { tab: fresh });
    world.tell(crashed(worn));
    world.tell(Input::ModelLoaded { tab: fresh, model: ModelId(1), failure: None });
    world.tell(Input::TabConnected { tab: worn });
    assert_eq!((world.retired.as_slice(), only_tab(&world)), ([worn].as_slice(), fresh));
}

#[test]
fn a_worn_tab_goes_though_its_successor_was_lost_while_it_loaded() {
    let loading = || {
        let (mut world, worn, fresh) = worn_and_fresh(|world| world.loads_slowly = true);
        world.tell(Input::TabConnected { tab: fresh });
        assert_eq!(
            (world.warmed.as_slice(), world.retired.as_slice()),
            ([(fresh, ModelId(1))].as_slice(), [].as_slice())
        );
        (world, worn, fresh)
    };
    let (mut world, worn, fresh) = loading();
    world.tell(crashed(fresh));
    assert_eq!((world.retired.as_slice(), only_tab(&world)), ([worn].as_slice(), fresh));

    let (mut world, worn, fresh) = loading();
    world.loads_slowly = false;
    world.tell(Input::TabLost { tab: fresh, failure: crash() });
    let next = *world.tabs.keys().last().expect("another one was opened");
    world.tell(Input::TabConnected { tab: next });
    assert_eq!((world.retired.as_slice(), only_tab(&world)), ([worn].as_slice(), next));
}

#[test]
fn a_tab_that_takes_too_long_while_it_finishes_is_closed_and_nothing_is_done_about_it() {
    let mut world = World::new(
        &[CHROME_WASM],
        short_lived(|retirement| (retirement.jobs, retirement.jobs_not_before) = (1, Duration::ZERO)),
    );
    let old = only_tab(&world);
    let jobs: Vec<JobId> = (0..2).map(|_| world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 1)).collect();
    world.answer(jobs[0], None);
    assert_eq!(world.tabs.len(), 2, "it still holds one");
    world.wait(Duration::from_secs(2));
    assert_eq!(world.ended[&jobs[1]].0, Err(Cause::DeadlineExceeded));
    assert!(!world.tabs.contains_key(&old) && world.retired.is_empty(), "its worker may never be done");
    assert_eq!((world.restarted.as_slice(), world.recoveries.as_slice()), ([].as_slice(), [].as_slice()));
}

#[test]
fn a_tab_above_its_soft_memory_limit_that_is_never_idle_is_replaced_and_finishes_first() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let old = only_tab(&world);
    let jobs: Vec<JobId> = (0..3).map(|_| world.submit(&[CHROME_WASM])).collect();
    let heap_bytes = Some(Policy::default().tab_memory.soft + 1);
    world.tell(Input::TabAlive { tab: old, heap_bytes });
    let next = world.submit(&[CHROME_WASM]);
    assert_ne!(world.tab_of(next), Some(old), "it takes no more");
    jobs.iter().for_each(|job| world.answer(*job, None));
    assert_eq!((world.retired.as_slice(), world.restarted.as_slice()), ([old].as_slice(), [].as_slice()));
    world.answer(next, None);
    assert!(world.ended.values().all(|(how, attempts)| how.is_ok() && attempts.is_empty()));
}
